"""The progress of a job: bytes as bytes, other things as numbers, and a moving bar where nothing is counted."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from app.core.protocol import event
from app.ui.model.job_progress import JobProgress


@pytest.fixture
def progress(qtbot: QtBot) -> JobProgress:
    made = JobProgress("job")
    qtbot.addWidget(made)
    made.begin("Starting")
    return made


def test_prompts_are_counted_and_bytes_have_their_unit(progress: JobProgress) -> None:
    progress.show_progress(event.Progressed(phase="Reading", done=2, total=8))
    assert progress.text.text() == "Reading · 2 of 8"
    assert progress.bar.value() * 4 == progress.bar.maximum()
    # Another phase: nothing of the former one's rate.
    progress.show_progress(event.Progressed(phase="Writing", done=1_000_000, total=4_000_000, in_bytes=True))
    assert progress.text.text() == "Writing · 1\u00a0MB of 4\u00a0MB"


@pytest.mark.parametrize("total", [0, 1])
def test_a_single_thing_is_not_counted(progress: JobProgress, total: int) -> None:
    progress.show_progress(event.Progressed(phase="Reading", done=2, total=8))
    progress.show_progress(event.Progressed(phase="Opening", total=total))
    assert progress.text.text() == "Opening …"
    assert (progress.bar.value() <= 0, progress.bar.isHidden()) == (True, False)
