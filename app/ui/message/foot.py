"""The foot of a page: what stands at its lower edge, is needed next, and is covered by no message."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame


class Foot(QFrame):
    """Messages keep above it, as far up as it reaches."""
