"""Exports opened again by other programs, and held against the run's model."""
