"""The progress of a job: bytes as bytes, other things as numbers, and a moving bar where nothing is counted."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from app.core.protocol import event
from app.ui.model.job_progress import JobProgress
from app.ui.worker.process import WorkerOutcome


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
    assert progress.bar.minimum() == 0
    progress.show_progress(event.Progressed(phase="Looking", done=1, total=2))
    assert (progress.text.text(), progress.bar.value() * 2) == ("Looking · 1 of 2", progress.bar.maximum())
    # Another phase: nothing of the former one's rate.
    progress.show_progress(event.Progressed(phase="Writing", done=1_000_000, total=4_000_000, in_bytes=True))
    assert progress.text.text() == "Writing · 1\u00a0MB of 4\u00a0MB"


@pytest.mark.parametrize("total", [0, 1])
def test_a_single_thing_is_not_counted(progress: JobProgress, total: int) -> None:
    progress.show_progress(event.Progressed(phase="Reading", done=2, total=8))
    progress.show_progress(event.Progressed(phase="Opening", total=total))
    assert progress.text.text() == "Opening …"
    assert (progress.bar.value() <= 0, progress.bar.isHidden()) == (True, False)


def test_how_it_ended_is_told_and_a_stop_keeps_the_bar_where_it_was(progress: JobProgress) -> None:
    def shown() -> tuple[str, str, bool]:
        return progress.text.text(), str(progress.text.property("role")), not progress.bar.isHidden()

    assert (shown(), progress.isHidden()) == (("Starting", "muted", True), False)
    progress.show_progress(event.Progressed(phase="Reading", done=2, total=8))
    stopped = event.Finished(reason="stopped", message="It can go on later.")
    progress.end(WorkerOutcome("job", 0, finished=stopped))
    assert (shown(), progress.bar.value()) == (("It can go on later.", "muted", True), 250)
    progress.begin("Again")
    progress.end(WorkerOutcome("job", 0, finished=stopped))
    assert shown() == ("It can go on later.", "muted", False), "nothing was counted yet"
    progress.begin("Again")
    progress.end(WorkerOutcome("job", 0, finished=event.Finished()))
    assert shown() == ("Again", "muted", True), "what came of it is told by whoever asked"
    progress.end(WorkerOutcome("job", 1, failure=event.Failed(message="The disk is full.")))
    assert shown() == ("The disk is full.", "error", False)
    progress.begin("Again")
    progress.end(WorkerOutcome("job", 3))
    assert shown() == ("The worker ended without a word (exit code 3).", "error", False)
    progress.say("Done.", "good")
    assert shown() == ("Done.", "good", False)
    progress.say("")
    assert progress.isHidden()
