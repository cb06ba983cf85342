"""The runs that train on this machine now, whoever started them: a worker is on the list while it trains."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.run.folder import RunDir
from app.core.system import place
from app.core.system.process import is_alive

# The tasks of workers that have a model in memory and compute with it.
COMPUTING = frozenset(
    {"train", "probe", "generate", "evaluate", "export", "merge", "benchmark", "serve", "convert", "measure"}
)
BESIDE = tr("Two at once share the GPU and its memory: both are slower, and a Mac may end both.")


def training_dir() -> Path:
    """Where the list is: a file for each worker, named by its process."""
    return place.data_dir() / "training"


@contextmanager
def listed(run: RunDir) -> Iterator[None]:
    """This process trains the run while inside. A list that cannot be written is done without."""
    mine = training_dir() / f"{os.getpid()}.json"
    with suppress(OSError):
        mine.parent.mkdir(parents=True, exist_ok=True)
        # ASCII: a path may hold bytes that are no UTF-8, which Python keeps as lone surrogates.
        mine.write_text(json.dumps({"run": str(run.path)}), encoding="ascii")
    try:
        yield
    finally:
        with suppress(OSError):
            mine.unlink(missing_ok=True)


def training_runs() -> list[RunDir]:
    """The runs that train now, the newest first. What killed workers left on the list is taken off it."""
    found = []
    for path in _entries():
        if not path.stem.isdecimal() or not is_alive(int(path.stem)):
            with suppress(OSError):
                path.unlink(missing_ok=True)
            continue
        with suppress(OSError, ValueError, KeyError, TypeError):
            run = RunDir(Path(parsed_json(path.read_text(encoding="ascii"))["run"]))
            if run.is_running():
                found.append(run)
    return sorted(found, key=lambda run: run.name, reverse=True)


def training_beside(own: Path | None = None) -> RunDir | None:
    """A run that trains now, and is not the one in ``own``; None where there is none."""
    return next((run for run in training_runs() if run.path != own), None)


def _entries() -> list[Path]:
    try:
        return sorted(training_dir().glob("*.json"))
    except OSError:
        return []
