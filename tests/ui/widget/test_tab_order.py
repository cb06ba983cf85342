"""Tab goes through a page as it is read, in whatever order its parts were made."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSplitter,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.ui.form.store import ConfigStore
from app.ui.run.session import RunSession
from app.ui.widget.tab_order import follow_page, stops, wrapped_stop
from app.ui.window.appearance import Appearance
from app.ui.window.main_window import MainWindow


def test_the_layout_says_the_order(qtbot: QtBot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    last, third, first, second = (QLineEdit(page) for _ in range(4))
    grid, columns, column = QGridLayout(), QHBoxLayout(), QVBoxLayout()
    grid.addWidget(third, 1, 0)
    grid.addWidget(second, 0, 1)
    grid.addWidget(first, 0, 0)
    column.addWidget(last)
    columns.addLayout(grid)
    columns.addLayout(column)
    page.setLayout(columns)
    assert stops(page) == [first, second, third, last]
    follow_page(stops(page))
    with qtbot.waitExposed(page):
        page.show()
    page.activateWindow()
    qtbot.waitUntil(page.isActiveWindow)
    first.setFocus()
    for following in (second, third, last):
        QTest.keyClick(page.focusWidget() or page, Qt.Key.Key_Tab)
        assert following.hasFocus()


def test_tab_goes_down_the_form_also_through_what_came_late(qtbot: QtBot) -> None:
    window = MainWindow(ConfigStore(), RunSession(), Appearance())
    qtbot.addWidget(window)
    window.resize(1440, 900)
    window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    late = QPushButton("late", window.setup_tab.training)
    window.setup_tab.training.tools.addWidget(late)  # at the head of the card, made after all of it
    qtbot.waitUntil(late.isVisible)
    window.tab_bar.setFocus()
    names = []
    for _ in range(36):
        focused = QApplication.focusWidget()
        assert focused is not None
        QTest.keyClick(focused, Qt.Key.Key_Tab)
        focused = QApplication.focusWidget()
        assert focused is not None
        assert not focused.objectName().endswith(".help")  # F1 explains the field
        names.append(focused.objectName() or focused.text())  # type: ignore[attr-defined]
    assert names[:2] == ["theme_toggle", "panel_toggle"]
    order = ["config.reset", "model.get", "model", "data", "late", "learning_rate", "batch_size", "epochs", "seed"]
    places = [names.index(name) for name in order]
    assert places == sorted(places)
    column = window.setup_tab.columns
    fields = [window.setup_tab.fields[name].mapTo(column, QPoint()).y() for name in ("model", "learning_rate")]
    assert fields == sorted(fields)


def test_tab_goes_on_at_the_other_end(qtbot: QtBot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    first, hidden, off, last = (QLineEdit(page) for _ in range(4))
    page.show()
    hidden.hide()
    off.setEnabled(False)
    found = [hidden, first, off, last, hidden]
    assert [wrapped_stop(at, True, found) for at in (first, last, None)] == [None, first, None]
    assert [wrapped_stop(at, False, found) for at in (first, last, None)] == [last, None, None]
    assert wrapped_stop(first, True, [first]) is first
    assert wrapped_stop(None, True, []) is None
    assert wrapped_stop(first, True, [hidden, off]) is None


def test_only_what_is_seen_is_stopped_at_where_that_is_asked_for(qtbot: QtBot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    layout = QVBoxLayout(page)
    area, splitter, free = QScrollArea(), QSplitter(Qt.Orientation.Horizontal), QWidget()
    inner, left, right = QLineEdit(), QLineEdit(), QLineEdit()
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidget(inner)
    splitter.addWidget(right)
    splitter.insertWidget(0, left)
    lower, upper, beside = (QLineEdit(free) for _ in range(3))
    lower.move(0, 40)
    beside.move(200, 0)
    empty = QScrollArea()
    empty.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    for part in (area, splitter, free, empty, QLabel("no stop")):
        layout.addWidget(part)
    layout.addStretch(1)
    page.show()
    upper.hide()
    every = [inner, left, right, upper, beside, lower]
    assert stops(page) == every
    assert stops(page, only_shown=True) == [one for one in every if one is not upper]
    left.hide()
    splitter.hide()
    assert stops(page, only_shown=True) == [inner, beside, lower]
