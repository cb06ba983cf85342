"""The shelf of kept comparisons: a folder with a file for each, of which the newest are kept."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from app.core.compare.candidate import Candidate
from app.core.compare.kept_comparison import (
    ComparisonHead,
    KeptComparison,
    comparison_lines,
    read_comparison,
    read_head,
)
from app.core.language import tr
from app.core.model.folder import locate_model
from app.core.problem import UnusableError
from app.core.refusal import reason_of
from app.core.system import place
from app.core.system.atomic_file import write_text, write_with

MOST_KEPT = 50  # comparisons; older ones go
SUFFIX = ".jsonl"
SHOWN_FILE = "shown"  # the key of the comparison that Compare shows
_KEY = re.compile(r"^[\w-]{1,80}$")


def new_key() -> str:
    """A name for a comparison's file: when it was begun, and letters by chance."""
    return f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{os.urandom(3).hex()}"


class ComparisonShelf:
    """The comparisons in a folder. One process writes at a time: the window that is open."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else place.data_dir() / "comparisons"

    def path_of(self, key: str) -> Path:
        """The file of a comparison."""
        return self.folder / f"{key}{SUFFIX}"

    @property
    def shown(self) -> str:
        """The key of the comparison that Compare showed last; empty if there is none."""
        try:
            key = (self.folder / SHOWN_FILE).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""
        return key if _KEY.match(key) and self.path_of(key).is_file() else ""

    def write(self, kept: KeptComparison) -> None:
        """Writes a comparison whole or not at all, as the one that Compare shows; old ones go.

        Raises `OSError` if it cannot be written.
        """
        key = kept.head.key
        path = self.path_of(key)

        def fill(temporary: Path) -> None:
            with temporary.open("w", encoding="ascii", newline="\n") as file:
                for line in comparison_lines(kept):
                    file.write(line + "\n")

        write_with(path, fill)
        self.show(key)
        self._keep_newest(path)

    def show(self, key: str) -> None:
        """Notes which comparison Compare shows. Raises `OSError`."""
        if self.shown != key:
            write_text(self.folder / SHOWN_FILE, key + "\n")

    def heads(self) -> list[ComparisonHead]:
        """The comparisons with answers, the newest first; files that cannot be read say why in ``fault``."""
        found = [_head_of(path) for path in self._files()]
        return sorted((one for one in found if one.asked or one.fault), key=lambda one: -one.answered)

    def read(self, key: str) -> Iterator[KeptComparison | None]:
        """See `read_comparison`."""
        return read_comparison(self.path_of(key))

    def remove(self, key: str) -> None:
        """Takes a comparison away for good. Raises `OSError`."""
        self.path_of(key).unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        """All files, the newest first."""
        times: dict[Path, float] = {}
        with suppress(OSError):
            for path in self.folder.glob(f"*{SUFFIX}"):
                with suppress(OSError):
                    if not path.name.startswith(".") and path.is_file():  # a pipe would be waited for
                        times[path] = path.stat().st_mtime
        return sorted(times, key=lambda path: (times[path], path.name), reverse=True)

    def _keep_newest(self, written: Path) -> None:
        for path in [one for one in self._files() if one != written][MOST_KEPT:]:
            with suppress(OSError):
                path.unlink()


def _head_of(path: Path) -> ComparisonHead:
    try:
        with path.open("rb") as file:
            return read_head(file.readline(), path)
    except UnusableError as error:
        said = error.problems[0].sentence()
    except OSError as error:
        said = tr("{path} cannot be read: {reason_of}.", path=path, reason_of=reason_of(error))
    changed = time.time()
    with suppress(OSError):
        changed = path.stat().st_mtime
    return ComparisonHead(key=path.stem, answered=changed, fault=said)


def gone_sentence(base: str, candidates: tuple[Candidate | None, ...]) -> str:
    """What of a comparison is no longer there, so that it cannot be asked; empty where all is."""
    for one in candidates:
        if one is not None and one.adapter is not None and not one.adapter.exists():
            return tr("{title} is gone: {adapter} is not there any more.", title=one.label, adapter=one.adapter)
    try:
        locate_model(base)
    except UnusableError as error:
        return tr("The base model is gone. {sentence}", sentence=error.problems[0].message)
    return ""
