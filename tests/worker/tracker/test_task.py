"""The task that gives a run of the past to trackers."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.job import TrackJob
from app.worker.tracker.task import track
from tests.core.tracker.event_file import scalars
from tests.ui import synthetic_run
from tests.worker.training import Collector


def test_it_writes_what_the_run_said(tmp_path: Path) -> None:
    run = synthetic_run.run_folder(tmp_path)
    channel = Collector(tmp_path / "events.jsonl")
    track(channel, tmp_path, TrackJob(run=run.path))
    [found] = channel.of(event.Result)
    assert found.data["out"] == str(run.path / "tracked")
    assert found.data["figures"] == sum(map(len, scalars(run.path / "tracked").values())) > 0
    with pytest.raises(UnusableError, match="no tracker “aim”"):
        track(channel, tmp_path, TrackJob(run=run.path, report_to="aim"))
