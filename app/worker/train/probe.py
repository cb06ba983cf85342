"""The probe task: two real steps at the longest batch, to learn what a run will take in memory and time.

The job holds ``config``, or its folder a ``config.yaml`` like a run's; nothing is trained that is kept.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import mlx.core as mx

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.job import ProbeJob, TrainJob
from app.core.run.folder import RunDir
from app.core.setup.config_file import save_config
from app.worker.batch.shape import Shape
from app.worker.model.loading import trainable
from app.worker.process.channel import Channel
from app.worker.process.control import Control, StoppedError
from app.worker.train.preparation import Prepared, prepare
from app.worker.train.step import Step

STEPS = 3  # the first compiles, the second and third are what all later ones are like


def probe(channel: Channel, job_dir: Path, job: ProbeJob) -> None:
    """Emits a `Result` "probe": ``peak_bytes``, ``step_s``, ``rows``, ``width``, ``targets``, ``iterations``."""
    control = Control(channel)
    if job.config is not None:
        save_config(TrainConfig.model_validate(job.config), RunDir(job_dir).config)
    try:
        prepared = prepare(channel, control, RunDir(job_dir), TrainJob())
        channel.emit(event.Progressed(phase="Measuring the longest batch"))
        with prepared.parts.resources:
            data = _measure(prepared, control)
    except StoppedError:
        channel.emit(event.Finished(reason="stopped"))
        return
    channel.emit(event.Result(name="probe", data=data))
    channel.emit(event.Finished())


def _measure(prepared: Prepared, control: Control) -> dict[str, Any]:
    model, config, batches = prepared.model, prepared.config, prepared.parts.batches
    heaviest = [batches.batch(iteration) for iteration in batches.heaviest()]
    model.train()
    prepared.optimizer.init(model.trainable_parameters())
    step = Step(
        model, prepared.optimizer, prepared.parts.objective,
        accumulation=config.grad_accumulation_steps, clip=config.max_grad_norm,
        is_cut=batches.is_cut,
    )  # fmt: skip
    # Held as training holds the weights that it could fall back to.
    fallback = trainable(model) if config.fine_tune_type != "full" else None
    slowest_s = 0.0
    for batch in heaviest:
        elapsed_s = 0.0
        for number in range(STEPS):
            control.raise_if_stopped()
            began = time.perf_counter()
            outcome = step(batch.parts, update=number > 0 or config.grad_accumulation_steps == 1)
            mx.eval(outcome.loss, model.trainable_parameters())
            elapsed_s = time.perf_counter() - began
        slowest_s = max(slowest_s, elapsed_s)
    del fallback
    largest = max((shape for batch in heaviest for shape in batch.shapes), key=_weight)
    return {
        "peak_bytes": mx.get_peak_memory(),
        "step_s": slowest_s,
        "rows": largest.rows,
        "width": largest.width,
        "targets": largest.targets,
        "iterations": config.iters,
    }


def _weight(shape: Shape) -> tuple[int, int]:
    return shape.positions, shape.width
