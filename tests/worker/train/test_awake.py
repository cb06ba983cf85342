"""The worker keeps the computer awake while it trains; not while it waits, nor where nobody wants it."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import pytest

from app.core.protocol import event
from app.core.system.setting import Settings, save_settings
from app.worker.train import train
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import config_for, start


class Keeper:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def hold(self, reason: str) -> bool:
        self.calls.append(reason)
        return True

    def release(self) -> None:
        self.calls.append("release")


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Keeper:
    found = Keeper()
    monkeypatch.setattr(train, "process_keeper", lambda: found)
    return found


@pytest.mark.parametrize(("used", "allowed", "wired"), [(50, True, 1), (30, True, 0), (50, False, 0)])
def test_memory_is_wired_only_for_runs_that_need_it(
    used: int, allowed: bool, wired: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    limits: list[int] = []
    save_settings(Settings(wire_memory=allowed))
    monkeypatch.setattr("mlx_lm.utils.maybe_set_recommended_wired_limit", lambda: calls.append(1))
    monkeypatch.setattr(mx, "device_info", lambda: {"max_recommended_working_set_size": 100})
    monkeypatch.setattr(mx, "get_active_memory", lambda: used)
    monkeypatch.setattr(mx, "set_cache_limit", limits.append)
    train.use_memory_well()
    assert (len(calls), limits) == (wired, [12])


def test_it_is_awake_while_it_trains_and_not_while_it_waits(keeper: Keeper, tmp_path: Path) -> None:
    def answer(said: event.Event) -> str | None:
        if isinstance(said, event.Started):
            return "pause"
        if isinstance(said, event.Paused):
            assert keeper.calls == ["awake trains"]
            return "resume"
        return None

    config = config_for(write_model(tmp_path / "m", layers=1), write_data(tmp_path / "d"), adapter_name="awake")
    start(config.with_value("iters", 4), tmp_path / "run", answer)
    assert keeper.calls == ["awake trains", "release", "awake trains", "release"]
    keeper.calls.clear()
    save_settings(Settings(keep_awake=False))
    start(config.with_value("iters", 1), tmp_path / "again")
    assert keeper.calls == ["release"]
