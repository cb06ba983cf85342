"""Every value of a run, declared once."""
