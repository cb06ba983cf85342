"""The process itself: its channel, commands, log, job and end."""
