"""The session of a comparison: asks an answerer one prompt after another, and keeps what was said."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.core.compare.candidate import Candidate
from app.core.compare.conversation import Conversation, opened
from app.core.compare.prompt_set import Prompt
from app.core.protocol.event import Answered
from app.core.protocol.question import Question, chat_of
from app.ui.compare.answerer import Answerer


class CompareSession(QObject):
    """Every prompt is a page; following up adds a turn to one. ``place`` is the page that is shown.

    A slot of `began` may set `order`: the order in which the columns are asked.
    """

    began = Signal()  # a prompt is about to be asked
    replied = Signal(int, object)  # column, Answered: a piece of the page in progress, which has taken it
    settled = Signal()  # the page in progress has ended, answered or not
    turned = Signal()  # another page is shown

    def __init__(self, answerer: Answerer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._answerer = answerer
        self.pages: list[Conversation] = []
        self.place = -1
        self.order: tuple[int, ...] = ()
        self.asking: Conversation | None = None
        self._waiting: deque[Conversation] = deque()
        self._asked = self._total = 0
        self._model = ""
        self._settings: dict[str, Any] = {}
        self._starting = False
        answerer.answered.connect(self._on_answered)
        answerer.failed.connect(self._on_failed)
        answerer.state_changed.connect(self._on_state)

    # -- pages ------------------------------------------------------------------------------------------------

    @property
    def shown(self) -> Conversation | None:
        """The conversation that is looked at; None before the first one."""
        return self.pages[self.place] if self.pages else None

    @property
    def is_busy(self) -> bool:
        """Whether something is asked, or waits to be."""
        return self.asking is not None

    @property
    def progress(self) -> tuple[int, int]:
        """The number of the prompt in progress, and how many there are."""
        return self._asked, self._total

    def turn_to(self, place: int) -> None:
        """Shows another page."""
        if 0 <= place < len(self.pages) and place != self.place:
            self.place = place
            self.turned.emit()

    def clear(self) -> None:
        """Forgets all pages."""
        self.pages, self.place = [], -1
        self.turned.emit()

    def set_candidate(self, column: int, candidate: Candidate | None) -> None:
        """A column has another candidate (or is new): its answers are gone, the others' stay."""
        for page in self.pages:
            page.set_candidate(column, candidate)

    def remove_column(self, column: int) -> None:
        """A column is gone."""
        for page in self.pages:
            page.remove(column)

    # -- asking -----------------------------------------------------------------------------------------------

    def ask(
        self,
        model: str,
        candidates: Iterable[Candidate | None],
        prompts: Iterable[Prompt],
        settings: dict[str, Any],
        system: str = "",
    ) -> None:
        """Asks every prompt on its own. ``settings`` are the fields of `Question` that choose tokens."""
        columns = list(candidates)
        self._begin(model, settings, [opened(prompt, columns, system) for prompt in prompts])

    def follow_up(self, model: str, prompt: str, settings: dict[str, Any]) -> None:
        """Asks one more prompt in the conversation that is shown."""
        conversation = self.pages.pop(self.place)
        conversation.add(prompt)
        self._begin(model, settings, [conversation])

    def ask_again(self, model: str, settings: dict[str, Any]) -> None:
        """Asks the last prompt of the shown conversation once more; its answers are gone."""
        self.follow_up(model, self.pages[self.place].turns.pop().prompt, settings)

    def stop(self) -> None:
        """Ends the answer in progress; what waits is not asked."""
        self._waiting.clear()
        self._answerer.stop()

    def _begin(self, model: str, settings: dict[str, Any], conversations: list[Conversation]) -> None:
        self._model, self._settings = model, settings
        self._waiting = deque(conversations)
        self._asked, self._total = 0, len(conversations)
        self.place = len(self.pages) - 1
        self._next()

    def _next(self) -> None:
        follows = self.place == len(self.pages) - 1
        conversation = self._waiting.popleft()
        self.pages.append(conversation)
        self.asking, self.order = conversation, ()
        self._asked += 1
        if follows:
            self.place = len(self.pages) - 1
        self.began.emit()
        order = self.order or tuple(range(len(conversation.candidates)))
        adapters = [_adapter(candidate) for candidate in conversation.candidates]
        strengths = [1.0 if candidate is None else candidate.strength for candidate in conversation.candidates]
        self._starting = True  # a worker that must be changed first ends, which is not the end of this answer
        self._answerer.ask(self._model, adapters, self._question(conversation, order), order, strengths)
        self._starting = False
        self._on_state()

    def _question(self, conversation: Conversation, order: tuple[int, ...]) -> Question:
        """Columns that have answered before have conversations of their own."""
        if len(conversation.turns) == 1:
            return Question(messages=chat_of(conversation.messages(0)), **self._settings)
        own = tuple(chat_of(conversation.messages(column)) for column in order)
        return Question(conversations=own, **self._settings)

    def _on_answered(self, piece: Answered) -> None:
        if self.asking is not None and piece.column < len(self.asking.candidates):
            self.asking.last.replies[piece.column].take(piece)
            self.replied.emit(piece.column, piece)

    def _on_failed(self, _why: str) -> None:
        self._waiting.clear()

    def _on_state(self) -> None:
        """One prompt after another: the next one when the answerer has done with the last."""
        if self._starting or self.asking is None or self._answerer.is_busy:
            return
        for column, reply in enumerate(self.asking.last.replies):
            if reply.last is None and reply.text:
                piece = Answered(request=0, column=column, done=True, finish_reason="stopped")
                reply.take(piece)
                self.replied.emit(column, piece)
        if self._waiting:
            self.settled.emit()
            self._next()
        else:
            self._forget_unheard()
            self.asking = None
            self.settled.emit()

    def _forget_unheard(self) -> None:
        """A prompt to which nobody said a word (stopped while the model was loaded) is as if it was not asked."""
        asking = self.asking
        if asking is None or asking.last.has_replies or asking is not (self.pages[-1] if self.pages else None):
            return
        asking.turns.pop()
        if not asking.turns:
            self.pages.pop()
            self.place = min(self.place, len(self.pages) - 1)


def _adapter(candidate: Candidate | None) -> str | None:
    adapter: Path | None = candidate.adapter if candidate is not None else None
    return str(adapter) if adapter is not None else None
