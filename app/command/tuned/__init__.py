"""The verbs that take a tuned model elsewhere: into the formats of other programs, or to those that ask it."""
