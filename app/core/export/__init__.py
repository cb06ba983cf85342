"""What leaves the app: formats with their options, what is exported, where to."""
