"""The probe task: two real steps at the longest batch, to learn what a run will take in memory and time.

The job holds ``config``, or its folder a ``config.yaml`` like a run's; nothing is trained that is kept.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.protocol import event
from app.core.protocol.job import ProbeJob, TrainJob
from app.core.run.folder import RunDir
from app.core.setup.config_file import save_config
from app.worker.batch.batch import Batch
from app.worker.batch.shape import Shape
from app.worker.model.loading import trainable
from app.worker.objective.objective import with_gathered
from app.worker.process.channel import Channel
from app.worker.process.control import Control, StoppedError
from app.worker.train.checkpoint import save_checkpoint
from app.worker.train.pace_meter import PaceMeter
from app.worker.train.preparation import Prepared, prepare
from app.worker.train.step import Step

STEPS = 3  # the first compiles, the second and third are what all later ones are like
LOOKED_AT = 8  # batches among which the lightest is found


def probe(channel: Channel, job_dir: Path, job: ProbeJob) -> None:
    """Emits a `Result` "probe": ``peak_bytes``, ``step_s`` of the slowest batch, whose largest part is ``rows`` ×
    ``width`` with ``targets``; ``steps`` of an epoch that ``step_batches`` make, and the ``pace``
    (`app.core.setup.duration.Pace`)."""
    control = Control(channel)
    if job.config is not None:
        save_config(TrainConfig.model_validate(job.config), RunDir(job_dir).config)
    try:
        prepared = prepare(channel, control, RunDir(job_dir), TrainJob())
        channel.emit(event.Progressed(phase=tr("Measuring the longest batch")))
        with prepared.parts.resources:
            data = _measure(prepared, control, RunDir(job_dir))
    except StoppedError:
        channel.emit(event.Finished(reason="stopped"))
        return
    channel.emit(event.Result(name="probe", data=data))
    channel.emit(event.Finished())


def _measure(prepared: Prepared, control: Control, run: RunDir) -> dict[str, Any]:
    model, config, batches, meter = prepared.model, prepared.config, prepared.parts.batches, prepared.meter()
    heaviest = [_timed_batch(prepared, meter, iteration) for iteration in batches.heaviest()]
    model.train()
    prepared.optimizer.init(model.trainable_parameters())
    step = Step(
        model, prepared.optimizer, prepared.parts.objective,
        accumulation=config.grad_accumulation_steps, clip=config.max_grad_norm,
        is_cut=batches.is_cut, gather=prepared.parts.gather,
    )  # fmt: skip
    # Held as training holds the weights that it could fall back to.
    fallback = trainable(model) if config.fine_tune_type != "full" else None
    slowest_s = max(_steps_s(prepared, control, step, meter, batch) for batch in heaviest)
    peak_bytes = mx.get_peak_memory()
    del fallback
    if (lightest := _lightest(prepared)) is not None:
        _steps_s(prepared, control, step, meter, lightest)
    _measure_forward(prepared, meter, heaviest[-1])
    began = time.perf_counter()
    save_checkpoint(run.state, 0, model, prepared.optimizer, step, {})
    meter.saved.append(time.perf_counter() - began)
    largest = max((shape for batch in heaviest for shape in batch.shapes), key=_weight)
    return {
        "peak_bytes": peak_bytes,
        "step_s": slowest_s,
        "rows": largest.rows,
        "width": largest.width,
        "targets": largest.targets,
        "iterations": config.iters,
        "steps": prepared.steps.rows,
        "step_batches": prepared.steps.batches,
        "labelled": prepared.steps.labelled,
        "pace": meter.pace().as_dict(),
    }


def _timed_batch(prepared: Prepared, meter: PaceMeter, iteration: int) -> Batch:
    """The batch of an iteration; where its answers are sampled for it, that is measured."""
    began = time.perf_counter()
    batch = prepared.parts.batches.batch(iteration)
    if batch.samples:
        meter.sampling(batch, time.perf_counter() - began)
    return batch


def _lightest(prepared: Prepared) -> Batch | None:
    """The lightest of the first batches, which tells what a step takes beside its work; None where batches are
    sampled."""
    batches = prepared.parts.batches
    if not batches.is_ahead:
        return None
    first = [batches.batch(number) for number in range(1, min(batches.batches_per_epoch, LOOKED_AT) + 1)]
    return min(first, key=lambda batch: batch.positions)


def _steps_s(prepared: Prepared, control: Control, step: Step, meter: PaceMeter, batch: Batch) -> float:
    """Seconds of the last of some steps with a batch."""
    elapsed_s = 0.0
    for number in range(STEPS):
        control.raise_if_stopped()
        began = time.perf_counter()
        update = number > 0 or prepared.config.grad_accumulation_steps == 1
        outcome = step(batch.parts, update=update, beside=batch.beside)
        mx.eval(outcome.loss, prepared.model.trainable_parameters())
        elapsed_s = time.perf_counter() - began
        meter.step(batch, elapsed_s)
    return elapsed_s


def _measure_forward(prepared: Prepared, meter: PaceMeter, batch: Batch) -> None:
    """What a batch takes without a gradient, as where held-out examples are measured."""
    if prepared.parts.valid is None or not prepared.parts.batches.is_ahead:
        return
    model, gather = prepared.model, prepared.parts.gather
    model.eval()
    for _ in range(2):
        began = time.perf_counter()
        for arrays in with_gathered(batch.parts, batch.beside, None if gather is None else partial(gather, model)):
            mx.eval(prepared.parts.objective(model, arrays)[0])
        meter.measured.append((meter.work(batch.shapes), time.perf_counter() - began))
    model.train()


def _weight(shape: Shape) -> tuple[int, int]:
    return shape.positions, shape.width
