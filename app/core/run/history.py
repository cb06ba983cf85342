"""A run's history: every point of its curves, built from events one by one, live or from ``events.jsonl`` alike."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from app.core.language import tr
from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.system.atomic_file import write_text

Axis = Literal["iterations", "epochs", "tokens", "time"]
Floats = npt.NDArray[np.float64]

CURVE_COLUMNS = ("iterations", "epochs", "tokens", "time", "loss", "learning_rate")
_PLACE_OF = {name: place for place, name in enumerate(CURVE_COLUMNS)}
PLACES = ("iteration", "epoch", "trained_tokens", "elapsed_s")  # the first columns, as a file names them
# What every report tells beside the loss; 0 in a report that knows nothing of memory.
REPORTED = ("learning_rate", "grad_norm", "tokens_per_second", "peak_memory_gb")
ETA_WINDOW = 400  # iterations behind the estimate: long enough to hold a validation, short enough to follow changes
SMOOTH_BLOCK = 64


class _Table:
    """Rows of floats in one array that doubles when it is full: adding a row never copies the whole history."""

    def __init__(self) -> None:
        self._rows = np.empty((len(CURVE_COLUMNS), 256))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def column(self, name: str) -> Floats:
        """A read-only view of one column."""
        view = self._rows[_PLACE_OF[name], : self._count]
        view.flags.writeable = False
        return view

    def last(self) -> Floats:
        """The last row (columns,), a copy."""
        return self._rows[:, self._count - 1].copy()

    def extend(self, rows: Floats) -> None:
        """Adds rows of shape (columns, n)."""
        end = self._count + rows.shape[1]
        if end > self._rows.shape[1]:
            grown = np.empty((len(CURVE_COLUMNS), max(end, 2 * self._rows.shape[1])))
            grown[:, : self._count] = self._rows[:, : self._count]
            self._rows = grown
        self._rows[:, self._count : end] = rows
        self._count = end

    def cut_after(self, iteration: float) -> None:
        """Forgets the rows of later iterations."""
        if not self._count or self._rows[0, self._count - 1] <= iteration:  # as nearly always
            return
        self._count = int(np.searchsorted(self.column("iterations"), iteration, side="right"))


@dataclass(frozen=True, slots=True)
class Traded:
    """What weights learned and forgot, nats a token; ``learned`` is None where it is not known."""

    learned: float | None
    forgot: float

    def text(self, digits: int = 2) -> str:
        """``learned 0.82, forgot 0.03``."""
        forgot = tr("forgot {forgot}", forgot=f"{self.forgot:.{digits}f}")
        return (
            forgot
            if self.learned is None
            else tr("learned {learned}, {forgot}", learned=f"{self.learned:.{digits}f}", forgot=forgot)
        )


@dataclass(frozen=True, slots=True)
class Best:
    """The best validation so far."""

    iteration: int
    val_loss: float


# What tells how far a run has come. Checkpoints do not all: the best may be an older one.
REACHED = (event.TrainReported, event.Validated, event.Paused, event.Resumed, event.Finished, event.Failed)


class RunHistory:
    """What the chart, the figures and the CSV of a run are made of.

    A run that is resumed goes on from a checkpoint: points after it are from weights that no longer exist, and are
    forgotten. ``revision`` grows whenever points were forgotten, so that whatever was derived is computed anew.
    """

    def __init__(self) -> None:
        self.started: event.Started | None = None
        self.last_report: event.TrainReported | None = None
        self.sampled: event.Sampled | None = None
        self.spoken: dict[int, event.Sampled] = {}  # answers to held-out prompts, by iteration
        self.warnings: dict[str, str] = {}  # each message once, the newest last, with what to try
        self.finished: event.Finished | None = None
        self.failed: event.Failed | None = None
        self.revision = 0
        self._reached = 0
        self._train = _Table()
        self._valid = _Table()
        self._forgot = _Table()
        self._learned = _Table()
        self._neutral: event.NeutralMeasured | None = None
        self._figures: dict[str, _Table] = {}
        self._reported: dict[str, _Table] = {}
        self._valid_figures: dict[str, _Table] = {}
        self._best_iterations: list[int] = []
        self._elapsed_before_s = 0.0
        self._resumed = False

    def feed(self, found: Event) -> None:
        """Takes in one event; those that carry no history are ignored."""
        if isinstance(found, REACHED):
            self._reached = max(self._reached, found.iteration or 0)
        if isinstance(found, event.Hello):
            self.warnings = {}
            self.finished = self.failed = None  # a worker took the run up: how it ended before is no longer true
        elif isinstance(found, event.Started):
            self._start(found)
        elif isinstance(found, event.TrainReported):
            self._add_report(found)
        elif isinstance(found, event.Validated):
            self._add_validation(found)
        elif isinstance(found, event.NeutralMeasured):
            self._add_neutral(found)
        elif isinstance(found, event.Warned):
            self.warnings.pop(found.message, None)
            self.warnings[found.message] = found.hint
        elif isinstance(found, event.Sampled):
            self.sampled = found
            if found.samples and "reward" not in found.samples[0]:
                self.spoken[found.iteration] = found
        elif isinstance(found, event.Finished):
            self.finished, self.failed = found, None
        elif isinstance(found, event.Failed):
            self.finished, self.failed = None, found

    # -- figures ----------------------------------------------------------------------------------------------

    @property
    def iteration(self) -> int:
        """The last iteration that is known to be trained, by whatever event told of it."""
        return self._reached

    @property
    def iterations(self) -> int:
        """Iterations planned; 0 before the training began."""
        return self.started.iterations if self.started is not None else 0

    @property
    def elapsed_s(self) -> float:
        """Seconds of training behind the last point, over all parts of a resumed run."""
        times = [table.column("time")[-1] for table in (self._train, self._valid) if len(table)]
        return float(max(times, default=0.0))

    @property
    def best(self) -> Best | None:
        """The validation that the trainer called best (it knows the minimum improvement), else the lowest."""
        if not len(self._valid):
            return None
        iterations, losses = self._valid.column("iterations"), self._valid.column("loss")
        if self._best_iterations:
            index = int(np.searchsorted(iterations, self._best_iterations[-1]))
        elif np.isfinite(losses).any():
            index = int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))
        else:
            return None
        return Best(int(iterations[index]), float(losses[index]))

    @property
    def best_trained(self) -> float | None:
        """The lowest finite validation loss of trained weights; None while only the untrained were measured."""
        losses = self._valid.column("loss")[self._valid.column("iterations") > 0]
        losses = losses[np.isfinite(losses)]
        return float(losses.min()) if len(losses) else None

    def remaining_s(self) -> float | None:
        """Seconds to the last planned iteration, validations included; None while it cannot be told."""
        iterations, times = self._train.column("iterations"), self._train.column("time")
        if self.started is None or len(iterations) < 2:
            return None
        first = max(int(np.searchsorted(iterations, iterations[-1] - ETA_WINDOW)), 0)
        done, took = iterations[-1] - iterations[first], self.elapsed_s - times[first]
        if done <= 0 or took <= 0:
            return None
        return float(max(self.iterations - iterations[-1], 0) * took / done)

    # -- curves -----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._train)

    @property
    def losses(self) -> Floats:
        """Train loss of every iteration; NaN and infinity are kept as they came."""
        return self._train.column("loss")

    @property
    def valid_losses(self) -> Floats:
        """Loss of every validation."""
        return self._valid.column("loss")

    def x(self, axis: Axis) -> Floats:
        """Where the points of `losses` lie: iterations, epochs, trained tokens or seconds."""
        return self._train.column(axis)

    def valid_x(self, axis: Axis) -> Floats:
        """Where the points of `valid_losses` lie."""
        return self._valid.column(axis)

    @property
    def forgot(self) -> Floats:
        """How far the loss on the neutral set lies above the base's, at every evaluation that measured it."""
        return self._forgot.column("loss")

    def forgot_x(self, axis: Axis) -> Floats:
        """Where the points of `forgot` and `learned` lie."""
        return self._forgot.column(axis)

    @property
    def learned(self) -> Floats:
        """How far the validation loss lay below the base's at the points of `forgot`; NaN where it is not known."""
        return self._learned.column("loss")

    @property
    def neutral(self) -> event.NeutralMeasured | None:
        """The last measurement on the neutral set: it says what that is."""
        return self._neutral

    @property
    def traded(self) -> Traded | None:
        """What the adapter that stands at the end learned and forgot; until then, the newest measured weights."""
        ended = self.finished
        if ended is not None and ended.forgot is not None:
            return Traded(ended.learned, ended.forgot)
        if not len(self._forgot):
            return None
        learned, forgot = float(self.learned[-1]), float(self.forgot[-1])
        return Traded(None if np.isnan(learned) else learned, forgot)

    # -- the method's own figures -------------------------------------------------------------------------------

    @property
    def figure_names(self) -> tuple[str, ...]:
        """The figures that the run's method has besides the loss, in the order in which they came."""
        return tuple(self._figures)

    @property
    def is_rewarded(self) -> bool:
        """True if validations measure a reward: their loss is its mean with the sign changed."""
        return "reward" in self._valid_figures

    @property
    def reported_names(self) -> tuple[str, ...]:
        """Those of `REPORTED` that the run's reports tell."""
        return tuple(name for name in REPORTED if name in self._reported)

    def figures(self, name: str) -> Floats:
        """One figure of every report, of the method or of `REPORTED`; empty if there is none of that name.

        A method's figure is a mean since the report before.
        """
        return self._of_reports(name).column("loss")

    def figures_x(self, name: str, axis: Axis) -> Floats:
        """Where the points of `figures` lie."""
        return self._of_reports(name).column(axis)

    def _of_reports(self, name: str) -> _Table:
        return self._figures.get(name) or self._reported.get(name) or _Table()

    def valid_figures(self, name: str) -> Floats:
        """One figure of every validation."""
        return self._valid_figures.get(name, _Table()).column("loss")

    def valid_figures_x(self, name: str, axis: Axis) -> Floats:
        """Where the points of `valid_figures` lie."""
        return self._valid_figures.get(name, _Table()).column(axis)

    def best_index(self) -> int | None:
        """The place of `best` among the validations."""
        best = self.best
        return None if best is None else int(np.searchsorted(self._valid.column("iterations"), best.iteration))

    def to_csv(self) -> str:
        """All points as CSV, one line an iteration.

        Reports' figures stand in the line of the report's last iteration; validations, and their figures with
        ``val_`` before the name, in the line of theirs.
        """
        rows: dict[int, dict[str, float]] = {}
        for table, names in self._csv_parts():
            for values in zip(*(table.column(name) for name in CURVE_COLUMNS[: len(names)]), strict=True):
                row = rows.setdefault(int(values[0]), {})
                for name, value in zip(names, values, strict=True):
                    row.setdefault(name, float(value))
        text = io.StringIO()
        columns = list(dict.fromkeys(name for _, names in self._csv_parts() for name in names))
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        for _, row in sorted(rows.items()):
            writer.writerow({name: _plain(value) for name, value in row.items()})
        return text.getvalue()

    def _csv_parts(self) -> list[tuple[_Table, tuple[str, ...]]]:
        """Each table with the names that its columns have in a file, as many as there are to write."""
        parts = [(self._train, (*PLACES, "train_loss", "learning_rate")), (self._valid, (*PLACES, "val_loss"))]
        if len(self._forgot):
            parts += [(self._forgot, (*PLACES, "forgot")), (self._learned, (*PLACES, "learned"))]
        told = [(name, table) for name, table in self._reported.items() if name != "learning_rate"]
        parts += [(table, (*PLACES, name)) for name, table in (*self._figures.items(), *told)]
        return parts + [(table, (*PLACES, f"val_{name}")) for name, table in self._valid_figures.items()]

    def save_csv(self, path: Path) -> None:
        """Writes `to_csv` completely or not at all."""
        write_text(path, self.to_csv())

    # -- events -----------------------------------------------------------------------------------------------

    def _start(self, found: event.Started) -> None:
        self.started = found
        self._reached = found.iteration  # of a run that goes on, what came after its state is no more
        if not len(self._train) and not len(self._valid) and not len(self._forgot):
            return
        for table in (self._train, self._valid, self._forgot, self._learned):
            table.cut_after(found.iteration)
        for table in (*self._figures.values(), *self._reported.values(), *self._valid_figures.values()):
            table.cut_after(found.iteration)
        self.spoken = {i: said for i, said in self.spoken.items() if i <= found.iteration}
        self._best_iterations = [i for i in self._best_iterations if i <= found.iteration]
        self._resumed = True
        self._elapsed_before_s = 0.0
        self.revision += 1

    def _elapsed(self, elapsed_s: float) -> float:
        """Time over all parts: a trainer that counts from zero after a resume is set behind what was before."""
        if self._resumed:
            self._resumed = False
            before = self.elapsed_s
            self._elapsed_before_s = before if elapsed_s < before else 0.0
        return elapsed_s + self._elapsed_before_s

    def _add_report(self, found: event.TrainReported) -> None:
        """One row an iteration; what is reported only at the end of a stretch is interpolated along it."""
        losses = np.array(found.losses or [found.train_loss], dtype=float)
        last = self._last_row(found.iteration - len(losses))
        fresh = max(0, min(int(found.iteration - last[0]), len(losses)))
        if not fresh:
            return
        end = np.array(
            [found.iteration, found.epoch, found.trained_tokens, self._elapsed(found.elapsed_s)], dtype=float
        )
        share = np.arange(len(losses) - fresh + 1, len(losses) + 1) / len(losses)
        rows = np.empty((len(CURVE_COLUMNS), fresh))
        rows[:4] = last[:4, None] + (end - last[:4])[:, None] * share
        rows[0] = np.arange(found.iteration - fresh + 1, found.iteration + 1)
        rows[4] = losses[-fresh:]
        rows[5] = found.learning_rate
        self._train.extend(rows)
        _add_figures(self._figures, found.figures, rows[:4, -1])
        _add_figures(self._reported, _reported_by(found), rows[:4, -1])
        self.last_report = found

    def _last_row(self, iteration: int) -> Floats:
        """Where the stretch that is being added begins: the last row, or the start of the run."""
        if len(self._train):
            return self._train.last()
        return np.array([iteration, *([0.0] * (len(CURVE_COLUMNS) - 1))])

    def _add_validation(self, found: event.Validated) -> None:
        self._valid.cut_after(found.iteration - 1)
        while self._best_iterations and self._best_iterations[-1] >= found.iteration:
            self._best_iterations.pop()  # of validations that have just gone
        elapsed_s = self._elapsed(found.elapsed_s)
        row = [found.iteration, found.epoch, found.trained_tokens, elapsed_s, found.val_loss, np.nan]
        self._valid.extend(np.array(row, dtype=float)[:, None])
        _add_figures(self._valid_figures, found.figures, np.array(row[:4], dtype=float))
        if found.best:
            self._best_iterations.append(found.iteration)

    def _add_neutral(self, found: event.NeutralMeasured) -> None:
        at = [found.iteration, found.epoch, found.trained_tokens, self._elapsed(found.elapsed_s)]
        learned = np.nan if found.learned is None else found.learned
        for table, value in ((self._forgot, found.forgot), (self._learned, learned)):
            table.cut_after(found.iteration - 1)
            table.extend(np.array([*at, value, np.nan], dtype=float)[:, None])
        self._neutral = found


def _reported_by(report: event.TrainReported) -> dict[str, float]:
    """The figures of `REPORTED` that a report knows; only a learning rate can be 0."""
    told: dict[str, float | None] = {name: getattr(report, name) for name in REPORTED}
    return {name: value for name, value in told.items() if value or (value == 0 and name == "learning_rate")}


def _add_figures(tables: dict[str, _Table], figures: dict[str, float], at: Floats) -> None:
    """One row a figure; ``at`` (4,) is where it lies: iteration, epoch, tokens, seconds."""
    for name, value in figures.items():
        table = tables.get(name)
        if table is None:
            table = tables[name] = _Table()
        table.cut_after(at[0] - 1)
        row = np.empty((len(CURVE_COLUMNS), 1))
        row[:4, 0], row[4, 0], row[5, 0] = at, value, np.nan
        table.extend(row)


class Smoothed:
    """A running mean over a growing curve: each update costs only the new points."""

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self._values = np.empty(256)
        self._count = 0
        self._state = (0.0, 0.0)

    def update(self, losses: Floats) -> Floats:
        """The smoothed curve of ``losses``, which begin with those of the last update."""
        if len(losses) < self._count:
            self._count, self._state = 0, (0.0, 0.0)
        if len(losses) > len(self._values):
            grown = np.empty(max(len(losses), 2 * len(self._values)))
            grown[: self._count] = self._values[: self._count]
            self._values = grown
        fresh, self._state = _smooth(losses[self._count :], self.weight, self._state)
        self._values[self._count : len(losses)] = fresh
        self._count = len(losses)
        return self._values[: self._count]


def smooth(values: Floats, weight: float) -> Floats:
    """Exponential moving average without the bias towards zero at the start (as Adam corrects its moments).

    ``weight`` is the share of the past, 0 (nothing is smoothed) to below 1. Points that are not finite are left out
    of the mean, and are NaN in the result: a gap.
    """
    return _smooth(values, weight, (0.0, 0.0))[0]


def _smooth(values: Floats, weight: float, state: tuple[float, float]) -> tuple[Floats, tuple[float, float]]:
    """One mean over the values and one over "is there a value"; their quotient is the unbiased mean."""
    finite = np.isfinite(values)
    total, sums = _decay(np.where(finite, values, 0.0), weight, state[0])
    count, counts = _decay(finite.astype(float), weight, state[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(finite, sums / counts, np.nan), (total, count)


def _decay(values: Floats, weight: float, state: float) -> tuple[float, Floats]:
    """``s = weight · s + (1 − weight) · value`` along the values, a block at a time instead of one by one."""
    count = len(values)
    padded = np.zeros(-(-count // SMOOTH_BLOCK) * SMOOTH_BLOCK)
    padded[:count] = values
    age = np.subtract.outer(np.arange(SMOOTH_BLOCK), np.arange(SMOOTH_BLOCK))
    kernel = np.where(age >= 0, (1 - weight) * weight ** np.maximum(age, 0), 0.0)
    blocks = padded.reshape(-1, SMOOTH_BLOCK) @ kernel.T
    fade = weight ** np.arange(1, SMOOTH_BLOCK + 1)
    carried = np.empty(len(blocks))
    for index, last in enumerate(blocks[:, -1].tolist()):
        carried[index] = state
        state = last + state * fade[-1]
    result = (blocks + carried[:, None] * fade).reshape(-1)[:count]
    return (float(result[-1]) if count else state), result


def _plain(value: float) -> float | int:
    """Whole numbers without a point."""
    return int(value) if value.is_integer() else value
