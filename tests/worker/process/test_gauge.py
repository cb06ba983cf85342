"""The gauges read what the system says, and ask it rarely."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import pytest

from app import __version__
from app.worker.process import free_memory, gauge
from app.worker.process.hello import hello


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
    now = [7.0]
    monkeypatch.setattr(gauge, "time", SimpleNamespace(monotonic=lambda: now[0]))
    assert {gauge.read_memory().swap_gb for _ in range(5)} == {1.5}
    assert asked == [Path("/proc/meminfo")]
    now[0] += gauge.SWAP_IS_FRESH_S
    assert gauge.read_memory().swap_gb == 1.5
    assert len(asked) == 2


# What MLX says of a device, and what it lacks on a Mac, an NVIDIA GPU and a processor.
MAC = {"device_name": "Apple M4", "memory_size": 16_000_000_000, "max_recommended_working_set_size": 12_000_000_000}
NVIDIA = {"device_name": "H200", "total_memory": 80_000_000_000, "memory_size": 5}
PROCESSOR = {"architecture": "x86_64", "memory_size": 8_000_000_000}


@pytest.mark.parametrize(("told", "cuda", "memory", "working_set"), [
    (MAC, False, 16.0, 12.0), (NVIDIA, True, 80.0, 72.0), (PROCESSOR, False, 8.0, 6.0),
    (PROCESSOR, True, 8.0, 6.0),
])  # fmt: skip
def test_a_worker_begins_with_its_device_and_the_memory_there_is(
    told: dict[str, Any], cuda: bool, memory: float, working_set: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mx, "device_info", lambda: told)
    monkeypatch.setattr(mx.cuda, "is_available", lambda: cuda)
    found = hello("probe")
    assert (found.task, found.pid, found.device) == ("probe", os.getpid(), next(iter(told.values())))
    assert (found.memory_gb, found.working_set_gb) == (memory, working_set)
    assert list(found.versions) == ["luthier", "python", "mlx", "mlx-lm"]
    assert found.versions["luthier"] == __version__
    assert found.versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found.versions["mlx"] == metadata.version("mlx")
    assert found.versions["mlx-lm"] == metadata.version("mlx-lm")


def test_what_is_free_is_what_the_gpu_or_the_machine_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mx, "get_active_memory", lambda: 5_000_000_000)
    monkeypatch.setattr(mx, "device_info", lambda: MAC)
    assert free_memory.free_memory_bytes() == 7_000_000_000
    monkeypatch.setattr(mx, "device_info", lambda: MAC | {"max_recommended_working_set_size": 4_000_000_000})
    assert free_memory.free_memory_bytes() == 0, "more is taken than should be"
    monkeypatch.setattr(mx, "device_info", lambda: PROCESSOR)
    monkeypatch.setattr(free_memory, "available_memory_bytes", lambda: 123)
    assert free_memory.free_memory_bytes() == 123
    monkeypatch.setattr(free_memory, "available_memory_bytes", lambda: None)
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2_000_000}.__getitem__)
    assert free_memory.free_memory_bytes() == 3_192_000_000
