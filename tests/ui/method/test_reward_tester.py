"""The tester of rewards where the file of functions gives no scores: why, in words, and it can be asked again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from app.core.protocol import event
from app.core.protocol.command import ScoreAnswers
from app.core.protocol.job import RewardJob, read_job
from app.ui.form.store import ConfigStore
from app.ui.method.reward_file import RewardFile
from app.ui.method.reward_tester import RewardTester
from app.ui.widget import theme
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker
from tests.ui.method.test_reward_file import SHORT


@pytest.fixture
def tester(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RewardTester]:
    FakeWorker.made = []
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    (tmp_path / "rewards.py").write_text(SHORT)
    store = ConfigStore()
    store.set_many({"reward_functions_file": str(tmp_path / "rewards.py"), "reward_timeout_s": 2.5})
    file = RewardFile(store)
    qtbot.addWidget(file)
    file.allow()
    found = RewardTester(store, file, lambda: (("is_short", 1.0),), lambda: None)
    qtbot.addWidget(found)
    found.show()
    yield found
    found.shutdown()


def test_scores_are_weighed_added_up_and_doubted(qtbot: QtBot, tester: RewardTester) -> None:
    result, c = child(tester, QLabel, "reward_test.result"), theme.colors()
    weighted = [("short", 0.5), ("contains_answer", 2.0), ("is_short", 1.0)]
    tester._weighted = lambda: tuple(weighted)
    tester.prompt.setText("2 + 3?")
    tester.answer.setText("5")
    tester.completion.setPlainText("It is 5.")
    assert not result.isVisible()
    tester.score()
    qtbot.waitUntil(partial(has_asked, 1))
    worker = FakeWorker.made[-1]
    file = tester._file.path
    assert file is not None
    assert read_job(worker.job_dir) == RewardJob(file=file, timeout_s=2.5)
    worker.say(event.Hello(task="reward"))
    assert worker.commands == [
        ScoreAnswers(
            names=("is_short",), prompts=("2 + 3?",), completions=("It is 5.",), answers=("5",), types=(None,)
        )
    ]
    worker.say(event.Result(name="scores", data={"scores": {"is_short": [0.25]}}))
    assert (worker.killed, tester.score_button.isEnabled(), tester.failure) == (True, True, "")
    short = tester.scores["short"]
    assert tester.scores == {"short": short, "contains_answer": 1.0, "is_short": 0.25}
    assert tester.total == pytest.approx(0.5 * short + 2.25)

    def row(name: str, score: float, weight: float) -> str:
        return (
            f"<tr><td>{name}</td><td align='right'>{score:.4g}</td>"
            f"<td align='right' style='color:{c.muted}'>× {weight:.4g}</td>"
            f"<td align='right'>{score * weight:.4g}</td></tr>"
        )

    total = f"<tr><td colspan='3'><b>Reward</b></td><td align='right'><b>{0.5 * short + 2.25:.4g}</b></td></tr>"
    rows = [row("short", short, 0.5), row("contains_answer", 1.0, 2.0), row("is_short", 0.25, 1.0), total]
    assert result.text() == f"<table cellspacing='0' cellpadding='4'>{''.join(rows)}</table>"
    assert result.isVisible()
    tester.score()
    assert tester.scores == {"short": short, "contains_answer": 1.0}, "nothing of the file's is left of before"
    qtbot.waitUntil(partial(has_asked, 2))
    FakeWorker.made[-1].say(event.Result(name="failure", data={"message": "a < b & c\nLine 2"}))
    assert tester.failure == "a < b & c\nLine 2"
    assert f"<td colspan='4' style='color:{c.error}'>a &lt; b &amp; c<br>Line 2</td>" in result.text()
    assert "Reward</b>" not in result.text()
    weighted.clear()
    tester.score()
    assert tester.failure == ""
    nothing = f"<tr><td style='color:{c.muted}'>No function is chosen.</td></tr>"
    assert result.text() == f"<table cellspacing='0' cellpadding='4'>{nothing}</table>"
    assert len(FakeWorker.made) == 2, "no process of its own is needed for that"


def test_an_example_is_taken_with_its_answer_and_scored_at_once(tester: RewardTester) -> None:
    tester._weighted = lambda: (("contains_answer", 1.0),)
    found: list[tuple[str, str] | None] = [None, ("What is 2 + 3?", "5")]
    tester._find_example = lambda: found.pop(0)
    tester.set_has_examples(True)
    tester.example_button.click()
    assert (tester.prompt.text(), tester.scores) == ("", {})
    tester.example_button.click()
    assert (tester.prompt.text(), tester.prompt.cursorPosition(), tester.answer.text()) == (
        "What is 2 + 3?",
        0,
        "5",
    )
    assert (tester.completion.toPlainText(), tester.scores) == ("5", {"contains_answer": 1.0})
    tester.set_has_examples(False)
    assert not tester.example_button.isVisible()
    tester._file.is_allowed = False
    tester._weighted = lambda: (("is_short", 1.0), ("contains_answer", 1.0))
    tester.score()
    assert (tester.failure, tester.score_button.isEnabled()) == (
        "is_short: the file has not been allowed to run.",
        True,
    )
    assert FakeWorker.made == []


def has_asked(count: int) -> bool:
    return len(FakeWorker.made) == count


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (None, "The file gave no scores within 2.5\u00a0s, or ended its process."),
        (event.Failed(message="It names a function twice."), "It names a function twice."),
    ],
)
def test_a_file_that_ends_without_scores_says_why(
    qtbot: QtBot, tester: RewardTester, last: event.Failed | None, said: str
) -> None:
    button = child(tester, QPushButton, "reward_test.score")
    for count in (1, 2):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        assert (button.isEnabled(), tester.failure) == (False, "")
        qtbot.waitUntil(partial(has_asked, count))
        with qtbot.waitSignal(tester.scored):
            FakeWorker.made[-1].end(last, 1)
        assert (tester.failure, tester.scores) == (said, {})
        assert said in child(tester, QLabel, "reward_test.result").text()
        assert button.isEnabled()
