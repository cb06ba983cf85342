"""The options of a format: each has the editor of its kind, and what was chosen stays where it fits."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.core.export.option import ExportOption, OptionChoice
from app.ui.export.option_grid import OptionGrid, ShareSlider
from app.ui.form.plain_editor import CheckEditor, ChoiceBox, TextEditor
from tests.ui.child import child

SCALE = ExportOption("scale", "Strength", "How much of it", 1.0, most=8.0)
SHARE = ExportOption("share", "Share", "How much of all", 0.5, least=0.25, most=1.0)
BITS = ExportOption(
    "bits", "Bits", "Of each weight", "16", (OptionChoice("16", "16-bit", "All"), OptionChoice("4", "4-bit", "Few"))
)
LOSSY = ExportOption("lossy", "Also where much is lost", "Knowingly", default=False)
PAGE = ExportOption("page", "Page", "Where it is told", "")


@pytest.fixture
def grid(qtbot: QtBot) -> OptionGrid:
    found = OptionGrid(chosen={"scale": 0.75, "bits": "3"})
    qtbot.addWidget(found)
    found.show()
    return found


def test_each_option_has_the_editor_of_its_kind_and_is_explained(grid: OptionGrid) -> None:
    grid.show_options((SCALE, BITS, LOSSY, PAGE))
    kinds = {name: type(editor) for name, editor in grid.editors.items()}
    assert kinds == {"scale": ShareSlider, "bits": ChoiceBox, "lossy": CheckEditor, "page": TextEditor}
    assert grid.values() == {"scale": 0.75, "bits": "16", "lossy": False, "page": ""}, "3 is no choice"
    labels = [one for one in grid.findChildren(QLabel) if one.parent() is grid]
    assert [(one.text(), one.toolTip(), one.buddy()) for one in labels] == [
        (option.label, option.what, grid.editors[option.name]) for option in (SCALE, BITS, PAGE)
    ]
    assert {name: editor.toolTip() for name, editor in grid.editors.items()} == {
        "scale": "How much of it", "bits": "Of each weight", "lossy": "Knowingly", "page": "Where it is told",
    }  # fmt: skip
    named = {f"export.{name}": child(grid, QWidget, f"export.{name}") for name in kinds}
    assert [one.accessibleName() or one.text() for one in named.values()] == [  # type: ignore[attr-defined]
        "Strength", "Bits", "Also where much is lost", "Page",
    ]  # fmt: skip
    bits = grid.editors["bits"]
    assert isinstance(bits, ChoiceBox)
    told = [(bits.itemText(at), bits.itemData(at, Qt.ItemDataRole.ToolTipRole)) for at in range(2)]
    assert told == [("16-bit", "All"), ("4-bit", "Few")]
    places = {grid._layout.itemAt(at).widget(): grid._layout.getItemPosition(at) for at in range(7)}  # type: ignore[union-attr]
    assert [places[grid.editors[name]] for name in kinds] == [
        (0, 1, 1, 1),
        (1, 1, 1, 1),
        (2, 0, 1, 2),
        (3, 1, 1, 1),
    ]
    assert [places[label] for label in labels] == [(row, 0, 1, 1) for row in (0, 1, 3)]


def test_what_was_chosen_stays_with_another_format(grid: OptionGrid, qtbot: QtBot) -> None:
    grid.show_options((SCALE, BITS, LOSSY, PAGE))
    before = grid.findChildren(QLabel)
    told: list[dict[str, object]] = []
    grid.changed.connect(lambda: told.append(dict(grid.values())))
    qtbot.keyClicks(grid.editors["page"], "a")
    lossy, scale = grid.editors["lossy"], grid.editors["scale"]
    assert isinstance(lossy, CheckEditor)
    assert isinstance(scale, ShareSlider)
    lossy.click()
    scale.slider.setValue(30)
    assert told[-1] == {"scale": 1.5, "bits": "16", "lossy": True, "page": "a"}
    grid.show_options((PAGE, LOSSY, SHARE))
    assert not any(one.isVisible() for one in before)
    assert grid.values() == {"page": "a", "lossy": True, "share": 0.5}
    grid.show_options((SCALE,))
    assert grid.values() == {"scale": 1.5}


def test_a_share_is_told_in_words(qtbot: QtBot) -> None:
    found = ShareSlider(SCALE)
    qtbot.addWidget(found)
    told: list[float] = []
    found.edited.connect(told.append)
    text, slider = child(found, QLabel), found.slider
    assert (slider.minimum(), slider.maximum(), slider.pageStep(), text.text()) == (0, 40, 5, "1, as trained")
    for step, said in ((0, "0, the base"), (13, "0.65"), (20, "1, as trained"), (40, "2")):
        slider.setValue(step)
        assert (found.value(), text.text()) == (step / 20, said)
    assert told == [0.0, 0.65, 1.0, 2.0]
    small = ShareSlider(SHARE)
    qtbot.addWidget(small)
    assert (small.slider.minimum(), small.slider.maximum(), small.value()) == (5, 20, 0.5)
    none = ShareSlider(ExportOption("none", "None", "", 0.0))
    qtbot.addWidget(none)
    assert child(none, QLabel).text() == "0, the base"
