"""A setup sealed for another machine: what is in it, what it trains there, what starts it."""
