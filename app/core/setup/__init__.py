"""A config before Start: checks, plan, memory."""
