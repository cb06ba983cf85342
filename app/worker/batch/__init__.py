"""From tokens to the arrays of one iteration."""
