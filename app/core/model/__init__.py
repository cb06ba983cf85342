"""What a model is made of, read without its weights."""
