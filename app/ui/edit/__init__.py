"""The rows of a data file, edited one by one and all at once, for a new file."""
