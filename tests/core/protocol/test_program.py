"""How another process of the program is started: its command, and the variables that it is given."""

from __future__ import annotations

import ctypes.util
import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest

from app.core.protocol import program
from app.core.protocol.client import _signal_name, log_tail
from app.core.protocol.program import (
    compiles_kernels,
    fast_arithmetic,
    mlx_build,
    own_command,
    starts_itself_again,
    supervisor_command,
    worker_command,
    worker_environment,
)
from app.core.protocol.question import ChatMessage, Question, chat_of
from tests import ROOT


def test_each_kind_of_process_has_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    main = [sys.executable, str(ROOT / "app" / "__main__.py")]
    assert own_command() == main
    assert worker_command(Path("/job")) == [*main, "--worker", "/job"]
    assert supervisor_command(Path("/run")) == [*main, "--supervisor", "/run"]
    monkeypatch.setattr(program, "is_frozen", lambda: True)
    assert worker_command(Path("/job")) == [sys.executable, "--worker", "/job"]


def test_a_worker_is_told_what_it_is_and_where_temporary_files_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_can_compile", lambda: True)
    monkeypatch.setattr(program, "fast_arithmetic", lambda _given: {})
    plain = {
        "LUTHIER_WORKER": "1", "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "true",
    }  # fmt: skip
    assert worker_environment({}) == plain
    assert worker_environment({"TOKENIZERS_PARALLELISM": "false"})["TOKENIZERS_PARALLELISM"] == "false"
    for before, after in (("/tmp/mine", {"TMPDIR": "/tmp/mine"}), ("", {})):
        assert worker_environment({"TMPDIR": "/ours", "LUTHIER_TMPDIR": before}) == plain | after
    monkeypatch.setattr(program, "_can_compile", lambda: False)
    assert worker_environment({})["MLX_DISABLE_COMPILE"] == "1"
    assert worker_environment({"MLX_DISABLE_COMPILE": "0"})["MLX_DISABLE_COMPILE"] == "0"


@pytest.mark.parametrize(
    ("flags", "kernels"),
    [
        ("fma avx2 avx512f avx512bw avx512dq avx512vl", "SkylakeX"), ("avx2 fma avx512f", "Haswell"), ("avx2", ""),
    ],
)  # fmt: skip
def test_the_fastest_kernels_of_the_processor_are_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, kernels: str
) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: f"lib{name}.so")
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: {flags}\nflags : none\n")
    chosen = {"OPENBLAS_CORETYPE": kernels} if kernels else {}
    assert fast_arithmetic({}, tmp_path / "cpuinfo") == {"LD_PRELOAD": "libopenblas.so"} | chosen
    kept = {"LD_PRELOAD": "other.so", "OPENBLAS_CORETYPE": "Zen"}
    assert fast_arithmetic(kept, tmp_path / "cpuinfo") == {"LD_PRELOAD": "libopenblas.so:other.so"}
    assert fast_arithmetic({"LD_PRELOAD": "my-openblas.so"}, tmp_path / "none") == {}
    monkeypatch.setattr(ctypes.util, "find_library", lambda _name: None)
    assert fast_arithmetic({}, tmp_path / "cpuinfo") == chosen


def test_kernels_are_compiled_where_there_is_what_compiles_them(monkeypatch: pytest.MonkeyPatch) -> None:
    there: set[str] = set()

    def version(name: str) -> str:
        if name not in there:
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("MLX_DISABLE_COMPILE", raising=False)
    for compiler, builds, build, compiles in (
        (None, (), "", False), (None, ("mlx-cpu",), "mlx-cpu", False), ("/g++", ("mlx-cpu",), "mlx-cpu", True),
        (None, ("mlx-cuda-13", "mlx-cpu"), "mlx-cuda-13", True), (None, ("mlx-metal",), "mlx-metal", False),
    ):  # fmt: skip
        monkeypatch.setattr(shutil, "which", lambda _name, found=compiler: found)
        there.clear()
        there.update(builds)
        assert (mlx_build(), compiles_kernels()) == (build, compiles)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert compiles_kernels()
    monkeypatch.setenv("MLX_DISABLE_COMPILE", "1")
    assert not compiles_kernels()


def test_a_child_of_a_worker_opens_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_WORKER", "1")
    assert starts_itself_again(["luthier"])
    assert not starts_itself_again(["luthier", "--worker", "/job"])
    monkeypatch.setenv("LUTHIER_WORKER", "0")
    assert not starts_itself_again(["luthier"])


def test_the_end_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert log_tail(log) == ""
    log.write_bytes(b"x" * 70_000 + b"\nfirst\nsecond \xff\n")
    assert log_tail(log, 2) == "first\nsecond \ufffd"
    assert len(log_tail(log, 3)) == 65_536 - 1
    assert (_signal_name(9), _signal_name(999)) == ("SIGKILL", "999")


def test_a_question_is_a_conversation_for_each_column() -> None:
    asked = ChatMessage(role="user", content="a")
    assert chat_of([{"role": "user", "content": "a", "more": "b"}]) == (asked,)
    turn, last = {"role": "user", "content": "a"}, {"role": "user", "content": "b"}
    assert Question(messages=(asked,), prompt="b").turns() == [turn, last]
    both = Question(conversations=((), (asked,)), prompt="b")
    assert (both.turns(), both.turns(1)) == ([last], [turn, last])
    for question, is_empty in (
        (Question(), True), (Question(prompt=""), False), (Question(messages=(asked,)), False),
        (Question(conversations=((asked,), ())), True), (Question(conversations=((asked,),)), False), (both, False),
    ):  # fmt: skip
        assert question.is_empty is is_empty
