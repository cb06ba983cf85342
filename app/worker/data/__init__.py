"""Data as the model sees it: checks, previews, statistics."""
