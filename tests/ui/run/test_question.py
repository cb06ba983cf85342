"""What is asked when a window closes whose run is live: the words fit the state that the run is in."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QMessageBox, QWidget
from pytestqt.qtbot import QtBot

from app.ui.run.question import ask_leaving
from app.ui.run.session import RunSession, RunState


@pytest.mark.parametrize(
    "state, button, said, unsaid",
    [
        (RunState.RUNNING, "Keep training", "stays awake", "stays paused"),
        (RunState.PAUSED, "Leave it paused", "stays paused", "stays awake"),
        (RunState.PARKING, "Quit, it saves alone", "saves to its end", "stays awake"),
    ],
)
def test_the_words_fit_the_state(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, state: RunState, button: str, said: str, unsaid: str
) -> None:
    parent, session = QWidget(), RunSession()
    qtbot.addWidget(parent)
    monkeypatch.setattr(session, "_state", state)
    texts: list[str] = []

    def answer(box: QMessageBox) -> int:
        texts.append(box.informativeText())
        next(one for one in box.buttons() if one.text() == button).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", answer)
    assert ask_leaving(session, parent, is_leaving=False) == "keep"
    assert said in texts[0]
    assert unsaid not in texts[0]
