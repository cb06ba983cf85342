"""Training in a test's own process: the real task with a channel that collects events and can answer them."""

from __future__ import annotations

import io
import queue
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import mlx.core as mx

from app.core.config.train_config import TrainConfig
from app.core.protocol.command import Command, EndOfInput, parse_command
from app.core.protocol.event import Event, TrainReported
from app.core.protocol.job import TrainJob
from app.core.run.folder import RunDir, prepare_run
from app.worker.process.channel import Channel
from app.worker.train.train import train

Kind = TypeVar("Kind", bound=Event)
Answer = Callable[[Event], str | None]


class Collector(Channel):
    """Keeps every event; ``answer`` may return a command to what it sees."""

    def __init__(self, file: Path, answer: Answer = lambda _: None) -> None:
        self._path = file
        self.events: list[Event] = []
        self._answer = answer
        self._queue: queue.Queue[Command] = queue.Queue()
        super().__init__(io.StringIO(), self._queue)

    def put(self, event: Event) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(event.to_line() + "\n")
        self.events.append(event)
        if command := self._answer(event):
            self._queue.put(EndOfInput() if command == "end_of_input" else parse_command({"command": command}))

    def of(self, kind: type[Kind]) -> list[Kind]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def losses(self) -> list[float]:
        """The loss of every iteration, as reported."""
        return [loss for event in self.of(TrainReported) for loss in event.losses]


def config_for(model: Path, data: Path, **values: Any) -> TrainConfig:
    """A short run that reports often; ``values`` replace what they name."""
    defaults: dict[str, Any] = {
        "model": str(model),
        "data": str(data),
        "batch_size": 4,
        "iters": 12,
        "epochs": None,
        "learning_rate": 1e-3,
        "steps_per_report": 4,
        "steps_per_eval": 6,
        "save_every": 6,
        "lora_parameters": {"rank": 4, "scale": 4.0, "dropout": 0.0},
        "neutral_tokens": 0,
    }
    return TrainConfig.model_validate(defaults | values)


def saved_arrays(file: Path) -> dict[str, mx.array]:
    """The arrays of a safetensors file."""
    arrays = mx.load(str(file))
    assert isinstance(arrays, dict)
    return arrays


def random_words() -> list[int]:
    """MLX's global random state."""
    state: Any = mx.random.state
    return [int(word) for word in state[0]]


def start(
    config: TrainConfig, folder: Path, answer: Answer = lambda _: None, **job: Any
) -> tuple[RunDir, Collector]:
    """Makes a run in ``folder`` and trains it."""
    run = prepare_run(config, folder)
    return run, go_on(run, answer, **job)


def go_on(run: RunDir, answer: Answer = lambda _: None, **job: Any) -> Collector:
    """Trains an existing run (``resume=True``, ``extend_to=…``)."""
    channel = Collector(run.events, answer)
    train(channel, run.path, TrainJob(**job))
    return channel
