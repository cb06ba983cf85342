"""How a worker enters the run that it trains: alone in it, seen by others, and heard through its door."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from filelock import Timeout

from app.core.language import tr
from app.core.live.door import CommandDoor
from app.core.live.supervisor import start_supervisor
from app.core.live.training_list import listed
from app.core.protocol import event
from app.core.refusal import reason_of
from app.core.run.folder import RunDir
from app.core.system.leftover import sweep, sweep_all
from app.worker.process.channel import Channel
from app.worker.process.orphan import end_when_orphaned


class TrainedElsewhereError(Exception):
    """Another process trains the run."""


def enter_run(channel: Channel, job_dir: Path, stack: ExitStack) -> event.Warned | None:
    """Takes the run in a folder until ``stack`` ends; gives what is to be told of its door.

    Raises `TrainedElsewhereError`.
    """
    run = RunDir(job_dir)
    try:
        stack.enter_context(run.lock(timeout_s=3))  # whoever only looks holds it for a moment
    except Timeout as error:
        raise TrainedElsewhereError from error
    for folder in (run.path, run.adapters, run.best, run.data):
        sweep(folder)
    sweep_all()
    channel.record_to(run.events)
    stack.enter_context(listed(run))
    warned = _open_door(channel, run, stack)
    if channel.outlives_parent:
        channel.when_alone(lambda: start_supervisor(run))
    return warned


def _open_door(channel: Channel, run: RunDir, stack: ExitStack) -> event.Warned | None:
    """Lets other processes than the parent tell the run what to do. Where there can be no door, it ends with the
    parent, and that is to be told."""
    try:
        channel.listen_at(stack.enter_context(CommandDoor(run.path)))
    except OSError as error:
        if channel.outlives_parent:
            channel.outlives_parent = False
            end_when_orphaned("train")
        said = tr(
            "Nothing but what started this run can pause or stop it: {reason_of}.", reason_of=reason_of(error)
        )
        return event.Warned(message=said)
    return None
