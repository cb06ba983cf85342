"""The trackers that a run can report to (mlx-lm's ``report_to``), and what is wrong with a choice of them.

None of them is a dependency: whether one is there is looked up by its package's name, without importing it.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass

from app.core.config.train_config import TrainConfig
from app.core.installation import package_hint
from app.core.language import tr
from app.core.problem import Problem
from app.core.tracker.writer import FigureWriter, TensorBoardWriter, TrackioWriter, WandbWriter

FIELD = "report_to"


@dataclass(frozen=True, slots=True)
class Tracker:
    """A program that keeps figures of runs: its name in ``report_to``, its package and what writes for it."""

    name: str
    label: str
    package: str
    make: Callable[[], FigureWriter]

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None

    @property
    def hint(self) -> str:
        """How to get it."""
        return tr("{how} Or take it out of the field.", how=package_hint(self.package))


TRACKERS = {
    tracker.name: tracker
    for tracker in (
        Tracker("tensorboard", "TensorBoard", "tensorboardX", TensorBoardWriter),
        Tracker("wandb", tr("Weights & Biases"), "wandb", WandbWriter),
        Tracker("trackio", tr("Trackio"), "trackio", TrackioWriter),
    )
}


def tracker_names(text: str) -> tuple[str, ...]:
    """The names in a ``report_to``, as mlx-lm reads it: separated by commas, in small letters, each once."""
    names = (name.strip().lower() for name in re.split(r"[,\s]+", text.strip("[] ")))
    return tuple(dict.fromkeys(name.strip("'\"") for name in names if name and name != "none"))


def chosen_trackers(text: str) -> list[Tracker]:
    """Those of the names that there are."""
    return [TRACKERS[name] for name in tracker_names(text) if name in TRACKERS]


def tracker_problems(config: TrainConfig) -> list[Problem]:
    """Why a run cannot report where its config says: before it starts, not after hours."""
    names = tracker_names(config.report_to)
    found = [
        Problem(
            FIELD,
            tr("There is no tracker “{name}” here.", name=name),
            hint=tr("There are {trackers}.", trackers=", ".join(TRACKERS)),
        )
        for name in names
        if name not in TRACKERS
    ]
    return found + [
        Problem(FIELD, tr("{label} is not installed.", label=tracker.label), hint=tracker.hint)
        for tracker in chosen_trackers(config.report_to)
        if not tracker.is_installed
    ]


def installed_text() -> str:
    """Which of them are there, in a line beside the field."""
    there = [tracker.name for tracker in TRACKERS.values() if tracker.is_installed]
    absent = [tracker.name for tracker in TRACKERS.values() if tracker.name not in there]
    said = tr("Installed: {there}. ", there=", ".join(there)) if there else ""
    missing = tr("Not installed: {absent}.", absent=", ".join(absent)) if absent else ""
    return f"{said}{missing}".strip()
