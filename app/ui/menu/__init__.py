"""The menus of the window, and what their Edit does with whatever has the keyboard."""
