"""Setups trained one after the other: the queue, and sweeps."""
