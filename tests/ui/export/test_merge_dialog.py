"""The merge dialog: every choice reaches the worker, all are measured, and the new adapter is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.core.export.merge import MERGE_METHODS
from app.ui.export.merge_dialog import MergeDialog
from app.ui.form.number_box import NumberBox
from tests.ui.child import child
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.tiny_model import write_data

PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("merge")
    make_model(root / "base")
    make_adapter(root / "base", root / "friendly", rank=2)
    make_adapter(root / "base", root / "formal", rank=4)
    write_data(root / "data", train=2, valid=4)
    return root


@pytest.fixture
def dialog(qtbot: QtBot, place: Path) -> MergeDialog:
    made = MergeDialog((place / "friendly", place / "formal"))
    qtbot.addWidget(made)
    made.show()
    return made


def typed(qtbot: QtBot, box: NumberBox, text: str) -> None:
    box.selectAll()
    qtbot.keyClicks(box, text)


def test_every_choice_reaches_the_job(qtbot: QtBot, dialog: MergeDialog, place: Path, tmp_path: Path) -> None:
    before = dialog.job
    assert (before.method, before.weights, before.rank, before.data) == ("linear", (1.0, 1.0), None, None)
    assert not dialog.density.isEnabled()
    dialog.method_box.setCurrentIndex(list(MERGE_METHODS).index("dare_ties"))
    dialog.method_box.edited.emit("dare_ties")
    for box, text in ((dialog.weights[0], "0.75"), (dialog.weights[1], "-0.5"), (dialog.density, "0.3"),
                      (dialog.rank, "7"), (dialog.seed, "11")):  # fmt: skip
        assert box.isEnabled()
        typed(qtbot, box, text)
    dialog.data.set_value(str(place / "data" / "valid.jsonl"))
    dialog.out.set_value(str(tmp_path / "new"))
    found = dialog.job
    assert found.adapters == (place / "friendly", place / "formal")
    assert (found.method, found.weights, found.density) == ("dare_ties", (0.75, -0.5), 0.3)
    assert (found.rank, found.seed) == (7, 11)
    assert (found.data, found.out) == (place / "data" / "valid.jsonl", tmp_path / "new")


def test_it_measures_first_and_writes_then(qtbot: QtBot, dialog: MergeDialog, place: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    dialog.data.set_value(str(place / "data" / "valid.jsonl"))
    dialog.out.set_value(str(out))
    typed(qtbot, dialog.weights[1], "0.5")
    result = child(dialog, QLabel, "merge.result")
    dialog.measure_button.click()
    qtbot.waitUntil(lambda: "Nothing was written yet" in result.text(), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: dialog.merge_button.isEnabled(), timeout=PATIENCE_MS)
    assert not out.exists()
    dialog.merge_button.click()
    qtbot.waitUntil(lambda: str(out) in result.text(), timeout=PATIENCE_MS)
    assert (out / "adapters.safetensors").is_file()
    texts = [label.text() for label in dialog.findChildren(QLabel)]
    assert {"base model", "friendly", "formal", "merged"} <= set(texts)
    qtbot.waitUntil(lambda: not dialog.stop_button.isVisible(), timeout=PATIENCE_MS)
    assert not dialog.merge_button.isEnabled()  # it is there now
    assert "nothing is written over" in dialog.merge_button.toolTip()


def test_a_place_that_cannot_be_written_to_holds_back_the_merge(dialog: MergeDialog, tmp_path: Path) -> None:
    assert dialog.merge_button.isEnabled()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for place, can_merge in ((tmp_path / "full", False), (tmp_path / "new", True), (Path("here"), False)):
        dialog.out.line.setText(str(place))
        dialog.out.line.textEdited.emit(str(place))
        dialog.out.line.editingFinished.emit()
        assert dialog.merge_button.isEnabled() is can_merge, place


def test_what_stands_in_the_way_is_said(qtbot: QtBot, dialog: MergeDialog, place: Path) -> None:
    for box in dialog.weights:
        typed(qtbot, box, "0")
    assert "nothing would be left" in child(dialog, QLabel, "merge.problem").text()
    assert not dialog.merge_button.isEnabled()
    typed(qtbot, dialog.weights[0], "0.5")
    assert dialog.merge_button.isEnabled()
    for box, wrong, right in ((dialog.weights[1], "abc", "0.25"), (dialog.rank, "2.5", "8")):
        box.setFocus()
        typed(qtbot, box, wrong)
        qtbot.keyClick(box, Qt.Key.Key_Tab)  # it is left standing
        assert child(dialog, QLabel, "merge.problem").text() == "A field holds no number that it takes."
        assert (dialog.merge_button.isEnabled(), dialog.measure_button.isEnabled()) == (False, False)
        typed(qtbot, box, right)
        assert child(dialog, QLabel, "merge.problem").text() == ""
        assert (dialog.merge_button.isEnabled(), dialog.measure_button.isEnabled()) == (True, True)
    one: Any = MergeDialog((place / "friendly",))
    qtbot.addWidget(one)
    assert "nothing to be merged with" in child(one, QLabel, "merge.problem").text()
