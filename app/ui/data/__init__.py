"""The data set: its card, and the dialog that looks into it."""
