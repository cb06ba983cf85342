"""The gauges read what the system says, and ask it rarely."""

from __future__ import annotations

import sys
from pathlib import Path

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
