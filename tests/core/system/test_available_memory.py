"""What is available of this machine's memory: read where the system says it, unknown where it does not."""

from __future__ import annotations

import sys
from pathlib import Path

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
