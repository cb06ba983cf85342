"""The chat: a tuned model, or its base, is talked with in one column. Its model is a `CompareSession` of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.core.compare.candidate import Candidate, candidate_of
from app.core.compare.conversation import Conversation
from app.core.compare.prompt_set import Prompt
from app.core.language import tr
from app.core.model.adapter_base import base_of
from app.core.model.facts import model_facts
from app.core.model.folder import locate_model, read_config
from app.core.problem import UnusableError
from app.core.protocol import event
from app.ui.compare.answer_chooser import AnswerChooser, CandidateList
from app.ui.compare.answer_column import figures_text
from app.ui.compare.answer_view import AnswerView
from app.ui.compare.answerer import Answerer
from app.ui.compare.question import PromptBox, exact_text
from app.ui.compare.sampler import CompareSampler, labelled, sampler_fields
from app.ui.compare.session import CompareSession
from app.ui.compare.strength_slider import StrengthSlider
from app.ui.platform.key_text import native_keys
from app.ui.widget import theme
from app.ui.widget.card import Disclosure
from app.ui.widget.icon_button import IconButton
from app.ui.widget.keyed_dialog import KeyedDialog

CHAT_DIALOG_SIZE = (640, 620)  # px in Inter, at least
VIEW_HEIGHT = 120  # px, at least
CHAT_FIELDS = sampler_fields(
    "chat", max_tokens=512, temp=0.7, top_p=1.0, top_k=0, min_p=0.0, repetition_penalty=1.0
)
AGAIN_TIP = tr("Ask the last message once more; its answer is replaced")
SAME_AGAIN = tr("Ask once more: at temperature 0 the answer is always the same")
WAITS = tr("Another question is being answered. Wait for it, or stop it.")


class ChatBox(PromptBox):
    """Return sends what was written, Shift+Return begins a new line."""

    sent = Signal()

    def keyPressEvent(self, pressed: QKeyEvent) -> None:
        is_return = pressed.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_return and not pressed.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.sent.emit()
            return
        super().keyPressEvent(pressed)


class ChatDialog(KeyedDialog):
    """Talks with one candidate at a time, by the window's `Answerer`; conversations stay while it lives."""

    def __init__(self, answerer: Answerer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("chat_dialog")
        self.setWindowTitle(tr("Chat"))
        self.resize(theme.text_width(CHAT_DIALOG_SIZE[0]), CHAT_DIALOG_SIZE[1])
        self._answerer = answerer
        self.session = CompareSession(answerer, self)
        self._list = CandidateList(self)
        self._base = ""
        self._is_fresh = True  # the next message begins a conversation
        self._training = self._is_hint = self._has_left = False
        self._sent, self._turns_sent = "", 0
        self._asked: Conversation | None = None  # where the message was sent last
        self._fitting = QTimer(self)  # when the layout has heard of what came
        self._fitting.setSingleShot(True)
        self._fitting.setInterval(0)
        self._fitting.timeout.connect(self._fit)
        self._build()
        self._connect()
        self._show_state()

    # -- with whom --------------------------------------------------------------------------------------------

    @property
    def candidate(self) -> Candidate | None:
        """Who answers; None while nobody is chosen."""
        found = self.chooser.candidate
        return found if found is None or found.is_base else replace(found, strength=self.strength.strength)

    def choose(self, adapter: Path, strength: float = 1.0) -> None:
        """Talks with an adapter (a folder, a checkpoint's file, a run), and goes on where it did so last."""
        self._list.refresh()
        wanted = replace(candidate_of(adapter), strength=strength)
        if self.session.is_busy and wanted != self.candidate:
            self._has_left = True
            self.session.stop()
        known = [place for place, page in enumerate(self.session.pages) if page.candidates == [wanted]]
        self._set_candidate(wanted)
        if known:
            self.session.turn_to(known[-1])
        self._is_fresh = not known
        self._show_page()
        self.prompt.setFocus()

    def take_names(self) -> None:
        """Looks anew what runs are called."""
        self._list.take_names()

    def _set_candidate(self, candidate: Candidate) -> None:
        self.chooser.set_candidate(replace(candidate, strength=1.0))
        self.strength.set_strength(candidate.strength)
        if candidate.adapter is not None:
            self._base = base_of(candidate.adapter)

    def _on_chosen(self) -> None:
        """Another one answers: a conversation of its own."""
        candidate = self.candidate
        if candidate is not None and candidate.adapter is not None:
            self._base = base_of(candidate.adapter)
        self._is_fresh = True
        self._show_page()

    def _turn(self, step: int) -> None:
        """To the conversation before or after; an empty one that was begun stands behind the last."""
        place = self._shown_place() + step
        self._is_fresh = False
        self.session.turn_to(place)
        self._on_turned()

    def _turn_back(self) -> None:
        self._turn(-1)

    def _turn_on(self) -> None:
        self._turn(1)

    def _shown_place(self) -> int:
        return len(self.session.pages) if self._is_fresh else self.session.place

    def _on_turned(self) -> None:
        shown = self.session.shown
        if shown is not None and shown.candidates[0] is not None:
            self._set_candidate(shown.candidates[0])
        self._show_page()

    # -- talking ----------------------------------------------------------------------------------------------

    @property
    def conversation(self) -> Conversation | None:
        """What is shown; None before the first message of one."""
        return None if self._is_fresh else self.session.shown

    def send(self) -> None:
        """Sends the message, and streams the answer. One that is written during an answer waits in its box."""
        text = exact_text(self.prompt)
        can_send = bool(text.strip()) and not self.session.is_busy and not self._hindrance()
        model = self._model() if can_send else ""
        if not model:
            return
        self._tell("")
        settings, system, shown = self.fields.settings(), self.system.text().strip(), self.conversation
        self._sent, self._turns_sent = text, 1 if shown is None else len(shown.turns) + 1
        self.prompt.clear()
        self._is_fresh = False
        if shown is None:
            self.session.ask(model, [self.candidate], [Prompt(text)], settings, system)
        else:
            self.session.follow_up(model, text, settings, system)

    def again(self) -> None:
        """Has the last message answered anew."""
        shown = self.conversation
        if shown is None or self.session.is_busy or self._hindrance() or not (model := self._model()):
            return
        self._tell("")
        self._sent, self._turns_sent = shown.last.prompt, len(shown.turns)
        self.session.ask_again(model, self.fields.settings(), self.system.text().strip())

    def begin_anew(self) -> None:
        """An empty conversation; the ones before can be turned back to."""
        self._is_fresh = True
        self._show_page()
        self.prompt.setFocus()

    def set_training(self, training: bool) -> None:
        """When a run begins to train, the memory is its own; what is asked beside it is asked for first."""
        if training and not self._training:
            self.session.stop()
        self._training = training

    def _model(self) -> str:
        try:
            return str(locate_model(self._base))
        except UnusableError as error:
            first = error.problems[0]
            self._tell(first.text, "error")
            return ""

    def _hindrance(self) -> str:
        """Why nothing can be sent now; empty if it can."""
        if self.candidate is None:
            return tr("Choose who is to answer.")
        if self._answerer.is_busy and not self.session.is_busy:
            return WAITS
        return self.fields.hindrance()

    def _on_began(self) -> None:
        self._asked, self._has_left = self.session.shown, False
        self._show_page()
        self._tell(tr("Waiting…"))

    def _on_replied(self, page: Conversation, _column: int, piece: event.Answered) -> None:
        if page is self.conversation:
            if piece.text:
                self.view.append_text(piece.text)
                self._tell(tr("Answering…"))
            if piece.done:
                self._show_page()

    def _on_settled(self) -> None:
        if self._asked is None or len(self._asked.turns) >= self._turns_sent:
            self._show_page()
            return
        # Not a word came: as if it was not sent.
        if not self._has_left:  # else somebody else is talked with by now
            self._is_fresh = self._turns_sent == 1
        if not exact_text(self.prompt):
            self.prompt.setPlainText(self._sent)
        if not self._is_fault:
            self._tell("")
        self._show_page(tells=False)

    def _on_progress(self, text: str) -> None:
        if self.session.is_busy and self.conversation is not None and not self.conversation.last.replies[0].text:
            self._tell(f"{text}…")

    def _on_failed(self, text: str) -> None:
        if self.session.is_busy:
            self._tell(text, "error")

    def _on_warned(self, text: str) -> None:
        if self.session.is_busy:
            self._warn(text)

    # -- showing ----------------------------------------------------------------------------------------------

    def _show_page(self, *, tells: bool = True) -> None:
        shown = self.conversation
        last = shown.last.replies[0] if shown is not None else None
        turns = [(turn.prompt, turn.replies[0].text) for turn in shown.turns] if shown is not None else []
        self.view.show_turns(turns, whole=last is None or last.last is not None)
        if tells:
            self._warning.hide()
            if last is not None and last.last is not None:
                self._tell_figures(last.last)
            elif not self.session.is_busy:
                self._tell("")
        self._show_state()

    def _tell_figures(self, piece: event.Answered) -> None:
        if piece.message:
            self._tell(piece.message, "error")
            return
        told, tokens, room = figures_text(piece), piece.prompt_tokens + piece.generation_tokens, self._context()
        if tokens and room:
            told += tr(" · {tokens:,} of the {room:,} tokens of its context", tokens=tokens, room=room)
        self._tell(told)
        if room and tokens > room:
            self._warn(
                tr(
                    "The conversation has {tokens:,} tokens; this model was made for up to {room:,}. "
                    "What it says from here on may make no sense: begin a new conversation.",
                    tokens=tokens,
                    room=room,
                )
            )

    def _context(self) -> int:
        """How many tokens the model was made for; 0 where it does not say."""
        try:
            return model_facts(read_config(locate_model(self._base))).max_length
        except UnusableError:
            return 0

    def _show_state(self) -> None:
        busy, shown = self.session.is_busy, self.conversation
        hindrance = "" if busy else self._hindrance()
        self.send_button.setVisible(not busy)
        self.send_button.setEnabled(not hindrance and bool(exact_text(self.prompt).strip()))
        self.stop_button.setVisible(busy)
        self.again_button.setEnabled(not busy and not hindrance and shown is not None)
        self.again_button.setToolTip(AGAIN_TIP if self.fields.settings()["temp"] else SAME_AGAIN)
        self.new_button.setEnabled(not busy and shown is not None)
        self.chooser.setEnabled(not busy)
        place, count = self._shown_place(), len(self.session.pages) + self._is_fresh
        self._place.setText(tr("{place:,} of {count:,}", place=place + 1, count=count))
        for widget in (self.back_button, self._place, self.on_button):
            widget.setVisible(count > 1)
        self.back_button.setEnabled(place > 0 and not busy)
        self.on_button.setEnabled(place < count - 1 and not busy)
        candidate = self.candidate
        self.strength.setEnabled(not busy and candidate is not None and not candidate.is_base)
        if hindrance:
            self._tell(hindrance)
            self._is_hint = True
        elif self._is_hint:
            self._tell("")

    def _tell(self, text: str, role: str = "small") -> None:
        self._is_hint, self._is_fault = False, role == "error"
        self._note.setText(text)
        theme.set_role(self._note, role=role)
        self._fit_later()

    def _warn(self, text: str) -> None:
        self._warning.setText(text)
        self._warning.show()
        self._fit_later()

    def _fit_later(self) -> None:
        self._fitting.start()

    def _fit(self) -> None:
        """Grows where a warning and the fields need more: a layout does not ask for the height of wrapped lines."""
        layout = self.layout()
        needed = 0 if layout is None else layout.totalMinimumHeightForWidth(self.width())
        if needed > self.height():
            self.resize(self.width(), needed)

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.chooser = AnswerChooser(self._list, self)
        self.chooser.box.setObjectName("chat.candidate")
        self.chooser.checkpoints.setObjectName("chat.checkpoint")
        self._place = QLabel(self)
        self._place.setObjectName("chat.place")
        self.back_button = IconButton("ph.caret-left", tr("The conversation before"), self)
        self.on_button = IconButton("ph.caret-right", tr("The next conversation"), self)
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE // 2)
        head.addWidget(self.chooser, 1)
        for name, widget in (("back", self.back_button), ("", self._place), ("on", self.on_button)):
            if name:
                widget.setObjectName(f"chat.{name}")
                widget.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            head.addWidget(widget)
        card = QFrame(self)
        theme.set_role(card, role="card")
        self.view = AnswerView(card, names_prompts=True)
        self.view.setObjectName("chat.text")
        self.view.setAccessibleName(tr("Conversation"))
        self.view.setMinimumHeight(VIEW_HEIGHT)
        self.view.setPlaceholderText(
            tr("Write a message below. Each answer takes all that was said before into account.")
        )
        inner = QVBoxLayout(card)
        inner.setContentsMargins(*[theme.SPACE * 3 // 2] * 4)
        inner.addWidget(self.view)
        self._warning, self._note = QLabel(self), QLabel(self)
        for name, label in (("chat.warning", self._warning), ("chat.note", self._note)):
            label.setObjectName(name)
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        theme.set_role(self._warning, role="warning")
        self._warning.hide()
        self.prompt = ChatBox(self)
        self.prompt.setObjectName("chat.prompt")
        self.prompt.setAccessibleName(tr("Message"))
        sends, begins = native_keys("Return"), native_keys("Shift+Return")
        self.prompt.setPlaceholderText(
            tr("Message ({sends} sends, {begins} begins a new line)", sends=sends, begins=begins)
        )
        self.prompt.setTabChangesFocus(True)
        self.prompt.setAcceptDrops(False)
        self.prompt.setFixedHeight(theme.line_px() * 3)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(head)
        layout.addWidget(card, 1)
        layout.addWidget(self._warning)
        layout.addWidget(self._note)
        layout.addWidget(self.prompt)
        layout.addLayout(self._built_buttons())
        self.more = self._built_more()
        layout.addWidget(self.more)
        self._tell("")

    def _built_buttons(self) -> QHBoxLayout:
        self.new_button = QPushButton(tr("New conversation"), self)
        self.new_button.setObjectName("chat.new")
        self.new_button.setToolTip(tr("Begin anew; the conversations before can be turned back to"))
        self.again_button = QPushButton(tr("Answer again"), self)
        self.again_button.setObjectName("chat.again")
        for button in (self.new_button, self.again_button):
            theme.set_role(button, kind="quiet")
        self.send_button = QPushButton(tr("Send"), self)
        self.send_button.setObjectName("chat.send")
        theme.set_role(self.send_button, kind="primary")
        self.stop_button = QPushButton(tr("Stop"), self)
        self.stop_button.setObjectName("chat.stop")
        self.stop_button.setToolTip(tr("End the answer where it is"))
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        for button in (self.new_button, self.again_button, self.send_button, self.stop_button):
            button.setAutoDefault(False)  # Return is for the message
            row.addWidget(button)
        row.insertStretch(2, 1)
        return row

    def _built_more(self) -> Disclosure:
        self.system = QLineEdit(self)
        self.system.setObjectName("chat.system")
        self.system.setAccessibleName(tr("System prompt"))
        self.system.setToolTip(
            tr("Stands before the conversation: what the model is told to be, from the next message on")
        )
        self.system.setPlaceholderText(tr("System prompt (optional)"))
        self.strength = StrengthSlider(self)
        self.strength.slider.setObjectName("chat.strength")
        self.fields = CompareSampler(self, CHAT_FIELDS)
        self.fields.setMinimumWidth(self.width() - 4 * theme.SPACE)  # as one column it would make the dialog grow
        content = QWidget(self)
        inner = QVBoxLayout(content)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(theme.SPACE * 3 // 2)
        inner.addWidget(labelled(tr("System prompt"), self.system, self.system))
        inner.addWidget(self.fields)
        inner.addWidget(self.strength)
        more = Disclosure(tr("System prompt and sampling"), content, self)
        more.button.setObjectName("chat.more")
        more.button.setAutoDefault(False)
        more.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        return more

    def _connect(self) -> None:
        self.chooser.chosen.connect(self._on_chosen)
        self.strength.changed.connect(self._on_chosen)
        self.session.began.connect(self._on_began)
        self.session.replied.connect(self._on_replied)
        self.session.settled.connect(self._on_settled)
        self.session.turned.connect(self._on_turned)
        self._answerer.progressed.connect(self._on_progress)
        self._answerer.failed.connect(self._on_failed)
        self._answerer.warned.connect(self._on_warned)
        self._answerer.state_changed.connect(self._show_state)
        self.more.toggled.connect(self._fit_later)
        self.prompt.sent.connect(self.send)
        self.prompt.textChanged.connect(self._show_state)
        self.fields.edited.connect(self._show_state)
        self.send_button.clicked.connect(self.send)
        self.stop_button.clicked.connect(self.session.stop)
        self.again_button.clicked.connect(self.again)
        self.new_button.clicked.connect(self.begin_anew)
        self.back_button.clicked.connect(self._turn_back)
        self.on_button.clicked.connect(self._turn_on)
