"""The bundle dialog: what is chosen reaches the worker, what is in the way is said, what came of it is shown."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.ui.bundle.dialog import BundleDialog
from tests.worker.tiny_model import write_data, write_model

PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    folder = tmp_path_factory.mktemp("setup")
    write_model(folder / "model")
    write_model(folder / "packed", quantized=True, hidden_size=64)
    data = write_data(folder / "data", train=4, valid=2)
    return TrainConfig.model_validate({
        "model": str(folder / "model"), "data": str(data), "iters": 2, "epochs": None, "adapter_name": "my setup",
    })  # fmt: skip


def opened(config: TrainConfig, qtbot: QtBot, revealed: list[Path] | None = None) -> BundleDialog:
    dialog = BundleDialog(config, reveal=(revealed if revealed is not None else []).append)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def choose(dialog: BundleDialog, source: str) -> None:
    dialog.base.source.set_value(source)
    dialog.base.source.edited.emit(source)


def test_every_choice_reaches_the_job(setup: TrainConfig, qtbot: QtBot, tmp_path: Path) -> None:
    dialog = opened(setup, qtbot)
    assert (dialog.job.with_model, dialog.job.torch_model, dialog.job.four_bit) == (True, "", False)
    assert dialog.job.out.name == "my-setup.zip"
    assert dialog.job.config == setup.model_dump(mode="json")
    choose(dialog, "hub")
    assert not dialog.make_button.isEnabled()
    assert "Name the model on the hub" in dialog._problem.text()
    qtbot.keyClicks(dialog.base.name, "org/whole@main")
    dialog.base.four_bit.click()
    dialog.out.choose(str(tmp_path / "folder"))
    assert dialog.make_button.isEnabled()
    job = dialog.job
    assert (job.with_model, job.torch_model, job.four_bit) == (False, "org/whole@main", True)
    assert job.out == tmp_path / "folder"
    choose(dialog, "files")
    assert (dialog.job.with_model, dialog.job.torch_model, dialog.job.four_bit) == (True, "", False)


def test_its_folder_is_found_with_the_systems_dialog_and_its_name_stays(
    setup: TrainConfig, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = opened(setup, qtbot)
    name = Path(dialog.out.line.text()).name
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    assert dialog.out.browse_button.isVisible()
    dialog.out.browse_button.click()
    assert dialog.out.line.text() == str(tmp_path / name)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    dialog.out.browse_button.click()
    assert dialog.out.line.text() == str(tmp_path / name)


def test_size_and_licence_are_said_before(setup: TrainConfig, qtbot: QtBot) -> None:
    card = Path(setup.model) / "README.md"
    card.write_text("---\nlicense: apache-2.0\n---\nA model.\n")
    dialog = opened(setup, qtbot)
    assert dialog.base.about.text() == "111\u00a0kB here. Licence: apache-2.0."
    card.unlink()
    assert "not told here" in opened(setup, qtbot).base.about.text()


@pytest.mark.parametrize(
    "values, said",
    [
        ({"fine_tune_type": "full"}, "not the model's own weights"),
        ({"model": "/nowhere"}, "There is no folder /nowhere"),
    ],
)
def test_what_is_in_the_way_is_said(setup: TrainConfig, qtbot: QtBot, values: dict[str, str], said: str) -> None:
    dialog = opened(setup.with_values(values), qtbot)
    assert said in dialog._problem.text()
    assert not dialog.make_button.isEnabled()


def test_a_packed_model_needs_the_name_of_the_whole_one(setup: TrainConfig, qtbot: QtBot) -> None:
    dialog = opened(setup.with_value("model", str(Path(setup.model).with_name("packed"))), qtbot)
    assert dialog.base.source.value() == "hub"
    choose(dialog, "files")
    assert "quantized by MLX" in dialog._problem.text()
    assert not dialog.make_button.isEnabled()


def test_a_bundle_is_made_and_shown(setup: TrainConfig, qtbot: QtBot, tmp_path: Path) -> None:
    revealed: list[Path] = []
    dialog = opened(setup, qtbot, revealed)
    out = tmp_path / "mine.zip"
    dialog.out.choose(str(out))
    dialog.make_button.click()
    assert not dialog.make_button.isVisible()
    qtbot.waitUntil(dialog._result.isVisible, timeout=PATIENCE_MS)
    qtbot.waitUntil(dialog.make_button.isVisible, timeout=PATIENCE_MS)
    assert "4 rows to train on and 2 held out" in dialog.result_text.text()
    assert "its files are in the bundle" in dialog.result_text.text()
    with zipfile.ZipFile(out) as packed:
        assert "mine/train.py" in packed.namelist()
    dialog.reveal_button.click()
    assert revealed == [out]
