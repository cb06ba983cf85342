"""Where things are kept, files written whole, and settings."""
