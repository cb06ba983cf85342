"""The way of a vote: what columns are called until it is given, when it is asked for, and when there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.core.compare.candidate import Candidate
from app.core.compare.conversation import Conversation
from app.core.language import tr
from app.ui.compare.answer_grid import AnswerGrid
from app.ui.compare.session import CompareSession
from app.ui.judging.judging_card import WAITING, JudgingCard

UNANSWERED = tr("There is no vote here: not every column has answered this question.")
ARROWS_TURN = tr("← and → turn the pages.")
LEADS_ON = tr("A vote leads to the next question without one; ← and → turn the pages.")


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
        self._before = ""  # what is said before the next question for a vote
        card.revealed.connect(self.name_columns)
        card.voted.connect(self._on_voted)
        card.forgotten.connect(self._on_forgotten)

    @property
    def hides_names(self) -> bool:
        """Whether the columns' names are hidden until the vote; they cannot be changed then."""
        return self._card.is_hidden

    def begin(self, conversation: Conversation) -> None:
        """Has the card say where which column stands, and hides their names if it is blind."""
        self._begun = conversation
        self._stand(self._card.begin(self._find_question(conversation), _candidates(conversation)))

    def _stand(self, order: tuple[int, ...]) -> None:
        self._grid.set_order(order)
        self.name_columns()

    def offer(self, kept: tuple[int, ...] | None = None) -> None:
        """Asks for a verdict on the page that is shown, or shows the one that was given on it.

        There is none on a page that is not answered. ``kept`` is what `resume` says.
        """
        shown, before = self._session.shown, self._before
        self._before = ""
        if shown is None or not shown.last.is_answered:
            self.withdraw(WAITING if shown is None else UNANSWERED)
            return
        turns = ARROWS_TURN if len(self._session.pages) > 1 else ""
        self._card.set_hint(turns)
        question, candidates = self._find_question(shown), _candidates(shown)
        if shown.last.judged and (seen := self._card.recall(question, candidates, shown.answers)) is not None:
            self._begun = None
            self._stand(seen)
            return
        self._card.set_hint(turns if self._next_open() is None else LEADS_ON)
        if shown is self._begun:
            self._card.offer([shown.answers[index] for index in self._grid.order], before)
        else:  # another page, also where what was begun came to nothing
            self._begun = shown
            self._stand(self._card.reopen(question, candidates, shown.answers, kept, before))

    def turn(self) -> None:
        """Another page is shown: it can be judged, too."""
        if not self._session.is_busy:
            self._begun = None
            self.offer()

    def resume(self, order: tuple[int, ...]) -> None:
        """A kept comparison is shown: names that were hidden (``order`` is the columns' then) stay hidden."""
        self._begun = None
        self.offer(order)

    def withdraw(self, said: str = WAITING) -> None:
        """There is no vote, and the names may be seen."""
        self._card.withdraw(said)
        self.name_columns()

    def name_columns(self) -> None:
        """Calls the columns A, B, … from the left; whose they are is hidden until a blind vote is given."""
        hidden = self._card.is_hidden
        for place, index in enumerate(self._grid.order):
            self._grid.columns[index].set_letter(self._card.column_name(place), hidden=hidden)
        self.named.emit()

    def _next_open(self) -> int | None:
        """The next page behind the one that is shown on which a vote can be given, and none was."""
        pages = self._session.pages
        behind = range(self._session.place + 1, len(pages))
        return next((at for at in behind if pages[at].last.is_answered and not pages[at].last.judged), None)

    def _on_voted(self) -> None:
        """The first vote on a page leads to the next one that has none; who comes back to change it stays there."""
        shown, place = self._session.shown, self._session.place
        if shown is None:
            return
        shown.last.judged = True
        if (following := self._next_open()) is not None:
            self._before = tr("Question {place:,}: {kept}", place=place + 1, kept=self._card.kept_sentence)
            self._session.turn_to(following)

    def _on_forgotten(self) -> None:
        """Pages whose votes are gone can be judged again."""
        known = {vote.answers for vote in self._card.votes_now()}
        for page in self._session.pages:
            page.last.judged = page.last.judged and tuple(page.answers) in known
        if self._card.is_open:
            self.turn()


def _candidates(page: Conversation) -> tuple[Candidate, ...]:
    return tuple(found for found in page.candidates if found is not None)
