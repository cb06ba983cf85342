"""The window: Qt widgets over core; it starts workers and draws their events."""

from app.ui.window.immortal_constants import make_constants_immortal

make_constants_immortal()
