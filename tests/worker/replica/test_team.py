"""A machine that goes without a word, in the middle of an exchange, ends the run with words all the same."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.core.problem import Problem
from app.core.protocol.event import Failed
from app.worker.exchange.team import Team, share_seed
from tests.worker.training import Collector


class EndedError(Exception):
    """The process would have ended here."""


def hanging(channel: Collector, busy_s: float, faults: list[Problem]) -> Any:
    """A team in an exchange since so many seconds, of which a replica has these faults; it is looked at twice."""
    turns = iter((False, False, True))
    made: Any = SimpleNamespace(
        _channel=channel,
        _closed=SimpleNamespace(wait=lambda _seconds: next(turns)),
        group=SimpleNamespace(busy_since=time.monotonic() - busy_s),
        crew=SimpleNamespace(faults=lambda: faults),
    )
    return made


def test_an_exchange_that_hangs_with_a_machine_that_is_gone_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(code: int) -> None:
        raise EndedError(code)

    monkeypatch.setattr(os, "_exit", end)
    channel = Collector(tmp_path / "events")
    gone = Problem("", "Replica 1 (mac-2) is not reached: broken pipe.")
    with pytest.raises(EndedError):
        Team._watch(hanging(channel, 21.0, [gone]))
    (failed,) = channel.of(Failed)
    assert failed.message == "Replica 1 (mac-2) is not reached: broken pipe."
    assert "last saved state is whole" in failed.hint


@pytest.mark.parametrize(("busy_s", "faults"), [(1.0, [Problem("", "gone")]), (100.0, [])])
def test_one_that_only_takes_long_is_waited_for(busy_s: float, faults: list[Problem], tmp_path: Path) -> None:
    channel = Collector(tmp_path / "events")
    Team._watch(hanging(channel, busy_s, faults))
    assert channel.events == []


def test_the_random_numbers_of_a_share_follow_from_the_run_alone() -> None:
    assert share_seed(0, 5, 1) == share_seed(0, 5, 1)
    assert len({share_seed(seed, step, number) for seed in (0, 1) for step in (5, 6) for number in (1, 2)}) == 8
