"""The window's spare, its process made by hand: when one is started, handed over, ended, and no more of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.ui.worker import spare as spare_module
from app.ui.worker.spare import SpareWorker, disturb, take_spare
from tests.ui.worker.test_process_steps import HandProcess


@pytest.fixture
def keeper(qapp: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[SpareWorker]:
    assert qapp is not None
    HandProcess.made = []
    monkeypatch.setattr(spare_module, "DetachableProcess", HandProcess)
    monkeypatch.setattr(spare_module, "spare_command", lambda: ["spare"])
    monkeypatch.setattr(spare_module, "worker_environment", lambda: {"A": "1"})
    monkeypatch.setattr(spare_module, "available_memory_bytes", lambda: 8_000_000_000)
    monkeypatch.setattr(spare_module, "training_runs", list)
    made = SpareWorker(first_ms=60_000)
    yield made
    made.shutdown()
    made.deleteLater()


def timing(keeper: SpareWorker) -> tuple[int, bool]:
    assert keeper._timer.isSingleShot()
    return keeper._timer.interval(), keeper._timer.isActive()


def test_one_waits_after_a_calm_moment_and_is_handed_over_once(keeper: SpareWorker) -> None:
    assert (timing(keeper), keeper.process_id, HandProcess.made) == ((60_000, True), 0, [])
    disturb()
    assert timing(keeper) == (1000, True)
    keeper._timer.timeout.emit()
    assert timing(keeper) == (30_000, True)
    [process] = HandProcess.made
    assert (process.command, process.log, keeper.process_id) == (["spare"], None, 77)
    keeper._look()
    assert len(HandProcess.made) == 1
    assert take_spare("hub_search", {"A": "1"}) is None, "one that may ask the hub has a process of its own"
    assert take_spare("inspect", {"A": "1"}) is process  # type: ignore[comparison-overlap]
    assert (timing(keeper), keeper.process_id, process.is_killed) == ((1000, True), 0, False)
    process.end()
    assert take_spare("inspect", {"A": "1"}) is None
    keeper._look()
    assert take_spare("inspect", {"A": "2"}) is None, "it was started in another environment"
    assert HandProcess.made[1].is_killed


def test_after_three_that_were_lost_there_are_no_more(keeper: SpareWorker) -> None:
    for count in (1, 2, 3):
        keeper._look()
        assert (len(HandProcess.made), keeper.process_id) == (count, 77)
        if count == 2:
            HandProcess.made[-1].failed.emit("No such file or directory")
        else:
            HandProcess.made[-1].end(1)
        assert keeper.process_id == 0
    keeper._look()
    assert len(HandProcess.made) == 3


@pytest.mark.parametrize("memory", [7_999_999_999, None])
def test_where_memory_is_short_one_that_waits_is_ended(
    keeper: SpareWorker, monkeypatch: pytest.MonkeyPatch, memory: int | None
) -> None:
    keeper._look()
    monkeypatch.setattr(spare_module, "available_memory_bytes", lambda: memory)
    keeper._look()
    assert (HandProcess.made[0].is_killed, keeper.process_id) == (True, 0)
    HandProcess.made[0].end(-9)
    monkeypatch.setattr(spare_module, "available_memory_bytes", lambda: 9_000_000_000)
    for _ in range(4):
        keeper._look()
        HandProcess.made[-1].end(1)
    assert len(HandProcess.made) == 4, "one that was ended on purpose was not lost"


def test_a_window_that_closes_ends_it_and_waits(keeper: SpareWorker) -> None:
    keeper._look()
    keeper.shutdown()
    [process] = HandProcess.made
    assert (process.is_killed, process.waited, keeper._timer.isActive()) == (True, [5000], False)
    assert take_spare("inspect", {"A": "1"}) is None
    disturb()
    assert not keeper._timer.isActive()
