"""A model in few bits that keeps what training gained: bits chosen, scales tuned."""
