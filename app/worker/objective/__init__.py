"""What training optimizes: losses, the reference, validation."""
