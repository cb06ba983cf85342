"""The way of a vote: what columns are called until it is given, when it is asked for, and when there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.core.compare.conversation import Conversation
from app.ui.compare.answer_grid import AnswerGrid
from app.ui.compare.judging_card import JudgingCard
from app.ui.compare.session import CompareSession


class VoteFlow(QObject):
    """Leads a `JudgingCard` along the pages of a `CompareSession`, and puts the columns in the order it asks for.

    ``find_question`` gives all that decided a conversation's answers, as it is kept with the vote.
    """

    named = Signal()  # the columns have the names that they may have now

    def __init__(
        self,
        card: JudgingCard,
        session: CompareSession,
        grid: AnswerGrid,
        find_question: Callable[[Conversation], dict[str, Any]],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._card, self._session, self._grid = card, session, grid
        self._find_question = find_question
        self._begun: Conversation | None = None  # the page for which the columns stand in their order
        card.revealed.connect(self.name_columns)
        card.voted.connect(self._on_voted)

    @property
    def hides_names(self) -> bool:
        """Whether the columns' names are hidden until the vote; they cannot be changed then."""
        return self._card.is_hidden

    def begin(self, conversation: Conversation, kept: tuple[int, ...] | None = None) -> None:
        """Has the card say where which column stands, and hides their names if it is blind."""
        self._begun = conversation
        candidates = tuple(found for found in conversation.candidates if found is not None)
        self._grid.set_order(self._card.begin(self._find_question(conversation), candidates, kept))
        self.name_columns()

    def offer(self) -> None:
        """Asks for a verdict on the page that is shown, once; there is none on a page that is not answered."""
        shown = self._session.shown
        if shown is None or not _can_be_judged(shown):
            self.withdraw()
            return
        if shown is not self._begun:  # what was begun came to nothing, and a page before is shown
            self.begin(shown)
        self._card.offer([shown.answers[index] for index in self._grid.order])

    def turn(self) -> None:
        """Another page is shown: it can be judged, too."""
        if self._session.is_busy:
            return
        shown = self._session.shown
        if shown is not None and _can_be_judged(shown):
            self.begin(shown)
            self.offer()
        else:
            self.withdraw()

    def resume(self, order: tuple[int, ...]) -> None:
        """A kept comparison is shown: names that were hidden (``order`` is the columns' then) stay hidden."""
        shown = self._session.shown
        if shown is not None and _can_be_judged(shown):
            self.begin(shown, order)
            self.offer()
        else:
            self.withdraw()

    def withdraw(self) -> None:
        """There is no vote, and the names may be seen."""
        self._card.withdraw()
        self.name_columns()

    def name_columns(self) -> None:
        """Calls the columns A, B, … from the left; whose they are is hidden until a blind vote is given."""
        hidden = self._card.is_hidden
        for place, index in enumerate(self._grid.order):
            self._grid.columns[index].set_letter(self._card.column_name(place), hidden=hidden)
        self.named.emit()

    def _on_voted(self) -> None:
        if self._session.shown is not None:
            self._session.shown.last.judged = True


def _can_be_judged(page: Conversation) -> bool:
    return page.last.is_answered and not page.last.judged
