"""The gauges read what the system says, and ask it rarely."""

from __future__ import annotations

import ctypes
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import pytest

from app.worker.process import gauge


def test_memory_of_arrays_is_seen() -> None:
    before = gauge.read_memory().active_gb
    array = mx.zeros((1_000_000,), mx.float32) + 1
    mx.eval(array)
    after = gauge.read_memory()
    assert after.active_gb - before == pytest.approx(0.004, abs=0.001)
    assert after.peak_gb >= after.active_gb


def test_swap_as_linux_tells_it(tmp_path: Path) -> None:
    (file := tmp_path / "meminfo").write_text("MemTotal: 100 kB\nSwapTotal: 3000000 kB\nSwapFree: 1000000 kB\n")
    assert gauge._swap_of_linux(file) == pytest.approx(2.048)
    file.write_text("MemTotal: 100 kB\n")
    assert gauge._swap_of_linux(file) is None
    assert gauge._swap_of_linux(tmp_path / "none") is None


@pytest.mark.parametrize("failed, wanted", [(0, 2.5), (-1, None)])
def test_swap_as_macos_tells_it(monkeypatch: pytest.MonkeyPatch, failed: int, wanted: float | None) -> None:
    """The C library's answer is that of a Mac: five fields, of which the third is what is used."""
    asked: list[bytes] = []

    def answer(name: bytes, place: Any, size: Any, new: object, new_size: int) -> int:
        asked.append(name)
        answered = struct.pack("=QQQII", 4_000_000_000, 1_500_000_000, 2_500_000_000, 4096, 1)
        assert (size._obj.value, new, new_size) == (len(answered), None, 0)
        ctypes.memmove(place, answered, len(answered))
        return failed

    monkeypatch.setattr(gauge, "_libc", lambda: SimpleNamespace(sysctlbyname=answer))
    assert gauge._swap_of_macos() == wanted
    assert asked == [b"vm.swapusage"]


def test_swap_is_asked_for_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def swap(path: Path) -> float:
        asked.append(path)
        return 1.5

    monkeypatch.setattr(gauge, "_swap", (float("-inf"), None))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(gauge, "_swap_of_linux", swap)
    assert {gauge.read_memory().swap_gb for _ in range(5)} == {1.5}
    assert len(asked) == 1
