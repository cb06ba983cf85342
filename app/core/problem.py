"""A problem: something a person should know before Start, tied to the field or file line that it is about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from app.core.language import joined, tr


class Severity(StrEnum):
    """How much a problem holds back: an error holds back Start, a warning is shown, a note only informs."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def label(self) -> str:
        """The word for one of its kind."""
        return {Severity.ERROR: tr("error"), Severity.WARNING: tr("warning"), Severity.NOTE: tr("note")}[self]


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding of a check.

    ``path`` is the dotted config path of the field (``lora_parameters.rank``) beside which it is shown;
    ``message`` says what is wrong, ``hint`` what to do. ``file`` and ``line`` (1-based) say where, if in a file.
    """

    path: str
    message: str
    severity: Severity = Severity.ERROR
    hint: str = ""
    file: str = ""
    line: int | None = None

    @property
    def where(self) -> str:
        """``file:line`` when the problem is in a file, else the field's path."""
        if self.file:
            return f"{self.file}:{self.line}" if self.line is not None else self.file
        return self.path

    @property
    def text(self) -> str:
        """What is wrong and what to do, beside the field that it is about."""
        return joined((self.message, self.hint))

    def sentence(self) -> str:
        """Everything in one line, for logs and the command line."""
        text = joined((self.where, self.message), ": ")
        return joined((text, self.hint))


def errors(problems: Iterable[Problem]) -> list[Problem]:
    """Those that hold back Start."""
    return [p for p in problems if p.severity is Severity.ERROR]


class UnusableError(Exception):
    """Input that cannot be worked with (exit code 2): carries every problem found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(joined((p.sentence() for p in self.problems), "\n"))


class TaskError(Exception):
    """What a task could not do though its input was sound (exit code 1): what happened, and what to do.

    ``iteration`` says where a training run was.
    """

    def __init__(self, message: str, hint: str = "", iteration: int | None = None) -> None:
        self.message, self.hint, self.iteration = message, hint, iteration
        super().__init__(joined((message, hint)))
