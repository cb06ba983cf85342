"""The window: Qt widgets over core; it starts workers and draws their events."""

from app.ui.window.reference_count import keep_constants

keep_constants()
