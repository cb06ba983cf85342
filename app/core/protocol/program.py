"""The program itself: how to start another of its processes, with the right environment, from source or frozen."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from app.core.installation import is_frozen

CPUINFO = Path("/proc/cpuinfo")
# The instructions that OpenBLAS's kernels need, the fastest first.
KERNELS = (
    ("SkylakeX", {"avx512f", "avx512bw", "avx512dq", "avx512vl"}),
    ("Haswell", {"avx2", "fma"}),
)
CUDA_BUILDS = ("mlx-cuda-12", "mlx-cuda-13")
WORKER_FLAG = "--worker"
SPARE_FLAG = "--spare"  # in place of the folder: a worker that is told which when there is a job
SUPERVISOR_FLAG = "--supervisor"
OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
# Set in every worker. A process that has it and was not asked to be a worker must not open a window: in a frozen
# bundle a library that re-runs `sys.executable` would otherwise start windows for ever.
WORKER_VARIABLE = "LUTHIER_WORKER"
# In a worker whose MLX compiles into a folder of ours: what TMPDIR was before. Its own children get that back.
TEMPORARY_VARIABLE = "LUTHIER_TMPDIR"


def own_command() -> list[str]:
    """The command line that starts this program again (never ``python -m``, which a frozen bundle has not)."""
    if is_frozen():
        return [sys.executable]
    return [sys.executable, str(Path(__file__).resolve().parents[2] / "__main__.py")]


def worker_command(job_dir: Path) -> list[str]:
    """The command line of the worker that does the job in ``job_dir`` (its ``job.json``)."""
    return [*own_command(), WORKER_FLAG, str(job_dir)]


def supervisor_command(run_dir: Path) -> list[str]:
    """The command line of the process that supervises a run which nobody holds."""
    return [*own_command(), SUPERVISOR_FLAG, str(run_dir)]


def worker_environment(base: dict[str, str] | None = None) -> dict[str, str]:
    """The worker's environment: guarded, UTF-8, and with the fast CPU libraries that are there on Linux."""
    environment = dict(os.environ if base is None else base)
    environment[WORKER_VARIABLE] = "1"
    if (temporary := environment.pop(TEMPORARY_VARIABLE, None)) is not None:
        environment.pop("TMPDIR")
        environment |= {"TMPDIR": temporary} if temporary else {}
    environment["PYTHONIOENCODING"] = "utf-8"  # mlx-lm prints tables that an ASCII stream refuses
    environment["PYTHONUNBUFFERED"] = "1"
    environment.setdefault("TOKENIZERS_PARALLELISM", "true")
    if sys.platform == "linux":
        environment |= fast_arithmetic(environment)
    if not _can_compile():
        environment.setdefault("MLX_DISABLE_COMPILE", "1")
    return environment


def compiles_kernels() -> bool:
    """Whether workers compile their kernels, which changes their speed and what they hold in memory."""
    return _can_compile() and "MLX_DISABLE_COMPILE" not in os.environ


def _can_compile() -> bool:
    # MLX's CPU build compiles kernels with g++ when it runs; without one it must not try. CUDA's brings its own.
    return sys.platform != "linux" or shutil.which("g++") is not None or mlx_build() in CUDA_BUILDS


def mlx_build() -> str:
    """The package that gives MLX what it computes with on this machine; empty where there is none."""
    for name in ("mlx-metal", *CUDA_BUILDS, "mlx-cpu"):
        with suppress(metadata.PackageNotFoundError):
            metadata.version(name)
            return name
    return ""


def fast_arithmetic(environment: Mapping[str, str], cpuinfo: Path = CPUINFO) -> dict[str, str]:
    """The variables that give a process on Linux a fast matrix product, where the environment leaves them open."""
    found = {}
    # MLX's CPU wheel carries the reference BLAS; OpenBLAS in front of it makes a training step 9 × faster.
    library = ctypes.util.find_library("openblas")
    preload = environment.get("LD_PRELOAD", "")
    if library and "openblas" not in preload:
        found["LD_PRELOAD"] = f"{library}:{preload}" if preload else library
    if "OPENBLAS_CORETYPE" not in environment and (kernels := _openblas_kernels(cpuinfo)):
        found["OPENBLAS_CORETYPE"] = kernels
    return found


def _openblas_kernels(cpuinfo: Path) -> str:
    """OpenBLAS's kernels for this processor. By itself it takes those of 2004 for one that is newer than itself."""
    try:
        text = cpuinfo.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    lines = (line.partition(":") for line in text.splitlines())
    flags = next((set(value.split()) for name, _, value in lines if name.strip() == "flags"), set())
    return next((name for name, wanted in KERNELS if wanted <= flags), "")


def starts_itself_again(arguments: list[str]) -> bool:
    """True if this process is a child of a worker that would open another window."""
    return os.environ.get(WORKER_VARIABLE) == "1" and WORKER_FLAG not in arguments
