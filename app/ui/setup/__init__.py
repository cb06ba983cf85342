"""The tabs Setup and Enhanced Setup, up to Start."""
