"""A fork is what the program would be, but for its imports: told by a program that says what it finds itself in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.protocol.client import WorkerClient
from app.core.protocol.program import worker_command, worker_environment
from tests.fork_server import LATE, NO_HUB, WORKER, ForkServer, start_program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")

LOOK = """
import json, os, random, signal, sys, threading
files = [f"/proc/self/fd/{one}" for one in os.listdir("/proc/self/fd")]
found = {
    "name": __name__, "argv": sys.argv, "orig_argv": sys.orig_argv, "cwd": os.getcwd(),
    "environment": dict(os.environ),
    "parent": os.getppid(), "number": os.getpid(), "session": os.getsid(0), "group": os.getpgrp(),
    "threads": threading.active_count(), "tasks": len(os.listdir("/proc/self/task")),
    "files": sorted(os.readlink(one).partition(":")[0] for one in files if os.path.lexists(one)),
    "signals": {one.name: str(signal.getsignal(one)) for one in signal.valid_signals() if hasattr(one, "name")},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "streams": [(one.encoding, one.errors) for one in (sys.stdin, sys.stdout, sys.stderr)],
    "told": sys.stdin.readline(), "mask": os.umask(0o022),
    "drawn": random.random(), "imported": "mlx_lm" in sys.modules,
}
import mlx.core as mx, numpy as np
found["drawn"] = [found["drawn"], mx.random.uniform().item(), np.random.random()]
from huggingface_hub import constants
found["hub"] = constants.HF_HUB_CACHE
print(json.dumps(found))
print("said", file=sys.stderr)
if "end" in sys.argv[-1]:
    sys.exit(3)
sys.stdin.readline()
"""
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The first words of the command line of a program that looks around."""
    path = tmp_path_factory.mktemp("program") / "look.py"
    path.write_text(LOOK)
    return [sys.executable, str(path), "--worker"]


@pytest.fixture(scope="module")
def server(program: list[str]) -> Iterator[ForkServer]:
    """A server of its forks."""
    found = ForkServer(program)
    yield found
    found.close()


@pytest.fixture
def start(
    tmp_path: Path, program: list[str], server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Start]:
    """Starts the program, as a fork or a program, in a folder of its own, with stderr in a file."""
    made: list[subprocess.Popen[bytes]] = []

    def begin(word: str, forks: bool = True, **variables: str) -> subprocess.Popen[bytes]:
        (tmp_path / word).mkdir(exist_ok=True)
        way = (lambda *asked: server.start_child(*asked)) if forks else start_program
        with monkeypatch.context() as patched, (tmp_path / f"{word}.log").open("ab") as log:
            patched.setattr(subprocess.Popen, "_execute_child", way)
            patched.chdir(tmp_path / word)
            process = subprocess.Popen(
                [*program, word],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                env=worker_environment() | variables, start_new_session=True,
            )  # fmt: skip
            made.append(process)
        return made[-1]

    yield begin
    for one in made:
        one.kill()
        one.communicate()


def ended(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """What a process that was told a line found."""
    said, _ = process.communicate(b"a line\n", timeout=120)
    found: dict[str, Any] = json.loads(said)
    return found


@pytest.mark.skipif("LUTHIER_RECORD" in os.environ, reason="coverage has a signal handler of each process's own")
def test_a_fork_finds_itself_where_a_program_would(start: Start, tmp_path: Path) -> None:
    process = start("end")
    fork = ended(process)
    program = ended(start("end", forks=False))
    assert (fork["imported"], program["imported"]) == (True, False)
    assert fork["number"] == fork["session"] == fork["group"] == process.pid
    assert fork["told"] == "a line\n"
    assert fork["parent"] == os.getpid()
    assert fork["hub"] == f"{os.environ['HF_HOME']}/hub"
    assert process.returncode == 3
    assert (tmp_path / "end.log").read_text() == "said\nsaid\n"
    # mlx-lm sets it as it is imported: here, if another test has imported it.
    assert fork["environment"].pop("TRANSFORMERS_NO_ADVISORY_WARNINGS") == "1"
    program["environment"].pop("TRANSFORMERS_NO_ADVISORY_WARNINGS", None)
    for name in ("number", "session", "group", "drawn", "imported"):
        del fork[name], program[name]
    assert fork == program


def test_forks_draw_different_numbers(start: Start) -> None:
    drawn = [ended(start("end"))["drawn"] for _ in range(2)]
    assert all(len({*pair}) == 2 for pair in zip(*drawn, strict=True))


def test_each_fork_has_the_homes_of_its_environment(start: Start) -> None:
    found = ended(start("end", HF_HOME="/elsewhere", LUTHIER_HOME="/here"))
    assert found["imported"]
    assert (found["hub"], found["environment"]["LUTHIER_HOME"]) == ("/elsewhere/hub", "/here")
    assert NO_HUB not in json.dumps(found)


@pytest.mark.parametrize("variable", ["LUTHIER_LANGUAGE", "HF_ENDPOINT", "NEW"])
def test_what_imports_might_read_makes_it_a_program(start: Start, variable: str) -> None:
    assert ended(start("end"))["imported"]
    found = ended(start("end", **{variable: "de"}))
    assert not found["imported"]
    assert found["environment"][variable] == "de"
    assert variable not in LATE


def test_a_fork_is_ended_as_a_program_is(start: Start) -> None:
    process = start("wait")
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL


def test_a_server_that_is_gone_is_told(start: Start, server: ForkServer) -> None:
    ended(start("end"))
    assert server._server is not None
    server._server.kill()
    server._server.wait()
    with pytest.raises((OSError, ValueError)):
        start("end")
    server.close()


def test_workers_of_tests_are_forks(tmp_path: Path, forks: ForkServer) -> None:
    assert worker_command(tmp_path) == [*WORKER, str(tmp_path)]
    before = forks.count
    with WorkerClient(tmp_path) as worker:  # which finds no job
        list(worker.events())
    assert worker.exit_code == 2
    assert forks.count == before + 1


@pytest.mark.usefixtures("programs")
def test_workers_are_programs_where_a_test_says_so(tmp_path: Path, forks: ForkServer) -> None:
    before = forks.count
    with WorkerClient(tmp_path) as worker:
        list(worker.events())
    assert worker.exit_code == 2
    assert forks.count == before
