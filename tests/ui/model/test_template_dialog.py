"""A base model without a chat template is given one in the window, and trains conversations with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QPushButton
from pytestqt.qtbot import QtBot

from app.core.model.template import is_templated, template_offers, template_text
from app.core.system import starter
from app.ui.form.plain_editor import ChoiceBox
from app.ui.form.store import ConfigStore
from app.ui.model.panel import ModelPanel
from app.ui.model.template_dialog import MINE, TemplateDialog
from app.ui.worker.inspector import Inspector
from tests.core.model.test_template import untemplated_starter
from tests.ui.child import child

ANSWER_MS = 60_000


@pytest.fixture
def base(home: Path, tmp_path: Path) -> Path:
    assert home.is_dir()
    return untemplated_starter(tmp_path / "base")


def test_the_template_is_offered_shown_and_edited(qtbot: QtBot, base: Path) -> None:
    dialog = TemplateDialog(base)
    qtbot.addWidget(dialog)
    text, example = (
        child(dialog, QPlainTextEdit, "template.text"),
        child(dialog, QPlainTextEdit, "template.example"),
    )
    choice, use = child(dialog, ChoiceBox, "template.choice"), child(dialog, QPushButton, "template.use")
    first, second = template_offers(base)
    assert (text.toPlainText(), choice.currentText()) == (first.text, "Phi")
    assert example.toPlainText() == template_text(first.text)
    choice.setCurrentIndex(1)
    choice.activated.emit(1)
    assert text.toPlainText() == second.text
    text.setPlainText("{% for")
    assert not use.isEnabled()
    assert "This is no template" in child(dialog, QLabel, "template.problem").text()
    assert choice.currentText() == MINE
    edited = second.text.replace("<|im_start|>", "## ")
    text.setPlainText(edited)
    with qtbot.waitSignal(dialog.chosen) as chosen:
        use.click()
    folder = Path(chosen.args[0])
    assert is_templated(folder)
    assert (folder / "chat_template.jinja").read_text(encoding="utf-8") == edited
    again = TemplateDialog(folder)
    qtbot.addWidget(again)
    assert child(again, QPlainTextEdit, "template.text").toPlainText() == edited


def test_a_folder_that_cannot_be_made_is_told_and_the_dialog_stays(
    qtbot: QtBot, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Path:
        raise OSError(28, "No space left on device", "/models/base-chat")

    monkeypatch.setattr("app.ui.model.template_dialog.with_template", refuse)
    dialog, chosen = TemplateDialog(base), list[str]()
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.chosen.connect(chosen.append)
    child(dialog, QPushButton, "template.use").click()
    said = "The folder cannot be made: No space left on device (/models/base-chat)."
    assert (child(dialog, QLabel, "template.problem").text(), dialog.isVisible(), chosen) == (said, True, [])
    text = child(dialog, QPlainTextEdit, "template.text")
    choice = child(dialog, ChoiceBox, "template.choice")
    kept = text.toPlainText()
    choice.edited.emit(-1)
    assert text.toPlainText() == kept, "what was edited is no offer"
    text.setPlainText("{% for")
    assert child(dialog, QPlainTextEdit, "template.example").toPlainText() == ""
    text.setPlainText(kept)
    assert child(dialog, QLabel, "template.problem").text() == ""
    assert child(dialog, QPushButton, "template.use").isEnabled()


def test_the_card_offers_it_to_a_model_that_has_none(qtbot: QtBot, base: Path) -> None:
    store, inspector = ConfigStore(), Inspector()
    panel = ModelPanel(store, inspector)
    qtbot.addWidget(panel)
    panel.show()
    button = child(panel, QPushButton, "model.template")
    store.set("model", str(starter.model_dir()))
    qtbot.waitUntil(lambda: inspector.last is not None, timeout=ANSWER_MS)
    assert not button.isVisible()
    store.set("model", str(base))
    qtbot.waitUntil(button.isVisible, timeout=ANSWER_MS)
    assert button.text() == "Give it a chat template…"
    dialog = panel.ask_template()
    child(dialog, QPushButton, "template.use").click()
    assert is_templated(Path(store.config.model))
    qtbot.waitUntil(lambda: inspector.last is not None, timeout=ANSWER_MS)
    assert inspector.last is not None
    assert inspector.last.has_chat_template
    assert button.text() == "Edit the chat template…"
    panel.shutdown()
    inspector.stop()
