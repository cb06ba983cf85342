"""A file of another trainer as it is read: each key taken, put where it belongs, or named as without a place.

A key is never passed over: what no reader takes is listed in `ForeignFile.finish`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.core.language import tr
from app.core.problem import Problem, Severity
from app.core.typed_path import typed_path


@dataclass(frozen=True, slots=True)
class Lost:
    """A key without a counterpart: the field that it would have set, and what is different for the lack of it.

    With another value than ``off`` it is told with its ``severity``; an error refuses the file.
    """

    path: str
    what: str
    severity: Severity = Severity.WARNING
    off: tuple[Any, ...] = (None, False, 0, "", "none")


@dataclass(slots=True)
class ForeignFile:
    """A file of another trainer while it is read; ``tree`` is what it comes to in Luthier's words.

    ``keys`` are the file's own, sections joined by dots; ``base`` is its folder.
    """

    trainer: str
    keys: dict[str, Any]
    file: str
    lines: Mapping[str, int]
    base: Path | None = None
    tree: dict[str, Any] = field(default_factory=dict)
    own_lines: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    without_effect: list[str] = field(default_factory=list)
    _of: dict[str, str] = field(default_factory=dict)

    def take(self, key: str, default: Any = None) -> Any:
        """The value of a key, which is then dealt with; the trainer's ``default`` where the file leaves it out."""
        value = self.keys.pop(key, None)
        if value is None and default is not None:
            self.left_out.append(f"{key} {default}")
            return default
        return value

    def switch(self, key: str, path: str, default: bool | None = None) -> bool:
        """Whether a key is switched on; what is neither true nor false, such as a quoted "false", is told at the
        field ``path``."""
        value = self.take(key, default)
        if value in (None, False, True, ""):
            return bool(value)
        said = tr("`{key}`: {short} is neither true nor false.", key=key, short=_short(value))
        self.miss(key, path, said, Severity.ERROR)
        return False

    def number(self, key: str, path: str, default: float | None = None) -> float | None:
        """The same, where it has to be a number; told at the field ``path`` and None where it is not."""
        value = self.take(key, default)
        if value is None:
            return None
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            with suppress(ValueError, OverflowError):  # 10 ** 400 is a number that nothing can be reckoned with
                if math.isfinite(number := float(value)):
                    return number if isinstance(value, str) else value
        self.miss(key, path, tr("`{key}`: {short} is not a number.", key=key, short=_short(value)), Severity.ERROR)
        return None

    def put_number(self, path: str, key: str, default: float) -> None:
        """Sets a field to the number that a key gives, or to the other trainer's default."""
        self.put(path, self.number(key, path, default), key)

    def words(self, key: str) -> list[str]:
        """A list of words, which may be written as one text with commas; what is neither is told."""
        value = self.take(key)
        if value not in (None, False) and not isinstance(value, (str, list)):
            self.miss(
                key,
                key,
                tr("`{key}`: {short} is not a list of names.", key=key, short=_short(value)),
                Severity.ERROR,
            )
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
        return [str(part).strip() for part in parts if str(part).strip()]

    def put(self, path: str, value: Any, key: str = "") -> None:
        """Sets a field of Luthier's config; ``key`` says where in the file it comes from."""
        branch = self.tree
        *parents, last = path.split(".")
        for name in parents:
            branch = branch.setdefault(name, {})
        branch[last] = value
        if key in self.lines:
            self.own_lines[path] = self.lines[key]

    def miss(self, key: str, path: str, said: str, severity: Severity = Severity.WARNING, hint: str = "") -> None:
        """Tells what could not be taken over as it is, beside the field that it would have set."""
        self.problems.append(Problem(path, said, severity, hint, self.file, self.lines.get(key)))

    def lose(self, lost: Mapping[str, Lost]) -> None:
        """Tells of those keys that are in the file and switched on; takes them all."""
        for key in [key for key in self.keys if key in lost]:
            value, one = self.keys.pop(key), lost[key]
            if value in one.off or value in ([], {}):
                self.without_effect.append(key)
                continue
            self.miss(
                key,
                one.path,
                tr("`{key}: {short}` has no counterpart here: {what}", key=key, short=_short(value), what=one.what),
                one.severity,
            )

    def finish(self, harmless: frozenset[str]) -> None:
        """Names what is left: keys that change nothing of what is learned in one note, unknown ones each."""
        for key, value in self.keys.items():
            if key in harmless or value is None or value is False:
                self.without_effect.append(key)
            else:
                said = tr("`{key}: {short}` is not read here.", key=key, short=_short(value))
                self.miss(
                    key, key, said, Severity.WARNING, tr("See what {trainer} means by it.", trainer=self.trainer)
                )
        self.keys = {}
        if self.without_effect:
            said = tr(
                "Not taken over, as they do not change what is learned here: {listed}.",
                listed=", ".join(sorted(self.without_effect)),
            )
            self.problems.append(Problem("", said, Severity.NOTE, file=self.file))
        if self.left_out:
            said = tr(
                "What this file leaves out is as in {trainer}: {left_out}.",
                trainer=self.trainer,
                left_out=", ".join(self.left_out),
            )
            self.problems.append(Problem("", said, Severity.NOTE, file=self.file))

    def place(self, name: str) -> Path | None:
        """The file or folder of that name, beside the file or as it is written; None where nothing is there, or
        named."""
        if not name:
            return None
        folders = [self.base, self.base.parent] if self.base is not None else []
        for path in (*(folder / name for folder in folders), Path(name)):
            with suppress(OSError, RuntimeError):  # a name that is too long, the home of nobody
                if typed_path(path).exists():
                    return typed_path(path).resolve()
        return None


def flattened(tree: Mapping[str, Any], sections: frozenset[str]) -> dict[str, Any]:
    """The tree with the keys of its sections as ``section.key``."""
    return dict(_flat(tree, sections))


def _flat(tree: Mapping[str, Any], sections: frozenset[str]) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if key in sections and isinstance(value, dict):
            yield from ((f"{key}.{name}", inner) for name, inner in value.items())
        else:
            yield key, value


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
