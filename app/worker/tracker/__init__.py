"""Trackers given a run of the past."""
