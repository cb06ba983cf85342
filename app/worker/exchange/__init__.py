"""What replicas exchange: gradients by tokens, weights, and each one's share of a batch."""
