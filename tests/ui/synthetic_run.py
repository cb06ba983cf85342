"""A made-up run: the events a worker would emit, and a run folder that holds them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.run.folder import RunDir, create_run


def events(iterations: int = 600, *, until: int | None = None, ending: str = "completed") -> Iterator[Event]:
    """A loss that falls, validations every 100 iterations with the best at two thirds, and an end."""
    noise = np.random.default_rng(0)
    yield event.Hello(task="train", device="Test", versions={"mlx": "0"})
    yield event.Progressed(phase="Loading the model")
    yield event.Started(
        iterations=iterations, iterations_per_epoch=iterations / 3, train_examples=200, valid_examples=20
    )
    last = until if until is not None else iterations
    for iteration in range(25, last + 1, 25):
        steps = np.arange(iteration - 24, iteration + 1)
        losses = 0.8 + 3 * np.exp(-steps / 120) + noise.normal(size=25) * 0.35 * np.exp(-steps / 900)
        yield report(iteration, losses.tolist(), iterations)
        if iteration % 100 == 0:
            yield validated(iteration, iterations)
    if ending:
        yield event.Finished(reason=ending, iteration=last)


def report(iteration: int, losses: list[float], iterations: int = 600) -> event.TrainReported:
    return event.TrainReported(
        iteration=iteration,
        train_loss=float(np.mean(losses)),
        losses=losses,
        learning_rate=1e-4,
        iterations_per_second=9.0,
        tokens_per_second=1823.4,
        trained_tokens=iteration * 200,
        epoch=iteration / (iterations / 3),
        peak_memory_gb=1.234,
        elapsed_s=iteration / 9,
    )


def validated(iteration: int, iterations: int = 600) -> event.Validated:
    rise = max(0, iteration - 400) / 900
    return event.Validated(
        iteration=iteration,
        val_loss=0.95 + 3 * math.exp(-iteration / 130) + rise,
        best=iteration <= 400,
        epoch=iteration / (iterations / 3),
        elapsed_s=iteration / 9,
        trained_tokens=iteration * 200,
    )


def run_folder(parent: Path, found: Iterable[Event] | None = None, *, name: str = "friendly") -> RunDir:
    """A finished run on disk, with its log."""
    run = create_run(TrainConfig(adapter_name=name, model="/models/starter", data="/data/starter"), parent)
    lines = [e.to_line() for e in (found if found is not None else events())]
    run.events.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run.log.write_text("LoRA Configuration:\n  rank 32\n  scale 32.0\n", encoding="utf-8")
    return run
