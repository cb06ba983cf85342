"""A run's folder: what went in, what happened, what came out.

``config.yaml`` (exactly what ran) · ``setup.yaml`` (what was asked for) · ``job.json`` · ``events.jsonl`` ·
``log.txt`` · ``adapters/`` (mlx-lm layout) · ``state/`` (what an exact resume needs) · ``data/`` (prepared
examples, where the source was not already in mlx-lm's form) · ``notes.md`` · ``commands.jsonl`` while it trains ·
``remote.json`` of one that trains on another machine. A run never writes into another run's folder.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from app.core.config.train_config import TrainConfig
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.protocol import event
from app.core.protocol.event import Event, recorded_event
from app.core.protocol.job import (
    EVENTS_FILE,
    JOB_FILE,
    LOG_FILE,
    LOG_TAIL_LINES,
    RUN_ADAPTERS,
    RUN_CONFIG,
    RUN_DATA,
    TrainJob,
    write_job,
)
from app.core.run.name import folder_word, taken_words, unique_name
from app.core.setup.config_file import save_config
from app.core.system import place
from app.core.system.plain_text import holds_no_text
from app.core.system.setting import load_settings
from app.core.tracker.tracking import LOG_FOLDER
from app.core.typed_path import typed_path

RUN_SETUP, RUN_NOTES = "setup.yaml", "notes.md"
RUN_DOOR = "commands.jsonl"  # while a worker trains the run: what it is told, by whoever may write here
RUN_LOCK = ".lock"
RUN_SUPERVISOR = ".supervisor"  # held by whoever lets the run go on where macOS ends its worker
NEUTRAL_FILE = "neutral.json"  # the text on which it is measured what is forgotten
RUN_REMOTE = "remote.json"  # of a run that trains on another machine: where, and what finds it again
TAIL_BYTES = 64 * 1024  # of a file of events: some hundred of them
CLAIMED_S = 1.0  # far longer than a run's folder takes to be made
DEPTH = 2  # a sweep keeps its runs in a folder of its own
# In the file; what is true now depends on whether a worker lives.
OPEN_STATES = ("new", "preparing", "running", "paused")
EARLY_STOPPED = "early_stopping"  # finished before its last iteration, as was asked
WHOLE_STATES = ("finished", EARLY_STOPPED)  # of a run that came to its own end
PARKED = "parked"  # paused without a worker, as the file tells it


@dataclass(frozen=True, slots=True)
class RunDir:
    """Paths inside one run's folder."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def config(self) -> Path:
        return self.path / RUN_CONFIG

    @property
    def setup(self) -> Path:
        """The config as it was asked for: with the user's own data, where ``config`` names what was made of it."""
        return self.path / RUN_SETUP

    @property
    def setup_or_config(self) -> Path:
        """What a new setup or run like this one begins with; runs of earlier versions have no ``setup``."""
        return self.setup if self.setup.exists() else self.config

    @property
    def job(self) -> Path:
        return self.path / JOB_FILE

    @property
    def events(self) -> Path:
        return self.path / EVENTS_FILE

    @property
    def log(self) -> Path:
        return self.path / LOG_FILE

    @property
    def adapters(self) -> Path:
        return self.path / RUN_ADAPTERS

    @property
    def best(self) -> Path:
        return self.adapters / "best"

    @property
    def state(self) -> Path:
        return self.path / "state"

    @property
    def data(self) -> Path:
        return self.path / RUN_DATA

    @property
    def notes(self) -> Path:
        return self.path / RUN_NOTES

    @property
    def written(self) -> tuple[Path, ...]:
        """All that a run which has not trained yet may have written here; what else is there is somebody's own."""
        more = (RUN_LOCK, RUN_DOOR, RUN_SUPERVISOR, NEUTRAL_FILE, LOG_FOLDER)
        own = (self.config, self.setup, self.job, self.events, self.log, self.adapters, self.state, self.data)
        return (*own, *(self.path / name for name in more))

    def lock(self, timeout_s: float = 0) -> FileLock:
        """Held by the worker while it lives, and by who makes the run; the system drops it when the process dies,
        however it dies."""
        return FileLock(self.path / RUN_LOCK, timeout=timeout_s)

    def is_running(self) -> bool:
        """True while a worker holds the run."""
        if not (self.path / RUN_LOCK).exists():
            return False
        lock = self.lock()
        try:
            lock.acquire()
        except Timeout:
            return True
        lock.release()
        return False

    @property
    def remote(self) -> Path:
        return self.path / RUN_REMOTE

    def is_elsewhere(self) -> bool:
        """True while the run is another machine's: not all that it made was brought here yet."""
        try:
            return not parsed_json(self.remote.read_text(encoding="utf-8")).get("closed", False)
        except (OSError, ValueError, AttributeError):
            return False

    def log_tail(self, lines: int = LOG_TAIL_LINES) -> str:
        """The last lines of the log; empty if there is none."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def runs_dir() -> Path:
    """Where runs live unless the settings say otherwise."""
    chosen = load_settings().runs_dir
    return typed_path(chosen) if chosen else place.data_dir() / "runs"


def create_run(config: TrainConfig, parent: Path | None = None) -> RunDir:
    """Makes a new folder, named by time and adapter name, and writes the config and the job into it.

    Where another run in ``parent`` has the name already, this one gets a number behind it.
    """
    parent = parent if parent is not None else runs_dir()
    parent.mkdir(parents=True, exist_ok=True)
    config = config.with_value("adapter_name", unique_name(config.adapter_name, taken_words(parent)))
    path = make_folder(parent, folder_word(config.adapter_name))
    try:
        return prepare_run(config, path)
    except BaseException:  # also Ctrl-C: a folder without a run would only take the next one's name
        shutil.rmtree(path, ignore_errors=True)
        raise


def make_folder(parent: Path, word: str) -> Path:
    """Makes a new folder in ``parent``, named by time and a word: another that begins in this second has one of its
    own, with a number behind it."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for number in range(1, 10_000):
        path = parent / (f"{stamp}_{word}" if number == 1 else f"{stamp}_{word}-{number}")
        with suppress(FileExistsError):
            path.mkdir()
            return path
    raise FileExistsError(tr("No free name for a run in {parent}", parent=parent))


def prepare_run(config: TrainConfig, path: Path) -> RunDir:
    """Writes config and job into ``path``, one process at a time; raises `FileExistsError` if a run is there.

    What cannot be written leaves nothing: half a run would be in the way of the next one here.
    """
    run = RunDir(path.resolve())
    if holds_no_text(run.path):  # before the training, whose first weights would be lost
        raise OSError(
            errno.EILSEQ, tr("MLX cannot write where a name holds bytes that are no UTF-8"), str(run.path)
        )
    new = missing_folders(run.path)
    taken = FileExistsError(tr("{path} already holds a run", path=path))
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        with run.lock(CLAIMED_S):
            if run.events.exists() or run.config.exists():
                raise taken
            _write_new(run, config)
    except Timeout as error:
        raise taken from error
    except BaseException:
        remove_empty(new)
        raise
    return run


def _write_new(run: RunDir, config: TrainConfig) -> None:
    try:
        save_config(config.with_value("adapter_path", ""), run.setup)
        save_config(config.with_value("adapter_path", str(run.adapters)), run.config)
        write_job(run.path, TrainJob())
    except BaseException:  # also Ctrl-C
        for path in (run.config, run.setup, run.job, run.path / RUN_LOCK):
            path.unlink(missing_ok=True)
        raise


def missing_folders(path: Path) -> list[Path]:
    """The folders that are made together with one, itself first; none if it is there."""
    whole = path.resolve()
    return [folder for folder in (whole, *whole.parents) if not os.path.exists(folder)]  # noqa: PTH110  # nor any error


def remove_empty(folders: Iterable[Path]) -> None:
    """Removes folders, the innermost first, as far as they are empty."""
    for folder in folders:
        with suppress(OSError):  # somebody has put something there meanwhile
            folder.rmdir()


def recorded_state(found: Event, before: str = "new") -> str:
    """The state after an event, as the file tells it: ``new, preparing, running, paused, parked, finished,
    early_stopping, stopped, failed``.

    A run that is parked is paused and has left the memory. That a worker was ``running`` last does not mean that
    it still lives: `present_state` looks.
    """
    if isinstance(found, event.Finished):
        return {"stopped": "stopped", "paused": PARKED, EARLY_STOPPED: EARLY_STOPPED}.get(found.reason, "finished")
    if isinstance(found, event.Failed):
        return "failed"
    if isinstance(found, event.Paused):
        return "paused"
    if isinstance(found, event.Hello):
        return "preparing"  # the model, the data
    return "running" if isinstance(found, (event.Started, event.Resumed)) else before


def last_event(run: RunDir) -> Event | None:
    """What the worker of a run said last. A long run's file is read from its end: all of it would take a minute."""
    if not run.events.exists():
        return None
    reach = TAIL_BYTES
    with run.events.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        while True:
            file.seek(max(size - reach, 0))
            lines = file.read(reach).split(b"\n")
            for line in reversed(lines if reach >= size else lines[1:]):  # the first of these may be half a line
                with suppress(ValueError):
                    return recorded_event(line)
            if reach >= size:
                return None
            reach *= 16


def present_state(run: RunDir, recorded: str) -> str:
    """What the run is doing now; ``crashed`` if it ended without saying so, ``elsewhere`` if it trains on another
    machine and nobody here follows it."""
    if recorded == PARKED:
        return "paused"
    if recorded not in OPEN_STATES:
        return recorded
    if run.is_running():
        return "preparing" if recorded == "new" else recorded
    if run.is_elsewhere():
        return "elsewhere"
    # One that was started elsewhere and is no longer there has ended, if it never said a word.
    return "new" if recorded == "new" and not run.remote.exists() else "crashed"


def run_state(run: RunDir, events: list[Event]) -> str:
    """``new, preparing, running, paused, finished, early_stopping, stopped, failed``, ``crashed`` (ended without
    saying so) or ``elsewhere``."""
    state = "new"
    for found in events:
        state = recorded_state(found, state)
    return present_state(run, state)


def find_runs(parent: Path | None = None) -> Iterator[RunDir]:
    """Every run below ``parent``, newest name first."""
    paths = map(Path, run_folders(str(parent if parent is not None else runs_dir())))
    yield from (RunDir(path) for path in sorted(paths, key=lambda path: path.name, reverse=True))


def run_folders(parent: str, depth: int = DEPTH) -> Iterator[str]:
    """Every folder with a config, at most ``depth`` levels down; hidden ones are left alone."""
    try:
        with os.scandir(parent) as entries:
            paths = [entry.path for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return
    for path in paths:
        if os.path.exists(f"{path}{os.sep}{RUN_CONFIG}"):  # noqa: PTH110  # thousands of files
            yield path
        elif depth > 1:
            yield from run_folders(path, depth - 1)
