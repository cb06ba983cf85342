"""The export dialog: what is chosen reaches the worker, and what comes of it is shown with its certificate."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLabel
from pytestqt.qtbot import QtBot

from app.core.export.certificate import Agreement, Certificate
from app.core.export.destination import free_destination, usual_parent
from app.core.export.format import EXPORT_FORMATS, LOSSY
from app.core.protocol import event
from app.core.protocol.command import Stop
from app.core.protocol.job import ExportJob, read_job
from app.ui.export.dialog import ExportDialog
from app.ui.export.option_grid import ShareSlider
from app.ui.form.plain_editor import CheckEditor, ChoiceBox, TextEditor
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.training import saved_arrays

PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("export")
    return make_adapter(make_model(root / "base"), root / "friendly")


def choose(dialog: ExportDialog, name: str) -> None:
    dialog.formats.setCurrentRow(list(EXPORT_FORMATS).index(name))


def place(dialog: ExportDialog, out: Path) -> None:
    """Chooses a folder and types the name of the new one in it."""
    dialog.where.choose(str(out.parent))
    QTest.keySequence(dialog.name, QKeySequence.StandardKey.SelectAll)
    QTest.keyClicks(dialog.name, out.name)


@pytest.fixture
def revealed() -> list[Path]:
    return []


@pytest.fixture
def dialog(qtbot: QtBot, adapter: Path, revealed: list[Path]) -> ExportDialog:
    made = ExportDialog(adapter, reveal=revealed.append)
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.mark.parametrize("name", list(EXPORT_FORMATS))
def test_every_option_of_every_format_reaches_the_job(dialog: ExportDialog, name: str) -> None:
    choose(dialog, name)
    assert dialog.job.format == name
    assert dialog.options.editors.keys() == {option.name for option in EXPORT_FORMATS[name].options}
    for option in EXPORT_FORMATS[name].options:
        editor = dialog.options.editors[option.name]
        assert dialog.job.options[option.name] == option.default
        if isinstance(editor, ShareSlider):
            editor.slider.setValue(10)
        elif isinstance(editor, CheckEditor):
            editor.click()
        elif isinstance(editor, ChoiceBox):
            editor.set_value(option.choices[-1].value)
        else:
            assert isinstance(editor, TextEditor)
            editor.setText("word")
        assert dialog.job.options[option.name] != option.default


def test_the_place_and_the_checkpoint_reach_the_job(dialog: ExportDialog, adapter: Path, tmp_path: Path) -> None:
    choose(dialog, "fused")
    assert (dialog.job.source, dialog.job.checkpoint) == (adapter, "last")
    assert dialog.job.out.name == "friendly-fused"
    place(dialog, tmp_path / "mine")
    assert dialog.job.out == tmp_path / "mine"
    assert "are free there" in dialog._space.text()


def test_what_is_in_the_way_is_said_and_holds_back_the_export(dialog: ExportDialog, tmp_path: Path) -> None:
    place(dialog, tmp_path)
    assert not dialog.export_button.isEnabled()
    assert "exists, and nothing is written over" in dialog._problem.text()
    dialog.where.choose("somewhere")
    assert "whole path" in dialog._problem.text()
    place(dialog, tmp_path / "new")
    assert dialog.export_button.isEnabled()
    assert dialog._problem.isHidden()
    for name in ("", "a/b"):
        place(dialog, tmp_path / "new")
        dialog.name.clear()
        QTest.keyClicks(dialog.name, name)
        dialog._on_name()
        assert "Give the new folder a name" in dialog._problem.text()
        assert not dialog.export_button.isEnabled()


def test_the_folder_is_chosen_with_the_systems_dialog_and_proposed_the_next_time(
    qtbot: QtBot, dialog: ExportDialog, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk" / "friendly-adapter").mkdir(parents=True)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "disk"))
    dialog.where.browse_button.click()
    assert dialog.job.out == tmp_path / "disk" / "friendly-adapter-2"  # that name is free
    choose(dialog, "fused")
    assert dialog.job.out == tmp_path / "disk" / "friendly-fused"  # the folder stays with another format
    choose(dialog, "lmstudio")
    assert dialog.job.out == free_destination("friendly", "lmstudio")  # but not with LM Studio's own place
    choose(dialog, "adapter")
    dialog.export_button.click()
    qtbot.waitUntil(lambda: dialog.export_button.isVisible(), timeout=PATIENCE_MS)
    assert (tmp_path / "disk" / "friendly-adapter-2").is_dir()
    again = ExportDialog(adapter)
    qtbot.addWidget(again)
    assert again.job.out == tmp_path / "disk" / "friendly-adapter-3"
    (tmp_path / "disk").rename(tmp_path / "gone")
    without = ExportDialog(adapter)
    qtbot.addWidget(without)
    assert without.job.out == free_destination("friendly", "adapter")


def test_the_strength_that_was_asked_for_stands_in_every_format(qtbot: QtBot, adapter: Path) -> None:
    made = ExportDialog(adapter, strength=0.75)
    qtbot.addWidget(made)
    assert made.job.options["scale"] == 0.75
    choose(made, "fused")
    assert made.job.options["scale"] == 0.75
    slider = made.options.editors["scale"]
    assert isinstance(slider, ShareSlider)
    slider.slider.setValue(20)
    choose(made, "adapter")
    assert made.job.options["scale"] == 1.0


def test_an_export_is_made_and_shown_with_its_certificate(
    qtbot: QtBot, dialog: ExportDialog, revealed: list[Path], adapter: Path, tmp_path: Path
) -> None:
    choose(dialog, "adapter")
    place(dialog, tmp_path / "out")
    dialog.export_button.click()
    assert dialog.stop_button.isVisible()
    assert not dialog.formats.isEnabled()
    qtbot.waitUntil(lambda: dialog.export_button.isVisible(), timeout=PATIENCE_MS)
    assert dialog.result_card.isVisible()
    assert dialog.result_card.sentence.text().endswith("agrees with the run's model.")
    assert (tmp_path / "out" / "certificate.json").is_file()
    wanted = saved_arrays(adapter / "adapters.safetensors")
    assert saved_arrays(tmp_path / "out" / "adapters.safetensors").keys() == wanted.keys()
    dialog.result_card.reveal.click()
    assert revealed == [tmp_path / "out"]


def test_a_stop_leaves_nothing(qtbot: QtBot, dialog: ExportDialog, tmp_path: Path) -> None:
    choose(dialog, "fused")
    place(dialog, tmp_path / "place" / "out")
    dialog.export_button.click()
    dialog.stop_button.click()
    qtbot.waitUntil(lambda: dialog.export_button.isVisible(), timeout=PATIENCE_MS)
    assert dialog.result_card.isHidden()
    assert not list((tmp_path / "place").glob("*")) if (tmp_path / "place").exists() else True


def test_what_was_uploaded_is_told_with_its_page(dialog: ExportDialog) -> None:
    page = "https://hub/ada/friendly"
    dialog.result_card.show_result({"path": "/out/friendly", "bytes": 1000, "certificate": None, "page": page})
    card = dialog.result_card
    assert (card._place.text(), card._place.toolTip()) == (f"friendly · 1\u00a0kB · {page}", "/out/friendly")
    assert "there is no certificate" in card.sentence.text()
    assert card.sentence.property("role") == "muted"


def test_an_adapter_that_learned_nothing_is_told_first(dialog: ExportDialog) -> None:
    card = dialog.result_card
    card.show_result({"path": "/out/x", "bytes": 1, "certificate": None, "remark": "It changes nothing."})
    assert card.sentence.text().startswith("It changes nothing. It was not opened again")
    assert card.sentence.property("role") == "warning"


@pytest.mark.parametrize(("agrees", "role", "mark"), [(True, "good", "agrees"), (False, "error", "differs")])
def test_a_certificate_looks_as_what_it_says(agrees: bool, role: str, mark: str, dialog: ExportDialog) -> None:
    certificate = Certificate("mlx-lm 1.2", False, (Agreement("answers", agrees, "8 of 8 begin alike."),))
    shown = {"path": "/out/friendly", "bytes": 1000, "certificate": certificate.as_dict()}
    dialog.result_card.show_result(shown)
    sentence = dialog.result_card.sentence
    said = "mlx-lm 1.2 agrees with the run's model." if agrees else "mlx-lm 1.2 opens it, and it differs:"
    assert (sentence.text(), sentence.property("role")) == (said, role)
    (found,) = [label for label in dialog.result_card.findChildren(QLabel) if label.text() == mark]
    assert found.property("role") == ("pill-good" if agrees else "pill-error")

    def said_of_it() -> list[str]:
        return [
            one.text() for one in dialog.result_card.findChildren(QLabel) if one.isVisibleTo(dialog.result_card)
        ]

    assert set(said_of_it()) == {"friendly · 1\u00a0kB", said, mark, "Answers", "8 of 8 begin alike."}
    assert dialog.result_card._place.toolTip() == "/out/friendly"
    dialog.result_card.show_result(shown | {"certificate": None})
    assert len(said_of_it()) == 2, "findings of an export before are gone"


def test_a_source_that_is_no_adapter_is_told(qtbot: QtBot, tmp_path: Path) -> None:
    made = ExportDialog(tmp_path)
    qtbot.addWidget(made)
    made.show()
    assert "There is no adapter in" in made._problem.text()
    assert not made.export_button.isEnabled()


def test_few_bits_that_lose_what_was_learned_are_told_and_can_be_had_knowingly(
    qtbot: QtBot, adapter: Path, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    made = ExportDialog(adapter)
    qtbot.addWidget(made)
    made.show()
    choose(made, "fused")
    bits, lossy = made.options.editors["bits"], made.options.editors["lossy"]
    assert isinstance(bits, ChoiceBox)
    assert isinstance(lossy, CheckEditor)
    bits.set_value("4bit")
    made.export_button.click()
    said = "Only 43\u00a0% of what was learned stays in weights of 4bit; nothing was written."
    workers[0].end(event.Failed(message=said, hint=f"Choose 16-bit, or “{LOSSY.label}”."), 1)
    shown = child(made, QLabel, "export.text").text()
    assert said in shown
    assert lossy.text() in shown  # what is told to be ticked stands in the form
    lossy.click()
    made.export_button.click()
    job = read_job(workers[1].job_dir)
    assert isinstance(job, ExportJob)
    assert (job.options["bits"], job.options["lossy"]) == ("4bit", True)
    workers[1].end(event.Finished())


def seen(dialog: ExportDialog) -> dict[str, object]:
    """What of the dialog depends on whether it works, and on what was said last."""
    parts = {
        "export": dialog.export_button, "stop": dialog.stop_button, "result": dialog.result_card,
        "problem": dialog._problem,
    }  # fmt: skip
    return {
        "visible": [name for name, part in parts.items() if part.isVisible()],
        "usable": [part.isEnabled() for part in (dialog.formats, dialog._form)],
        "said": dialog.progress.text.text(),
    }


def test_from_start_to_end_it_says_what_is_done(
    qtbot: QtBot, adapter: Path, workers: list[FakeWorker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    made = ExportDialog(adapter)
    qtbot.addWidget(made)
    made.show()
    title = child(made, QLabel, "export.title")
    idle: dict[str, object] = {"visible": ["export"], "usable": [True, True], "said": ""}
    busy = idle | {"visible": ["stop"], "usable": [False, False], "said": "Starting …"}
    assert (title.text(), seen(made), made.export_button.toolTip()) == ("friendly", idle, "")
    assert not made.checkpoint.isEnabled(), "there is but one"
    place(made, tmp_path / "mine")
    made.export_button.click()
    assert seen(made) == busy
    workers[0].say(event.Progressed(phase="Merging"))
    assert seen(made) == busy | {"said": "Merging …"}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").touch()
    data = {"path": str(tmp_path / "mine"), "bytes": 1000, "certificate": None}
    workers[0].say(event.Result(name="export", data=data))
    workers[0].end(event.Finished(reason="completed"))
    assert seen(made) == idle | {"visible": ["export", "result"]}
    assert made.job.out == free_destination("friendly", made.format.name, tmp_path), "another is made beside it"
    made.export_button.click()
    assert seen(made) == busy
    workers[1].end(event.Failed(message="The disk is full."), 1)
    assert seen(made) == idle | {"said": "The disk is full."}
    place(made, tmp_path / "other")
    made.export_button.click()
    made.stop_button.click()
    assert [type(one) for one in workers[2].commands] == [Stop]
    workers[2].end(event.Finished(reason="stopped", message="Stopped; nothing was written."))
    assert seen(made) == idle | {"said": "Stopped; nothing was written."}
    assert made.job.out == tmp_path / "other", "what was typed stays"
    place(made, tmp_path / "mine")
    assert "exists, and nothing is written over" in made.export_button.toolTip()
    assert seen(made)["visible"] == ["export", "problem"]


@pytest.mark.parametrize("name", ["adapter", "fused", "lmstudio"])
def test_what_a_format_is_stands_above_its_options(dialog: ExportDialog, name: str) -> None:
    choose(dialog, name)
    chosen = EXPORT_FORMATS[name]
    said = [one.text() for one in (dialog._format_title, dialog._what, dialog._opens, dialog._refuses)]
    assert said == [chosen.title, chosen.what, ", ".join(chosen.opens), chosen.refuses]
    (item,) = dialog.formats.selectedItems() or [dialog.formats.currentItem()]
    assert (item.text(), item.toolTip()) == (chosen.title, chosen.what)
    assert dialog.where.value() == str(usual_parent(name))
    assert child(dialog, QLabel, "export.space").text().startswith("About ")
