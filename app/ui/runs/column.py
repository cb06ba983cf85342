"""The columns of the list of runs, and how each value is written."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.core.language import tr
from app.core.method.table import METHODS
from app.core.quantity import bytes_text, duration_text, loss_text, memory_text, rate_text, short_count
from app.core.run.report import STATE_WORDS
from app.core.run.summary import STATES, RunSummary
from app.core.system.title import path_title
from app.ui.platform.own_texts import created_text

ABSENT = "–"


FINE_TUNE_TYPES = {"lora": "LoRA", "dora": "DoRA", "full": tr("Full")}
WORDS = {name: method.label for name, method in METHODS.items()} | FINE_TUNE_TYPES


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its key, title and width, the text, and the value to sort by (None comes last either way).

    One that is not ``shown`` is there once somebody ticks it.
    """

    key: str
    title: str
    width: int
    text: Callable[[RunSummary], str]
    order: Callable[[RunSummary], object]
    figure: bool = False
    shown: bool = True


def known_loss(value: float | None) -> str:
    """A loss, or the sign of one that is not known."""
    return ABSENT if value is None else loss_text(value)


def best_text(summary: RunSummary) -> str:
    """A loss as it is; a reward is called one."""
    if summary.rewarded and summary.best_figure is not None:
        return tr("reward {best_figure}", best_figure=loss_text(summary.best_figure))
    return known_loss(summary.best_figure)


def since_text(created: float, now: float | None = None) -> str:
    """``Since 14:03`` today, else ``Since 12 Mar 14:03``: when, as `created_text` has it, within a sentence."""
    when, present = datetime.fromtimestamp(created), datetime.fromtimestamp(now if now is not None else time.time())
    if when.date() == present.date():
        return tr("Since {when:%H:%M}", when=when)
    return tr("Since {when}", when=created_text(created, now))


RUN_COLUMNS = (
    Column("state", tr("State"), 96, lambda s: STATE_WORDS[s.state], lambda s: STATES.index(s.state)),
    Column("name", tr("Name"), 168, lambda s: s.name, lambda s: s.name.casefold()),
    Column("curve", tr("Loss"), 84, lambda _: "", lambda s: s.last_train_loss, figure=True),
    Column("best", tr("Best"), 104, lambda s: best_text(s), lambda s: s.best_val_loss, figure=True),
    Column("forgot", tr("Forgot"), 66, lambda s: known_loss(s.forgot), lambda s: s.forgot, figure=True),
    Column(
        "learned", tr("Learned"), 72, lambda s: known_loss(s.learned), lambda s: s.learned, figure=True, shown=False
    ),
    Column("created", tr("Started"), 104, lambda s: created_text(s.created), lambda s: s.created),
    Column("base", tr("Base model"), 136, lambda s: short_path(s.base), lambda s: short_path(s.base).casefold()),
    Column("method", tr("Method"), 92, lambda s: method_text(s.method) or ABSENT, lambda s: s.method),
    Column("data", tr("Data"), 124, lambda s: short_path(s.data), lambda s: short_path(s.data).casefold()),
    Column("targets", tr("Targets"), 92, lambda s: s.targets or ABSENT, lambda s: s.targets.casefold()),
    Column(
        "parameters",
        tr("Parameters"),
        92,
        lambda s: short_count(s.trainable_parameters) if s.trainable_parameters else ABSENT,
        lambda s: s.trainable_parameters or None,
        figure=True,
    ),
    Column(
        "speed",
        "Tokens/s",
        78,
        lambda s: rate_text(s.tokens_per_second) if s.tokens_per_second else ABSENT,
        lambda s: s.tokens_per_second or None,
        figure=True,
    ),
    Column(
        "memory",
        tr("Peak memory"),
        104,
        lambda s: memory_text(s.peak_memory_gb) if s.peak_memory_gb else ABSENT,
        lambda s: s.peak_memory_gb or None,
        figure=True,
    ),
    Column(
        "duration",
        tr("Duration"),
        92,
        lambda s: duration_text(s.elapsed_s) if s.elapsed_s else ABSENT,
        lambda s: s.elapsed_s or None,
        figure=True,
    ),
    Column(
        "iterations",
        tr("Iterations"),
        116,
        lambda s: tr("{iteration:,} of {iterations:,}", iteration=s.iteration, iterations=s.iterations),
        lambda s: s.iteration,
        figure=True,
    ),
    Column("size", tr("On disk"), 84, lambda s: bytes_text(s.size_bytes), lambda s: s.size_bytes, figure=True),
    Column("tags", tr("Tags"), 120, lambda s: ", ".join(s.tags), lambda s: ", ".join(s.tags).casefold() or None),
)


COLUMN_KEYS = tuple(column.key for column in RUN_COLUMNS)


STATE_COLUMN, NAME_COLUMN, CURVE_COLUMN, CREATED_COLUMN = (
    COLUMN_KEYS.index("state"),
    COLUMN_KEYS.index("name"),
    COLUMN_KEYS.index("curve"),
    COLUMN_KEYS.index("created"),
)


def method_text(method: str) -> str:
    """``LoRA``, ``DPO, LoRA``."""
    return ", ".join(WORDS.get(part, part.replace("_", " ").upper()) for part in method.split())


def loss_kind(method: str) -> str:
    """What a run's loss is of: its method's label, whatever kind of adapter it trains."""
    *name, _ = method.split() or [""]
    return method_text(" ".join(name)) if name else "supervised"


def short_path(text: str) -> str:
    """What tells a path, or a model's name on the hub, from others."""
    return path_title(text) or ABSENT
