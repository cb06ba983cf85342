"""Runs that train now: the list of them, the door through which each is told what to do, and what it says."""
