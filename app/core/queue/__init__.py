"""Setups trained one after the other: the queue, sweeps, and sleep."""
