"""Talking with a tuned model: a conversation with one candidate, and the held-out answer before and after."""
