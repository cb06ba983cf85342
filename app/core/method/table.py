"""The table of methods: every one there is, and which of them a config means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.core.method.method import Method
from app.core.method.preferred import PREFERRED
from app.core.method.rewarded import REWARDED
from app.core.method.supervised import SUPERVISED

METHODS: dict[str, Method] = {method.name: method for method in (*SUPERVISED, *PREFERRED, *REWARDED)}
# The values of `train_mode`, each with the methods that it stands for. The first of these bears its name.
MODES: dict[str, str] = {
    mode: ", ".join(method.label for method in METHODS.values() if method.mode == mode)
    for mode in dict.fromkeys(method.mode for method in METHODS.values())
}
# Config paths that stock runs do not read; they are left out of such a run's file.
PATHS = frozenset(path for method in METHODS.values() for path in method.parameters) | {"train_mode"}


def method_for(value: Callable[[str], Any]) -> Method:
    """The method of a config whose value at a path is ``value(path)``. Raises `KeyError` for an unknown mode."""
    plain = METHODS[value("train_mode")]
    variants = (method for method in METHODS.values() if method.mode == plain.mode and method.told_by)
    return next((m for m in variants if all(value(path) == m.settings[path] for path in m.told_by)), plain)


def values_of_their_own(path: str) -> frozenset[Any]:
    """The values of a field that make a config another method's."""
    return frozenset(method.settings[path] for method in METHODS.values() if path in method.told_by)
