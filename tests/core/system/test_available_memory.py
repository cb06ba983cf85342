"""What is available of this machine's memory: read where the system says it, unknown where it does not."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.core.model.known_model import machine_memory_bytes
from app.core.system import available_memory
from app.core.system.available_memory import available_memory_bytes


def test_this_machine_has_some_and_not_more_than_there_is() -> None:
    found = available_memory_bytes()
    assert found is not None
    assert 0 < found <= machine_memory_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's own file")
def test_it_is_what_the_system_calls_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available_memory, "_MEMORY_INFO", info := tmp_path / "meminfo")
    assert available_memory_bytes() is None
    info.write_text("MemTotal: 9000 kB\nMemFree: 10 kB\n")
    assert available_memory_bytes() is None
    info.write_text("MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable:    4321 kB\n")
    assert available_memory_bytes() == 4321 * 1024


@pytest.mark.parametrize("level, available", [(37, 16384 * 1_000_000 * 37 // 100), (0, 0), (None, None)])
def test_a_mac_says_which_share_of_its_memory_is_available(
    monkeypatch: pytest.MonkeyPatch, level: int | None, available: int | None
) -> None:
    def ask(name: bytes, value: Any, size: Any, *rest: object) -> int:
        assert (name, size._obj.value, rest) == (b"kern.memorystatus_level", 4, (None, 0))
        if level is None:
            return -1
        value._obj.value = level
        return 0

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace(sysctlbyname=ask))
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: f"lib{name}.dylib")
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 16384, "SC_PHYS_PAGES": 1_000_000}.__getitem__)
    assert available_memory_bytes() == available
