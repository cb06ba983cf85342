"""Several adapters of one base merged into one, and measured before they are written."""
