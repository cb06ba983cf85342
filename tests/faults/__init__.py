"""Faults tried on real runs: kills, full disks, moved folders, flipped bits; each with what it may cost.

``python -m tests.faults`` prints the table, ``tests.faults.fuzz`` bends every file that is read, and
``tests.faults.endurance`` lets the window live for eight simulated hours.
"""
