"""The log: what the worker prints, searchable and savable, and cheap however much it is."""

from __future__ import annotations

import re
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QKeySequence,
    QResizeEvent,
    QShortcut,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextOption,
)
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from app.core.language import tr
from app.core.protocol.job import LOG_FILE
from app.core.system.atomic_file import write_bytes, write_text
from app.ui.platform.file_panel import ask_new_file
from app.ui.widget import theme
from app.ui.widget.icon_button import IconButton

MAXIMUM_LINES = 20_000
BATCH_MS = 60  # text is appended at most so often
MATCHES_SHOWN = 500
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class _Lines(QPlainTextEdit):
    """The text: where its end is shown, that is so in another size, too."""

    def follows(self) -> bool:
        """Whether the end is shown."""
        bar = self.verticalScrollBar()
        return bar.value() >= bar.maximum() - 2

    def resizeEvent(self, event: QResizeEvent) -> None:
        follows = self.follows()
        super().resizeEvent(event)
        if follows:
            self.verticalScrollBar().setValue(self.verticalScrollBar().maximum())


class LogView(QWidget):
    """Shows text as it comes; follows the end unless the user scrolled up. Holds the last lines only."""

    told = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pending: list[str] = []
        self._source: Path | None = None
        self._matches: list[QTextCursor] = []
        self._current = -1
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(BATCH_MS)
        self._timer.timeout.connect(self.flush)
        self._build()
        theme.theme().changed.connect(self._dress)
        self._dress()

    # -- text -------------------------------------------------------------------------------------------------

    def append(self, text: str) -> None:
        """Adds text as the worker printed it; it is shown within a few frames."""
        self._pending.append(text)
        if not self._timer.isActive():
            self._timer.start()

    def flush(self) -> None:
        """Shows what waits, in one go."""
        self._timer.stop()
        text, self._pending = "".join(self._pending), []
        if not text:
            return
        bar = self._text.verticalScrollBar()
        follows, position = self._text.follows(), bar.value()
        cursor = QTextCursor(self._text.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.beginEditBlock()
        _write(cursor, _last_lines(ANSI.sub("", text)))
        cursor.endEditBlock()
        bar.setValue(bar.maximum() if follows else position)
        if self._search.text():
            self._find_all()

    def clear(self) -> None:
        """Empties the log."""
        self._pending = []
        self._text.clear()
        self._find_all()

    def set_source(self, path: Path | None) -> None:
        """The file that has the whole log; saving copies it."""
        self._source = path

    @property
    def text(self) -> str:
        """What is shown."""
        return self._text.toPlainText()

    def save(self, path: Path) -> None:
        """Writes the whole log; raises `OSError` if it cannot be written."""
        if self._source is not None and self._source.exists():
            write_bytes(path, self._source.read_bytes())
        else:
            self.flush()
            write_text(path, self.text + "\n")

    # -- search -----------------------------------------------------------------------------------------------

    @property
    def match_text(self) -> str:
        """Which match of how many, as shown beside the search."""
        return self._count.text()

    def find_next(self) -> None:
        """Goes to the next match, from the last to the first."""
        self._go(self._current + 1)

    def find_previous(self) -> None:
        """Goes to the match before, from the first to the last."""
        self._go(self._current - 1)

    def start_search(self) -> None:
        """Puts the keyboard into the search field."""
        self._search.setFocus()
        self._search.selectAll()

    def _find_all(self) -> None:
        self._matches = []
        wanted = self._search.text()
        document: QTextDocument = self._text.document()
        cursor = document.find(wanted) if wanted else QTextCursor()
        while not cursor.isNull() and len(self._matches) < MATCHES_SHOWN:
            self._matches.append(cursor)
            cursor = document.find(wanted, cursor)
        self._current = min(self._current, len(self._matches) - 1)
        self._mark()

    def _on_search(self) -> None:
        self._current = -1
        self._find_all()
        if self._matches:
            self._go(len(self._matches) - 1)

    def _go(self, index: int) -> None:
        if not self._matches:
            return
        self._current = index % len(self._matches)
        cursor = QTextCursor(self._matches[self._current])
        cursor.clearSelection()
        self._text.setTextCursor(cursor)
        self._text.ensureCursorVisible()
        self._mark()

    def _mark(self) -> None:
        c = theme.colors()
        marks = []
        for index, cursor in enumerate(self._matches):
            mark = QTextEdit.ExtraSelection()
            style = QTextCharFormat()
            style.setBackground(QColor(c.accent if index == self._current else c.selection))
            if index == self._current:
                style.setForeground(QColor(c.on_accent))
            mark.format = style
            mark.cursor = cursor
            marks.append(mark)
        self._text.setExtraSelections(marks)
        self._count.setText(self._counted())
        for button in (self._next, self._previous):
            button.setEnabled(bool(self._matches))

    def _counted(self) -> str:
        if not self._search.text():
            return ""
        more = "+" if len(self._matches) == MATCHES_SHOWN else ""
        return (
            tr("{current} of {matches}{more}", current=self._current + 1, matches=len(self._matches), more=more)
            if self._matches
            else tr("not found")
        )

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._text = _Lines(self)
        self._text.setObjectName("log_text")
        self._text.setAccessibleName(tr("Log of the run"))
        self._text.setReadOnly(True)
        self._text.setUndoRedoEnabled(False)
        self._text.setMaximumBlockCount(MAXIMUM_LINES)
        self._text.setWordWrapMode(QTextOption.WrapMode.WrapAnywhere)
        self._text.setTabChangesFocus(True)
        self._text.setAcceptDrops(False)
        self._text.setStyleSheet("QPlainTextEdit { border: none; padding: 0; }")  # it lies in a card already
        self._text.setPlaceholderText(tr("What the worker prints appears here."))
        self._search = QLineEdit(self)
        self._search.setObjectName("log_search")
        self._search.setAccessibleName(tr("Search the log"))
        self._search.setPlaceholderText(tr("Search the log"))
        self._search.setClearButtonEnabled(True)
        self._search.setAcceptDrops(False)
        self._search.textChanged.connect(self._on_search)
        self._search.returnPressed.connect(self.find_next)
        self._count = QLabel(self)
        self._count.setObjectName("log_matches")
        theme.set_role(self._count, role="small")
        self._previous = self._button("ph.caret-up", tr("Previous match"), "log_previous")
        self._next = self._button("ph.caret-down", tr("Next match"), "log_next")
        self._save = self._button("ph.floppy-disk", tr("Save the log"), "log_save")
        self._previous.clicked.connect(self.find_previous)
        self._next.clicked.connect(self.find_next)
        self._save.clicked.connect(self._ask_and_save)
        self._next.setEnabled(False)
        self._previous.setEnabled(False)
        find = QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self)
        find.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        find.activated.connect(self.start_search)
        self._lay_out()

    def _button(self, icon: str, text: str, name: str) -> IconButton:
        button = IconButton(icon, text, self)
        button.setObjectName(name)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE // 2)
        row.addWidget(self._search, 1)
        row.addWidget(self._count)
        for button in (self._previous, self._next, self._save):
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        layout.addLayout(row)
        layout.addWidget(self._text, 1)

    def _dress(self) -> None:
        self._text.setFont(theme.mono_font(-1))
        self._mark()

    def _ask_and_save(self) -> None:
        chosen, _ = ask_new_file(self, tr("Save the log"), LOG_FILE, tr("Text (*.txt)"))
        if not chosen:
            return
        try:
            self.save(Path(chosen))
        except OSError as error:
            self.told.emit(tr("The log was not saved: {error}", error=error))
        else:
            self.told.emit(tr("The log was saved as {chosen}.", chosen=chosen))


def _last_lines(text: str) -> str:
    """Of a flood only what can be shown at all."""
    if text.count("\n") <= MAXIMUM_LINES:
        return text
    return "\n".join(text.split("\n")[-MAXIMUM_LINES:])


def _write(cursor: QTextCursor, text: str) -> None:
    """Inserts text; a carriage return begins the line anew, as progress bars mean it."""
    lines = text.replace("\r\n", "\n").split("\n")
    plain: list[str] = []
    for number, line in enumerate(lines):
        kept = line.rstrip("\r").rsplit("\r", 1)[-1] if "\r" in line else line
        if number == 0 and "\r" in line.rstrip("\r"):
            cursor.movePosition(QTextCursor.MoveOperation.StartOfBlock, QTextCursor.MoveMode.KeepAnchor)
            cursor.removeSelectedText()
        plain.append(kept)
    cursor.insertText("\n".join(plain))
