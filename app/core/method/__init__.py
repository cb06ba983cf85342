"""What training can optimize, and the rewards. Add a method here."""
