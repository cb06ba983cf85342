"""The model: its card, and where models come from."""
