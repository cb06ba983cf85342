"""What is trained: presets, patterns, the coverage matrix."""
