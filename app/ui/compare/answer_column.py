"""One column of a comparison: who answers, the conversation with it, the answer as it comes, and its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.core.compare.candidate import Candidate
from app.core.compare.conversation import Reply
from app.core.compare.word_difference import differing_spans
from app.core.language import tr
from app.core.protocol import event
from app.core.quantity import bytes_text, duration_text, plural
from app.ui.compare.answer_chooser import AnswerChooser, CandidateList, takes
from app.ui.compare.answer_view import AnswerView
from app.ui.compare.strength_slider import StrengthSlider
from app.ui.widget import theme
from app.ui.widget.drop import local_paths
from app.ui.widget.icon_button import IconButton

ENDINGS = {
    "stop": "",
    "length": tr("cut at the maximum"),
    "stopped": tr("stopped"),
}
HIDDEN_ENDINGS = {"length": tr("Cut at the maximum"), "stopped": tr("Stopped")}


class AnswerColumn(QFrame):
    """Shows the answers of one candidate; it knows nothing of the other columns."""

    chosen = Signal()  # another candidate
    remove_requested = Signal()
    export_requested = Signal(object)  # the Candidate
    chat_requested = Signal(object)
    serve_requested = Signal(object)

    def __init__(self, found: CandidateList, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)
        theme.set_role(self, role="card")
        self._alias, self._has_changed = "", False
        self._reply = Reply()
        self._pill, self._figures = QLabel(self), QLabel(self)
        self.chooser = AnswerChooser(found, self)
        self.chooser.chosen.connect(self._on_chosen)
        self.strength = StrengthSlider(self)
        self.strength.changed.connect(self._on_chosen)
        self.view = AnswerView(self)
        self._figures.setWordWrap(True)
        self._figures.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        theme.set_role(self._figures, role="small")
        self._copy = IconButton("ph.copy", tr("Copy this answer"), self)
        self._copy.clicked.connect(self._on_copy)
        self.export = IconButton("ph.export", tr("Export this adapter…"), self)
        self.export.clicked.connect(self._on_export)
        self.chat = IconButton("ph.chat-circle-dots", tr("Chat with this one…"), self)
        self.chat.clicked.connect(self._on_chat)
        self.serve = IconButton("ph.broadcast", tr("Serve this one to other programs…"), self)
        self.serve.clicked.connect(self._on_serve)
        self.remove = IconButton("ph.x", tr("Remove this column"), self)
        self.remove.clicked.connect(self.remove_requested)
        for button in (self._copy, self.export, self.chat, self.serve, self.remove):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._lay_out()
        self._name()

    def set_index(self, index: int) -> None:
        """Which of the columns this is: it and its parts are named by it."""
        self.setObjectName(f"answer.{index}")
        parts = {
            "candidate": self.chooser.box,
            "checkpoint": self.chooser.checkpoints,
            "strength": self.strength.slider,
            "text": self.view,
            "figures": self._figures,
            "copy": self._copy,
            "export": self.export,
            "chat": self.chat,
            "serve": self.serve,
            "remove": self.remove,
        }
        for part, widget in parts.items():
            widget.setObjectName(f"answer.{index}.{part}")

    # -- who --------------------------------------------------------------------------------------------------

    @property
    def candidate(self) -> Candidate | None:
        """Who answers here, at the strength that is chosen; None while nobody is chosen."""
        found = self.chooser.candidate
        return found if found is None or found.is_base else replace(found, strength=self.strength.strength)

    def set_candidate(self, candidate: Candidate | None) -> None:
        """Who answers here from now on."""
        self.chooser.set_candidate(candidate and replace(candidate, strength=1.0))
        self.strength.set_strength(1.0 if candidate is None else candidate.strength)
        self._name()

    def set_letter(self, letter: str, *, hidden: bool) -> None:
        """What the column is called when it is judged; ``hidden`` if that is all that may be known of it."""
        self._pill.setText(tr("Answer {letter}", letter=letter) if hidden else letter)
        theme.set_role(self._pill, role="pill-accent" if hidden else "pill")
        self._alias = self._pill.text() if hidden else ""
        self._name()
        self._show_reply()

    @property
    def title(self) -> str:
        """What the column is called at present."""
        return self._alias or (self.candidate.title if self.candidate is not None else "")

    def _name(self) -> None:
        alias, candidate = self._alias, self.candidate
        self.chooser.setVisible(not alias)
        self.strength.setVisible(not alias and candidate is not None and not candidate.is_base)
        for button in (self.chat, self.serve, self.export):
            button.setVisible(not alias and candidate is not None and not candidate.is_base)
        self.view.setAccessibleName(tr("Answer of {title}", title=self.title) if self.title else tr("Answer"))
        # In one line also where there are four: Qt shows no second one.
        self.view.setPlaceholderText("" if alias else tr("The answer appears here."))

    def _on_export(self) -> None:
        self.export_requested.emit(self.candidate)

    def _on_chat(self) -> None:
        self.chat_requested.emit(self.candidate)

    def _on_serve(self) -> None:
        self.serve_requested.emit(self.candidate)

    def _on_chosen(self) -> None:
        self._name()
        self.chosen.emit()

    # -- what it says -----------------------------------------------------------------------------------------

    def show_turns(self, turns: Sequence[tuple[str, Reply]], *, has_changed: bool = False) -> None:
        """Shows a conversation: its prompts and this column's replies. None is an empty column.

        ``has_changed`` if the weights that gave the last one have made room for others.
        """
        self._reply, self._has_changed = turns[-1][1] if turns else Reply(), has_changed
        whole = not turns or self._reply.last is not None
        self.view.show_turns([(prompt, reply.text) for prompt, reply in turns], whole=whole)
        self._show_reply()

    def take(self, piece: event.Answered) -> None:
        """A piece came that the shown reply has taken already."""
        if piece.text:
            self.view.append_text(piece.text)
        self._show_reply()

    def _show_reply(self) -> None:
        """What stands under the answer: figures, or why there is none."""
        reply = self._reply
        self._copy.setEnabled(bool(reply.text))
        if reply.last is not None and reply.last.message:
            self.set_status(reply.last.message, role="error")
        elif reply.last is not None:
            self.set_status(self._figures_text(reply.last))
        elif reply.text:
            self.set_status(tr("Answering…"))
        else:
            self.set_status("")

    def set_status(self, text: str, *, role: str = "small") -> None:
        """Puts a line under the answer."""
        self._figures.setText(text)
        theme.set_role(self._figures, role=role)

    def set_plain(self, plain: bool) -> None:
        """Shows answers as they came, or rendered."""
        self.view.set_plain(plain)

    def mark_against(self, reference: str | None) -> None:
        """Marks the words that ``reference``, another column's shown text, has not; none for None."""
        self.view.mark(differing_spans(reference, self.view.shown_text()) if reference is not None else [])

    @property
    def answer(self) -> str:
        """The text so far."""
        return self._reply.text

    @property
    def status(self) -> str:
        """What stands under the answer."""
        return self._figures.text()

    def _figures_text(self, piece: event.Answered) -> str:
        if self._alias:  # speed and memory would tell who it is
            return HIDDEN_ENDINGS.get(piece.finish_reason, "")
        told = figures_text(piece, 1.0 if self.candidate is None else self.candidate.strength)
        return tr("{told} · by earlier weights: there are others now", told=told) if self._has_changed else told

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self.answer)

    # -- dropping ---------------------------------------------------------------------------------------------

    def dragEnterEvent(self, found: QDragEnterEvent) -> None:
        if self._adapter_in(found) is None:
            found.ignore()  # the window behind may want it
            return
        theme.set_role(self, drop="true")
        found.acceptProposedAction()

    def dragLeaveEvent(self, found: QDragLeaveEvent) -> None:
        theme.set_role(self, drop="")
        super().dragLeaveEvent(found)

    def dropEvent(self, found: QDropEvent) -> None:
        theme.set_role(self, drop="")
        path = self._adapter_in(found)
        if path is None:
            found.ignore()
            return
        found.acceptProposedAction()
        self.chooser.choose_path(path)

    def _adapter_in(self, found: QDropEvent) -> Path | None:
        if self._alias:
            return None
        paths = local_paths(found)  # of several nobody said which
        return paths[0] if len(paths) == 1 and takes(paths[0]) else None

    # -- building ---------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE // 2)
        head.addWidget(self._pill, 0, Qt.AlignmentFlag.AlignVCenter)
        head.addWidget(self.chooser, 1)
        head.addStretch(0)
        head.addWidget(self.remove)
        foot = QHBoxLayout()
        foot.setSpacing(theme.SPACE // 2)
        foot.addWidget(self._figures, 1)
        foot.addWidget(self.chat, 0, Qt.AlignmentFlag.AlignBottom)
        foot.addWidget(self.serve, 0, Qt.AlignmentFlag.AlignBottom)
        foot.addWidget(self.export, 0, Qt.AlignmentFlag.AlignBottom)
        foot.addWidget(self._copy, 0, Qt.AlignmentFlag.AlignBottom)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE * 3 // 2, theme.SPACE, theme.SPACE, theme.SPACE)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(head)
        layout.addWidget(self.strength)
        layout.addWidget(self.view, 1)
        layout.addLayout(foot)


def figures_text(piece: event.Answered, strength: float = 1.0) -> str:
    """``42 tokens · 85.3 tokens/s · first after 0.12 s · peak 1.21 GB``, before them a strength that is not 1."""
    parts = [] if strength == 1 else [tr("{strength:g} × strength", strength=strength)]
    parts.append(plural(piece.generation_tokens, "token"))
    if piece.tokens_per_second:
        beside = tr(" beside {others}", others=plural(piece.together - 1, "other")) if piece.together > 1 else ""
        parts.append(
            tr("{tokens_per_second:.1f} tokens/s{beside}", tokens_per_second=piece.tokens_per_second, beside=beside)
        )
    if piece.first_token_s:
        first = f"{piece.first_token_s:.2f} s" if piece.first_token_s < 10 else duration_text(piece.first_token_s)
        parts.append(tr("first after {first}", first=first))
    if piece.peak_memory_gb:
        parts.append(tr("peak {peak_memory_gb}", peak_memory_gb=bytes_text(piece.peak_memory_gb * 1000000000.0)))
    if ending := ENDINGS.get(piece.finish_reason, piece.finish_reason):
        parts.append(ending)
    return " · ".join(parts)
