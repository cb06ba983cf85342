"""What is said of an adapter that cannot be put on a base model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from app.core.language import tr
from app.core.problem import Problem

MODULES_SHOWN = 3


def adapter_problem(said: str, file: Path, hint: str = "") -> Problem:
    """A problem with an adapter's file; where the base model is in question, the hint says so unless given."""
    if not hint and tr("base model") in said:
        hint = tr("Choose the base model that the adapter was trained on.")
    return Problem("adapter_path", said, hint=hint, file=str(file))


def some(names: list[str]) -> str:
    """The first names, and how many more there are."""
    rest = len(names) - MODULES_SHOWN
    return ", ".join(names[:MODULES_SHOWN]) + (tr(" and {rest:,} more", rest=rest) if rest > 0 else "")


def module_problems(faults: Iterable[tuple[str, str]], file: Path) -> list[Problem]:
    """One problem for each reason, with the modules of which it is said: an adapter has hundreds of them."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for module, reason in faults:
        names[reason].append(module)
    return [adapter_problem(f"{some(modules)}: {reason}.", file) for reason, modules in names.items()]


def size_problem(names: list[str], found: str, wanted: str, file: Path) -> Problem:
    """The problem of modules or arrays that are of another size; the sizes are those of the first."""
    rest = len(names) - 1
    more = tr(", and {rest:,} more are of other sizes, too", rest=rest) if rest else ""
    said = tr(
        "{names} is {found} in the adapter and {wanted} in the base model{more}.",
        names=names[0],
        found=found,
        wanted=wanted,
        more=more,
    )
    return adapter_problem(said, file)
