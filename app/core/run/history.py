"""A run's history: every point of its curves, built from events one by one, live or from ``events.jsonl`` alike."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from app.core.language import tr
from app.core.protocol import event
from app.core.protocol.event import Event, event_of
from app.core.quantity import loss_text
from app.core.run.curve_table import CURVE_COLUMNS, CurveTable, Floats, PointPlaces, figure_points, stretches
from app.core.run.report_batch import REPORT_COLUMNS, ReportBatch
from app.core.system.atomic_file import write_text

Axis = Literal["iterations", "epochs", "tokens", "time"]
PLACES = ("iteration", "epoch", "trained_tokens", "elapsed_s")  # the first columns, as a file names them
# What every report tells beside the loss; 0 in a report that knows nothing of memory.
REPORTED = ("learning_rate", "grad_norm", "tokens_per_second", "peak_memory_gb")
ETA_WINDOW = 400  # iterations behind the estimate: long enough to hold a validation, short enough to follow changes


@dataclass(frozen=True, slots=True)
class Traded:
    """What weights learned and forgot, nats a token; ``learned`` is None where it is not known."""

    learned: float | None
    forgot: float

    def text(self) -> str:
        """``learned 0.823, forgot 0.031``."""
        forgot = tr("forgot {forgot}", forgot=loss_text(self.forgot))
        return (
            forgot
            if self.learned is None
            else tr("learned {learned}, {forgot}", learned=loss_text(self.learned), forgot=forgot)
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
        self._last_report: event.TrainReported | dict[str, Any] | None = None
        self.sampled: event.Sampled | None = None
        self.spoken: dict[int, event.Sampled] = {}  # answers to held-out prompts, by iteration
        self.warnings: dict[str, str] = {}  # each message once, the newest last, with what to try
        self.finished: event.Finished | None = None
        self.failed: event.Failed | None = None
        self.revision = 0
        self._reached = 0
        self._train = CurveTable()
        self._valid = CurveTable()
        self._forgot = CurveTable()
        self._learned = CurveTable()
        self._neutral: event.NeutralMeasured | None = None
        self._figures: dict[str, CurveTable] = {}
        self._reported: dict[str, CurveTable] = {}
        self._valid_figures: dict[str, CurveTable] = {}
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

    def feed_reports(self, batch: ReportBatch) -> None:
        """Takes in reports that came one after the other: what `feed` does with each, all at once."""
        if not len(batch):
            return
        reached, counts = np.array(batch.iterations), np.array(batch.counts)
        self._reached = max(self._reached, int(reached.max()))
        last = self._last_row(int(reached[0] - counts[0]))
        before = np.maximum.accumulate(np.concatenate((last[:1], reached[:-1])))
        fresh = np.clip(reached - before, 0, counts).astype(int)
        if not fresh.any():
            return
        kept = np.flatnonzero(fresh)
        told = dict(zip(REPORT_COLUMNS, batch.columns[:, kept], strict=True))
        ends = np.stack([reached[kept], told["epoch"], told["trained_tokens"], told["elapsed_s"]])
        ends[3, 0] = self._elapsed(float(ends[3, 0]))  # which is asked first after a resume
        ends[3, 1:] += self._elapsed_before_s
        stops = np.cumsum(counts)[kept]
        rows = stretches(last[:4], ends, counts[kept], fresh[kept])
        rows[4] = np.array(batch.losses, dtype=float)[rows[4].astype(int) + np.repeat(stops, fresh[kept])]
        self._train.extend(rows)
        self._add_figures_of(batch, kept, told, ends)
        self._last_report = batch.tree(int(kept[-1]))

    # -- figures ----------------------------------------------------------------------------------------------

    @property
    def last_report(self) -> event.TrainReported | None:
        """The last report that told something new."""
        if isinstance(self._last_report, dict):
            self._last_report = cast(event.TrainReported, event_of(self._last_report))
        return self._last_report

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

    @property
    def never_improved(self) -> bool:
        """True if trained weights were measured, and none were better than the untrained ones."""
        return self.best_trained is not None and self.best is not None and self.best.iteration == 0

    def remaining_s(self) -> float | None:
        """Seconds to the last planned iteration, validations included; None while it cannot be told."""
        iterations, times = self._train.column("iterations"), self._train.column("time")
        if self.started is None or len(iterations) < 2:
            return None
        first = int(np.searchsorted(iterations, iterations[-1] - ETA_WINDOW))
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
        if not len(self._forgot) or not self.forgot_x("iterations")[-1]:
            return None  # of the untrained there is nothing to say
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

    def _of_reports(self, name: str) -> CurveTable:
        return self._figures.get(name) or self._reported.get(name) or CurveTable()

    def valid_figures(self, name: str) -> Floats:
        """One figure of every validation."""
        return self._valid_figures.get(name, CurveTable()).column("loss")

    def valid_figures_x(self, name: str, axis: Axis) -> Floats:
        """Where the points of `valid_figures` lie."""
        return self._valid_figures.get(name, CurveTable()).column(axis)

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

    def _csv_parts(self) -> list[tuple[CurveTable, tuple[str, ...]]]:
        """Each table with the names that its columns have in a file, as many as there are to write."""
        parts: list[tuple[CurveTable, tuple[str, ...]]] = [(self._train, (*PLACES, "train_loss"))]
        # Only where it was told: between two reports, in a warm-up say, it was another.
        parts += [(table, (*PLACES, name)) for name, table in self._reported.items() if name == "learning_rate"]
        parts.append((self._valid, (*PLACES, "val_loss")))
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
        self._train.reserve(found.iterations)
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
        rows[:4, -1] = end
        rows[0] = np.arange(found.iteration - fresh + 1, found.iteration + 1)
        rows[4] = losses[-fresh:]
        self._train.extend(rows)
        self._add_figures(self._figures, found.figures, rows[:4, -1])
        self._add_figures(self._reported, _reported_by(found), rows[:4, -1])
        self._last_report = found

    def _last_row(self, iteration: int) -> Floats:
        """Where the stretch that is being added begins: the last row, or the start of the run."""
        if len(self._train):
            return self._train.last()
        return np.array([iteration, *([0.0] * (len(CURVE_COLUMNS) - 1))])

    def _add_validation(self, found: event.Validated) -> None:
        self._cut(self._valid, found.iteration - 1)
        while self._best_iterations and self._best_iterations[-1] >= found.iteration:
            self._best_iterations.pop()  # of validations that have just gone
        elapsed_s = self._elapsed(found.elapsed_s)
        row = [found.iteration, found.epoch, found.trained_tokens, elapsed_s, found.val_loss]
        self._valid.extend(np.array(row, dtype=float)[:, None])
        self._add_figures(self._valid_figures, found.figures, np.array(row[:4], dtype=float))
        if found.best:
            self._best_iterations.append(found.iteration)

    def _add_figures(self, tables: dict[str, CurveTable], figures: dict[str, float], at: Floats) -> None:
        """One row a figure; ``at`` (4,) is where it lies: iteration, epoch, tokens, seconds."""
        for name, value in figures.items():
            self._extend_figure(tables, name, figure_points(at[:, None], np.array([value], dtype=float)))

    def _add_figures_of(self, batch: ReportBatch, kept: PointPlaces, told: dict[str, Floats], ends: Floats) -> None:
        """The figures of several reports: the method's own, and those of `REPORTED`. ``kept`` are those that told
        something new, ``ends`` (4, kept) where they lie."""
        place = np.full(len(batch), -1)
        place[kept] = np.arange(len(kept))
        for name, (indices, values) in batch.figures.items():
            lies = place[indices]
            if (there := lies >= 0).any():
                found = np.array(values, dtype=float)[there]
                self._extend_figure(self._figures, name, figure_points(ends[:, lies[there]], found))
        said = {
            name: np.flatnonzero(told[name] if name != "learning_rate" else np.ones(len(kept))) for name in REPORTED
        }
        for name in sorted((name for name in REPORTED if len(said[name])), key=lambda name: int(said[name][0])):
            self._extend_figure(self._reported, name, figure_points(ends[:, said[name]], told[name][said[name]]))

    def _extend_figure(self, tables: dict[str, CurveTable], name: str, rows: Floats) -> None:
        table = tables.get(name)
        if table is None:
            table = tables[name] = CurveTable(self.iterations if tables is not self._valid_figures else 0)
        self._cut(table, rows[0, 0] - 1)
        table.extend(rows)

    def _cut(self, table: CurveTable, iteration: float) -> None:
        """Forgets what a table has of later iterations."""
        self.revision += table.cut_after(iteration)

    def _add_neutral(self, found: event.NeutralMeasured) -> None:
        at = [found.iteration, found.epoch, found.trained_tokens, self._elapsed(found.elapsed_s)]
        learned = np.nan if found.learned is None else found.learned
        for table, value in ((self._forgot, found.forgot), (self._learned, learned)):
            self._cut(table, found.iteration - 1)
            table.extend(np.array([*at, value], dtype=float)[:, None])
        self._neutral = found


def _reported_by(report: event.TrainReported) -> dict[str, float]:
    """The figures of `REPORTED` that a report knows; only a learning rate can be 0."""
    told: dict[str, float | None] = {name: getattr(report, name) for name in REPORTED}
    return {name: value for name, value in told.items() if value or (value == 0 and name == "learning_rate")}


def _plain(value: float) -> float | int:
    """Whole numbers without a point."""
    return int(value) if value.is_integer() else value
