"""The row of a vote's choices: a button and a key each, of which the one that was chosen stays marked."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QMouseEvent, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from app.core.compare.judgement import Outcome
from app.core.language import tr
from app.ui.widget import theme

COLUMN_LETTERS = "ABCDEFGH"


class VoteButton(QPushButton):
    """A button that a double click presses once: the second press would be a vote on the question that follows."""

    def __init__(self, name: str, text: str, tip: str, parent: QWidget) -> None:
        super().__init__(text, parent)
        self.setObjectName(f"judging.{name}")
        self.setAccessibleName(text)
        self.setToolTip(tip)
        self.setCheckable(True)

    def mouseDoubleClickEvent(self, clicked: QMouseEvent) -> None:
        clicked.accept()


class VoteRow(QWidget):
    """``A is better``, ``B is better``, …, ``Tie``, ``All bad``. What is marked says `show_choice`, not a click."""

    chosen = Signal(object, str)  # the column that is better, else None, and the Outcome

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._open = False
        self._columns: list[VoteButton] = []
        self._tie = self._button("tie", tr("Tie"), tr("As good as each other. Key 0"), None, "tie")
        self._all_bad = self._button(
            "all_bad", tr("All bad"), tr("None of them is an answer. Key −"), None, "all_bad"
        )
        self._keys = [self._key("0", None, "tie"), self._key("-", None, "all_bad")]
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(theme.SPACE)
        self._row.addWidget(self._tie)
        self._row.addWidget(self._all_bad)
        self._row.addStretch(1)

    def set_columns(self, count: int) -> None:
        """One button and key a column."""
        while len(self._columns) > count:
            button = self._columns.pop()
            key = self._keys.pop(len(self._columns))
            self._row.removeWidget(button)
            for gone in (button, key):
                gone.setParent(None)
                gone.deleteLater()
        while len(self._columns) < count:
            number = len(self._columns)
            text = tr("{name} is better", name=COLUMN_LETTERS[number])
            button = self._button(f"{number}", text, tr("Key {number}", number=number + 1), number, "win")
            self._row.insertWidget(number, button)
            self._columns.append(button)
            self._keys.insert(number, self._key(str(number + 1), number, "win"))
        self._enable()

    def show_choice(self, column: int | None = None, outcome: Outcome | None = None, *, is_open: bool) -> None:
        """Marks what was chosen, nothing without an ``outcome``; ``is_open`` if a choice can be made or changed."""
        self._open = is_open
        for number, button in enumerate(self._columns):
            button.setChecked(outcome == "win" and number == column)
        self._tie.setChecked(outcome == "tie")
        self._all_bad.setChecked(outcome == "all_bad")
        self._enable()

    def _enable(self) -> None:
        for button in (*self._columns, self._tie, self._all_bad):
            if not self._open and button.hasFocus():
                button.clearFocus()  # else a field may have it next, which takes the keys of votes and pages
            button.setEnabled(self._open)
        for key in self._keys:
            key.setEnabled(self._open)

    def _button(self, name: str, text: str, tip: str, column: int | None, outcome: Outcome) -> VoteButton:
        button = VoteButton(name, text, tip, self)
        button.clicked.connect(partial(self._on_chosen, column, outcome))
        return button

    def _key(self, key: str, column: int | None, outcome: Outcome) -> QShortcut:
        """A key that votes from anywhere in the window, once a press; where one can type, it types."""
        found = QShortcut(QKeySequence(key), self)
        found.setContext(Qt.ShortcutContext.WindowShortcut)
        found.setAutoRepeat(False)
        found.activated.connect(partial(self._on_chosen, column, outcome))
        return found

    def _on_chosen(self, column: int | None, outcome: Outcome, _checked: bool = False) -> None:
        self.chosen.emit(column, outcome)
