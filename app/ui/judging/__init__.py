"""Judging answers: the votes, how they are counted, and what may be concluded from them."""
