"""Options of an export: declared once, checked here, and drawn by the window and the command line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from app.core.language import tr
from app.core.problem import Problem, UnusableError

OptionValue = str | float | bool


@dataclass(frozen=True, slots=True)
class OptionChoice:
    """One value that an option can have, and what it means."""

    value: str
    label: str
    what: str = ""


@dataclass(frozen=True, slots=True)
class ExportOption:
    """One thing that can be chosen about an export.

    The type of ``default`` is the option's: a text (with ``choices``, one of those), a number from ``least`` to
    ``most``, or a yes or no. ``flag`` is its name on the command line, if it has one of its own there.
    """

    name: str
    label: str
    what: str
    default: OptionValue
    choices: tuple[OptionChoice, ...] = ()
    least: float = 0.0
    most: float = math.inf
    required: bool = False

    def fault(self, value: object) -> str:
        """Why ``value`` cannot be taken; empty if it can."""
        if isinstance(self.default, bool):
            return "" if isinstance(value, bool) else tr("“{value}” is neither yes nor no.", value=value)
        if isinstance(self.default, (int, float)):
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not self.least <= float(value) <= self.most:  # type: ignore[arg-type]
                return tr(
                    "“{value}” is no number from {least:g} to {most:g}.",
                    value=value,
                    least=self.least,
                    most=self.most,
                )
            return ""
        if not isinstance(value, str):
            return tr("“{value}” is no text.", value=value)
        if self.required and not value.strip():
            return tr("{label} is not given.", label=self.label)
        if self.choices and value not in (names := [choice.value for choice in self.choices]):
            return tr("“{value}” is none of {names}.", value=value, names=", ".join(names))
        return ""


def option_values(options: Sequence[ExportOption], given: Mapping[str, object]) -> Mapping[str, OptionValue]:
    """Every option with its value: what is given, else its default.

    Raises `UnusableError` with everything that cannot be taken, options that are not among ``options`` included.
    """
    known = {option.name: option for option in options}
    problems = [
        Problem(
            name,
            tr("This format has no option “{name}”.", name=name),
            hint=tr("It has {known}.", known=", ".join(known)) if known else tr("It has none."),
        )
        for name in given
        if name not in known
    ]
    values: dict[str, OptionValue] = {}
    for name, option in known.items():
        value = given.get(name, option.default)
        if said := option.fault(value):
            problems.append(Problem(name, said, hint=option.what))
        else:
            values[name] = value  # type: ignore[assignment]  # `fault` has seen to it
    if problems:
        raise UnusableError(problems)
    return MappingProxyType(values)
