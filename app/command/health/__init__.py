"""Whether this copy of the program works: what it stands on, and its own test from the window to a tuned answer."""
