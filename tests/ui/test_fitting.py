"""The look at what does not fit finds what is cut, and nothing else."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QLabel,
    QPushButton,
    QScrollArea,
    QTabBar,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot

from tests.ui.fitting import unfit


def page(qtbot: QtBot, part: QWidget, width: int) -> QWidget:
    """A page whose only part is that wide."""
    found = QWidget()
    qtbot.addWidget(found)
    part.setParent(found)
    part.setFixedWidth(width)
    part.setObjectName("part")
    QVBoxLayout(found).addWidget(part)
    found.resize(600, 200)
    found.show()
    return found


def choice(text: str) -> QComboBox:
    box = QComboBox()
    box.addItem(text)
    return box


def tabs(text: str) -> QTabBar:
    bar = QTabBar()
    bar.addTab(text)
    return bar


@pytest.mark.parametrize("kind", [QLabel, QPushButton, QCheckBox, choice, tabs])
def test_a_text_is_told_where_it_is_cut_and_only_there(qtbot: QtBot, kind: type[QWidget]) -> None:
    text = "Gradient accumulation steps"  # mypy cannot know that each of the kinds takes a text
    assert unfit(page(qtbot, kind(text), 400)) == []  # type: ignore[arg-type]
    told = unfit(page(qtbot, kind(text), 60))  # type: ignore[arg-type]
    assert told
    assert text in told[0]


def test_a_wrapped_text_needs_its_height(qtbot: QtBot) -> None:
    label = QLabel("word " * 40)
    label.setWordWrap(True)
    found = page(qtbot, label, 200)
    assert unfit(found) == []
    label.setFixedHeight(20)
    QApplication.processEvents()
    assert "needs a height of" in unfit(found)[0]


def test_a_page_wider_than_its_view_is_told(qtbot: QtBot) -> None:
    area = QScrollArea()
    inner = QPushButton("A button whose text is rather long")
    area.setWidget(inner)
    found = page(qtbot, area, 100)
    assert unfit(found) == []
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    assert "its page needs" in unfit(found)[0]
