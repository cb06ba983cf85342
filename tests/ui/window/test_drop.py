"""Dropping: what the window says about files that hover over it, and what it hands over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.core.setup.path_kind import PathKind, SortedPath
from app.ui.window.drop_target import DropOverlay, DropTarget
from tests.ui.child import child
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
def window(qtbot: QtBot) -> QWidget:
    found = QWidget()
    qtbot.addWidget(found)
    found.resize(600, 400)
    found.show()
    return found


def test_the_window_says_what_a_drop_would_do_and_hands_it_over(qtbot: QtBot, window: QWidget, model: Path) -> None:
    target = DropTarget(window)
    drag_over(window, model)
    overlay = child(window, DropOverlay)
    assert overlay.isVisible()
    assert overlay.text == "Use as the model"
    drag_away(window)
    assert not overlay.isVisible()
    with qtbot.waitSignal(target.dropped) as caught:
        assert drop(window, model)
    assert caught.args == [[SortedPath(PathKind.MODEL, model)]]
    assert not overlay.isVisible()


def test_several_files_are_told_together_and_refusals_are_handed_over_too(
    qtbot: QtBot, window: QWidget, model: Path, tmp_path: Path
) -> None:
    target = DropTarget(window)
    data, photo = made(tmp_path / "train.jsonl"), made(tmp_path / "photo.png")
    drag_over(window, model, data)
    assert child(window, DropOverlay).text == "Use as the model · Use as training data"
    with qtbot.waitSignal(target.dropped) as caught:
        drop(window, model, photo)
    assert [found.kind for found in caught.args[0]] == [PathKind.MODEL, PathKind.UNUSABLE]


def test_the_veil_names_three_files_and_says_why_nothing_can_be_used(window: QWidget, tmp_path: Path) -> None:
    DropTarget(window)
    overlay = child(window, DropOverlay)
    for count, names in ((3, "0.jsonl, 1.jsonl, 2.jsonl"), (5, "0.jsonl, 1.jsonl, 2.jsonl and 2 more")):
        drag_over(window, made(tmp_path / "photo.png"), *(made(tmp_path / f"{n}.jsonl") for n in range(count)))
        assert (overlay.text, overlay._name.text()) == ("Use as training data", names)
    drag_over(window, tmp_path / "photo.png")
    assert overlay.text == "This cannot be used here"
    assert overlay._name.text().startswith("photo.png is not a model")
    window.resize(500, 300)
    assert overlay.geometry() == window.rect(), "it goes with the window"


def test_what_is_no_file_is_left_alone(window: QWidget) -> None:
    DropTarget(window)
    assert not drop(window)
    assert not child(window, DropOverlay).isVisible()


def test_the_veil_covers_the_window_and_has_a_dashed_rim(window: QWidget, model: Path) -> None:
    DropTarget(window)
    window.setStyleSheet("QWidget { background: #ff0000 }")
    drag_over(window, model)
    overlay = child(window, DropOverlay)
    assert overlay.geometry() == window.rect()
    image = window.grab().toImage()
    scale = image.devicePixelRatio()

    def color(x: int, y: int) -> QColor:
        return image.pixelColor(round(x * scale), round(y * scale))

    corner = color(3, 3)  # the light theme's #f6f5f3 or so over red, of which a twelfth still shows
    assert corner.green() > 200
    assert corner.red() > corner.green() > 0
    rim = [color(x, 16) for x in range(40, 560)]
    drawn = [one for one in rim if one != corner]
    assert 100 < len(drawn) < 500, "dashes and gaps"
    assert all(color(x, 40) == corner for x in range(40, 560))
    drag_away(window)
    assert window.grab().toImage().pixelColor(3, 3) == QColor("#ff0000")
