"""What is not translated: the texts of a page without the marks that the pseudo-language puts around each."""

from __future__ import annotations

import re
from collections.abc import Iterator

from PySide6.QtCore import QAbstractItemModel, QAbstractTableModel, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QComboBox,
    QGroupBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTabBar,
    QTextEdit,
    QWidget,
)

OPEN, CLOSE = "⟦", "⟧"
# What is the same in every language: names of things and methods, units, keys, paths, and code.
SAME = re.compile(
    r"""(https?://\S+ | [\w.~$-]*/[\w./~$-]* | `[^`]*` | “[^”]*” | \b[A-Z]+[a-z]*[A-Z]+\w*\b | \b[\w-]+_[\w-]+\b
    | \b\w+\.\w+\b | \b\w*\d\w*\b | \b[A-Z]{2,}\b | \b[^\W\d_]{1,2}\b)""",
    re.VERBOSE,
)
# Names, and what the pseudo-language has no catalogue for: Qt's own buttons.
NAMES = re.compile(
    r"(?m)^\w+:|\b(?:Luthier|English|Deutsch|Google|Colab|friendly|Close|Cancel|Ctrl|Shift|Return|Esc|Delete"
    r"|Alt|Left|Right|Del|Space|Warm-up|Min-p|Top-k|Top-p|mlx-lm-lora|mlx-lm|Test|bit|user@mac|data)\b"
)
# What these show is what a person or a file wrote, or a worker that this process only plays.
OTHERS_WORDS = re.compile(
    r"(ElidedLabel|QLabel) in (data_panel|data_column_page|export.title|model_panel|run_name|run_page|run_sentence)"
    r"|ElidedLabel in compare\.page\.prompt"
    r"|CalmBox in edit\.turn\.role|CheckEditor in reward\.|ColumnBox in "
    r"|ElidedBox in (answer\.\d\.candidate|chat.candidate)"
)
WORD = re.compile(r"[^\W\d_]{3,}")


def untranslated(page: QWidget) -> list[str]:
    """One sentence for each text of a page that shows a word outside the marks."""
    found = {f"{place}: {text}" for place, text in _texts(page) if _lacks(text) and not OTHERS_WORDS.match(place)}
    return sorted(found)


def _lacks(text: str) -> bool:
    """Whether a word stands outside all marks."""
    outside, depth = [], 0
    for letter in re.sub(r"<[^<>]*>|&\w+;", " ", text):
        if letter == OPEN:
            depth += 1
        elif letter == CLOSE:
            depth -= 1
        elif not depth:
            outside.append(letter)
    return bool(WORD.search(SAME.sub(" ", NAMES.sub(" ", "".join(outside)))))


def _texts(page: QWidget) -> Iterator[tuple[str, str]]:
    for widget in [page, *page.findChildren(QWidget)]:
        if widget is not page and not widget.isVisibleTo(page):
            continue
        name = _name(widget)
        if widget.toolTip():
            yield f"{name}, tip", widget.toolTip()
        if isinstance(widget, QLabel | QAbstractButton):
            yield name, widget.text()
        elif isinstance(widget, QGroupBox):
            yield name, widget.title()
        elif isinstance(widget, QLineEdit | QPlainTextEdit | QTextEdit):
            yield f"{name}, placeholder", widget.placeholderText()
        elif isinstance(widget, QTabBar):
            for index in range(widget.count()):
                yield name, widget.tabText(index)
        elif isinstance(widget, QComboBox):
            for index in range(widget.count()):
                yield name, widget.itemText(index)
        elif isinstance(widget, QAbstractItemView) and widget.model() is not None:
            for text in _heads(widget.model()):
                yield f"{name}, head", text
        for action in widget.actions():
            yield from _of_action(action, name)


def _of_action(action: QAction, name: str) -> Iterator[tuple[str, str]]:
    yield f"{name}, action", action.text().replace("&", "")
    if (menu := action.menu()) is not None:
        for inner in menu.actions():  # type: ignore[attr-defined]
            yield from _of_action(inner, name)


def _heads(model: QAbstractItemModel) -> Iterator[str]:
    if not isinstance(model, QAbstractTableModel):
        return  # a list's columnCount is private
    for section in range(model.columnCount()):
        yield str(model.headerData(section, Qt.Orientation.Horizontal) or "")


def _name(widget: QWidget) -> str:
    named: QWidget | None = widget
    while named is not None and (not named.objectName() or named.objectName().startswith("qt_")):
        named = named.parentWidget()
    return f"{type(widget).__name__} in {named.objectName() if named is not None else '?'}"
