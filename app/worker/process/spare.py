"""A spare: a worker that imports before it has a job, waits for one, and does it as any worker would.

It makes no array before its job, so that nothing is asked of a GPU or its memory: mlx-lm stays out, which takes
the first random key as it is imported.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from app.core.language import tr
from app.core.protocol import event
from app.core.protocol.spare import SPARE_TASKS, Handover
from app.core.refusal import reason_of
from app.worker.process.channel import Channel
from app.worker.process.main import cut_off_from_hub, do_job
from app.worker.process.module_list import keep_module_list

AHEAD = (
    "mlx.core", "mlx.nn", "mlx.optimizers", "numpy", "transformers", "app.core.run.folder", "app.worker.data.check",
    "app.worker.data.preview", "app.worker.data.rows", "app.worker.model.inspect", "app.worker.process.gauge",
)  # fmt: skip


def run_spare() -> int:
    """Imports, waits for the line that says which job is to be done, and does it; 0 if nobody has one."""
    channel = Channel.claim(waits=True)
    keep_module_list()
    cut_off_from_hub()
    import_ahead()
    line = channel.first_line()
    if not line.strip():
        return 0
    try:
        told = Handover.of_line(line)
        if told.log is not None:
            _complain_to(told.log)
    except (ValueError, OSError) as error:
        said = reason_of(error) if isinstance(error, OSError) else str(error)
        channel.emit(event.Failed(message=tr("The worker was given no job that it can do: {said}.", said=said)))
        return 1
    return do_job(channel, told.job_dir, SPARE_TASKS)


def import_ahead() -> None:
    """Imports what most jobs need and takes long, and computes nothing."""
    os.environ["TRANSFORMERS_NO_ADVISORY_WARNINGS"] = "1"  # as mlx-lm sets it before it imports transformers
    for name in AHEAD:
        importlib.import_module(name)
    from transformers import AutoTokenizer, PreTrainedTokenizerFast  # imported only when they are asked for

    assert AutoTokenizer is not PreTrainedTokenizerFast


def _complain_to(log: Path) -> None:
    """What is printed from now on goes to the end of a file."""
    sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
