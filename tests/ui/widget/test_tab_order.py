"""Tab goes through a page as it is read, in whatever order its parts were made."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QGridLayout, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.ui.form.store import ConfigStore
from app.ui.run.session import RunSession
from app.ui.widget.tab_order import follow_page, stops
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
