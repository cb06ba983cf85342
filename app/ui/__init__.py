"""The window: Qt widgets over core; it starts workers and draws their events."""
