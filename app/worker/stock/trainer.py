"""Stock mlx-lm's own trainer, run on a config of ours, and what its epochs take."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np
import yaml

from app.core.config.train_config import TrainConfig
from app.core.run.folder import RunDir
from app.core.stock.speed_table import Measured
from app.worker.model.loading import load_model

NEVER = 10**9  # iterations


def clocks() -> tuple[float, float]:
    """Seconds by the clock, and of processors: this process's and those of compilers that it started."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), time.process_time() + children.ru_utime + children.ru_stime


class EpochMarks:
    """Seconds of each epoch, by the clock and of this process's processors; iterations are added as they end."""

    def __init__(self, per_epoch: int) -> None:
        self.per_epoch = per_epoch
        self.wall_s: list[float] = []
        self.processor_s: list[float] = []
        self._iterations, self._wall, self._processor = 0, 0.0, 0.0
        self._at = clocks()

    def add(self, iterations: int) -> None:
        """So many iterations took the time since the last mark."""
        now = clocks()
        self._wall += now[0] - self._at[0]
        self._processor += now[1] - self._at[1]
        self._at = now
        self._iterations += iterations
        if self._iterations >= self.per_epoch:
            self.wall_s.append(self._wall)
            self.processor_s.append(self._processor)
            self._iterations, self._wall, self._processor = 0, 0.0, 0.0

    def skip(self) -> None:
        """What was done since the last mark was no iteration."""
        self._at = clocks()


def train_stock(run: RunDir, config: TrainConfig, epochs: int, *, by_length: bool) -> Measured:
    """Trains the concrete config with mlx-lm's trainer, into the run's ``adapters``.

    It reports once an epoch, so that its reports cost it nothing here. ``by_length`` mends the one line that keeps
    it from sorting its rows by their lengths: it counts a row's keys.
    """
    from mlx_lm.lora import CONFIG_DEFAULTS, train_model
    from mlx_lm.tuner.callbacks import TrainingCallback
    from mlx_lm.tuner.datasets import CacheDataset, load_dataset

    if by_length:
        CacheDataset.itemlen = _token_count
    tree = CONFIG_DEFAULTS | yaml.safe_load(run.config.read_text(encoding="utf-8"))
    arguments = SimpleNamespace(**tree)
    np.random.seed(config.seed)
    model, tokenizer = load_model(Path(config.model))
    rows, _, _ = load_dataset(arguments, tokenizer)  # nosec B615 # mlx-lm's own, of files that were drawn here
    per_epoch = len(rows) // config.batch_size
    arguments.iters, arguments.steps_per_report = epochs * per_epoch, per_epoch
    arguments.steps_per_eval = arguments.save_every = NEVER
    arguments.adapter_path = str(run.adapters)
    marks = EpochMarks(per_epoch)

    class Timer(TrainingCallback):
        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:  # noqa: ARG002
            marks.add(per_epoch)

    mx.reset_peak_memory()
    marks.skip()
    train_model(arguments, model, rows, [], Timer())
    return Measured(tuple(marks.wall_s), tuple(marks.processor_s), mx.get_peak_memory() / 1e9, 0)


def _token_count(rows: Any, number: int) -> int:
    tokens, _ = rows[number]
    return len(tokens)
