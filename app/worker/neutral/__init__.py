"""What a run forgets: the neutral set, the loss on it, and its balance with what was learned."""
