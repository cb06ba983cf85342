"""Kernels: what MLX's CPU build compiles with g++ while it runs, here for the processor that is there, and kept.

MLX calls `g++` without a word about the processor, so that what it fuses runs without its wide instructions. A
worker finds a `g++` of ours first, which adds them to MLX's calls and to no others. Results keep every bit: no
operation is reordered, replaced or joined with another (`-ffp-contract=off`), so a run goes on with or without. It
also brings the part that all kernels begin with, compiled once: a kernel takes a third of the time.

What is compiled lies in a folder for this processor, compiler and MLX, apart from MLX's own in the temporary
folder, so that none reaches a processor that cannot run it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from app.core.protocol.program import CPUINFO, TEMPORARY_VARIABLE, mlx_build
from app.core.system import place
from app.core.system.atomic_file import write_text

# The tasks that run a model long enough to compile for it.
KERNEL_TASKS = {"train", "probe", "generate", "evaluate", "serve", "replica"}
# `-fno-strict-aliasing`: MLX's exponential reads floats as integers, which wide instructions would make visible.
FLAGS = "-march=native -ffp-contract=off -fno-strict-aliasing -w"
UNUSED_S = 60 * 24 * 3600.0
ABANDONED_S = 3600.0  # what a compiler that was killed has begun, and whose beginning again that would prevent
_HEAD = Path("mlx", "backend", "cpu", "compiled_preamble.h")
# What in /proc/cpuinfo says which instructions there are, on Intel's, AMD's and ARM's.
_TELLING = ("vendor_id", "cpu family", "model", "model name", "flags", "Features", "CPU implementer", "CPU part")
_COMPILER = """#!/bin/sh
# The compiler as MLX finds it in a worker of Luthier. What is not MLX's goes through as it is.
real={real} kernels={kernels} head={head}
case " $* " in *" -shared "*"$kernels/mlx/"*) ;; *) exec "$real" "$@" ;; esac
made="$kernels/head/$head.gch"
if [ ! -e "$made" ] && mkdir "$made.making" 2>/dev/null; then
    "$real" -std=c++17 -O3 -fPIC -shared {flags} -I {include} \\
        -x c++-header {include}/"$head" -o "$made.making/made" >/dev/null 2>&1 && mv "$made.making/made" "$made"
    rm -rf "$made.making"
fi
"$real" -I "$kernels/head" "$@" {flags} >/dev/null 2>&1 || exec "$real" "$@"
"""


def compile_for_this_processor(task: str, cpuinfo: Path = CPUINFO) -> None:
    """Lets this process's MLX compile for the processor that is there, where it compiles at all. A folder that
    cannot be written, or holds no programs, leaves everything as it is: slower, not different."""
    compiler = shutil.which("g++")
    if task not in KERNEL_TASKS or sys.platform != "linux" or mlx_build() != "mlx-cpu":
        return
    if compiler is None or "MLX_DISABLE_COMPILE" in os.environ:
        return
    with suppress(OSError):
        kernels = _kernel_folder(Path(compiler).resolve(), cpuinfo)
        before = os.environ.get("TMPDIR", "")
        tempfile.gettempdir()  # Python's own temporary files stay where they are: it looks once
        os.environ |= {
            TEMPORARY_VARIABLE: before, "TMPDIR": str(kernels), "PATH": f"{kernels / 'bin'}:{os.environ['PATH']}",
        }  # fmt: skip


def _kernel_folder(compiler: Path, cpuinfo: Path) -> Path:
    """The folder of this processor and compiler, with our `g++` in it; those unused for long are removed."""
    home = place.cache_dir() / "kernels"
    kernels = home / _key(compiler, cpuinfo)
    ours = kernels / "bin" / "g++"
    if not ours.exists():
        (kernels / "head" / _HEAD).parent.mkdir(parents=True, exist_ok=True)
        home.chmod(0o700)  # programs are run from here: nobody else may put one there
        write_text(ours, _compiler_text(compiler, kernels))
        ours.chmod(0o700)
    if not os.access(ours, os.X_OK):
        raise PermissionError(str(ours))
    os.utime(kernels)
    for folders, age_s in ((home.iterdir(), UNUSED_S), (kernels.glob("head/**/*.making"), ABANDONED_S)):
        for folder in list(folders):
            if folder.stat().st_mtime < time.time() - age_s:
                shutil.rmtree(folder, ignore_errors=True)
    return kernels


def _key(compiler: Path, cpuinfo: Path) -> str:
    """Names all that decides what a compiled kernel is."""
    lines = cpuinfo.read_text(encoding="ascii", errors="replace").split("\n\n")[0].splitlines()
    told = [line for line in lines if line.partition(":")[0].strip() in _TELLING]
    found = compiler.stat()
    told += [platform.machine(), str(compiler), str(found.st_size), str(found.st_mtime_ns)]
    told += [metadata.version("mlx"), _COMPILER, FLAGS]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _compiler_text(compiler: Path, kernels: Path) -> str:
    include = Path(str(metadata.distribution("mlx").locate_file("mlx/include")))
    words = {"real": compiler, "kernels": kernels, "include": include, "head": _HEAD}
    return _COMPILER.format(flags=FLAGS, **{name: shlex.quote(str(word)) for name, word in words.items()})
