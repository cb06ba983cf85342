"""Benchmarks: each prints a ratio against a baseline in one run."""
