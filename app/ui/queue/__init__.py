"""The queue and sweeps."""
