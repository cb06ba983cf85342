"""Benchmarks of candidates: lm-eval's tasks, with standard errors."""
