"""Dropping: where each kind of file belongs, what the window says about it, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.core.setup.path_kind import Landing, Place, land
from app.ui.window.drop_target import DropOverlay, DropTarget
from tests.ui import synthetic_run
from tests.ui.dragging import drag_away, drag_over, drop


def made(path: Path, text: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made(tmp_path / "model" / "config.json", json.dumps({"model_type": "llama"}))
    made(tmp_path / "model" / "model.safetensors", "")
    return tmp_path / "model"


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    made(tmp_path / "tuned" / "adapter_config.json")
    made(tmp_path / "tuned" / "adapters.safetensors", "")
    made(tmp_path / "tuned" / "0000100_adapters.safetensors", "")
    return tmp_path / "tuned"


def test_a_model_folder_and_its_files_are_a_model(model: Path) -> None:
    for path in (model, model / "config.json", model / "model.safetensors"):
        assert land(path) == Landing(Place.MODEL, model)


def test_an_adapter_folder_and_its_checkpoints_are_an_adapter(adapter: Path) -> None:
    for name in ("", "adapters.safetensors", "0000100_adapters.safetensors", "adapter_config.json"):
        assert land(adapter / name) == Landing(Place.ADAPTER, adapter)


def test_a_run_is_a_run_and_its_adapters_are_an_adapter(tmp_path: Path) -> None:
    run = synthetic_run.run_folder(tmp_path)
    assert land(run.path) == Landing(Place.RUN, run.path)
    assert land(run.events) == Landing(Place.RUN, run.path)
    assert land(run.config) == Landing(Place.CONFIG, run.config)
    made(run.adapters / "adapter_config.json")
    assert land(run.adapters).place is Place.ADAPTER


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("train.jsonl", Place.DATA),
        ("chats.csv", Place.DATA),
        ("rows.parquet", Place.DATA),
        ("book.txt", Place.DATA),
        ("train.jsonl.gz", Place.DATA),
        ("valid.jsonl", Place.VALID_DATA),
        ("my_validation.json", Place.VALID_DATA),
        ("test.jsonl", Place.TEST_DATA),
        ("lora.yaml", Place.CONFIG),
    ],
)
def test_files_are_known_by_their_names(tmp_path: Path, name: str, place: Place) -> None:
    path = made(tmp_path / name)
    assert land(path) == Landing(place, path)


def test_a_folder_with_examples_is_data_also_one_level_down(tmp_path: Path) -> None:
    made(tmp_path / "chats" / "train.jsonl")
    made(tmp_path / "hub" / "data" / "train-00000.parquet")
    assert land(tmp_path / "chats").place is Place.DATA
    assert land(tmp_path / "hub").place is Place.DATA


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.gguf", "safetensors version"),
        ("photo.png", "is not a model"),
        ("weights.safetensors", "config.json"),
        ("adapters.safetensors", "adapter_config.json"),
    ],
)
def test_what_cannot_be_used_says_why(tmp_path: Path, name: str, said: str) -> None:
    found = land(made(tmp_path / name))
    assert found.place is Place.NOWHERE
    assert said in found.reason


def test_an_empty_folder_and_a_missing_file_say_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "config.json" in land(tmp_path / "empty").reason
    assert "does not exist" in land(tmp_path / "gone.jsonl").reason


@pytest.fixture
def window(qtbot: QtBot) -> QWidget:
    found = QWidget()
    qtbot.addWidget(found)
    found.resize(600, 400)
    found.show()
    return found


def test_the_window_says_what_a_drop_would_do_and_hands_it_over(qtbot: QtBot, window: QWidget, model: Path) -> None:
    target = DropTarget(window)
    drag_over(window, model)
    overlay = window.findChild(DropOverlay)
    assert overlay.isVisible()
    assert overlay.text == "Use as the model"
    drag_away(window)
    assert not overlay.isVisible()
    with qtbot.waitSignal(target.dropped) as caught:
        assert drop(window, model)
    assert caught.args == [[Landing(Place.MODEL, model)]]
    assert not overlay.isVisible()


def test_several_files_are_told_together_and_refusals_are_handed_over_too(
    qtbot: QtBot, window: QWidget, model: Path, tmp_path: Path
) -> None:
    target = DropTarget(window)
    data, photo = made(tmp_path / "train.jsonl"), made(tmp_path / "photo.png")
    drag_over(window, model, data)
    assert window.findChild(DropOverlay).text == "Use as the model · Use as training data"
    with qtbot.waitSignal(target.dropped) as caught:
        drop(window, model, photo)
    assert [found.place for found in caught.args[0]] == [Place.MODEL, Place.NOWHERE]


def test_what_is_no_file_is_left_alone(window: QWidget) -> None:
    DropTarget(window)
    assert not drop(window)
    assert not window.findChild(DropOverlay).isVisible()
