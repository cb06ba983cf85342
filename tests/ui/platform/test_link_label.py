"""Tab goes from link to link, and past a text that has none."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.ui.platform.link_label import LinkLabel


def test_each_link_is_a_stop_and_the_text_is_none(qtbot: QtBot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    first, links, plain, last = QLineEdit(page), LinkLabel(page), LinkLabel(page), QLineEdit(page)
    links.setText("See <a href='1'>one</a> and <a href='2'>two</a>.")
    plain.setText("Nothing <b>to follow</b>.")
    layout, followed = QVBoxLayout(page), list[str]()
    for part in (first, links, plain, last):
        layout.addWidget(part)
    links.linkActivated.connect(followed.append)
    with qtbot.waitExposed(page):
        page.show()
    page.activateWindow()
    qtbot.waitUntil(page.isActiveWindow)
    first.setFocus()

    def gone(key: Qt.Key) -> object:
        QTest.keyClick(QApplication.focusWidget() or page, key)
        return links.selectedText() if links.hasFocus() else QApplication.focusWidget()

    assert [gone(Qt.Key.Key_Tab) for _ in range(3)] == ["one", "two", last]
    assert [gone(Qt.Key.Key_Backtab) for _ in range(3)] == ["two", "one", first]
    assert gone(Qt.Key.Key_Tab) == "one"
    QTest.keyClick(links, Qt.Key.Key_Return)
    assert followed == ["1"]
    links.setText("No more.")
    assert links.focusPolicy() == Qt.FocusPolicy.NoFocus
