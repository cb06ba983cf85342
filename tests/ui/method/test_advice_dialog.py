"""The dialog "Which method?" with real widgets: answers lead to a method, which its button chooses on the form."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QRadioButton
from pytestqt.qtbot import QtBot

from app.core.method.table import METHODS
from app.core.setup.chosen_method import method_of
from app.ui.form.store import ConfigStore
from app.ui.method.advice_dialog import AdviceDialog, _material_of
from app.ui.method.section import MethodSection
from tests.ui.child import child


def test_answers_lead_to_a_method_that_is_chosen(qtbot: QtBot) -> None:
    store = ConfigStore()
    section = MethodSection(store)
    qtbot.addWidget(section)
    section.show()
    qtbot.mouseClick(section.advice_button, Qt.MouseButton.LeftButton)
    dialog = child(section, AdviceDialog, "advice_dialog")
    height = dialog.height()
    assert child(dialog, QLabel, "advice.title").text().startswith("Supervised")
    for name in ("material.pairs", "aim.length"):
        child(dialog, QRadioButton, f"advice.{name}").click()
    assert child(dialog, QLabel, "advice.title").text() == "SimPO"
    assert "longer" in child(dialog, QLabel, "advice.why").text()
    assert dialog.choose.text() == "Choose SimPO"
    assert dialog.height() == height
    qtbot.mouseClick(dialog.choose, Qt.MouseButton.LeftButton)
    assert method_of(store.config).name == section.method.name == "simpo"


def test_it_begins_with_the_examples_of_the_method_that_is_chosen() -> None:
    begins = {name: _material_of(method) for name, method in METHODS.items()}
    assert {name: begins[name] for name in ("sft", "dpo", "kto", "grpo", "online_dpo")} == {
        "sft": "answers", "dpo": "pairs", "kto": "labels", "grpo": "checked", "online_dpo": "prompts",
    }  # fmt: skip


def test_cancel_changes_nothing(qtbot: QtBot) -> None:
    store = ConfigStore()
    section = MethodSection(store)
    qtbot.addWidget(section)
    section.advice_button.click()
    dialog = child(section, AdviceDialog, "advice_dialog")
    child(dialog, QRadioButton, "advice.material.labels").click()
    dialog.reject()
    assert section.method.name == "sft"
