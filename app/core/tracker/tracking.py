"""The tracking of one run: its events become figures, and go to every tracker that its config names.

Live and afterwards are one function fed with the same events. A tracker that fails is told of once and left out:
a run never ends because of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.tracker.tracker import Tracker, chosen_trackers
from app.core.tracker.writer import FigureWriter, TrackedRun, run_key

DEFAULT_PROJECT = "luthier"
LOG_FOLDER = "tracked"  # in a run's folder; each tracker has its own below
TRAINED = ("learning_rate", "tokens_per_second", "iterations_per_second", "grad_norm", "peak_memory_gb", "epoch")


def figures_of(found: Event) -> tuple[int, dict[str, float]] | None:
    """The iteration and the figures of an event; None for one that has none."""
    if isinstance(found, event.TrainReported):
        named = {name: getattr(found, name) for name in TRAINED}
        figures = {"train/loss": found.train_loss} | {f"train/{k}": v for k, v in (named | found.figures).items()}
    elif isinstance(found, event.Validated):
        figures = {"valid/loss": found.val_loss} | {f"valid/{k}": v for k, v in found.figures.items()}
    elif isinstance(found, event.NeutralMeasured):
        figures = {"neutral/loss": found.neutral_loss, "neutral/forgot": found.forgot}
        figures |= {"neutral/learned": found.learned} if found.learned is not None else {}
    else:
        return None
    return found.iteration, {k: float(v) for k, v in figures.items() if v is not None and math.isfinite(v)}


class Tracking:
    """Takes the events of a run; used as a context, it closes every tracker at the end.

    ``warn`` is told in words of a tracker that fails. Files go to ``out``, each tracker in a folder of its name.
    """

    def __init__(self, config: TrainConfig, run: Path, out: Path, warn: Callable[[str], None]) -> None:
        self._run, self._out, self._warn = run, out, warn
        self._config = config
        self._trackers = chosen_trackers(config.report_to)
        self._open: dict[str, FigureWriter] = {}
        self.written = 0  # figures

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        for tracker in list(self._trackers):
            if (writer := self._open.get(tracker.name)) is not None:
                self._try(tracker, lambda writer=writer: writer.close(failed=kind is not None))  # type: ignore[misc]

    def take(self, found: Event) -> None:
        """Opens the trackers when the run starts, and gives them what has figures."""
        if isinstance(found, event.Started):
            for tracker in list(self._trackers):
                self._try(tracker, lambda one=tracker: self._begin(one, found.iteration + 1))  # type: ignore[misc]
        elif (figured := figures_of(found)) is not None:
            for tracker in list(self._trackers):
                if (writer := self._open.get(tracker.name)) is not None:
                    said = (*figured, found.time)
                    self._try(tracker, lambda writer=writer, said=said: writer.write(*said))  # type: ignore[misc]
            self.written += len(figured[1])

    def _begin(self, tracker: Tracker, first: int) -> None:
        if tracker.name in self._open:  # a past run that was resumed: what it says anew stands after it
            return
        writer = tracker.make()
        config = self._config
        writer.open(
            TrackedRun(
                config.adapter_name, config.project_name or DEFAULT_PROJECT, config.model_dump(mode="json"),
                self._out / tracker.name, run_key(self._run),
            ),
            first,
        )  # fmt: skip
        self._open[tracker.name] = writer

    def _try(self, tracker: Tracker, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # whatever a program of others does, the run goes on
            self._trackers.remove(tracker)
            said = " ".join(str(error).split()).rstrip(".")[:300] or type(error).__name__
            self._warn(tr("{label} takes no more figures of this run: {said}.", label=tracker.label, said=said))


def tracked_events(
    config: TrainConfig, run: Path, out: Path, events: Iterable[Event], warn: Callable[[str], None]
) -> int:
    """Gives the events of a run of the past to the trackers of ``config``; how many figures went there."""
    with Tracking(config, run, out, warn) as tracking:
        for found in events:
            tracking.take(found)
    return tracking.written
