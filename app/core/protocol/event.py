"""Events: what a worker says, one JSON object a line, on its stdout and in the run's ``events.jsonl``.

The live chart and the chart of an old run are one function fed with these. Non-finite numbers are written as
``NaN`` and ``Infinity`` (Python's JSON): a diverged loss must arrive as what it is, not as null.

A live worker is of this version, or it is refused: `parse_event` takes what this version has and nothing else. A
file may be of any version: `recorded_event` takes what it understands of a line, and what it does not is `Unknown`.
"""

from __future__ import annotations

import json
import time
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import Field, TypeAdapter, ValidationError

from app.core.json_text import has_surrogate, parsed_json
from app.core.language import joined, tr
from app.core.protocol.wire import PROTOCOL_VERSION, RefusedError, SpokenPart, WirePart, refusal_text

ODD_NUMBER = 2**53  # no counter reaches it, and arrays of numbers hold none beyond
_ENCODER = json.JSONEncoder(ensure_ascii=False)  # json.dumps would make a new one for every line
_ASCII_ENCODER = json.JSONEncoder()


class Event(WirePart):
    """Base of all events. ``time`` is seconds since 1970, UTC."""

    type: str
    time: float = Field(default_factory=time.time)

    def to_line(self) -> str:
        """The JSON line, without the newline."""
        # Not model_dump: it copies every loss of a report, which costs more than writing them.
        line = _ENCODER.encode(vars(self))
        # Half a character, as in the name of a file that is no UTF-8: no pipe and no file takes it but escaped.
        if not line.isascii() and has_surrogate(line):
            return _ASCII_ENCODER.encode(vars(self))
        return line


class Hello(Event):
    """First event of every worker."""

    type: Literal["hello"] = "hello"
    task: str
    protocol: int = PROTOCOL_VERSION
    versions: dict[str, str] = Field(default_factory=dict)
    device: str = ""
    memory_gb: float = 0.0
    working_set_gb: float = 0.0
    pid: int = 0


class Progressed(SpokenPart, Event):
    """A step of preparation: ``phase`` in words ("Loading the model"), ``done`` of ``total`` where counted, bytes
    where ``in_bytes``."""

    type: Literal["progressed"] = "progressed"
    phase: str
    done: int = 0
    total: int = 0
    in_bytes: bool = False


class Warned(SpokenPart, Event):
    """Something the user should know; the task goes on."""

    type: Literal["warned"] = "warned"
    message: str
    hint: str = ""

    @property
    def text(self) -> str:
        """What there is to know, and what to do."""
        return joined((self.message, self.hint))


class Inspected(Event):
    """What `inspect` found: an `app.core.model.inspection.Inspection` as a dict."""

    type: Literal["inspected"] = "inspected"
    inspection: dict[str, Any]


class Estimated(Event):
    """What the run will take, told before the weights are loaded.

    ``memory_bytes`` is MLX's peak with its ``memory_parts``, ``limit_bytes`` what it should stay within (0: not
    known). ``seconds`` with their ``time_parts`` are there where an earlier run of this kind on this machine showed
    its pace; ``is_most`` where the run may end sooner.
    """

    type: Literal["estimated"] = "estimated"
    memory_bytes: int
    limit_bytes: int = 0
    memory_parts: dict[str, int] = Field(default_factory=dict)
    seconds: float | None = None
    time_parts: dict[str, float] = Field(default_factory=dict)
    is_most: bool = False


class Started(Event):
    """Training begins (or goes on, when ``iteration`` > 0). Token counts are of one epoch of the training data."""

    type: Literal["started"] = "started"
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
    replicas: int = 1


class TrainReported(Event):
    """The figures since the last report. ``losses`` are those of each iteration ending at ``iteration``.

    ``tokens_per_second`` counts all tokens but padding, ``trained_tokens`` those that the loss has learned so far.
    ``figures`` are the method's own, means since the last report: ``margin``, ``accuracy``, ``reward``, ``kl``, …
    """

    type: Literal["train_reported"] = "train_reported"
    iteration: int
    train_loss: float
    losses: list[float] = Field(default_factory=list)
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
    figures: dict[str, float] = Field(default_factory=dict)


class Validated(Event):
    """A validation on the fixed set; ``best`` if no earlier one was better.

    ``figures`` are the method's own. Where a reward is optimized, ``val_loss`` is its mean with the sign changed.
    """

    type: Literal["validated"] = "validated"
    iteration: int
    val_loss: float
    val_time_s: float = 0.0
    best: bool = False
    without_improvement: int = 0
    epoch: float = 0.0
    trained_tokens: int = 0
    elapsed_s: float = 0.0
    figures: dict[str, float] = Field(default_factory=dict)


class NeutralMeasured(Event):
    """The loss on the neutral set, with an evaluation: what the weights have forgotten by then.

    ``neutral_loss`` is nats a token, ``base_loss`` the base model's own. ``forgot`` is the rise over that; on text
    that the base said itself (``source`` is sampled, not starter) it estimates how far the model has moved from it,
    KL(base ‖ tuned). ``learned`` is the fall of the validation loss below the base's, None where the loss is not in
    nats a token, or nothing is validated.
    """

    type: Literal["neutral_measured"] = "neutral_measured"
    iteration: int
    neutral_loss: float
    base_loss: float
    forgot: float
    learned: float | None = None
    tokens: int = 0
    source: str = "sampled"
    epoch: float = 0.0
    trained_tokens: int = 0
    elapsed_s: float = 0.0


class Sampled(Event):
    """The newest answers that iteration ``iteration`` learns from: one group to one prompt.

    Each of ``samples`` has ``prompt``, ``answer`` (the reference answer), ``completion``, ``tokens``, ``cut``,
    ``reward`` (the weighted sum) and ``rewards`` (by function). Without rewards they are answers of the weights of
    that iteration to held-out prompts, one each, which nothing is learned from.
    """

    type: Literal["sampled"] = "sampled"
    iteration: int
    samples: list[dict[str, Any]]


class CheckpointSaved(Event):
    """Weights are on disk at ``path`` (relative to the run); ``kind`` is numbered, best or final."""

    type: Literal["checkpoint_saved"] = "checkpoint_saved"
    iteration: int
    path: str
    kind: str = "numbered"


class Paused(Event):
    """Training waits in place at ``iteration``."""

    type: Literal["paused"] = "paused"
    iteration: int


class Resumed(Event):
    """Training goes on after a pause in place."""

    type: Literal["resumed"] = "resumed"
    iteration: int


class Answered(SpokenPart, Event):
    """A piece of an answer of column ``column`` to request ``request``; the last piece carries the figures.

    ``finish_reason`` is stop (the model's end), length, stopped (on request), unusable or error; for the last
    two ``message`` says why there is no answer, or no whole one. ``together`` is how many answers at most were in
    progress at once: so many shared the speed.
    """

    type: Literal["answered"] = "answered"
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
    together: int = 1


class Ready(Event):
    """A worker that answers requests has loaded its model and waits for them."""

    type: Literal["ready"] = "ready"


class Served(Event):
    """A served model has answered or refused a request: its HTTP ``status``, and how many there were by now."""

    type: Literal["served"] = "served"
    path: str
    status: int
    seconds: float
    requests: int


class Result(Event):
    """The result of a task that ends with one (``evaluate``, ``tokenize``, ``probe``, …), as plain JSON."""

    type: Literal["result"] = "result"
    name: str
    data: dict[str, Any]


class Finished(SpokenPart, Event):
    """The task is over as it should be. ``reason`` is completed, stopped, early_stopping or paused.

    A paused run left the memory, and goes on when it is resumed. ``learned`` and ``forgot`` are those of the
    adapter that stands at the end, nats a token, as `NeutralMeasured` says them; None where they were not measured.
    """

    type: Literal["finished"] = "finished"
    reason: str = "completed"
    iteration: int | None = None
    elapsed_s: float = 0.0
    best_iteration: int | None = None
    best_val_loss: float | None = None
    learned: float | None = None
    forgot: float | None = None
    message: str = ""


class Failed(SpokenPart, Event):
    """The task cannot go on; ``message`` says what happened, ``hint`` what to do, ``path`` names the field if any.

    ``unusable`` is true when the arguments, config or data were at fault (exit code 2 instead of 1).
    """

    type: Literal["failed"] = "failed"
    message: str
    hint: str = ""
    path: str = ""
    where: str = ""
    iteration: int | None = None
    unusable: bool = False

    @property
    def text(self) -> str:
        """What happened, and what to do, once: what is not usable says it itself."""
        return self.message if self.hint and self.message.endswith(self.hint) else joined((self.message, self.hint))


AnyEvent: TypeAlias = (
    Hello | Progressed | Warned | Inspected | Estimated | Started | TrainReported | Validated | NeutralMeasured
    | Sampled
    | CheckpointSaved | Paused | Resumed | Answered | Ready | Served | Result | Finished | Failed
)  # fmt: skip


@cache
def _adapter() -> TypeAdapter[AnyEvent]:
    """Made when something is first read: the window opens before."""
    return TypeAdapter(Annotated[AnyEvent, Field(discriminator="type")])


EVENTS: dict[str, type[AnyEvent]] = {kind.model_fields["type"].default: kind for kind in get_args(AnyEvent)}


class Unknown(Event):
    """A line of a file that this version does not understand: kept as it came. No worker says it."""

    type: Literal["unknown"] = "unknown"
    data: dict[str, Any]


def parse_event(line: str | bytes) -> Event:
    """What a live worker said in one line.

    Raises `RefusedError` in words if this version has no such event, and a plain `ValueError` if the line is no
    event at all. A greeting is understood whatever its version, since it is what tells that.
    """
    tree = _tree(line)
    kind = tree["type"]
    if kind not in EVENTS:
        raise RefusedError(tr("There is no event `{kind}`.", kind=kind[:100]))
    if kind == "hello" and tree.get("protocol") != PROTOCOL_VERSION:
        return event_of(tree)
    try:
        return _adapter().validate_python(tree)
    except ValidationError as error:
        raise RefusedError(refusal_text(tr("the event `{kind}`", kind=kind), error)) from error


def recorded_event(line: str | bytes) -> Event:
    """The event of a line in a file, of whatever version; raises `ValueError` if it is no event line.

    Fields that this version does not have are dropped; an event that it does not have is `Unknown`, and so is one
    whose fields it cannot take.
    """
    return event_of(_tree(line))


def _tree(line: str | bytes) -> dict[str, Any]:
    tree = parsed_json(line)
    if not isinstance(tree, dict) or not isinstance(tree.get("type"), str):
        raise ValueError(tr("not an event line"))
    return tree


def event_of(tree: dict[str, Any]) -> Event:
    """The event of a line that was read as JSON, an object with a type; leniently, as `recorded_event`."""
    kind = EVENTS.get(tree["type"])
    if kind is not None:
        known = kind.model_fields
        try:
            found = kind.model_validate({key: value for key, value in tree.items() if key in known})
            if all(abs(value) < ODD_NUMBER for value in vars(found).values() if isinstance(value, int)):
                return found
        except ValidationError:
            pass
    at = tree.get("time")
    return Unknown(data=tree, time=float(at) if isinstance(at, (int, float)) else 0.0)


def version_mismatch(hello: Hello) -> Failed | None:
    """The failure of a worker that speaks another version than this Luthier; None if it is the same."""
    if hello.protocol == PROTOCOL_VERSION:
        return None
    said = tr(
        "The worker speaks version {protocol} of the protocol, this Luthier version {protocol_version}.",
        protocol=hello.protocol,
        protocol_version=PROTOCOL_VERSION,
    )
    return Failed(
        message=said, hint=tr("Luthier was changed while it ran: close it and open it again."), unusable=True
    )


def heard_event(line: str | bytes) -> Event:
    """What a live worker said in one line, or a `Warned` that says what of it is not understood.

    Raises `ValueError` if the line is no event at all: what a library prints, or half a line of a process that was
    killed.
    """
    try:
        return parse_event(line)
    except RefusedError as error:
        return Warned(message=tr("The worker said something that is not understood. {error}", error=error))


def read_events(path: Path) -> list[Event]:
    """All events of an ``events.jsonl``; a line cut off by a crash is left out. Empty if there is no file."""
    if not path.exists():
        return []
    found = []
    with path.open("rb") as file:
        for line in file:
            try:
                found.append(recorded_event(line))
            except ValueError:
                continue
    return found
