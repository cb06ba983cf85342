"""The session of a comparison: asks an answerer one prompt or a set of them, and keeps what was said."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.core.compare.candidate import Candidate, weights_mark
from app.core.compare.conversation import Conversation, Turn, opened
from app.core.compare.prompt_set import Prompt, PromptMessage
from app.core.protocol.event import Answered
from app.core.protocol.question import Question, chat_of
from app.ui.compare.answerer import Answerer


class CompareSession(QObject):
    """Every prompt is a page; following up adds a turn to one. ``place`` is the page that is shown.

    The pages of a set are there at once, and answered together. A slot of `began` may set `order`: that in which
    the columns are asked.
    """

    began = Signal()  # prompts are about to be asked
    replied = Signal(object, int, object)  # page, column, Answered: a piece, which the page has taken
    settled = Signal()  # the pages in progress have ended, answered or not
    turned = Signal()  # another page is shown

    def __init__(self, answerer: Answerer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._answerer = answerer
        self.pages: list[Conversation] = []
        self.place = -1
        self.order: tuple[int, ...] = ()
        self._asked: list[Conversation] = []
        self._replaced: Turn | None = None  # what the turn in progress is asked anew for
        self._opening: tuple[PromptMessage, ...] = ()  # of a conversation that goes on, before it did
        self._starting = False
        answerer.answered.connect(self._on_answered)
        answerer.state_changed.connect(self._on_state)

    # -- pages ------------------------------------------------------------------------------------------------

    @property
    def shown(self) -> Conversation | None:
        """The conversation that is looked at; None before the first one."""
        return self.pages[self.place] if self.pages else None

    @property
    def is_busy(self) -> bool:
        """Whether something is asked."""
        return bool(self._asked)

    @property
    def progress(self) -> tuple[int, int]:
        """How many answers of the pages in progress have come to their end, and how many there are; those that
        were stopped have not."""
        replies = [reply for page in self._asked for reply in page.last.replies]
        ended = (reply.last for reply in replies)
        return sum(last is not None and last.finish_reason != "stopped" for last in ended), len(replies)

    def is_answering(self, page: Conversation | None) -> bool:
        """Whether answers of this page are still to come."""
        return any(page is asked for asked in self._asked) and page is not None and not page.last.has_ended

    def turn_to(self, place: int) -> None:
        """Shows another page."""
        if 0 <= place < len(self.pages) and place != self.place:
            self.place = place
            self.turned.emit()

    def restore(self, pages: Iterable[Conversation], place: int) -> None:
        """Takes pages over that were kept, without a word. Those in progress are given up."""
        self._asked, self._replaced = [], None
        self.pages = list(pages)
        self.place = min(max(place, 0), len(self.pages) - 1)

    def is_other(self, column: int, candidate: Candidate | None) -> bool:
        """Whether a column would have another candidate than that of its answers."""
        return any(column < len(p.candidates) and p.candidates[column] != candidate for p in self.pages)

    def has_answer_of(self, column: int) -> bool:
        """Whether a column has said anything on any page."""
        return any(turn.replies[column].text for page in self.pages for turn in page.turns)

    def clear(self) -> None:
        """Forgets all pages."""
        self.pages, self.place = [], -1
        self.turned.emit()

    def set_candidate(self, column: int, candidate: Candidate | None) -> None:
        """A column has another candidate (or is new): its answers are gone, the others' stay."""
        self._replaced = None
        for page in self.pages:
            page.set_candidate(column, candidate)

    def remove_column(self, column: int) -> None:
        """A column is gone."""
        self._replaced = None
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
        """Asks every prompt on its own, together. ``settings`` are the fields of `Question` that choose tokens."""
        columns = list(candidates)
        self._begin(model, settings, [opened(prompt, columns, system) for prompt in prompts])

    def follow_up(self, model: str, prompt: str, settings: dict[str, Any], system: str | None = None) -> None:
        """Asks one more prompt in the conversation that is shown, behind this system prompt from now on; None is
        the one that it has."""
        conversation = self.pages.pop(self.place)
        self._opening = conversation.opening
        if system is not None:
            conversation.set_system(system)
        conversation.add(prompt)
        self._begin(model, settings, [conversation])

    def ask_again(self, model: str, settings: dict[str, Any], system: str | None = None) -> None:
        """Asks the last prompt of the shown conversation once more; its answers are gone once there is another."""
        replaced = self._replaced = self.pages[self.place].turns.pop()
        self.follow_up(model, replaced.prompt, settings, system)

    def stop(self) -> None:
        """Ends the answers in progress."""
        self._answerer.stop()

    def _begin(self, model: str, settings: dict[str, Any], conversations: list[Conversation]) -> None:
        self.place = len(self.pages)
        self.pages += conversations
        self._asked, self.order = conversations, ()
        candidates = conversations[0].candidates
        weights = [weights_mark(candidate) for candidate in candidates]
        for page in conversations:
            page.last.settings, page.last.weights = dict(settings), list(weights)
        self.began.emit()
        order = self.order or tuple(range(len(candidates)))
        strengths = [1.0 if candidate is None else candidate.strength for candidate in candidates]
        questions = [_question(page, order, settings) for page in conversations]
        self._starting = True  # a worker that must be changed first ends, which is not the end of these answers
        self._answerer.ask(model, [_adapter(candidate) for candidate in candidates], questions, order, strengths)
        self._starting = False
        self._on_state()

    def _on_answered(self, number: int, piece: Answered) -> None:
        if number < len(self._asked) and piece.column < len(self._asked[number].candidates):
            self._take(self._asked[number], piece)

    def _take(self, page: Conversation, piece: Answered) -> None:
        page.last.replies[piece.column].take(piece)
        self.replied.emit(page, piece.column, piece)

    def _on_state(self) -> None:
        """The answerer has done with what it was asked, or has ended: then what has no end yet was stopped."""
        if self._starting or not self._asked or self._answerer.is_busy:
            return
        for page in self._asked:
            for column, reply in enumerate(page.last.replies):
                if reply.last is None and reply.text:
                    self._take(page, Answered(request=0, column=column, done=True, finish_reason="stopped"))
        self._forget_unheard()
        self._asked, self._replaced = [], None
        self.settled.emit()

    def _forget_unheard(self) -> None:
        """A prompt to which nobody said a word (stopped while the model was loaded) is as if it was not asked.

        Of a set that was stopped those go, too, of which no answer had begun. Where it was asked anew, the answers
        before come back.
        """
        whole = len(self._asked) == 1
        for page in self._asked:
            if page.last.has_replies if whole else page.last.has_begun:
                continue
            page.turns.pop()
            page.opening = self._opening if page.turns or self._replaced is not None else page.opening
            if self._replaced is not None and self._replaced.has_replies:
                page.turns.append(self._replaced)
            if not page.turns:
                self.pages = [kept for kept in self.pages if kept is not page]
        self.place = min(self.place, len(self.pages) - 1)


def _question(page: Conversation, order: tuple[int, ...], settings: dict[str, Any]) -> Question:
    """Columns that have answered before have conversations of their own."""
    if len(page.turns) == 1:
        return Question(messages=chat_of(page.messages(0)), **settings)
    return Question(conversations=tuple(chat_of(page.messages(column)) for column in order), **settings)


def _adapter(candidate: Candidate | None) -> str | None:
    adapter: Path | None = candidate.adapter if candidate is not None else None
    return str(adapter) if adapter is not None else None
