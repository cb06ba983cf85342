"""A tuned model written in the formats of other programs: one module a format. Add a format here."""
