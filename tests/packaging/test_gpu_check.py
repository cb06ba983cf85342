"""`packaging/gpu_check.py` says what it found and what there was no time for; the whole of it runs by hand."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests import ROOT

sys.path.append(str(ROOT / "packaging"))

import gpu_check


@pytest.mark.parametrize(
    ("device", "default", "ok"),
    [("gpu", "Device(gpu, 0)", True), ("gpu", "Device(cpu, 0)", False), ("cpu", "Device(cpu, 0)", True)],
)
def test_the_device_is_the_one_that_was_asked_for(device: str, default: str, ok: bool) -> None:
    found = gpu_check.on_device(device, default, {"device_name": "NVIDIA X"})
    assert (found.ok, found.said) == (ok, f"{default} · NVIDIA X")


def test_what_there_is_no_time_for_is_told_and_no_failure() -> None:
    def never() -> gpu_check.Finding:
        raise AssertionError

    found = gpu_check.done("speed", 100.0, never, time.monotonic() + 5)
    assert found.ok is None
    assert found.line().startswith("not done  speed")


def test_a_part_that_breaks_is_a_failure_in_words() -> None:
    def breaks() -> gpu_check.Finding:
        raise SystemExit("stock failed:\n no memory")

    found = gpu_check.done("speed", 1.0, breaks, time.monotonic() + 5)
    assert (found.ok, found.said) == (False, "stock failed: no memory")


def test_the_wheels_are_those_of_the_locks_but_the_cpus(tmp_path: Path) -> None:
    usual, gpu = (Path(word) for word in gpu_check.locks("cuda13", tmp_path)[1::2])
    assert "\nmlx-cpu==" not in usual.read_text(encoding="utf-8")
    assert "\nmlx==" in usual.read_text(encoding="utf-8")
    assert gpu.name == "requirements-cuda13.lock"
