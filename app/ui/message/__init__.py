"""Messages over the window: the bar that tells them, what they cover, and what they leave free."""
