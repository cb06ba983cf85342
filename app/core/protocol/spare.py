"""A spare: a worker's process that has done its imports and waits for its job; what it is told, and for which jobs.

It does one job and ends, as every worker does: nothing of a job is there for the next one. What it waits for is its
first line on stdin, after which commands come as to any other worker.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.core.installation import is_frozen
from app.core.json_text import parsed_json
from app.core.protocol.program import SPARE_FLAG, WORKER_FLAG, own_command

# The tasks that never ask the hub: a spare is cut off from it before it imports what reads that but once.
SPARE_TASKS = frozenset(
    {"train", "probe", "inspect", "check", "tokenize", "preview", "rows", "generate", "evaluate", "merge", "serve"}
)


@dataclass(frozen=True, slots=True)
class Handover:
    """The first line that a spare is told: the folder of its job, and the file that its stderr goes to from now on
    (None: where it went before)."""

    job_dir: Path
    log: Path | None = None

    def to_line(self) -> bytes:
        """The line, with its end."""
        told = {"job_dir": str(self.job_dir), "log": None if self.log is None else str(self.log)}
        return json.dumps(told).encode("ascii") + b"\n"  # a path may hold bytes that are no UTF-8

    @classmethod
    def of_line(cls, line: str) -> Handover:
        """What a line says. Raises `ValueError`."""
        told = parsed_json(line)
        if not (isinstance(told, dict) and isinstance(told.get("job_dir"), str)):
            raise ValueError(line)
        log = told.get("log")
        return cls(Path(told["job_dir"]), Path(log) if isinstance(log, str) else None)


def spare_command() -> list[str]:
    """The command line of a spare."""
    return [*own_command(), WORKER_FLAG, SPARE_FLAG]


OWN_FILES = Path(__file__).resolve().parents[2]
FileStamp = tuple[str, int, int]  # a path, when it was changed, its size


def program_stamp(own: Path = OWN_FILES) -> tuple[FileStamp, ...]:
    """What changes when the program does: its sources, and the folders that its packages lie in, with their times.

    A process that imported before such a change would do a job with what was.
    """
    if is_frozen():
        return (_stamp(Path(sys.executable)),)
    packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    return tuple(sorted([*_sources(own), *(_stamp(Path(folder)) for folder in packages)]))


def _sources(folder: str | Path) -> Iterator[FileStamp]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _sources(entry.path)
            elif entry.name.endswith(".py"):
                found = entry.stat()
                yield entry.path, found.st_mtime_ns, found.st_size


def _stamp(path: Path) -> FileStamp:
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), found.st_mtime_ns, found.st_size
