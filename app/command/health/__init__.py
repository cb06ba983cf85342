"""Whether this copy of the program works: its own test, from the window to a tuned answer."""
