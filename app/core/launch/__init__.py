"""A start from the desktop, which no terminal sees: alerts, the variables of the login shell, its name."""
