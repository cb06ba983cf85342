"""Answers and losses compared: candidates, votes, statistics."""
