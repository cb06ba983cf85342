"""What a run writes, counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.model.inspection import Inspection
from app.core.problem import Severity
from app.core.setup import disk
from app.core.target.selection import Selection

COUNT = 1_000_000
MB = 1_000_000
EVENTS = 8 * MB


def selection() -> Selection:
    return Selection("keys", (), (), -1, COUNT, 10 * COUNT, 4 * COUNT)


@pytest.mark.parametrize(
    ("values", "megabytes"),
    [
        # 1,000 iterations, saved every 100: 10 checkpoints, adapter and best, 4 MB each; 3 states of 4 + 8 MB.
        ({"save_every": 100}, 12 * 4 + 3 * 12),
        ({"save_every": 300}, 6 * 4 + 3 * 12),  # at 300, 600, 900 and at the end
        ({"save_every": 5000}, 3 * 4 + 3 * 12),
        ({"save_every": 100, "optimizer": "sgd"}, 12 * 4 + 3 * 8),
        ({"save_every": 100, "grad_accumulation_steps": 4}, 12 * 4 + 3 * 16),
        ({"save_every": 100, "fine_tune_type": "full"}, 12 * 2 + 3 * 6),  # in the model's own 16 bits
    ],
)
def test_a_run_writes_its_checkpoints_and_states(values: dict[str, Any], megabytes: int) -> None:
    config = TrainConfig().with_values(values)
    found = disk.run_bytes(config, selection(), Inspection(dtype="bfloat16"), 1000)
    assert found == megabytes * MB + EVENTS
    with_data = disk.run_bytes(config, selection(), Inspection(dtype="bfloat16"), 1000, 5 * MB)
    assert with_data - found == 5 * MB


def test_a_disk_with_too_little_room_is_told_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 50 * MB)
    config = TrainConfig(save_every=100)
    assert disk.disk_problem(config, 50 * MB, 1000, tmp_path) is None
    found = disk.disk_problem(config, 51 * MB, 1000, tmp_path)
    assert found is not None
    assert (found.path, found.severity) == ("save_every", Severity.WARNING)
    assert "up to 51\u00a0MB, with 10 checkpoints; only 50\u00a0MB are free" in found.message
    assert disk.disk_text(84 * MB, tmp_path) == "It writes up to 84\u00a0MB; 50\u00a0MB are free."
