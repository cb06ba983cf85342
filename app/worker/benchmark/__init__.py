"""Benchmarks: lm-eval's tasks asked of a base and its adapters, with one model in memory."""
