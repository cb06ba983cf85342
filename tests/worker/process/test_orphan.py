"""A worker whose parent is gone ends, with what it started, whatever it is doing."""

from __future__ import annotations

import os
import select
import subprocess
import sys

from tests import ROOT

# The parent starts a process that watches, tells its number, and is gone. What is watched never ends by itself.
WATCHED = """
import os, sys, time
sys.path.insert(0, {root!r})
from app.worker.process import orphan
orphan.LOOK_EVERY_S = 0.05
orphan.OTHER_GRACE_S = 0.2
orphan.end_when_orphaned({task!r})
if {forks}:
    os.fork()
print(os.getpid(), flush=True)
while True:
    time.sleep(1) if {forks} else sum(range(10**6))
"""
PARENT = (
    "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True); input()"
)


def ends(task: str, forks: bool) -> None:
    code = WATCHED.format(root=str(ROOT), task=task, forks=forks)
    read, write = os.pipe()
    with subprocess.Popen([sys.executable, "-c", PARENT, code], stdin=subprocess.PIPE, stdout=write) as parent:
        os.close(write)
        said = b""
        while said.count(b"\n") < (2 if forks else 1):
            said += os.read(read, 100)
        parent.kill()
    # The pipe closes when the last process that holds it is gone.
    readable, _, _ = select.select([read], [], [], 60)
    assert readable
    assert os.read(read, 100) == b""
    os.close(read)


def test_a_busy_task_ends_after_its_grace() -> None:
    ends("check", forks=False)


def test_the_reward_process_ends_with_all_that_it_started() -> None:
    ends("reward", forks=True)
