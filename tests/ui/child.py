"""What a test looks for in a window, by kind and name."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtCore import QObject

Kind = TypeVar("Kind", bound=QObject)


def child(parent: QObject, kind: type[Kind], name: str | None = None) -> Kind:
    """The first object of a kind within another; what is not there fails the test with its name."""
    found = parent.findChild(kind, name) if name is not None else parent.findChild(kind)
    assert found is not None, f"{parent!r} has no {kind.__name__} {name or ''}"
    return found
