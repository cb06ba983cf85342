"""Models searched, downloaded and uploaded."""
