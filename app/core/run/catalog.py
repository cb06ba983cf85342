"""The catalog of runs: a summary of every run below the runs folder, however it was started.

Summaries are kept in one index file in the cache folder, so that thousands of runs are listed without reading their
events again; a run whose files changed is read anew. The work is cut into slices of a few milliseconds, so that a
window can do it between two frames. The index can be made again at any time.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, get_type_hints

import orjson
from pydantic import TypeAdapter

from app.core.language import tr
from app.core.protocol.job import EVENTS_FILE, RUN_CONFIG
from app.core.refusal import reason_of
from app.core.run.folder import (
    OPEN_STATES,
    RUN_NOTES,
    RUN_SETUP,
    RunDir,
    find_runs,
    present_state,
    run_folders,
    runs_dir,
)
from app.core.run.name import folder_word
from app.core.run.note import RunNote, load_note
from app.core.run.reader import RunReader
from app.core.run.summary import RunSummary, summary_of, with_note
from app.core.system import place
from app.core.typed_path import typed_path

INDEX_VERSION = 4
SCAN_SLICE_S = 0.008
WATCHED = (EVENTS_FILE, RUN_SETUP, RUN_CONFIG, RUN_NOTES, "adapters")

Key = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How far a scan is: runs looked at, of all that there are. ``total`` is 0 while that is not known yet."""

    done: int
    total: int


@dataclass(slots=True)
class _Known:
    """A run as it was read: its files' size and times then, and what was found."""

    key: Key
    summary: RunSummary


class RunCatalog:
    """All runs of a folder. `scan` brings it up to date in slices, `refresh` at once."""

    def __init__(self, parent: Path | None = None, index: Path | None = None) -> None:
        self.parent = parent if parent is not None else runs_dir()
        self._index = index if index is not None else place.cache_dir() / "runs.jsonl"
        self._known: dict[str, _Known] = {}
        self._readers: dict[str, RunReader] = {}  # of runs that are being trained: they are read on, not again
        self._loaded = self._changed = False

    def summaries(self) -> list[RunSummary]:
        """All runs that are known by now, the newest first."""
        newest = sorted(self._known.items(), key=lambda item: (item[1].summary.created, item[0]), reverse=True)
        return [known.summary for _, known in newest]

    def total_bytes(self) -> int:
        """Disk use of all runs together."""
        return sum(known.summary.size_bytes for known in self._known.values())

    def refresh(self) -> list[RunSummary]:
        """Brings everything up to date, and returns it."""
        for _ in self.scan():
            pass
        return self.summaries()

    def scan(self) -> Iterator[ScanProgress]:
        """Brings everything up to date, giving way every few milliseconds. What was found is known at once."""
        clock = _Clock()
        if not self._loaded:
            yield from self._load(clock)
            yield ScanProgress(0, len(self._known))
        folders = []
        for path in run_folders(str(self.parent)):
            folders.append(path)
            if clock.is_over():
                yield ScanProgress(0, 0)
                clock.restart()
        gone = self._known.keys() - set(folders)
        for name in gone:
            self._drop(name)
        for done, path in enumerate(folders):
            for _ in self._look_at(path):
                yield ScanProgress(done, len(folders))
                clock.restart()
            if clock.is_over():
                yield ScanProgress(done + 1, len(folders))
                clock.restart()
        if self._changed:
            yield from self._save(clock)

    def set_note(self, run: RunDir, note: RunNote) -> None:
        """Takes over a note that was written just now."""
        known = self._known.get(str(run.path))
        if known is not None:
            known.summary = with_note(known.summary, note)
            known.key = _key(str(run.path))
            self._changed = True

    def forget(self, run: RunDir) -> None:
        """A run was removed."""
        self._drop(str(run.path))

    # -- one run ----------------------------------------------------------------------------------------------

    def _look_at(self, name: str) -> Iterator[None]:
        """Reads a run if it changed; yields while that takes longer than a slice."""
        key, known = _key(name), self._known.get(name)
        if known is None or known.key != key:
            yield from self._read(name, key)
        elif known.summary.recorded in OPEN_STATES:
            state = present_state(known.summary.run, known.summary.recorded)
            if state != known.summary.state:
                known.summary = replace(known.summary, state=state)
                self._changed = True

    def _read(self, name: str, key: Key) -> Iterator[None]:
        reader = self._readers.get(name) or RunReader(RunDir(Path(name)))
        problem = ""
        try:
            while not reader.read(SCAN_SLICE_S):
                yield
        except OSError as error:
            problem = tr("The events cannot be read: {reason_of}.", reason_of=reason_of(error))
        except Exception as error:  # one bad run never hides the others
            problem = tr("The events cannot be read: {error}.", error=error)
        try:
            summary = summary_of(reader, problem)
        except Exception as error:
            summary = summary_of(RunReader(RunDir(Path(name))), tr("The run cannot be read: {error}.", error=error))
        self._known[name] = _Known(key, summary)
        self._changed = True
        if summary.is_live:
            self._readers[name] = reader
        else:
            self._readers.pop(name, None)

    def _drop(self, name: str) -> None:
        self._readers.pop(name, None)
        if self._known.pop(name, None) is not None:
            self._changed = True

    # -- the index --------------------------------------------------------------------------------------------

    def _load(self, clock: _Clock) -> Iterator[ScanProgress]:
        """An index that cannot be read, of another version or another folder is as good as none."""
        self._loaded = True
        try:
            head, *lines = self._index.read_bytes().splitlines()
            if orjson.loads(head) != self._head():
                return
            for line in lines:
                name, known = _unpack(line)
                self._known[name] = known
                if clock.is_over():
                    yield ScanProgress(0, 0)
                    clock.restart()
        except (OSError, ValueError):  # what was read of it until then is right
            return

    def _head(self) -> list[Any]:
        """What the index must be: an index of other fields, or of another folder, is not read."""
        return [INDEX_VERSION, str(self.parent), *_PLAIN]

    def _save(self, clock: _Clock) -> Iterator[ScanProgress]:
        """Written beside and moved into place, without waiting for the disk: after a power cut it is made again."""
        known = list(self._known.items())
        lines = [orjson.dumps(self._head())]
        for name, one in known:
            with contextlib.suppress(TypeError):  # a name that is no text: the run is read anew each time
                lines.append(orjson.dumps([name, one.key, _pack(one.summary)]))
            if clock.is_over():
                yield ScanProgress(len(known), len(known))
                clock.restart()
        temporary = ""
        try:
            self._index.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self._index.parent, prefix=".runs-", delete=False) as file:
                temporary = file.name
                file.write(b"\n".join(lines))
            Path(temporary).replace(self._index)
            self._changed = False
        except OSError:  # a full or read-only disk: the list is right all the same, only slower the next time
            with contextlib.suppress(OSError):
                Path(temporary).unlink(missing_ok=True)


def find_run(name: str, parent: Path | None = None) -> RunDir | None:
    """A run by its path, its folder's name, the name that a person gave it, or the newest of whose names ``name``
    is a part."""
    return next(iter(meant_runs(name, parent)), None)


def meant_runs(name: str, parent: Path | None = None) -> list[RunDir]:
    """The runs that a name can mean, as `find_run` takes them: several where it is a part of several names."""
    path = typed_path(name)
    if (path / RUN_CONFIG).is_file():
        return [RunDir(path.resolve())]
    runs = list(find_runs(parent))
    exact = [run for run in runs if run.name == name]
    if exact or not name:
        return exact[:1]
    given = {run.path: load_note(run).name for run in runs}
    named = [run for run in runs if given[run.path] == name]
    word = folder_word(name)
    partial = [run for run in runs if name in run.name or word in run.name or name in given[run.path]]
    return named or partial


class _Clock:
    """Says when a slice is over."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._until = time.perf_counter() + SCAN_SLICE_S

    def is_over(self) -> bool:
        return time.perf_counter() > self._until


def _key(path: str) -> Key:
    """Size and time of what a summary is made of; changes when any of it does."""
    found: list[int] = []
    for name in WATCHED:
        try:
            status = os.stat(f"{path}{os.sep}{name}")  # noqa: PTH116  # thousands of files
        except OSError:
            found += (0, 0)
        else:
            found += (status.st_size, status.st_mtime_ns)
    return tuple(found)


_HINTS = {name: hint for name, hint in get_type_hints(RunSummary).items() if name != "run"}
_PLAIN = tuple(_HINTS)


@cache
def _line_adapter() -> TypeAdapter[tuple[str, Key, tuple[Any, ...]]]:
    """What a line of the index must be. Made with the first one: the window starts without it."""
    values: Any = tuple.__class_getitem__(tuple(_HINTS.values()))
    return TypeAdapter(tuple[str, Key, values])


def _pack(summary: RunSummary) -> list[Any]:
    """The values in order. JSON has no NaN, but a diverged run has: it is written as a word."""
    values = [getattr(summary, name) for name in _PLAIN]
    return [str(v) if isinstance(v, float) and not math.isfinite(v) else v for v in values]


def _unpack(line: bytes) -> tuple[str, _Known]:
    """A run by its line; raises `ValueError` if that is no JSON, or a value in it is not of its field's type."""
    path, key, values = _line_adapter().validate_python(orjson.loads(line))
    return path, _Known(key, RunSummary(run=RunDir(Path(path)), **dict(zip(_PLAIN, values, strict=True))))
