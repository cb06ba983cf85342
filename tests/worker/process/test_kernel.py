"""Kernels compiled for this processor: the same bits as MLX's own, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from app.core.protocol.program import TEMPORARY_VARIABLE, mlx_build, worker_environment
from app.core.system import place
from app.worker.process import kernel
from app.worker.process.kernel import compile_for_this_processor

COMPILES = sys.platform == "linux" and mlx_build() == "mlx-cpu" and shutil.which("g++") is not None
pytestmark = pytest.mark.skipif(not COMPILES, reason="MLX compiles with g++ only on Linux's CPU build")

CPU = "processor\t: 0\nmodel name\t: Some CPU\ncpu MHz\t\t: {speed}\nflags\t\t: {flags}\n\nprocessor\t: 1\n"
# What MLX fuses in a step and more: exponentials, divisions, products with sums that could be joined, in two types.
PROGRAM = """
import sys
from app.worker.process.kernel import compile_for_this_processor
if sys.argv[1] == "ours":
    compile_for_this_processor("train")
import mlx.core as mx
import numpy as np
mx.random.seed(7)
a, b = mx.random.normal((3, 1037)) * 4, mx.random.normal((3, 1037))
for kind in (mx.float32, mx.bfloat16):
    fused = mx.compile(lambda a, b: mx.sigmoid(a) * a * b + mx.exp(b) / (a * a + b * b + 1.1) - mx.tanh(a) * b)
    sys.stdout.write(np.array(fused(a.astype(kind), b.astype(kind)).astype(mx.float32)).tobytes().hex())
"""


@pytest.fixture
def cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A processor, and a process that compiles and may be changed."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.delenv("MLX_DISABLE_COMPILE", raising=False)
    file = tmp_path / "cpuinfo"
    file.write_text(CPU.format(speed="2000.1", flags="fpu avx2"))
    return file


def bits(way: str, home: Path) -> str:
    """What the program prints, in a process of its own whose temporary folder is in ``home``."""
    (home / "temporary").mkdir(parents=True)
    environment = worker_environment() | {"TMPDIR": str(home / "temporary"), "LUTHIER_HOME": str(home)}
    environment |= {"PYTHONPATH": str(Path(kernel.__file__).parents[3])}
    environment.pop("MLX_DISABLE_COMPILE", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, way], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_results_keep_every_bit_and_kernels_lie_apart(tmp_path: Path) -> None:
    """A run that is resumed with other kernels goes on exactly, so which it began with need not be written down."""
    stock, ours = bits("stock", tmp_path / "stock"), bits("ours", tmp_path / "ours")
    assert len(ours) == 2 * 2 * 4 * 3 * 1037
    assert ours == stock
    assert not list((tmp_path / "ours" / "temporary").rglob("*.so"))
    (kernels,) = (tmp_path / "ours" / "cache" / "kernels").iterdir()
    assert len(list((kernels / "mlx").rglob("*.so"))) == 2
    assert len(list((kernels / "head").rglob("*.gch"))) == 1
    assert (kernels.parent.stat().st_mode & 0o777) == 0o700


def test_only_calls_of_mlx_are_compiled_for_this_processor(cpuinfo: Path, tmp_path: Path) -> None:
    """A program of the user's that compiles beneath a worker is compiled as it asked."""
    compile_for_this_processor("train", cpuinfo)
    source = tmp_path / "any.cpp"
    source.write_text('#ifdef __AVX2__\nextern "C" int wide;\nint wide = 1;\n#endif\n')
    ours = shutil.which("g++", path=os.environ["PATH"])
    assert ours is not None
    assert Path(ours).parents[1] == Path(os.environ["TMPDIR"])
    there = tmp_path / "any.so"
    subprocess.run([ours, "-shared", "-fPIC", str(source), "-o", str(there)], check=True)
    assert b"wide" not in there.read_bytes()


def test_a_compiler_that_does_not_know_the_processor_compiles_as_before(
    cpuinfo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "real" / "g++"
    real.parent.mkdir()
    real.write_text('#!/bin/sh\ncase "$*" in *-march*) exit 1 ;; esac\necho "as before: $*"\n')
    real.chmod(0o755)
    monkeypatch.setenv("PATH", f"{real.parent}:{os.environ['PATH']}")
    compile_for_this_processor("train", cpuinfo)
    made = f"{os.environ['TMPDIR']}/mlx/1/cpu/a.cpp"
    done = subprocess.run(
        ["g++", "-shared", made], env=dict(os.environ), capture_output=True, text=True, check=True
    )
    assert done.stdout == f"as before: -shared {made}\n"


def test_another_processor_has_another_folder_and_a_faster_clock_has_not(
    cpuinfo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for speed, flags in (("2000.1", "fpu avx2"), ("3100.7", "fpu avx2"), ("2000.1", "fpu avx2 avx512f")):
        cpuinfo.write_text(CPU.format(speed=speed, flags=flags))
        monkeypatch.setattr(os, "environ", dict(os.environ) | {"PATH": os.defpath})
        compile_for_this_processor("train", cpuinfo)
        seen.append(os.environ["TMPDIR"])
    assert seen[0] == seen[1] != seen[2]


def test_kernels_unused_for_months_go(cpuinfo: Path) -> None:
    old, recent = (place.cache_dir() / "kernels" / name for name in ("old", "recent"))
    for folder, days in ((old, 61), (recent, 59)):
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - days * 24 * 3600,) * 2)
    compile_for_this_processor("train", cpuinfo)
    assert not old.exists()
    assert recent.exists()


def test_a_beginning_that_was_killed_is_made_again(cpuinfo: Path) -> None:
    compile_for_this_processor("train", cpuinfo)
    head = next(Path(os.environ["TMPDIR"]).rglob("head/mlx/backend/cpu"))
    for name, hours in (("killed.gch.making", 2), ("now.gch.making", 0)):
        (head / name).mkdir()
        os.utime(head / name, (time.time() - hours * 3600,) * 2)
    os.environ["PATH"] = os.environ["PATH"].partition(":")[2]
    compile_for_this_processor("train", cpuinfo)
    assert [folder.name for folder in head.iterdir()] == ["now.gch.making"]


def test_temporary_files_stay_where_they_are_here_and_beneath(cpuinfo: Path, tmp_path: Path) -> None:
    before = tempfile.gettempdir()
    os.environ["TMPDIR"] = str(tmp_path)
    compile_for_this_processor("train", cpuinfo)
    assert os.environ["TMPDIR"] != str(tmp_path)
    assert tempfile.gettempdir() == before
    beneath = worker_environment()
    assert beneath["TMPDIR"] == str(tmp_path)
    assert TEMPORARY_VARIABLE not in beneath


@pytest.mark.parametrize("why", ["no compiler", "told not to", "another task", "no room"])
def test_where_nothing_is_compiled_all_stays_as_it_is(
    why: str, cpuinfo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if why == "no compiler":
        monkeypatch.setenv("PATH", str(tmp_path))
    elif why == "told not to":
        monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    elif why == "no room":
        (tmp_path / "file").touch()
        monkeypatch.setenv("LUTHIER_HOME", str(tmp_path / "file"))
    before = dict(os.environ)
    compile_for_this_processor("reward" if why == "another task" else "train", cpuinfo)
    assert dict(os.environ) == before
