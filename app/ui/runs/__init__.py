"""All runs: the list, details, overlays."""
