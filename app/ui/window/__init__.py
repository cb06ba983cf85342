"""The window: tabs, menus, status, and what is dropped on it."""
