"""Jobs, commands, events, and the client: what the window and a worker say to each other."""
