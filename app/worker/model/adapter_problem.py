"""What is said of an adapter that cannot be put on a base model."""

from __future__ import annotations

from pathlib import Path

from app.core.problem import Problem

MODULES_SHOWN = 3


def adapter_problem(said: str, file: Path, hint: str = "") -> Problem:
    """A problem with an adapter's file; where the base model is in question, the hint says so unless given."""
    if not hint and "base model" in said:
        hint = "Choose the base model that the adapter was trained on."
    return Problem("adapter_path", said, hint=hint, file=str(file))


def some(names: list[str]) -> str:
    """The first names, and how many more there are."""
    rest = len(names) - MODULES_SHOWN
    return ", ".join(names[:MODULES_SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")
