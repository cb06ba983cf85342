"""Orphans: a worker whose parent is gone saves what it has, and then ends, whatever holds it up."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from pathlib import Path

GRACE_S = {"train": 600.0}  # to end an iteration and save, on the slowest of machines
OTHER_GRACE_S = 20.0
LOOK_EVERY_S = 1.0
_PARENT = os.getppid()  # as it was when this process began: a spare's may be gone before it has a job


def end_when_orphaned(task: str) -> None:
    """Watches from now on, in a thread, whether the process that started this one still lives.

    Once it does not, the task has its grace, and then the process ends. The clock is one of the C library, so that
    it holds for code that never lets another Python thread run. The reward process, which runs what people write,
    ends at once with all that it started.
    """
    threading.Thread(target=_watch, args=(task, _PARENT), daemon=True, name="orphan").start()


def _watch(task: str, parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    if task == "reward":
        _end_group()
    nowhere = Path(os.devnull).open("w")  # noqa: SIM115  # as long as the process lives
    faulthandler.dump_traceback_later(GRACE_S.get(task, OTHER_GRACE_S), exit=True, file=nowhere)


def _end_group() -> None:
    """Ends this process and what it started, where it leads a group of its own."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)
