"""One worker process: reads its job, does the task, and ends with an event that says how it went.

Whoever asks for one answer waits for what is imported here: what only some jobs need is imported for them.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import traceback
from collections.abc import Callable, Container
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from app.core.language import tr
from app.core.problem import TaskError, UnusableError
from app.core.protocol import event
from app.core.protocol.job import AnyJob, BenchmarkJob, ExportJob, MeasureJob, TrainJob, read_job
from app.core.protocol.program import OFFLINE_VARIABLES
from app.core.protocol.wire import RefusedError
from app.core.refusal import reason_of
from app.core.system.disk import FULL_ERRORS
from app.worker.process.channel import Channel
from app.worker.process.hello import hello
from app.worker.process.kernel import compile_for_this_processor
from app.worker.process.module_list import keep_module_list
from app.worker.process.orphan import end_when_orphaned

# `task(channel, job_dir, job)`, each with the job of its own name: `JOBS` says which.
Task = Callable[[Channel, Path, Any], None]

# The module of a task is imported only when it is asked for.
TASKS = {
    "train": "app.worker.train.train:train",
    "inspect": "app.worker.model.inspect:inspect",
    "check": "app.worker.data.check:check",
    "tokenize": "app.worker.data.check:tokenize",
    "preview": "app.worker.data.preview:preview",
    "rows": "app.worker.data.rows:rows",
    "generate": "app.worker.compare.generate:serve",
    "evaluate": "app.worker.compare.evaluate:evaluate",
    "probe": "app.worker.train.probe:probe",
    "hub_search": "app.worker.hub.tasks:search",
    "hub_download": "app.worker.hub.tasks:download",
    "hub_login": "app.worker.hub.access_token:login",
    "convert": "app.worker.model.convert:convert",
    "export": "app.worker.export.task:export_model",
    "bundle": "app.worker.bundle.task:bundle",
    "remote_start": "app.worker.remote.task:start_elsewhere",
    "remote": "app.worker.remote.task:ask_elsewhere",
    "serve": "app.worker.endpoint.task:serve_tuned",
    "merge": "app.worker.merge.task:merge",
    "benchmark": "app.worker.benchmark.task:benchmark",
    "track": "app.worker.tracker.task:track",
    "reward": "app.worker.rollout.reward_process:serve_rewards",
    "replica": "app.worker.replica.task:serve_shares",
    "hosts": "app.worker.replica.host_check:check_hosts",
    "measure": "app.worker.stock.task:measure_trainer",
}
HUB_TASKS = frozenset({"hub_search", "hub_download", "hub_login", "remote_start", "remote"})


def run_worker(job_dir: Path) -> int:
    """Runs the job in ``job_dir``; exit code 0 done, 1 failed, 2 unusable arguments, config or data."""
    channel = Channel.claim()
    keep_module_list()
    return do_job(channel, job_dir)


def do_job(channel: Channel, job_dir: Path, tasks: Container[str] = TASKS) -> int:
    """Runs the job in ``job_dir``, which is one of ``tasks``; gives the exit code."""
    try:
        job = read_job(job_dir)
        if job.task not in tasks:
            raise RefusedError(tr("a worker that stood ready does no {task}.", task=job.task))
    except (OSError, RefusedError) as error:
        said = reason_of(error) if isinstance(error, OSError) else str(error)
        channel.emit(
            event.Failed(
                message=tr("The job in {job_dir} cannot be done: {said}", job_dir=job_dir, said=said), unusable=True
            )
        )
        return 2
    channel.outlives_parent = isinstance(job, TrainJob) and job.outlives_parent
    if not channel.outlives_parent:
        end_when_orphaned(job.task)
    is_as_trained = isinstance(job, MeasureJob) and job.trainer == "luthier"  # stock is measured as it comes
    compile_for_this_processor("train" if is_as_trained else job.task)
    doorless = None
    with ExitStack() as stack:
        if job.task == "train":
            from app.worker.process.run_entry import TrainedElsewhereError, enter_run

            channel.end_on_signals()
            try:
                doorless = enter_run(channel, job_dir, stack)
            except TrainedElsewhereError:
                channel.emit(event.Failed(message=tr("Another process is training this run."), unusable=True))
                return 2
        return _run(channel, job_dir, job, doorless)


def _run(channel: Channel, job_dir: Path, job: AnyJob, warned: event.Warned | None) -> int:
    if isinstance(job, ExportJob):
        _compute_exactly()
    if job.task not in HUB_TASKS and not _may_ask_hub(job):
        cut_off_from_hub()
    try:
        channel.emit(hello(job.task))
        if warned is not None:
            channel.emit(warned)
        module, function = TASKS[job.task].split(":")
        task: Task = getattr(importlib.import_module(module), function)
        gc.freeze()
        gc.enable()
        task(channel, job_dir, job)
    except Exception as error:  # the last door: what no task foresaw is told, never silent
        if not _is_no_fault(error):
            traceback.print_exc()
        from app.worker.process.failure import told_failure

        failed = told_failure(error, job.task)
        channel.emit(failed)
        return 2 if failed.unusable else 1
    return 0


def _is_no_fault(error: Exception) -> bool:
    """Whether what is told says all: refusals, and a disk that is full or may not be written."""
    if isinstance(error, OSError):
        return error.errno in (*FULL_ERRORS, errno.EROFS, errno.EACCES, errno.EPERM)
    return isinstance(error, (UnusableError, TaskError))


def _may_ask_hub(job: AnyJob) -> bool:
    """Whether a person said that something may leave the machine, or be fetched for it."""
    if isinstance(job, BenchmarkJob):
        return job.download
    if not isinstance(job, ExportJob):
        return False
    from app.core.export.format import HUB

    return job.format == HUB and job.options.get("upload") is True


def _compute_exactly() -> None:
    """Float32 products keep all their digits: newer GPUs (M5, NVIDIA's) take TF32's ten bits of them otherwise.

    A certificate or a choice of bits would weigh that instead of the model. MLX reads it before its first product.
    """
    os.environ.setdefault("MLX_ENABLE_TF32", "0")


def cut_off_from_hub() -> None:
    """Training, generation and inspection never ask the hub anything: a model is here, or it is not."""
    for variable in OFFLINE_VARIABLES:
        os.environ[variable] = "1"
