"""Kept comparisons: written beside the window's work, brought back at its start, opened from a menu."""
