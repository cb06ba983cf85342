"""Setups for other machines: sealed, or run there and followed."""
