"""The house rules that a tool cannot see: what core may load, how a worker is started, what settings survive."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.protocol.program import (
    WORKER_VARIABLE,
    compiles_kernels,
    fast_arithmetic,
    own_command,
    worker_command,
    worker_environment,
)
from app.core.system import place
from app.core.system.setting import Settings, load_settings, save_settings
from tests import ROOT


def test_core_loads_neither_qt_nor_mlx() -> None:
    code = (
        "import pkgutil, importlib, sys, app.core\n"
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(app.core.__path__, 'app.core.')]\n"
        "print([m for m in ('PySide6', 'mlx', 'mlx_lm', 'transformers', 'pyqtgraph') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_a_worker_is_the_program_itself_and_never_a_module_flag() -> None:
    command = worker_command(Path("/jobs/1"))
    assert command[:-2] == own_command()
    assert command[-2:] == ["--worker", "/jobs/1"]
    assert "-m" not in command


def test_a_frozen_bundle_starts_its_own_executable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert own_command() == [sys.executable]


def test_a_worker_that_would_open_a_window_ends_at_once() -> None:
    done = subprocess.run(
        own_command(),
        env=os.environ | {WORKER_VARIABLE: "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "must not start the window" in done.stderr


def test_the_worker_environment_keeps_a_preload_and_adds_openblas_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.util.find_library", lambda _: "libopenblas.so.0")
    first = worker_environment({"LD_PRELOAD": "mine.so"})
    assert first["LD_PRELOAD"] == "libopenblas.so.0:mine.so"
    assert worker_environment(first)["LD_PRELOAD"] == first["LD_PRELOAD"]
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert worker_environment({})["MLX_DISABLE_COMPILE"] == "1"


@pytest.mark.parametrize(
    ("flags", "kernels"),
    [
        ("fpu sse2 avx2 fma avx512f avx512bw avx512dq avx512vl amx_tile", "SkylakeX"),
        ("fpu sse2 avx2 fma avx512f", "Haswell"),
        ("fpu sse2 avx", None),
    ],
)
def test_openblas_takes_the_kernels_of_a_processor_that_it_does_not_know(
    flags: str, kernels: str | None, tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
    assert fast_arithmetic({}, cpuinfo).get("OPENBLAS_CORETYPE") == kernels
    assert "OPENBLAS_CORETYPE" not in fast_arithmetic({"OPENBLAS_CORETYPE": "Zen"}, cpuinfo)
    assert "OPENBLAS_CORETYPE" not in fast_arithmetic({}, tmp_path / "none")


@pytest.mark.parametrize(("platform", "compiler", "compiles"), [
    ("linux", "/usr/bin/g++", True), ("linux", None, False), ("darwin", None, True),
])  # fmt: skip
def test_workers_compile_where_they_can_and_may(
    platform: str, compiler: str | None, compiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("shutil.which", lambda _: compiler)
    monkeypatch.delenv("MLX_DISABLE_COMPILE", raising=False)
    assert compiles_kernels() is compiles
    assert ("MLX_DISABLE_COMPILE" in worker_environment()) is not compiles
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    assert not compiles_kernels()


def test_a_worker_says_hello_first_and_fails_in_words(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"task": "inspect", "model": "/nowhere"}')
    done = subprocess.run(
        worker_command(tmp_path), env=worker_environment(), input="", capture_output=True, text=True, check=False
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["type"] == "hello"
    assert events[0]["versions"]["mlx-lm"]
    assert events[-1]["type"] == "failed"
    assert "/nowhere" in events[-1]["message"]
    assert done.returncode == 2


def test_settings_survive_a_broken_file_and_keep_what_a_newer_version_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(place.HOME_VARIABLE, str(tmp_path))
    assert load_settings() == Settings()
    save_settings(load_settings().with_recent("recent_models", "a").with_recent("recent_models", "b"))
    assert load_settings().recent_models == ("b", "a")
    place.settings_path().write_text("theme: purple\nrecent_models: [x]\nnewer: 1\n")
    assert load_settings().recent_models == ("x",)
    assert load_settings().theme == "system"
    assert load_settings().model_dump()["newer"] == 1
    place.settings_path().write_text("{{{")
    assert load_settings() == Settings()
