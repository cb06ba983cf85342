"""A tuned model served from the window: what is served how, where it is found, and who asks it."""
