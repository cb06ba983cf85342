"""The task ``export``: a tuned model into a folder that appears only when everything in it is complete."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.core.data.prepare import CancelledError
from app.core.export.destination import destination_problems
from app.core.export.format import HUB, export_format
from app.core.export.option import option_values
from app.core.export.size import source_size
from app.core.export.source import export_source
from app.core.language import tr
from app.core.model.folder import locate_model
from app.core.problem import Problem, TaskError, UnusableError
from app.core.protocol import event
from app.core.protocol.job import ExportJob
from app.core.quantity import bytes_text
from app.core.run.summary import folder_bytes
from app.core.system.disk import flush_to_disk, free_bytes
from app.core.typed_path import typed_path
from app.worker.export.certifying import certified, evidence_of
from app.worker.export.hub import upload, write_card
from app.worker.export.plan import ExportPlan
from app.worker.export.tuned_model import TunedModel
from app.worker.export.writer import ExportWriter, writer_of
from app.worker.model.adapter_switch import NOTHING_LEARNED
from app.worker.process.channel import Channel
from app.worker.process.progress import Reporter
from app.worker.process.room import is_full

UNFINISHED = ".unfinished-export"  # how the name of a folder ends that is still being written
FULL_BELOW = 1_000_000  # bytes that are free on a disk that is full
LOADING = tr("Loading the model")


def export_model(channel: Channel, _job_dir: Path, job: ExportJob) -> None:
    """The task ``export``. ``stop`` leaves nothing behind.

    Ends with a `Result` (``path``, ``format``, ``bytes``, ``base``, ``adapter``, and ``certificate`` as
    `app.core.export.certificate.Certificate` tells itself, or null where none was asked for or none can be made;
    ``page`` of what was uploaded; ``remark`` is what a person should know of the adapter, or empty).
    """
    started = time.monotonic()
    plan = plan_of(job)
    writer = writer_of(plan.format.name)
    refuse_hindrances(plan, writer)
    reporter = Reporter(channel)
    try:
        with staged(plan.out) as folder:
            channel.emit(event.Progressed(phase=LOADING))
            tuned = TunedModel.of(plan)
            remark = NOTHING_LEARNED if plan.scale and tuned.adapter.changes_nothing else ""
            evidence = evidence_of(plan, tuned, job.prompts, reporter.phase) if job.prompts else None
            writer.write(plan, tuned, folder, reporter.phase)
            del tuned
            certificate = certified(plan, folder, evidence, reporter.phase) if evidence else None
            if plan.format.name == HUB:
                write_card(plan, folder, certificate)
            size = folder_bytes(folder)
    except CancelledError:
        channel.emit(event.Finished(reason="stopped", message=tr("Stopped; nothing was written.")))
        return
    data: dict[str, Any] = {
        "path": str(plan.out),
        "format": plan.format.name,
        "bytes": size,
        "base": str(plan.base),
        "adapter": str(plan.source.adapter),
        "certificate": certificate.as_dict() if certificate else None,
        "remark": remark,
    }
    if plan.format.name == HUB and plan.values["upload"]:
        data["page"] = upload(plan, channel, certificate)
    channel.emit(event.Result(name="export", data=data))
    channel.emit(event.Finished(elapsed_s=time.monotonic() - started))


def plan_of(job: ExportJob) -> ExportPlan:
    """What the job asks for, with defaults filled in. Raises `UnusableError`."""
    chosen = export_format(job.format)
    values = option_values(chosen.options, job.options)
    source = export_source(job.source, job.checkpoint)
    return ExportPlan(chosen, source, locate_model(job.model or source.base), typed_path(job.out).resolve(), values)


def refuse_hindrances(plan: ExportPlan, writer: ExportWriter) -> None:
    """Raises `UnusableError` with everything that is in the way, before any work."""
    needed = plan.format.size(source_size(plan.base, plan.source.adapter), plan.values)
    problems: list[Problem] = destination_problems(plan.out, needed)
    problems += writer.problems(plan)
    if problems:
        raise UnusableError(problems)


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """An empty folder beside ``out`` that gets its name when the block ends well, and goes when it does not.

    What exports that were killed have left in the same place goes, too, whatever they were to be called.
    Raises `TaskError` for a disk that becomes full.
    """
    folder = out.with_name(f".{out.name}-{os.getpid()}{UNFINISHED}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _sweep(out.parent)
        folder.mkdir()
        yield folder
        _flush(folder)
        folder.rename(out)
    except (OSError, RuntimeError) as error:
        if not is_full(error, out, FULL_BELOW):
            raise
        free = bytes_text(free_bytes(out))
        said = tr("The disk became full ({free} are free); nothing was written.", free=free)
        raise TaskError(said, tr("Free some space, or choose another disk.")) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(place: Path) -> None:
    """Deletes what exports of processes that are no more have left."""
    for old in place.glob(f".*-*{UNFINISHED}"):
        if not _is_alive(old):
            shutil.rmtree(old, ignore_errors=True)


def _is_alive(folder: Path) -> bool:
    """Whether the process that a folder is named after still runs; true of names that no export gives."""
    number = folder.name.removesuffix(UNFINISHED).rpartition("-")[2]
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError, OverflowError):
        return True
    return True


def _flush(folder: Path) -> None:
    """Everything is on the disk before the name says that it is complete."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                flush_to_disk(file.fileno())
