"""A run's folder: what went in, what happened, what came out.

``config.yaml`` (exactly what ran) · ``job.json`` · ``events.jsonl`` · ``log.txt`` · ``adapters/`` (mlx-lm layout)
· ``state/`` (what an exact resume needs) · ``data/`` (prepared examples, where the source was not already in
mlx-lm's form) · ``notes.md``. A run never writes into another run's folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from app.core import event, place
from app.core.config import TrainConfig
from app.core.config_file import load_config, save_config
from app.core.event import Event, read_events

ADAPTER_FILE = "adapters.safetensors"
LOG_TAIL_LINES = 40


@dataclass(frozen=True, slots=True)
class RunDir:
    """Paths inside one run's folder."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def job(self) -> Path:
        return self.path / "job.json"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def adapters(self) -> Path:
        return self.path / "adapters"

    @property
    def best(self) -> Path:
        return self.adapters / "best"

    @property
    def state(self) -> Path:
        return self.path / "state"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def notes(self) -> Path:
        return self.path / "notes.md"

    def lock(self, timeout_s: float = 0) -> FileLock:
        """Held by the worker while it lives; the system drops it when the process dies, however it dies."""
        return FileLock(self.path / ".lock", timeout=timeout_s)

    def is_running(self) -> bool:
        """True while a worker holds the run."""
        if not (self.path / ".lock").exists():
            return False
        lock = self.lock()
        try:
            lock.acquire()
        except Timeout:
            return True
        lock.release()
        return False

    def log_tail(self, lines: int = LOG_TAIL_LINES) -> str:
        """The last lines of the log; empty if there is none."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def runs_dir() -> Path:
    """Where runs live unless the settings say otherwise."""
    from app.core.setting import load_settings

    chosen = load_settings().runs_dir
    return Path(chosen).expanduser() if chosen else place.data_dir() / "runs"


def create_run(config: TrainConfig, parent: Path | None = None) -> RunDir:
    """Makes a new folder, named by time and adapter name, and writes the config and the job into it."""
    parent = parent if parent is not None else runs_dir()
    parent.mkdir(parents=True, exist_ok=True)
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    word = re.sub(r"[^\w.-]+", "-", config.adapter_name).strip("-.") or "run"
    for number in range(1, 10_000):
        path = parent / (f"{stamp}_{word}" if number == 1 else f"{stamp}_{word}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return prepare_run(config, path)
    raise FileExistsError(f"No free name for a run in {parent}")


def prepare_run(config: TrainConfig, path: Path) -> RunDir:
    """Writes config and job into ``path``; raises `FileExistsError` if a run is already there."""
    run = RunDir(path.resolve())
    if run.events.exists() or run.config.exists():
        raise FileExistsError(f"{path} already holds a run")
    run.path.mkdir(parents=True, exist_ok=True)
    save_config(config.with_value("adapter_path", str(run.adapters)), run.config)
    write_job(run.path, "train")
    return run


def write_job(folder: Path, task: str, **arguments: Any) -> None:
    """Writes ``job.json``: what the worker is to do."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"task": task, **arguments}, ensure_ascii=False, indent=1)
    (folder / "job.json").write_text(text, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a list of runs shows of one."""

    run: RunDir
    name: str
    state: str
    base: str
    method: str
    created: float
    iteration: int
    iterations: int
    best_val_loss: float | None
    last_train_loss: float | None
    trainable_parameters: int
    tokens_per_second: float
    peak_memory_gb: float
    elapsed_s: float
    message: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        tree = {name: getattr(self, name) for name in self.__slots__ if name != "run"}
        return {"path": str(self.run.path)} | tree


def run_state(run: RunDir, events: list[Event]) -> str:
    """``new, running, paused, finished, stopped, failed`` or ``crashed`` (ended without saying so)."""
    last = next(
        (e for e in reversed(events) if isinstance(e, (event.Finished, event.Failed, event.Hello, event.Paused,
                                                       event.Resumed))), None,
    )  # fmt: skip
    if isinstance(last, event.Finished):
        return "stopped" if last.reason == "stopped" else "finished"
    if isinstance(last, event.Failed):
        return "failed"
    if run.is_running():
        return "paused" if isinstance(last, event.Paused) else "running"
    return "new" if last is None else "crashed"


def summarize(run: RunDir) -> RunSummary:
    """Reads a run's config and events. Faults in them do not raise: an unreadable run is listed as such."""
    events = read_events(run.events)
    message = ""
    try:
        config = load_config(run.config).config
    except Exception as error:  # a broken run must not hide the others
        config, message = TrainConfig(), f"The config cannot be read: {error}"
    reports = [e for e in events if isinstance(e, event.TrainReported)]
    validations = [e.val_loss for e in events if isinstance(e, event.Validated)]
    started = next((e for e in reversed(events) if isinstance(e, event.Started)), None)
    failed = next((e for e in reversed(events) if isinstance(e, event.Failed)), None)
    last = reports[-1] if reports else None
    return RunSummary(
        run=run,
        name=config.adapter_name,
        state=run_state(run, events),
        base=config.model,
        method=config.fine_tune_type,
        created=events[0].time if events else run.path.stat().st_mtime,
        iteration=last.iteration if last else 0,
        iterations=started.iterations if started else config.iters,
        best_val_loss=min(validations, default=None),
        last_train_loss=last.train_loss if last else None,
        trainable_parameters=started.trainable_parameters if started else 0,
        tokens_per_second=last.tokens_per_second if last else 0.0,
        peak_memory_gb=last.peak_memory_gb if last else 0.0,
        elapsed_s=last.elapsed_s if last else 0.0,
        message=message or (failed.message if failed else ""),
    )


def find_runs(parent: Path | None = None) -> Iterator[RunDir]:
    """Every run below ``parent``, newest name first."""
    parent = parent if parent is not None else runs_dir()
    if not parent.is_dir():
        return
    for path in sorted(parent.iterdir(), reverse=True):
        if (path / "config.yaml").is_file():
            yield RunDir(path)


def find_run(name: str, parent: Path | None = None) -> RunDir | None:
    """A run by its path, its folder's name, or the newest whose adapter name or folder name contains ``name``."""
    path = Path(name).expanduser()
    if (path / "config.yaml").is_file():
        return RunDir(path.resolve())
    runs = list(find_runs(parent))
    exact = [run for run in runs if run.name == name]
    partial = [run for run in runs if name and name in run.name]
    return next(iter([*exact, *partial]), None)
