"""The question of a comparison: a prompt or a whole set of them, the system prompt, and the sampler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from PySide6.QtCore import QMimeData, Qt, Signal
from PySide6.QtGui import QAction, QKeyEvent, QTextCursor, QTextOption
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.core.compare.held_out import LINES_READ, HeldOut
from app.core.compare.kept_comparison import KeptQuestion
from app.core.compare.prompt_set import LONGEST_SET, Prompt, read_prompts
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.quantity import plural
from app.ui.compare.answer_view import LONG_WORD
from app.ui.compare.sampler import CompareSampler, labelled
from app.ui.platform.file_panel import ask_file
from app.ui.platform.key_text import MAIN_KEYS, native_keys, with_keys
from app.ui.widget import theme
from app.ui.widget.card import Disclosure
from app.ui.widget.drop import DropCard
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.icon_button import IconButton
from app.ui.widget.sliced_work import SlicedWork

PROMPTS_A_SLICE = 10  # prompts read between two events of the window
SET_SUFFIX = ".jsonl"
SET_FILTER = tr("Prompts, one JSON object a line (*.jsonl)")
HELD_OUT = tr("The run's held-out questions")


class PromptBox(QPlainTextEdit):
    """The box for a prompt. A word of pages is broken anywhere: to look for its end would take Qt seconds."""

    def setPlainText(self, text: str) -> None:
        self._fit_wrapping(text)
        super().setPlainText(text)

    def replace_text(self, text: str) -> None:
        """Another text, which one step of Undo takes back."""
        self._fit_wrapping(f"{self.toPlainText()}\n{text}")  # also for what Undo brings back
        cursor = self.textCursor()
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.insertText(text)

    def insertFromMimeData(self, carried: QMimeData) -> None:
        self._fit_wrapping(carried.text())
        super().insertFromMimeData(carried)

    def keyPressEvent(self, pressed: QKeyEvent) -> None:
        """Shift+Return begins a line as Return does: Qt's own sign for it (U+2028) is none that models know."""
        shifted = pressed.modifiers() == Qt.KeyboardModifier.ShiftModifier
        if shifted and pressed.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.textCursor().insertBlock()
            self.ensureCursorVisible()
            return
        super().keyPressEvent(pressed)

    def _fit_wrapping(self, text: str) -> None:
        wrap = QTextOption.WrapMode
        self.setWordWrapMode(wrap.WrapAnywhere if LONG_WORD.search(text) else wrap.WrapAtWordBoundaryOrAnywhere)


class CompareQuestion(DropCard):
    """What is asked. Held-out questions are those that the compared run was not trained on."""

    edited = Signal()
    asked = Signal()
    stopped = Signal()
    new_requested = Signal()  # a new comparison
    failed = Signal(str)  # a prompt set that cannot be read

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Question"), parent=parent)
        self._held_out: list[HeldOut] = []
        self._next_held_out = 0
        self._systems: dict[str, str] = {}  # the system prompt of each prompt that a held-out one replaced, or is
        self.prompt_set: list[Prompt] = []
        self.data: Path | None = None  # the file of the prompt set
        self._reading: list[Prompt] = []
        self._is_cut = False  # its file holds more prompts than are asked at once
        self._fault = ""
        self._reader = SlicedWork(self)
        self._build()
        self._connect()

    # -- what is asked ----------------------------------------------------------------------------------------

    def prompts(self) -> list[Prompt]:
        """What is to be asked: the prompts of the set, else the one in the box; none if that is empty."""
        if self.prompt_set:
            return self.prompt_set
        text = exact_text(self.prompt)
        return [Prompt(text)] if text.strip() else []

    @property
    def system_text(self) -> str:
        """The system prompt; empty for none."""
        return self.system.text().strip()

    @property
    def follows_up(self) -> bool:
        """Whether the next prompt continues the conversation that is shown."""
        return self._follow_up.isChecked() and self._follow_up.isEnabled() and not self.prompt_set

    def kept(self) -> KeptQuestion:
        """What stands in the card, to be shown again."""
        return KeptQuestion(
            prompt=exact_text(self.prompt),
            system=self.system.text(),
            follows_up=self._follow_up.isChecked(),
            settings=dict(self.sampler.settings()),
            prompt_file=str(self.data) if self.data is not None else "",
            held_out=bool(self.prompt_set) and self.data is None,
        )

    def show_kept(self, kept: KeptQuestion) -> None:
        """Shows what was kept; a prompt set is read again, and what is wrong with it by now is told by `failed`."""
        self.clear_set()
        self.prompt.setPlainText(kept.prompt)
        self.system.setText(kept.system)
        self.sampler.show_settings(kept.settings)
        self._follow_up.setChecked(kept.follows_up)
        if kept.prompt_file:
            self.choose_set(Path(kept.prompt_file))
        elif kept.held_out and self._held_out:
            self._use_held_out()

    def begin_anew(self) -> None:
        """An empty prompt, and no set of them."""
        self.clear_set()
        self.prompt.replace_text("")
        self.prompt.setFocus()

    def hindrance(self) -> str:
        """Why it cannot be asked yet; empty if it can."""
        if self._reader.is_busy:
            return tr("The prompts are being read.")
        return self.sampler.hindrance() if self.prompts() else tr("Write a prompt.")

    @property
    def is_untouched(self) -> bool:
        """Whether nothing was written into the prompt's box since it was shown."""
        return not self.prompt.document().isModified()

    def set_held_out(self, questions: list[HeldOut], *, fills: bool = False) -> None:
        """Offers questions that the run was not trained on; the first one ``fills`` an empty box."""
        if questions != self._held_out:
            self._held_out, self._next_held_out = questions, 0
        self._held_out_button.setVisible(bool(questions))
        if fills and questions and not self.prompt.toPlainText().strip():
            self._fill_in()

    def ask_held_out(self) -> None:
        """Fills in the next question that the run was not trained on; Undo brings back what stood there."""
        self.clear_set()
        self._fill_in()
        self.prompt.setFocus()

    def _fill_in(self) -> None:
        found = self._held_out[self._next_held_out % len(self._held_out)]
        self._next_held_out += 1
        self._follow_up.setChecked(False)
        before = exact_text(self.prompt), self.system.text()
        self._systems |= {prompt: system for prompt, system in (before, (found.prompt, found.system)) if prompt}
        self.system.setText(found.system)
        self.prompt.replace_text(found.prompt)

    def _on_prompt(self) -> None:
        """Undo and Redo of a held-out question take its system prompt along, unless that was edited since."""
        system = self._systems.get(exact_text(self.prompt)) if self._systems else None
        if system is not None and self.system.text() in self._systems.values():
            self.system.setText(system)
        self.edited.emit()

    def choose_set(self, path: Path) -> None:
        """Reads a file of prompts; what is wrong with it is told by `failed`."""
        self._reading, self._fault, self._is_cut = [], "", False
        self.prompt_set, self.data = [], path
        self._reader.start(self._read(path))
        self._show_set()

    def clear_set(self) -> None:
        """Back to one prompt."""
        self._reader.stop()
        self.prompt_set, self.data = [], None
        self._show_set()

    def _use_held_out(self) -> None:
        self._reader.stop()
        opening = [({"role": "system", "content": q.system},) if q.system else () for q in self._held_out]
        found = zip(self._held_out, opening, strict=True)
        self.prompt_set = [Prompt(question.prompt, before) for question, before in found]
        self.data = None
        self._show_set()

    def _read(self, path: Path) -> Iterator[None]:
        try:
            for prompt in read_prompts(path, beyond=1):
                self._is_cut = len(self._reading) == LONGEST_SET
                if self._is_cut:
                    break
                self._reading.append(prompt)
                if len(self._reading) % PROMPTS_A_SLICE == 0:
                    yield
        except UnusableError as error:
            self._fault = error.problems[0].sentence()
            return
        self.prompt_set = self._reading

    def _on_read(self) -> None:
        if self._fault:
            self.data = None
        self._show_set()
        if self._fault:
            self.failed.emit(self._fault)

    def _show_set(self) -> None:
        chosen = bool(self.prompt_set) or self._reader.is_busy
        name = self.data.name if self.data is not None else HELD_OUT
        count = tr("reading…") if self._reader.is_busy else plural(len(self.prompt_set), "prompt")
        # Of a run's own questions the first are read, however many there are.
        if self._is_cut if self.data is not None else len(self.prompt_set) >= LINES_READ:
            count = tr("the first {count}", count=count)
        self._set_name.setText(f"{name} · {count}")
        if self.data is not None:
            self._set_name.setToolTip(str(self.data))
        self._set_bar.setVisible(chosen)
        self.prompt.setVisible(not chosen)
        self.edited.emit()

    def _browse_set(self) -> None:
        chosen = ask_file(self, tr("Prompt set"), "", SET_FILTER)
        if chosen:
            self.choose_set(Path(chosen))

    def accepts(self, path: Path) -> bool:
        """A file of prompts."""
        return path.suffix.lower() == SET_SUFFIX and path.is_file()

    def _on_dropped(self, paths: list[Path]) -> None:
        self.choose_set(paths[0])

    # -- what is shown ----------------------------------------------------------------------------------------

    def show_state(
        self,
        *,
        busy: bool,
        hindrance: str,
        answered: bool,
        settings: Mapping[str, float | int | None] | None = None,
    ) -> None:
        """Shows what can be done: ``answered`` if there is a conversation that could go on.

        ``settings`` are those of the answers that are shown: where the fields have others by now, that is said.
        """
        others = "" if busy else self.sampler.differing(settings or {})
        aside = tr("These answers were given with {others}.", others=others) if others else ""
        self._ask.setVisible(not busy)
        self._stop.setVisible(busy)
        self._stop.setMinimumHeight(self._ask.sizeHint().height())  # the answers below stay where they are
        self._ask.setEnabled(not hindrance)
        self._ask.setToolTip(hindrance or with_keys(tr("Ask every column"), MAIN_KEYS))
        count = len(self.prompt_set)
        self._ask.setText(tr("Compare {prompts}", prompts=plural(count, "prompt")) if count else tr("Compare"))
        self._follow_up.setVisible(answered and not self.prompt_set)
        self._follow_up.setEnabled(answered)
        self._new.setVisible(answered and not busy)
        self._set_button.setEnabled(not busy)
        self._clear_set.setEnabled(not busy)
        if not busy and (hindrance or aside or self._note.property("hint")):
            self.show_note(hindrance or aside, hint=True)

    def show_note(self, text: str, *, role: str = "small", hint: bool = False) -> None:
        """Says something beside the button; a hint goes when its cause goes."""
        self._note.setText(text)
        self._note.setProperty("hint", hint)
        theme.set_role(self._note, role=role)

    def drop_note(self, text: str) -> None:
        """It is no longer so."""
        if self._note.text() == text:
            self.show_note("")

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._held_out_button = QPushButton(tr("Use a held-out question"), self)
        self._held_out_button.setObjectName("compare.held_out")
        self._held_out_button.setToolTip(tr("Fill in the next question that the run was not trained on"))
        self._held_out_button.hide()
        self._set_button = QPushButton(tr("Prompt set…"), self)
        self._set_button.setObjectName("compare.set")
        self._set_button.setToolTip(tr("Ask many prompts one after another: from a file, or held out by the run"))
        for button in (self._held_out_button, self._set_button):
            button.setAccessibleName(button.text())
            theme.set_role(button, kind="link")
            self.tools.addWidget(button)
        self.tools.setSpacing(theme.SPACE * 2)
        self.prompt = PromptBox(self)
        self.prompt.setObjectName("compare.prompt")
        self.prompt.setAccessibleName(tr("Prompt"))
        self.prompt.setToolTip(tr("What every column is asked"))
        self.prompt.setPlaceholderText(
            tr("What do you want to ask? ({native_keys} asks every column)", native_keys=native_keys(MAIN_KEYS))
        )
        self.prompt.setTabChangesFocus(True)
        self.prompt.setAcceptDrops(False)
        self.prompt.setFixedHeight(theme.SPACE * 8)
        self.system = QLineEdit(self)
        self.system.setObjectName("compare.system")
        self.system.setAccessibleName(tr("System prompt"))
        self.system.setToolTip(tr("Stands before the conversation: what the model is told to be"))
        self.system.setPlaceholderText(tr("System prompt (optional)"))
        self.system.setAcceptDrops(False)
        self.sampler = CompareSampler(self)
        self.body.setSpacing(theme.SPACE)
        self.body.addWidget(self.prompt)
        self.body.addWidget(self._build_set_bar())
        self.body.addLayout(self._build_ask_row())
        more = QWidget(self)
        inner = QVBoxLayout(more)
        inner.setContentsMargins(0, 0, 0, theme.SPACE)
        inner.setSpacing(theme.SPACE * 3 // 2)
        inner.addWidget(labelled(tr("System prompt"), self.system, self.system))
        inner.addWidget(self.sampler)
        self.more = Disclosure(tr("System prompt and sampling"), more, self)
        self.more.button.setObjectName("compare.more")
        self.body.addWidget(self.more)

    def _build_set_bar(self) -> QFrame:
        self._set_bar = QFrame(self)
        theme.set_role(self._set_bar, role="well")
        self._set_name = ElidedLabel("", self._set_bar)
        self._set_name.setObjectName("compare.set.name")
        self._clear_set = IconButton("ph.x", tr("Back to one prompt"), self._set_bar)
        self._clear_set.setObjectName("compare.set.clear")
        row = QHBoxLayout(self._set_bar)
        row.setContentsMargins(theme.SPACE * 3 // 2, theme.SPACE // 2, theme.SPACE // 2, theme.SPACE // 2)
        row.addWidget(self._set_name, 1)
        row.addWidget(self._clear_set)
        self._set_bar.hide()
        return self._set_bar

    def _build_ask_row(self) -> QHBoxLayout:
        self._note = QLabel(self)
        self._note.setObjectName("compare.note")
        self._note.setWordWrap(True)
        self._follow_up = QCheckBox(tr("Follow up"), self)
        self._follow_up.setObjectName("compare.follow_up")
        self._follow_up.setAccessibleName(tr("Follow up"))
        self._follow_up.setToolTip(tr("The next prompt goes on from these answers; else it is asked on its own"))
        self._new = QPushButton(tr("New comparison"), self)
        self._new.setObjectName("compare.new")
        self._new.setAccessibleName(tr("New comparison"))
        self._new.setToolTip(tr("Empty columns and an empty prompt; these answers stay in Earlier comparisons"))
        theme.set_role(self._new, kind="quiet")
        self._ask, self._stop = QPushButton(tr("Compare"), self), QPushButton(tr("Stop"), self)
        self._ask.setObjectName("compare.ask")
        self._ask.setAccessibleName(tr("Compare"))
        theme.set_role(self._ask, kind="primary")
        self._stop.setObjectName("compare.stop")
        self._stop.setAccessibleName(tr("Stop"))
        self._stop.setToolTip(tr("End the answers where they are"))
        row = QHBoxLayout()
        row.setContentsMargins(0, theme.SPACE // 2, 0, 0)
        row.addWidget(self._note, 1)
        for widget in (self._new, self._follow_up, self._ask, self._stop):
            row.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)
        return row

    def _connect(self) -> None:
        self.menu = QMenu(self._set_button)
        self._of_run = self.menu.addAction(HELD_OUT)
        self._of_run.setObjectName("compare.set.held_out")
        self._of_run.triggered.connect(self._use_held_out)
        of_file = self.menu.addAction(tr("A file of prompts…"))
        of_file.setObjectName("compare.set.file")
        of_file.triggered.connect(self._browse_set)
        for action in self.menu.actions():
            action.setMenuRole(QAction.MenuRole.NoRole)
        self.menu.aboutToShow.connect(self._on_menu)
        self._set_button.clicked.connect(self._show_menu)
        self._held_out_button.clicked.connect(self.ask_held_out)
        self._clear_set.clicked.connect(self.clear_set)
        self.prompt.textChanged.connect(self._on_prompt)
        self.sampler.edited.connect(self.edited)
        self._follow_up.toggled.connect(self.edited)
        self._ask.clicked.connect(self.asked)
        self._stop.clicked.connect(self.stopped)
        self._new.clicked.connect(self.new_requested)
        self.dropped.connect(self._on_dropped)
        self._reader.finished.connect(self._on_read)

    def _show_menu(self) -> None:
        self.menu.popup(self._set_button.mapToGlobal(self._set_button.rect().bottomLeft()))

    def _on_menu(self) -> None:
        count = len(self._held_out)
        self._of_run.setEnabled(bool(count))
        self._of_run.setText(
            tr("{held_out} ({count:,})", held_out=HELD_OUT, count=count)
            if count
            else tr("{held_out}: none", held_out=HELD_OUT)
        )


def exact_text(box: QPlainTextEdit) -> str:
    """What was typed, to the letter: Qt's own plain text has spaces where there were non-breaking ones."""
    return box.document().toRawText().replace("\u2029", "\n")
