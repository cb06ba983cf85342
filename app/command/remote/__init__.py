"""The verbs that take a setup to another machine, and bring its run back."""
