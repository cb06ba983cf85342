"""One run: its folder, history, summary and report."""
