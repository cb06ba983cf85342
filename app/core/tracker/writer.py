"""What writes a run's figures for each tracker: opened with the run's config, given figures step by step, closed.

Each imports its package when it is opened, so that nobody waits for one that is not used.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

FigureMap = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run as a tracker shows it: files go to ``folder``, and ``key`` stays the same when it is resumed."""

    name: str
    project: str
    config: dict[str, Any]
    folder: Path
    key: str


class FigureWriter(Protocol):
    """One tracker's side of a run."""

    def open(self, run: TrackedRun, first: int) -> None:
        """Begins; figures of the iterations from ``first`` on follow, and replace those that are there."""

    def write(self, iteration: int, figures: FigureMap, time: float) -> None:
        """Takes figures of an iteration, by names such as ``train/loss``; ``time`` is in seconds of the epoch."""

    def close(self, *, failed: bool) -> None:
        """Ends: everything is written."""


class TensorBoardWriter:
    """Event files, which ``tensorboard --logdir`` shows."""

    def __init__(self) -> None:
        self._writer: Any = None

    def open(self, run: TrackedRun, first: int) -> None:
        from tensorboardX import SummaryWriter

        # `purge_step` hides what an interrupted run had said of iterations that are computed again.
        self._writer = SummaryWriter(str(run.folder), purge_step=first)
        text = yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True)
        self._writer.add_text("config", "".join(f"    {line}\n" for line in text.splitlines()), first)

    def write(self, iteration: int, figures: FigureMap, time: float) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, iteration, walltime=time)
        self._writer.flush()

    def close(self, *, failed: bool) -> None:  # noqa: ARG002  # an event file has no state of a run
        self._writer.close()


class WandbWriter:
    """Weights & Biases; whether it asks the network is its own setting (``WANDB_MODE``)."""

    def __init__(self) -> None:
        self._run: Any = None

    def open(self, run: TrackedRun, first: int) -> None:  # noqa: ARG002  # it goes on where it was
        import wandb

        run.folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=run.project, name=run.name, id=run.key, resume="allow", dir=str(run.folder), config=run.config
        )

    def write(self, iteration: int, figures: FigureMap, time: float) -> None:  # noqa: ARG002  # it takes its own
        self._run.log(dict(figures), step=iteration)

    def close(self, *, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


class TrackioWriter:
    """Trackio, which keeps runs on this machine."""

    def __init__(self) -> None:
        self._trackio: Any = None

    def open(self, run: TrackedRun, first: int) -> None:  # noqa: ARG002  # it goes on where it was
        import trackio

        trackio.init(project=run.project, name=f"{run.name}-{run.key[:8]}", config=run.config, resume="allow")
        self._trackio = trackio

    def write(self, iteration: int, figures: FigureMap, time: float) -> None:  # noqa: ARG002  # it takes its own
        self._trackio.log(dict(figures), step=iteration)

    def close(self, *, failed: bool) -> None:  # noqa: ARG002  # it knows no failed runs
        self._trackio.finish()


def run_key(folder: Path) -> str:
    """What a tracker knows a run's folder by, the same whenever it is asked."""
    return uuid.uuid5(uuid.NAMESPACE_URL, folder.resolve().as_uri()).hex
