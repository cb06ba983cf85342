"""Fields bound to the shared config, and their editors."""
