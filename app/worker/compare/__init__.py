"""Answers, held-out losses and scores of candidates."""
