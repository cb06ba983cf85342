"""Alternations: each trainer trains the same rows in a worker of its own, then all of them are measured alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.command.output import FailedError
from app.command.worker import checked
from app.core.config.train_config import TrainConfig
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.client import WorkerClient
from app.core.protocol.job import EvaluateJob, Job, MeasureJob, write_job
from app.core.run.folder import prepare_run
from app.core.stock.speed_table import TRAINER_NAMES, Alternation, Measured, SpeedTrainer
from app.core.system.place import HOME_VARIABLE

# Every BLAS that MLX or numpy may stand on: more threads would give the side more that waits for fewer products.
ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
SPEED_SETTINGS: dict[str, Any] = {
    "schedule": "constant", "warmup": 0, "max_seq_length": 1024, "steps_per_report": 1, "steps_per_eval": 1_000_000,
    "save_every": 1_000_000, "val_batches": 1, "early_stopping": {"enabled": False}, "final_adapter": "last",
    "neutral_tokens": 0, "mask_prompt": False,
}  # fmt: skip


class AbortedError(Exception):
    """Ctrl-C while a worker measured: what was measured before is still good."""


@dataclass(frozen=True, slots=True)
class SpeedCase:
    """What is trained how; ``against`` are the trainers that Luthier is held against."""

    name: str
    batch_size: int
    masked: bool = False
    batching: str = "bucket"
    against: tuple[SpeedTrainer, ...] = ("stock",)


@dataclass(slots=True)
class TrainerRunner:
    """Runs trainers on a model in folders of their own below ``folder``; nothing is left elsewhere.

    ``settings`` are values of the config for all of them. ``failed`` is told of a trainer that fails, which the
    alternation then lacks; without it, and where Luthier fails, that is raised. ``hello`` is what the last worker
    said of the machine.
    """

    model: Path
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    tell: Callable[[str], None] = lambda _: None
    failed: Callable[[SpeedCase, str, str], None] | None = None
    hello: event.Hello | None = None

    def alternate(
        self, case: SpeedCase, data: Path, seed: int = 0, epochs: int = 2, *, backwards: bool = False
    ) -> Alternation:
        """Each trainer once; ``backwards`` in the other order, so that warmth and neighbours favour none."""
        measured: dict[str, Measured] = {}
        adapters: dict[str, Path] = {}
        order: Sequence[SpeedTrainer] = ("luthier", *case.against)
        for trainer in reversed(order) if backwards else order:
            try:
                measured[trainer], adapters[trainer] = self.measure(trainer, case, data, seed, epochs)
            except (FailedError, UnusableError) as error:
                if trainer == "luthier" or self.failed is None:
                    raise
                self.failed(case, trainer, str(error))
        base, losses = self._losses(case, data, adapters)
        return Alternation(measured, base, losses)

    def measure(
        self, trainer: SpeedTrainer, case: SpeedCase, data: Path, seed: int = 0, epochs: int = 2
    ) -> tuple[Measured, Path]:
        """What one trainer took, and the folder of its adapter."""
        self.tell(f"{case.name}: {TRAINER_NAMES[trainer]}")
        run = prepare_run(self._config(case, data, seed, epochs), self._new_folder("run"))
        found = self._result(run.path, MeasureJob(trainer=trainer, epochs=epochs))
        return Measured.of(found), run.adapters

    def _losses(self, case: SpeedCase, data: Path, adapters: dict[str, Path]) -> tuple[float, dict[str, float]]:
        """The base's validation loss and that of each adapter, by one worker on the same examples."""
        self.tell(f"{case.name}: validation losses")
        job = EvaluateJob(
            model=str(self.model), adapters=(None, *(str(path) for path in adapters.values())),
            data=data / "valid.jsonl", config={"mask_prompt": case.masked, "neutral_tokens": 0, **self._length()},
        )  # fmt: skip
        base, *others = (column["loss"] for column in self._result(self._new_folder("losses"), job)["columns"])
        return base, dict(zip(adapters, others, strict=True))

    def _length(self) -> dict[str, Any]:
        return {"max_seq_length": (SPEED_SETTINGS | self.settings)["max_seq_length"]}

    def _config(self, case: SpeedCase, data: Path, seed: int, epochs: int) -> TrainConfig:
        values = SPEED_SETTINGS | {
            "model": str(self.model), "data": str(data), "batch_size": case.batch_size, "batching": case.batching,
            "mask_prompt": case.masked, "epochs": epochs, "seed": seed, "adapter_name": "speed",
        }  # fmt: skip
        return TrainConfig.model_validate(values | self.settings)

    def _new_folder(self, word: str) -> Path:
        return self.folder / f"{word}-{time.time_ns()}"

    def _result(self, folder: Path, job: Job) -> dict[str, Any]:
        """What a worker in ``folder`` finds. Raises `AbortedError` after Ctrl-C, or how it failed."""
        write_job(folder, job)
        # Where MLX compiles on the processor both find no kernels at first, and their own afterwards.
        temporary = self.folder / "temporary"
        temporary.mkdir(exist_ok=True)
        more = ONE_THREAD | {HOME_VARIABLE: str(self.folder / "home"), "TMPDIR": str(temporary)}
        found: dict[str, Any] | None = None
        with WorkerClient(folder, more=more) as worker, worker.stopped_by_interrupt() as interrupt:
            for said in checked(worker.events(), quiet=True):
                if isinstance(said, event.Hello):
                    self.hello = said
                elif isinstance(said, event.Result):
                    found = said.data
        if found is None or interrupt.pressed:
            raise AbortedError
        return found
