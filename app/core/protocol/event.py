"""Events: what a worker says, one JSON object a line, on its stdout and in the run's ``events.jsonl``.

The live chart and the chart of an old run are one function fed with these. Non-finite numbers are written as
``NaN`` and ``Infinity`` (Python's JSON): a diverged loss must arrive as what it is, not as null.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

PROTOCOL_VERSION = 1
_ENCODER = json.JSONEncoder(ensure_ascii=False)  # json.dumps would make a new one for every line


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events. ``time`` is seconds since 1970, UTC."""

    type: ClassVar[str] = ""
    time: float = field(default_factory=time.time)

    def to_line(self) -> str:
        """The JSON line, without the newline."""
        # Not dataclasses.asdict: it copies every loss of a report, which costs more than writing them.
        tree = {name: getattr(self, name) for name in NAMES[self.type]}
        return _ENCODER.encode({"type": self.type} | tree)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello(Event):
    """First event of every worker."""

    type: ClassVar[str] = "hello"
    task: str
    protocol: int = PROTOCOL_VERSION
    versions: dict[str, str] = field(default_factory=dict)
    device: str = ""
    memory_gb: float = 0.0
    working_set_gb: float = 0.0
    pid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed(Event):
    """A step of preparation: ``phase`` in words ("Loading the model"), ``done`` of ``total`` where counted."""

    type: ClassVar[str] = "progressed"
    phase: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Event):
    """Something the user should know; the task goes on."""

    type: ClassVar[str] = "warned"
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected(Event):
    """What `inspect` found: an `app.core.model.inspection.Inspection` as a dict."""

    type: ClassVar[str] = "inspected"
    inspection: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    """Training begins (or goes on, when ``iteration`` > 0). Token counts are of one epoch of the training data."""

    type: ClassVar[str] = "started"
    iteration: int = 0
    iterations: int
    iterations_per_epoch: float
    train_examples: int
    valid_examples: int
    epoch_tokens: int = 0
    trainable_parameters: int = 0
    total_parameters: int = 0
    adapted_modules: int = 0
    batch_size: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReported(Event):
    """The figures since the last report. ``losses`` are those of each iteration ending at ``iteration``.

    ``figures`` are the method's own, means since the last report: ``margin``, ``accuracy``, ``reward``, ``kl``, …
    """

    type: ClassVar[str] = "train_reported"
    iteration: int
    train_loss: float
    losses: list[float] = field(default_factory=list)
    learning_rate: float
    iterations_per_second: float
    tokens_per_second: float
    trained_tokens: int
    epoch: float = 0.0
    grad_norm: float | None = None
    padding_share: float = 0.0
    active_memory_gb: float = 0.0
    peak_memory_gb: float = 0.0
    cache_memory_gb: float = 0.0
    swap_gb: float | None = None
    elapsed_s: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated(Event):
    """A validation on the fixed set; ``best`` if no earlier one was better.

    ``figures`` are the method's own. Where a reward is optimized, ``val_loss`` is its mean with the sign changed.
    """

    type: ClassVar[str] = "validated"
    iteration: int
    val_loss: float
    val_time_s: float = 0.0
    best: bool = False
    without_improvement: int = 0
    epoch: float = 0.0
    trained_tokens: int = 0
    elapsed_s: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled(Event):
    """The newest answers that iteration ``iteration`` learns from: one group to one prompt.

    Each of ``samples`` has ``prompt``, ``answer`` (the reference answer), ``completion``, ``tokens``, ``cut``,
    ``reward`` (the weighted sum) and ``rewards`` (by function).
    """

    type: ClassVar[str] = "sampled"
    iteration: int
    samples: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSaved(Event):
    """Weights are on disk at ``path`` (relative to the run); ``kind`` is numbered, best or final."""

    type: ClassVar[str] = "checkpoint_saved"
    iteration: int
    path: str
    kind: str = "numbered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(Event):
    """Training waits in place at ``iteration``."""

    type: ClassVar[str] = "paused"
    iteration: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Event):
    """Training goes on after a pause in place."""

    type: ClassVar[str] = "resumed"
    iteration: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Event):
    """A piece of an answer of column ``column`` to request ``request``; the last piece carries the figures.

    ``finish_reason`` is stop (the model's end), length, stopped (on request), unusable or error; for the last
    two ``message`` says why there is no answer, or no whole one.
    """

    type: ClassVar[str] = "answered"
    request: int
    column: int
    text: str = ""
    done: bool = False
    prompt_tokens: int = 0
    generation_tokens: int = 0
    tokens_per_second: float = 0.0
    first_token_s: float = 0.0
    peak_memory_gb: float = 0.0
    finish_reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready(Event):
    """A worker that answers requests has loaded its model and waits for them."""

    type: ClassVar[str] = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(Event):
    """The result of a task that ends with one (``evaluate``, ``tokenize``, ``probe``, …), as plain JSON."""

    type: ClassVar[str] = "result"
    name: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Event):
    """The task is over as it should be. ``reason`` is completed, stopped, early_stopping or paused.

    A paused run left the memory, and goes on when it is resumed.
    """

    type: ClassVar[str] = "finished"
    reason: str = "completed"
    iteration: int | None = None
    elapsed_s: float = 0.0
    best_iteration: int | None = None
    best_val_loss: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """The task cannot go on; ``message`` says what happened, ``hint`` what to do, ``path`` names the field if any.

    ``unusable`` is true when the arguments, config or data were at fault (exit code 2 instead of 1).
    """

    type: ClassVar[str] = "failed"
    message: str
    hint: str = ""
    path: str = ""
    where: str = ""
    iteration: int | None = None
    unusable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown(Event):
    """An event of a newer version: kept as it came."""

    type: ClassVar[str] = "unknown"
    data: dict[str, Any]


EVENTS: dict[str, type[Event]] = {
    kind.type: kind
    for kind in (
        Hello, Progressed, Warned, Inspected, Started, TrainReported, Validated, Sampled, CheckpointSaved, Paused,
        Resumed, Answered, Ready, Result, Finished, Failed,
    )
}  # fmt: skip


# The fields of each event, in the order of its line.
NAMES = {name: tuple(f.name for f in fields(kind)) for name, kind in (EVENTS | {Unknown.type: Unknown}).items()}


def parse_event(line: str | bytes) -> Event:
    """The event of one line. Keys it does not know are dropped; raises `ValueError` if it is no event line."""
    tree = json.loads(line)
    if not isinstance(tree, dict) or not isinstance(tree.get("type"), str):
        raise ValueError("not an event line")
    kind = EVENTS.get(tree["type"])
    if kind is None:
        return Unknown(data=tree, time=float(tree.get("time", 0.0)))
    known = NAMES[kind.type]
    try:
        return kind(**{key: value for key, value in tree.items() if key in known})
    except TypeError as error:
        raise ValueError(str(error)) from error


def read_events(path: Path) -> list[Event]:
    """All events of an ``events.jsonl``; a line cut off by a crash is left out. Empty if there is no file."""
    if not path.exists():
        return []
    found = []
    with path.open("rb") as file:
        for line in file:
            try:
                found.append(parse_event(line))
            except ValueError:
                continue
    return found
