"""One run while it trains: its session, panel and curves."""
