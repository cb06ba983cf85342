"""Two fingers that scroll a page change none of the fields that they pass over, nor the one with the keyboard."""

from __future__ import annotations

import ast

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QScrollArea, QSlider, QTabBar, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.spec import field_specs
from app.ui.form.number_box import NumberBox
from app.ui.form.plain_editor import ChoiceBox
from app.ui.platform.scrolling import CalmSlider, CalmTabBar
from tests import ROOT

BEGIN, UPDATE, NOTCHED = Qt.ScrollPhase.ScrollBegin, Qt.ScrollPhase.ScrollUpdate, Qt.ScrollPhase.NoScrollPhase
PLAIN = ("QComboBox", "QSlider", "QTabBar", "QTabWidget", "QSpinBox", "QDoubleSpinBox")


def make(kind: str) -> QWidget:
    if kind == "number":
        number = NumberBox(field_specs()["batch_size"])
        number.set_value(4)
        return number
    if kind == "choice":
        choice = ChoiceBox((("a", "A"), ("b", "B"), ("c", "C")))
        choice.set_value("b")
        return choice
    if kind == "slider":
        slider = CalmSlider(Qt.Orientation.Horizontal)
        slider.setValue(50)
        return slider
    tabs = CalmTabBar()
    for name in "abc":
        tabs.addTab(name)
    tabs.setCurrentIndex(1)
    return tabs


def shown(field: QWidget) -> object:
    if isinstance(field, (QComboBox, QTabBar)):
        return field.currentIndex()
    return field.value() if isinstance(field, QSlider) else field.text()  # type: ignore[attr-defined]


def wheel(field: QWidget, phase: Qt.ScrollPhase) -> None:
    window = field.window()
    at = QPointF(field.mapTo(window, field.rect().center()))
    QTest.wheelEvent(
        window.windowHandle(), at, QPoint(0, -120), QPoint(0, -15), Qt.KeyboardModifier.NoModifier, phase
    )


@pytest.mark.parametrize("kind", ["number", "choice", "slider", "tabs"])
def test_scrolling_changes_nothing_and_moves_the_page(kind: str, qtbot: QtBot) -> None:
    area, page = QScrollArea(), QWidget()
    field = make(kind)
    layout = QVBoxLayout(page)
    layout.addWidget(field)
    layout.addStretch(1)
    page.setFixedSize(300, 2000)
    area.setWidget(page)
    area.resize(320, 200)
    qtbot.addWidget(area)
    with qtbot.waitActive(area):
        area.show()
    field.setFocus()
    before = shown(field)
    for phase in (BEGIN, UPDATE):
        wheel(field, phase)
        assert shown(field) == before
    assert area.verticalScrollBar().value() > 0
    area.verticalScrollBar().setValue(0)
    wheel(field, NOTCHED)  # a mouse's own wheel turns what has the keyboard, but never tabs
    assert (shown(field) != before) is (kind != "tabs")


def test_no_field_is_made_otherwise() -> None:
    made = []
    for path in (ROOT / "app" / "ui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and ast.unparse(node.func) in PLAIN
            based = isinstance(node, ast.ClassDef) and any(ast.unparse(base) in PLAIN for base in node.bases)
            if called or based:
                made.append(path.name)
    assert set(made) == {"scrolling.py"}
