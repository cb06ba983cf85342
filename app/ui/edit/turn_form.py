"""The turn form: a chat's turns to edit as fields, each with its role and its text."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.core.language import tr
from app.ui.edit.row import MESSAGE_COLUMNS
from app.ui.platform.scrolling import CalmBox
from app.ui.widget import theme
from app.ui.widget.icon_button import IconButton

TURN_ROLES = ("system", "user", "assistant", "tool")
# The names of role and text in a turn: OpenAI's and ShareGPT's.
SPELLINGS = (("role", "content"), ("from", "value"))
MOST_TURNS = 100  # more are quicker edited as text
LINES = (2, 10)  # the least and the most of a text that are shown at once

TurnRow = dict[str, Any]


def chat_column(row: Any) -> str:
    """The column of a row's turns; "" for a row that is no chat, or one with turns that are no texts."""
    if not isinstance(row, dict):
        return ""
    name = next((name for name in MESSAGE_COLUMNS if isinstance(row.get(name), list)), "")
    turns = row[name] if name else []
    return name if turns and len(turns) <= MOST_TURNS and all(map(_spelling, turns)) else ""


def _spelling(turn: Any) -> tuple[str, str] | None:
    if not isinstance(turn, dict):
        return None
    for role, text in SPELLINGS:
        if isinstance(turn.get(role), str) and isinstance(turn.get(text, ""), str):
            return role, text
    return None


class TurnForm(QScrollArea):
    """Edits the turns of one row; ``edited`` says that `row` is another now. What a turn has besides stays."""

    edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("edit.form")
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._row: TurnRow = {}
        self.parts: list[TurnPart] = []
        page = QWidget()
        page.setObjectName("page")
        self._layout = QVBoxLayout(page)
        self._layout.setContentsMargins(0, 0, theme.SPACE, 0)
        self._layout.setSpacing(theme.SPACE)
        self.add_button = QPushButton(tr("Add a turn"), page)
        self.add_button.setObjectName("edit.turn.add")
        self.add_button.setAutoDefault(False)
        self.add_button.setToolTip(tr("A new turn at the end"))
        self.add_button.clicked.connect(self._on_add)
        self._layout.addWidget(self.add_button, 0, Qt.AlignmentFlag.AlignLeft)
        self._layout.addStretch(1)
        self.setWidget(page)

    @property
    def row(self) -> TurnRow:
        """The row as the fields say it."""
        turns = [part.turn for part in self.parts]
        return self._row | {chat_column(self._row): turns}

    def show_row(self, row: TurnRow) -> None:
        """Shows the turns of a chat (`chat_column` says whether it is one)."""
        self._row = row
        turns = row[chat_column(row)]
        while len(self.parts) > len(turns):
            self._take(self.parts[-1])
        for part, turn in zip(self.parts, turns, strict=False):
            part.show_turn(turn)
        for turn in turns[len(self.parts) :]:
            self._put(turn)
        self._show_places()

    def _put(self, turn: TurnRow) -> TurnPart:
        part = TurnPart(turn, self.widget())
        part.edited.connect(self.edited)
        part.moved.connect(lambda by: self._on_moved(part, by))
        part.removed.connect(lambda: self._on_removed(part))
        self._layout.insertWidget(len(self.parts), part)
        self.parts.append(part)
        return part

    def _take(self, part: TurnPart) -> None:
        self.parts.remove(part)
        self._layout.removeWidget(part)
        part.hide()
        part.deleteLater()

    def _show_places(self) -> None:
        for at, part in enumerate(self.parts):
            part.show_place(at, len(self.parts))

    # -- what happens -----------------------------------------------------------------------------------------

    def _on_add(self) -> None:
        last = self.parts[-1].turn
        role, text = _spelling(last) or SPELLINGS[0]
        names = ("gpt", "human") if role == "from" else ("assistant", "user")
        part = self._put({role: names[1] if last[role] == names[0] else names[0], text: ""})
        self._show_places()
        part.text.setFocus()
        self.edited.emit()

    def _on_moved(self, part: TurnPart, by: int) -> None:
        at = self.parts.index(part)
        self.parts.insert(at + by, self.parts.pop(at))
        self._layout.insertWidget(at + by, part)
        self._show_places()
        self.edited.emit()

    def _on_removed(self, part: TurnPart) -> None:
        at = self.parts.index(part)
        self._take(part)
        self._show_places()
        self.parts[min(at, len(self.parts) - 1)].text.setFocus()
        self.edited.emit()


class TurnPart(QFrame):
    """One turn: who says it, what is said, and its place among the others."""

    edited = Signal()
    moved = Signal(int)  # -1 up, 1 down
    removed = Signal()

    def __init__(self, turn: TurnRow, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "well")
        self.role = CalmBox(self)
        self.role.setObjectName("edit.turn.role")
        self.role.setAccessibleName(tr("Role"))
        self.role.setToolTip(tr("Who says it"))
        self.text = TurnText(self)
        self.up, self.down, self.remove = (
            IconButton(icon, text, self)
            for icon, text in (
                ("ph.arrow-up", tr("Move up")),
                ("ph.arrow-down", tr("Move down")),
                ("ph.trash", tr("Remove")),
            )
        )
        head = QHBoxLayout()
        head.addWidget(self.role)
        head.addStretch(1)
        for button in (self.up, self.down, self.remove):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            head.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE] * 4)
        layout.setSpacing(theme.SPACE // 2)
        layout.addLayout(head)
        layout.addWidget(self.text)
        self.show_turn(turn)
        self.role.activated.connect(self.edited)
        self.text.textChanged.connect(self._on_text)
        self.up.clicked.connect(lambda: self.moved.emit(-1))
        self.down.clicked.connect(lambda: self.moved.emit(1))
        self.remove.clicked.connect(self.removed)

    @property
    def turn(self) -> TurnRow:
        """The turn as the fields say it."""
        role, text = _spelling(self._turn) or SPELLINGS[0]
        said = self.text.toPlainText()
        has_text = said or text in self._turn  # a turn that only calls tools keeps having none
        return self._turn | {role: self.role.currentText()} | ({text: said} if has_text else {})

    def show_turn(self, turn: TurnRow) -> None:
        """Shows another turn."""
        self._turn = turn
        role, text = _spelling(turn) or SPELLINGS[0]
        usual = ("system", "human", "gpt", "tool") if role == "from" else TURN_ROLES
        names = list(dict.fromkeys([*usual, turn[role]]))
        self.role.clear()
        self.role.addItems(names)
        self.role.setCurrentText(turn[role])
        if self.text.toPlainText() != turn.get(text, ""):
            self.text.blockSignals(True)
            self.text.setPlainText(turn.get(text, ""))
            self.text.blockSignals(False)
            self.text.fit()

    def show_place(self, at: int, count: int) -> None:
        """Says where it stands; the only turn of a row stays."""
        self.text.setAccessibleName(tr("Text of turn {at}", at=at + 1))
        self.up.setEnabled(at > 0)
        self.down.setEnabled(at < count - 1)
        self.remove.setEnabled(count > 1)

    def _on_text(self) -> None:
        self.text.fit()
        self.edited.emit()


class TurnText(QPlainTextEdit):
    """A text that is as high as what it says, within `LINES`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("edit.turn.text")
        self.setTabChangesFocus(True)
        self.fit()

    def fit(self) -> None:
        """As high as its lines."""
        lines = min(max(LINES[0], self._lines()), LINES[1])
        room = 2 * (self.frameWidth() + int(self.document().documentMargin())) + theme.SPACE
        self.setFixedHeight(lines * self.fontMetrics().lineSpacing() + room)

    def _lines(self) -> int:
        """Lines as they are broken at the present width."""
        found, block = 0, self.document().firstBlock()
        while block.isValid():
            found += max(1, block.layout().lineCount())
            block = block.next()
        return found

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit()

    def sizeHint(self) -> QSize:
        return QSize(240, self.minimumHeight())
