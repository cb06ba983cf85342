"""Runs elsewhere, asked for from the window: started at a place, followed, stopped, brought here."""
