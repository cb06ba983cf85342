"""Answers sampled while training, and what scores them."""
