"""The merge dialog: every choice reaches the worker, all are measured, and the new adapter is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.core.export.destination import free_destination
from app.core.export.merge import DENSITY, MERGE_METHODS, MERGE_SEED, RANK, WEIGHT
from app.core.protocol import event
from app.core.protocol.job import MergeJob, read_job
from app.core.quantity import count_text, loss_text
from app.ui.export.merge_dialog import MergeDialog
from app.ui.form.number_box import NumberBox
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker
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
    dialog.method_box.set_value("dare_ties")
    dialog.method_box.edited.emit("dare_ties")
    takes = {"weight": "Weight takes -10 to 10.", "rank": f"Rank takes {RANK.range_text}."}
    takes |= {"density": "Density takes 0.01 to 1."}
    for box, wrong, right, said in (
        (dialog.weights[1], "abc", "0.25", "weight"), (dialog.weights[1], "11", "10", "weight"),
        (dialog.rank, "2.5", "8", "rank"), (dialog.density, "0", "0.5", "density"),
    ):  # fmt: skip
        box.setFocus()
        typed(qtbot, box, wrong)
        qtbot.keyClick(box, Qt.Key.Key_Tab)  # it is left standing
        assert child(dialog, QLabel, "merge.problem").text() == takes[said]
        assert (dialog.merge_button.isEnabled(), dialog.measure_button.isEnabled()) == (False, False)
        typed(qtbot, box, right)
        assert child(dialog, QLabel, "merge.problem").text() == ""
        assert (dialog.merge_button.isEnabled(), dialog.measure_button.isEnabled()) == (True, True)
    typed(qtbot, dialog.density, "0.")
    dialog.merge_button.click()  # as by Return: what is being typed is not left
    assert (dialog._job.is_running, dialog.merge_button.isEnabled()) == (False, False)
    one: Any = MergeDialog((place / "friendly",))
    qtbot.addWidget(one)
    assert "nothing to be merged with" in child(one, QLabel, "merge.problem").text()


def cells(dialog: MergeDialog) -> list[list[tuple[str, str]]]:
    """What stands in the table of figures, row by row, and as what."""
    grid, found = dialog._figures, []
    for row in range(grid.rowCount()):
        items = [grid.itemAtPosition(row, column) for column in range(4)]
        labels = [item.widget() for item in items if item is not None]
        if labels:
            found.append([(label.text(), label.property("role")) for label in labels])  # type: ignore[union-attr]
            right = [bool(label.alignment() & Qt.AlignmentFlag.AlignRight) for label in labels]  # type: ignore[union-attr]
            assert right == [False, True, True, True]
    return found


def test_what_the_worker_says_of_a_merge_is_shown(
    qtbot: QtBot, dialog: MergeDialog, workers: list[FakeWorker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    said, remark, result = (child(dialog, QLabel, f"merge.{name}") for name in ("text", "remark", "result"))
    buttons = {"merge": dialog.merge_button, "measure": dialog.measure_button, "stop": dialog.stop_button}

    def seen() -> tuple[list[str], bool, str]:
        usable = [name for name, one in buttons.items() if one.isVisible() and one.isEnabled()]
        return usable, dialog._form.isEnabled(), said.text()

    idle = (["merge", "measure"], True, "")
    assert (seen(), remark.isVisible(), result.isVisible()) == (idle, False, False)
    assert dialog.merge_button.toolTip() == "Merge, measure and write the new adapter"
    dialog.out.set_value(str(tmp_path / "new"))
    typed(qtbot, dialog.weights[1], "0")
    dialog.measure_button.click()
    job = read_job(workers[0].job_dir)
    assert isinstance(job, MergeJob)
    assert (job.out, job.weights, job.density, job.seed) == (None, (1.0, 0.0), DENSITY.default, 0)
    assert seen() == (["stop"], False, "Starting …")
    workers[0].say(event.Progressed(phase="Measuring"), event.Warned(message="One was cut."))
    assert (seen()[2], remark.text(), remark.isVisible()) == ("Measuring …", "One was cut.", True)
    columns = [
        {"name": "base model", "kind": "base", "weight": None, "rank": None, "loss": 2.5},
        {"name": "friendly", "kind": "adapter", "weight": 1.0, "rank": 2, "loss": None},
        {"name": "merged", "kind": "merged", "weight": 0.25, "rank": 1200, "loss": 2.25},
    ]
    data = {"columns": columns, "examples": 4, "data": "/data/valid.jsonl", "path": ""}
    workers[0].say(event.Result(name="merge", data=data))
    workers[0].end(event.Finished(reason="completed"))
    assert seen() == idle
    assert cells(dialog) == [
        [("Adapter", "small"), ("Weight", "small"), ("Rank", "small"), ("Held-out loss", "small")],
        [("base model", ""), ("", ""), ("", ""), (loss_text(2.5), "")],
        [("friendly", ""), ("1", ""), ("2", ""), ("–", "")],
        [("merged", "strong"), ("0.25", "strong"), (count_text(1200), "strong"), (loss_text(2.25), "strong")],
    ]
    assert (result.text(), result.isVisible()) == ("4 examples of valid.jsonl. Nothing was written yet.", True)
    dialog.merge_button.click()
    assert (seen(), remark.isVisible()) == ((["stop"], False, "Starting …"), False)
    written = read_job(workers[1].job_dir)
    assert isinstance(written, MergeJob)
    assert written == dialog.job
    assert written.out == tmp_path / "new"
    plain = {"columns": columns[1:2], "examples": 0, "data": "", "path": "/new"}
    workers[1].say(event.Result(name="merge", data=plain))
    assert (len(cells(dialog)), result.text()) == (2, "The merged adapter is in /new.")
    workers[1].end(event.Failed(message="The disk is full."), 1)
    assert seen() == (["merge", "measure"], True, "The disk is full.")


def test_each_field_says_what_it_takes_and_the_method_what_it_does(dialog: MergeDialog) -> None:
    for method in MERGE_METHODS.values():
        dialog.method_box.set_value(method.name)
        dialog.method_box.edited.emit(method.name)
        used = (dialog.density.isEnabled(), dialog.seed.isEnabled())
        assert (dialog._what.text(), used) == (method.what, (method.prunes, method.draws))
    assert (dialog._what.property("role"), dialog.method_box.accessibleName()) == ("muted", "Method")
    for spec in (DENSITY, RANK, MERGE_SEED):
        box = child(dialog, NumberBox, spec.path)
        assert (box.accessibleName(), box.toolTip(), box.value()) == (spec.label, spec.help, spec.default)
    named = [(box.objectName(), box.accessibleName()) for box in dialog.weights]
    assert named == [("merge.weight.0", "Weight of friendly"), ("merge.weight.1", "Weight of formal")]
    shown = {label.text() for label in dialog._form.findChildren(QLabel)}
    assert {"Adapters", WEIGHT.label, "friendly", "formal", "Method", "Held-out data", "New folder"} <= shown
    assert dialog.job.out == free_destination("friendly", "merged")
