"""What is said of an adapter that cannot be put on a base model."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from app.core.language import tr
from app.core.problem import Problem

MODULES_SHOWN = 3
VALUE_SHOWN = 40  # letters of a value that is odd
HIGHEST_RANK = 1 << 20  # no matrix of a model is as wide


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


def odd_parameter(parameters: Any) -> str:
    """Which of an adapter's ``lora_parameters`` is not what mlx-lm computes with, in words; empty if none is.

    It takes what is there: with a scale that is no finite number all answers are one token.
    """
    if not isinstance(parameters, dict):
        return tr("The adapter's adapter_config.json has no lora_parameters, a table with rank, scale and dropout.")
    keys = parameters.get("keys")
    for name, value, is_sound, wanted in (
        ("rank", parameters.get("rank"), _is_rank, tr("a whole number from 1 to {most:,}", most=HIGHEST_RANK)),
        ("scale", parameters.get("scale"), _is_number, tr("a finite number")),
        ("dropout", parameters.get("dropout"), _is_share, tr("a number from 0 to below 1")),
        ("keys", keys, _is_names, tr("a list of names")),
    ):
        if not is_sound(value):
            if name not in parameters:
                return tr("The adapter's adapter_config.json lacks {name}: {wanted}.", name=name, wanted=wanted)
            return tr(
                "The adapter's adapter_config.json has {value} as {name}, which should be {wanted}.",
                value=json.dumps(value)[:VALUE_SHOWN],
                name=name,
                wanted=wanted,
            )
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_rank(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= HIGHEST_RANK


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value < 1


def _is_names(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(name, str) for name in value))
