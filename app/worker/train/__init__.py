"""The training loop and all that stands round it."""
