"""Worker processes run from the window."""
