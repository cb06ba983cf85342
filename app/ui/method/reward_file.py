"""The part of a form for reward functions of one's own: the file, its text, and the word that it may run."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from app.core.config.spec import field_specs
from app.core.language import tr
from app.core.method.reward import Declared, declared
from app.core.problem import Problem
from app.core.quantity import bytes_text
from app.core.refusal import reason_of
from app.core.system.reward_trust import is_trusted, trust
from app.core.typed_path import typed_path
from app.ui.form.field import Field
from app.ui.form.path_editor import PathEditor
from app.ui.form.store import ConfigStore
from app.ui.widget import theme

REWARDS_PATH = "reward_functions_file"
LARGEST_BYTES = 1_000_000  # bytes; a file of reward functions is a few kilobytes, and it is read in the window
TEXT_HEIGHT = 280  # px; a longer text is scrolled
FRAME_WIDTH = 40  # px, the frame and a scroll bar
WARNING = tr(
    "<b>This file is code.</b> When it runs it can do whatever you can do on this computer: read "
    "and delete files, use the network. Read it first. It runs only after your word, and a "
    "changed file has to be allowed anew."
)


class RewardFile(QWidget):
    """Edits ``reward_functions_file`` of a `ConfigStore`; ``read`` fires when ``declared`` or the word changed."""

    read = Signal()

    def __init__(self, store: ConfigStore, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._stamp: tuple[str, int, int] | None = None
        self.declared: tuple[Declared, ...] = ()
        self.is_allowed = False
        self._failure = ""
        editor = PathEditor(field_specs()[REWARDS_PATH], self, placeholder=tr("Optional: a Python file"))
        self.field = Field(REWARDS_PATH, store, self, editor=editor)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.field)
        layout.addWidget(self._warning_part())
        self.text = QPlainTextEdit(self)
        self.text.setObjectName("reward_file.text")
        self.text.setAccessibleName(tr("Text of the reward file"))
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        layout.addWidget(self.text)
        store.changed.connect(self._on_changed)
        theme.theme().changed.connect(self._dress)
        self._dress()
        self._show()
        self.refresh()

    @property
    def path(self) -> Path | None:
        """The file chosen; None if there is none."""
        name = self._store.value(REWARDS_PATH)
        return typed_path(name) if name else None

    @property
    def problem(self) -> Problem | None:
        """What holds a run back that the config alone does not tell."""
        if self.path is None or self.is_allowed:
            return None
        if self._failure:
            return Problem(REWARDS_PATH, self._failure, hint=tr("Choose another file."))
        return Problem(
            REWARDS_PATH,
            tr("The file is code, and nobody has said that it may run."),
            hint=tr("Read it, then allow it."),
        )

    def refresh(self) -> None:
        """Reads the file anew if it is another or has changed."""
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        self.declared, self.is_allowed, self._failure = (), False, ""
        source = self._source() if self.path is not None else ""
        self.text.setPlainText(source)
        lines = self.text.fontMetrics().lineSpacing() * (source.count("\n") + 1) + FRAME_WIDTH
        self.text.setFixedHeight(min(lines, TEXT_HEIGHT))
        self._show()
        self.read.emit()

    def allow(self) -> None:
        """The user's word: this very content may run."""
        self.refresh()
        if self.path is not None and not self._failure:
            trust(self.path)
            self.is_allowed = True
            self._show()
            self.read.emit()

    # -- parts ------------------------------------------------------------------------------------------------

    def _warning_part(self) -> QFrame:
        self._banner = QFrame(self)
        row = QHBoxLayout(self._banner)
        row.setContentsMargins(*[theme.SPACE * 3 // 2] * 4)
        row.setSpacing(theme.SPACE * 2)
        self._said = QLabel(self._banner)
        self._said.setObjectName("reward_file.said")
        self._said.setWordWrap(True)
        self.allow_button = QPushButton(tr("I have read it: it may run"), self._banner)
        self.allow_button.setObjectName("reward_file.allow")
        self.allow_button.setToolTip(tr("Remembered for exactly this content"))
        self.allow_button.clicked.connect(self.allow)
        row.addWidget(self._said, 1)
        row.addWidget(self.allow_button)
        return self._banner

    # -- what happens -----------------------------------------------------------------------------------------

    def _stamp_now(self) -> tuple[str, int, int] | None:
        if self.path is None:
            return None
        try:
            found = self.path.stat()
        except OSError:
            return str(self.path), 0, -1
        return str(self.path), found.st_mtime_ns, found.st_size

    def _source(self) -> str:
        """The file's text, with what is declared in it and whether it may run noted on the way."""
        assert self.path is not None
        try:
            size = self.path.stat().st_size
            if size > LARGEST_BYTES:
                self._failure = tr(
                    "This file has {size}: it is no file of reward functions.", size=bytes_text(size)
                )
                return ""
            source = self.path.read_text(encoding="utf-8")
            self.is_allowed = is_trusted(self.path)
            self.declared = tuple(declared(source))
        except OSError as error:
            self._failure = tr("The file cannot be read: {reason_of}.", reason_of=reason_of(error))
            return ""
        except UnicodeDecodeError:
            self._failure = tr("This is not a text file.")
            return ""
        except (SyntaxError, ValueError) as error:  # a null character is a ValueError
            self._failure = tr("This is not Python: {error}.", error=error)
        return source

    def _show(self) -> None:
        readable = self.path is not None and bool(self.text.toPlainText())
        self.text.setVisible(readable)
        self._banner.setVisible(readable)
        self.allow_button.setVisible(not self.is_allowed and not self._failure)
        names = ", ".join(function.name for function in self.declared)
        has = tr("Its functions: {names}.", names=names) if names else tr("It declares no reward function.")
        allowed = tr("<b>You have allowed this content to run.</b> {has}", has=has)
        self._said.setText(allowed if self.is_allowed else f"{WARNING} {has}")
        theme.set_role(self._banner, role="banner-good" if self.is_allowed else "banner-warning")

    def _on_changed(self, path: str) -> None:
        if path in ("", REWARDS_PATH):
            self.refresh()

    def _dress(self) -> None:
        self.text.setFont(theme.mono_font())
