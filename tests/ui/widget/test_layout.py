"""Rows of labels and fields: each has the height that its text needs, whatever stands beside it."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QLineEdit, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.ui.widget.layout import FormRows


def wrapped(text: str, parent: QWidget) -> QLabel:
    label = QLabel(text, parent)
    label.setWordWrap(True)
    return label


def test_rows_have_the_height_of_their_texts(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    form = QWidget(window)
    rows = FormRows(form)
    short, long = wrapped("one line " * 5, form), wrapped("several lines of a text " * 8, form)
    line, hidden, beside = QLineEdit(form), QLineEdit(form), QLabel("A name", form)
    rows.add_row("Short", short)
    rows.add_row("Long", long)
    rows.add_whole(QLabel("whole", form))
    rows.add_row(beside, line)
    rows.add_row("Hidden", hidden)
    layout = QVBoxLayout(window)
    layout.addWidget(form)
    layout.addStretch(1)
    window.resize(420, 600)
    window.show()
    for label in (short, long):
        assert label.height() == label.heightForWidth(label.width())
    assert long.height() > 2 * short.height()
    assert line.height() == line.sizeHint().height()
    assert beside.buddy() is line
    rows.show_row(hidden, False)
    shown = [one.text() for one in form.findChildren(QLabel) if one.isVisible()]
    assert "Hidden" not in shown
    assert len(shown) == 6
    rows.show_row(hidden, True)
    assert hidden.isVisible()
