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
from app.ui.form.store import ConfigStore
from app.ui.method.reward_file import RewardFile
from app.ui.method.reward_tester import RewardTester
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
