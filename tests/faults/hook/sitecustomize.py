"""Counts what a process writes below a folder, and kills it, or fills its disk, at a chosen one of these writes.

Python imports this at its start where this folder stands first in ``PYTHONPATH``. ``LUTHIER_FAULT`` says what:
``{"root": FOLDER, "who": "--worker", "at": 12, "how": "before" | "half" | "after" | "full" | "watchdog", "count":
FILE}``. Only processes whose arguments hold ``who`` count. Writes are those of files, each by itself, and making,
moving, syncing and removing files and folders. At number ``at`` the process is killed before it, in the middle of
it, or after it; with ``full`` it and all that follow find no room, with ``watchdog`` it ends as Metal's watchdog
ends one (with ``once``, a file that is made then, none afterwards). At the end the number of writes is
added to ``count``.
"""

import atexit
import builtins
import errno
import importlib.abc
import importlib.util
import io
import json
import os
import signal
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

told = os.environ.get("LUTHIER_FAULT", "")
plan: dict[str, Any] = json.loads(told) if told else {}

# What libc++ says of MLX's exception, as reported of Macs.
METAL = (
    "libc++abi: terminating due to uncaught exception of type std::runtime_error: [METAL] Command buffer execution "
    "failed: Impacting Interactivity (0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)\n"
)


class Writes:
    """The count, and what happens at the chosen one."""

    def __init__(self) -> None:
        self.done = 0
        self.names: list[str] = []

    def met(self, what: str) -> str:
        """One more write; how it is to fail, if it is."""
        self.done += 1
        self.names.append(what)
        if plan.get("how") == "full":
            return "full" if self.done >= plan["at"] else ""
        return str(plan.get("how", "")) if self.done == plan.get("at") else ""

    def call(self, what: str, whole: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        """Does a write as it is told to go."""
        how = self.met(what)
        if how == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if how == "before":
            end()
        if how == "watchdog":
            if "once" in plan:
                with plain_open(plan["once"], "x"):
                    pass
            os.write(2, METAL.encode())
            os.abort()
        if how == "half":
            if half is not None:
                half()
            end()
        found = whole()
        if how == "after":
            end()
        return found


def end() -> None:
    """Ends the process as a power cut of its own would."""
    os.kill(os.getpid(), signal.SIGKILL)


writes = Writes()
root = plan.get("root", "")


def is_below(path: Any) -> bool:
    """Whether a path, or an open file's, is in the folder that counts."""
    try:
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        return os.path.abspath(os.fsdecode(path)).startswith(root)
    except (OSError, TypeError, ValueError):
        return False


class CountedFile(io.FileIO):
    """A file whose writes count."""

    def write(self, data: Any) -> int:
        """Writes, or half of it."""
        view = memoryview(data)
        plain = super().write
        return int(writes.call(f"write {self.name!r}", lambda: plain(view), lambda: plain(view[: len(view) // 2])))


plain_open: Any = io.open


def counted_open(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Any = None,
) -> Any:
    """`open`, with a file whose writes count where it is below the folder."""
    if not set(mode) & set("wax+") or not is_below(file):
        return plain_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    raw = CountedFile(file, mode.replace("b", "").replace("t", ""), closefd, opener)
    if buffering == 0:
        return raw
    held: Any = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
    if "b" in mode:
        return held
    text: Any = io.TextIOWrapper(held, encoding, errors, newline, line_buffering=buffering == 1)
    text.mode = mode
    return text


def count(name: str) -> None:
    """Lets calls of a function of `os` count whose first argument is below the folder."""
    plain = getattr(os, name)

    def counted(path: Any, *args: Any, **kwargs: Any) -> Any:
        inside = is_below(path) or (
            "dir_fd" in kwargs and kwargs["dir_fd"] is not None and is_below(kwargs["dir_fd"])
        )
        if not inside:
            return plain(path, *args, **kwargs)
        return writes.call(f"{name} {path}", lambda: plain(path, *args, **kwargs))

    setattr(os, name, counted)


class Finder(importlib.abc.MetaPathFinder):
    """Lets MLX's own writing of weights count, once it is imported."""

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> ModuleSpec | None:
        """Wraps the loader of mlx.core."""
        if name != "mlx.core":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        loader: Any = spec.loader if spec is not None else None
        plain = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            plain(module)
            mlx: Any = module
            save = mlx.save_safetensors

            def counted(file: Any, arrays: Any, *more: Any) -> Any:
                def half() -> None:
                    save(file, arrays, *more)
                    os.truncate(file, os.path.getsize(file) // 2)

                if not is_below(file):
                    return save(file, arrays, *more)
                try:
                    return writes.call(f"save {file}", lambda: save(file, arrays, *more), half)
                except OSError as error:
                    raise RuntimeError(f"[write] Unable to write 1 bytes to file: {error}") from None

            mlx.save_safetensors = counted

        loader.exec_module = exec_module
        return spec


def tell() -> None:
    """Adds the count, and what was written."""
    with plain_open(plan["count"], "a", encoding="utf-8") as file:
        file.write("".join(f"{number} {name}\n" for number, name in enumerate(writes.names, start=1)))


if plan and plan["who"] in sys.argv and not os.path.exists(plan.get("once", "")):
    vars(io)["open"] = vars(builtins)["open"] = counted_open
    for called in ("replace", "rename", "unlink", "remove", "rmdir", "mkdir", "fsync"):
        count(called)
    sys.meta_path.insert(0, Finder())
    if "count" in plan:
        atexit.register(tell)
