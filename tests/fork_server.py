"""A server of forks: a process that has imported what workers import, from which the workers of tests are forked.

A worker that is started as a program spends more than a second of a processor on imports, and the tests start many
hundreds. This one has done them, has a single thread and has computed nothing. Its forks have the streams, folder
and environment that they were to be started with, are children of the test's process, and run the program as it is.
A worker whose environment differs in more than `LATE` is started as a program, as are those of tests with the
fixture `programs`, and those that other processes of a test start. Linux alone has what this needs.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import inspect
import json
import os
import random
import runpy
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORKER = (sys.executable, str(ROOT / "app" / "__main__.py"), "--worker")
# Variables that are read when they are needed, and not by what is imported; HF_HOME is, and `Homes` mends that.
# The last three are set by what tests import.
LATE = frozenset(
    {"LUTHIER_HOME", "HF_HOME", "PYTEST_CURRENT_TEST"}
    | {"TRANSFORMERS_NO_ADVISORY_WARNINGS", "CRC32C_SW_MODE", "TORCHINDUCTOR_CACHE_DIR"}
)
NO_HOME, NO_HUB = "/no-luthier-home", "/no-hub-home"  # the server's: whoever has them still finds nothing
# What `Popen` calls the ends of the pipes that it makes, and those that the child has.
PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
STREAMS = ("p2cread", "c2pwrite", "errwrite")
start_program = subprocess.Popen._execute_child  # type: ignore[attr-defined]
_SIGNATURE = inspect.signature(start_program)
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl
MOST_BYTES = 1 << 17  # of a request


class ForkServer:
    """A test's end. Takes over what starts a worker in this process: the command line ``worker`` and a folder.

    ``environment`` is that of the workers that are forked; where none is given, the first one's that is started.
    """

    def __init__(self, worker: Sequence[str] = WORKER, environment: Mapping[str, str] | None = None) -> None:
        self.count = 0  # of forks
        self._worker = list(worker)
        self._link: socket.socket | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._environment = None if environment is None else _without_late(environment)
        self._asking = threading.Lock()

    def start_child(self, process: subprocess.Popen[bytes], *arguments: Any) -> None:
        """In place of what `Popen` starts a program with: a worker is forked, all else is started."""
        asked = _SIGNATURE.bind(process, *arguments).arguments
        if not self._can_fork(asked):
            start_program(process, *arguments)
            return
        try:
            process.pid = self._fork(asked["args"], asked["env"], [asked[name] for name in STREAMS])
        finally:
            process._close_pipe_fds(*(asked[name] for name in PIPES))  # type: ignore[attr-defined]
        self.count += 1
        process._child_created = True  # type: ignore[attr-defined]

    def close(self) -> None:
        """Ends the server; its forks live on."""
        if self._link is not None and self._server is not None:
            self._link.close()
            self._server.wait()
            self._link = None

    def _can_fork(self, asked: Mapping[str, Any]) -> bool:
        words, environment = asked["args"], asked["env"]
        if not isinstance(words, list) or words[:-1] != self._worker or words[-1].startswith("-"):
            return False
        is_usual = asked["start_new_session"] and asked["cwd"] is None and asked["preexec_fn"] is None
        if not is_usual or environment is None or any(asked[name] < 0 for name in STREAMS):
            return False
        asked_for = _without_late(environment)
        if self._environment is None:
            self._environment = asked_for
        if asked_for != self._environment:
            return False
        if self._link is None:
            self._begin(self._environment)
        return True

    def _begin(self, environment: Mapping[str, str]) -> None:
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env={**environment, "HF_HOME": NO_HUB, "LUTHIER_HOME": NO_HOME},
                stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip

    def _fork(self, words: list[str], environment: Mapping[str, str], streams: list[int]) -> int:
        assert self._link is not None
        request = json.dumps([words, dict(environment)]).encode()
        folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        with self._asking:
            # The fork's own parent ends at once: the fork becomes the child of the nearest who takes such in.
            _take_in_children(True)
            try:
                socket.send_fds(self._link, [request], [folder, *streams])
                return int(self._link.recv(MOST_BYTES))  # nothing, which is no number, where the server is gone
            finally:
                _take_in_children(False)
                os.close(folder)


@contextmanager
def forked_workers(environment: Mapping[str, str] | None = None) -> Iterator[ForkServer]:
    """Until it ends, the workers that this process starts are forks, where the system has what that needs."""
    server = ForkServer(environment=environment)
    before = subprocess.Popen._execute_child  # type: ignore[attr-defined]
    if sys.platform == "linux":
        subprocess.Popen._execute_child = lambda *asked: server.start_child(*asked)  # type: ignore[attr-defined]
    try:
        yield server
    finally:
        subprocess.Popen._execute_child = before  # type: ignore[attr-defined]
        server.close()


def _without_late(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in LATE}


def _take_in_children(wanted: bool) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, int(wanted), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


# -- the server ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """What a fork is to be: its command line and environment, its folder and its three streams."""

    words: list[str]
    environment: dict[str, str]
    files: list[int]


class Homes:
    """The paths below HF_HOME that modules worked out while they were imported; of LUTHIER_HOME there are none."""

    def __init__(self) -> None:
        paths = [
            (module, name, value)
            for module in list(sys.modules.values())
            if module is not sys.modules["__main__"]
            for name, value in list(vars(module).items())
            if isinstance(value, str | Path)
        ]
        early = [f"{module.__name__}.{name}" for module, name, value in paths if str(value).startswith(NO_HOME)]
        assert not early, f"read while they are imported: {early}"
        self._found = [one for one in paths if str(one[2]).startswith(NO_HUB)]

    def become(self, home: str) -> None:
        """What they would be with this home."""
        for module, name, value in self._found:
            setattr(module, name, type(value)(str(value).replace(NO_HUB, home, 1)))


def main() -> None:
    """Imports, serves until nobody asks any more, and goes on as a worker in each fork."""
    link = socket.socket(fileno=int(sys.argv[1]))
    before = dict(os.environ)
    import_all()
    made = {name: value for name, value in os.environ.items() if before.get(name) != value}
    homes = Homes()
    gc.freeze()  # or the forks would copy all that a look for garbage touches
    request = serve(link)
    homes.become(request.environment.get("HF_HOME", str(Path("~/.cache/huggingface").expanduser())))
    become(request, made)
    if "LUTHIER_RECORD" in os.environ:  # what a program says of itself as it starts: which lines of ours it runs
        runpy.run_module("sitecustomize")
    runpy.run_path(sys.argv[0], run_name="__main__")


def import_all() -> None:
    """Imports what the tasks of workers do, and computes nothing."""
    gc.disable()
    from app.worker.process.main import TASKS
    from app.worker.process.module_list import keep_module_list
    from app.worker.process.spare import import_ahead

    keep_module_list()
    import_ahead()
    for module in {place.partition(":")[0] for place in TASKS.values()}:
        importlib.import_module(module)
    importlib.import_module("mlx_lm")


def serve(link: socket.socket) -> Request:
    """Forks for each request; returns in forks alone."""
    while True:
        message, files, _, _ = socket.recv_fds(link, MOST_BYTES, 4)
        if not message:
            sys.exit()
        assert len(list(Path("/proc/self/task").iterdir())) == 1, "a fork would lack the other threads"
        told, tell = os.pipe()
        held, hold = os.pipe()
        if (between := os.fork()) == 0:
            if os.fork():
                os._exit(0)
            os.setsid()  # before anybody knows its number
            os.write(tell, str(os.getpid()).encode())
            for one in (link.detach(), told, tell, hold):
                os.close(one)
            os.read(held, 1)  # nothing, as soon as it is the asker's own child
            os.close(held)
            words, environment = json.loads(message)
            return Request(words, environment, files)
        number = os.read(told, 100)
        os.waitpid(between, 0)
        for one in (told, tell, held, hold, *files):
            os.close(one)
        link.send(number)


def become(request: Request, made: dict[str, str]) -> None:
    """Makes this fork what the program would be when it begins; ``made`` are variables that imports set."""
    folder, *streams = request.files
    os.fchdir(folder)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for one in set(request.files):
        os.close(one)
    os.environ.clear()
    os.environ |= request.environment | made
    sys.orig_argv[:] = request.words
    sys.argv[:] = request.words[1:]
    _draw_anew()
    from app.worker.process import orphan

    orphan._PARENT = os.getppid()


def _draw_anew() -> None:
    """Forks draw different numbers, as programs do."""
    import mlx.core as mx
    import numpy as np

    random.seed()
    np.random.seed()
    mx.random.seed(time.time_ns())


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    main()
