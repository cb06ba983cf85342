"""The judging card: which answer is better, asked blind if wanted, kept on disk, and counted with its uncertainty.

How a tab uses it: `begin` before the columns are shown (it says in which order), `offer` when all answers have
ended, `withdraw` when there will be none, `recall` where a vote was given before. While `is_hidden`, columns are
called A, B, C, D; `revealed` says when their names may stand there. The votes are `app.core.compare.judgement`'s.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QLabel, QMessageBox, QWidget

from app.core.compare.candidate import Candidate
from app.core.compare.judgement import Judged, Outcome, Tally, Vote, VoteBook, Votes, comparison_key, export, tally
from app.core.language import tr
from app.core.quantity import plural
from app.core.refusal import reason_of
from app.ui.judging.tally_view import TallyView
from app.ui.judging.vote_row import COLUMN_LETTERS, VoteRow
from app.ui.platform.file_panel import ask_new_file
from app.ui.platform.message_box import message_box
from app.ui.widget import theme
from app.ui.widget.card import Card
from app.ui.widget.icon_button import IconButton

WAITING = tr("Ask a question; when all answers have ended, say which one is better.")
TOO_FEW = tr("Judging takes two columns or more.")
ASK_TEXT = tr("Which answer is better? Press {keys}, 0 for a tie, or − if all are bad.")
CHANGES = tr("Another button or key changes that.")
FILTERS = {"CSV (*.csv)": ".csv", "JSON (*.json)": ".json", "Markdown (*.md)": ".md"}


class JudgingCard(Card):
    """Asks for a verdict on the answers in the columns. It knows the columns by number only, from the left."""

    revealed = Signal()  # the names of the columns may be shown: after the vote, or when blind mode is left
    voted = Signal(object)  # Vote, the first on the answers that are shown
    forgotten = Signal()  # votes were taken away
    blind_changed = Signal(bool)
    warned = Signal(str)  # votes that could not be read or written

    def __init__(self, parent: QWidget | None = None, *, book: VoteBook | None = None) -> None:
        super().__init__(tr("Judging"), parent=parent)
        self.setObjectName("judging")
        self._book = book if book is not None else VoteBook()
        self._read: Votes | None = None
        self._model = ""
        self._candidates: tuple[Candidate, ...] = ()
        self._question: dict[str, Any] = {}
        self._order: tuple[int, ...] = ()
        self._answers: list[str] | None = None
        self._given: Vote | None = None  # on the answers that are shown
        self._hidden = False
        self._hint = ""
        self._build()
        self._choices.set_columns(2)
        self._show_state(WAITING)

    @property
    def is_blind(self) -> bool:
        """Whether columns of the next question are shuffled and their names hidden."""
        return self.blind.isChecked()

    @property
    def is_hidden(self) -> bool:
        """True from `begin` in blind mode until `revealed`: show `column_name` instead of a candidate's label."""
        return self._hidden

    @property
    def is_open(self) -> bool:
        """Whether a vote can be given, or changed."""
        return self._answers is not None

    @staticmethod
    def column_name(column: int) -> str:
        """``A`` for column 0, and so on: what a column is called in the buttons, and while names are hidden."""
        return COLUMN_LETTERS[column]

    def votes_now(self) -> tuple[Vote, ...]:
        """All votes that are on disk, on whatever they were given."""
        return self._all().votes

    def set_hint(self, hint: str) -> None:
        """What is said behind every question for a vote, and behind the vote: how to go on."""
        self._hint = hint

    def set_candidates(self, candidates: tuple[Candidate, ...], model: str = "") -> None:
        """Shows the tally of these candidates before anything is asked; ``begin`` does it too."""
        if self._order and (candidates, model) != (self._candidates, self._model):
            self.withdraw()
        self._candidates, self._model = candidates, model
        self._choices.set_columns(len(candidates))
        self._show_tally()

    def begin(
        self, question: dict[str, Any], candidates: tuple[Candidate, ...], kept: tuple[int, ...] | None = None
    ) -> tuple[int, ...]:
        """A question was asked: gives the order in which columns are shown (identity when not blind).

        ``kept`` is the order that they had in a comparison that is shown again: names are hidden as they were then,
        and seen where it is empty.

        ``order[column]`` is the candidate shown in that column. ``question`` has ``model``, ``messages`` and
        everything else that decides the answers (``temp``, ``seed``, …) as plain JSON; all of it is kept with the
        vote. Voting is closed until `offer`.
        """
        self._take(question, candidates, kept)
        self._show_state(WAITING if len(candidates) > 1 else TOO_FEW)
        return self._order

    def _take(
        self, question: dict[str, Any], candidates: tuple[Candidate, ...], kept: tuple[int, ...] | None
    ) -> None:
        self._question, self._answers, self._given = dict(question), None, None
        self._candidates, self._model = candidates, str(question.get("model", ""))
        order, self._hidden = list(range(len(candidates))), self.is_blind if kept is None else bool(kept)
        if kept:
            order = list(kept)
        elif self._hidden:
            random.shuffle(order)
        self._order = tuple(order)
        self._choices.set_columns(len(candidates))
        self._show_tally()

    def reopen(
        self,
        question: dict[str, Any],
        candidates: tuple[Candidate, ...],
        answers: list[str],
        kept: tuple[int, ...] | None = None,
        before: str = "",
    ) -> tuple[int, ...]:
        """`begin` and `offer` in one, for answers that are there, a candidate's each: the focus stays."""
        self._take(question, candidates, kept)
        self.offer([answers[index] for index in self._order], before)
        return self._order

    def offer(self, answers: list[str], before: str = "") -> None:
        """All answers have ended: opens the vote, with a sentence ``before`` the question for it.

        ``answers[column]`` is what stands in that column.
        """
        if len(answers) != len(self._order):
            raise ValueError(
                tr("{answers} answers for {order} columns", answers=len(answers), order=len(self._order))
            )
        if len(answers) < 2:
            self.withdraw()
            return
        self._answers, self._given = list(answers), None
        keys = ", ".join(
            tr("{column} for {column_name}", column=column + 1, column_name=self.column_name(column))
            for column in range(len(answers))
        )
        self._show_state(_said(before, ASK_TEXT.format(keys=keys), self._hint))

    def recall(
        self, question: dict[str, Any], candidates: tuple[Candidate, ...], answers: list[str]
    ) -> tuple[int, ...] | None:
        """Shows the vote that was given on these answers (a candidate's each), to be seen and changed.

        Gives the order in which the columns stood then; None where there is no such vote, and nothing is shown.
        """
        judged = tuple(Judged.of(candidate) for candidate in candidates)
        if len(candidates) < 2:
            return None
        vote = self._all().given_on(Vote(dict(question), judged, tuple(answers), "tie"))
        if vote is None:
            return None
        self._take(question, candidates, ())
        if sorted(vote.shown) == [*range(len(candidates))]:
            self._order = vote.shown
        self._answers, self._given = [answers[index] for index in self._order], vote
        self._show_given()
        return self._order

    def withdraw(self, said: str = WAITING) -> None:
        """There will be no answers (stopped, failed, asked anew): closes the vote and shows the names."""
        self._answers, self._given, self._order = None, None, ()
        self._reveal()
        self._show_state(said)

    def vote(self, column: int | None, outcome: Outcome = "win") -> None:
        """What the buttons and keys do: ``column`` is better, or None with ``"tie"`` or ``"all_bad"``.

        Where a vote was given, this one takes its place.
        """
        if self._answers is None:
            return
        winner, before = None if column is None else self._order[column], self._given
        if before is not None and (before.outcome, before.winner) == (outcome, winner):
            self._mark()
            return
        answers = dict(zip(self._order, self._answers, strict=True))
        vote = Vote(
            self._question,
            self._judged(),
            tuple(answers[index] for index in range(len(self._candidates))),
            outcome,
            winner,
            self._hidden,
            self._order,
        )
        earlier = self._all().given_on(vote)
        if not self._keep(vote, in_place=earlier is not None):
            self._mark()
            return
        self._given = vote
        self._reveal()
        replaced = ""
        if before is None and earlier is not None:
            replaced = tr("It takes the place of the earlier vote on these answers.")
        elif before is not None and before.blind:
            replaced = tr("The names were seen before that, so it counts as blind no longer.")
        self._show_given(replaced)
        self._show_tally()
        if before is None:
            self.voted.emit(vote)

    @property
    def kept_sentence(self) -> str:
        """``Kept: A is better.``: the vote on the answers that are shown, without a name; empty without one."""
        if self._given is None:
            return ""
        if self._given.winner is None:
            return tr("Kept as a tie.") if self._given.outcome == "tie" else tr("Kept: all bad.")
        column = self._order.index(self._given.winner)
        return tr("Kept: {column_name} is better.", column_name=self.column_name(column))

    def tally(self) -> Tally:
        """The count of all votes on these candidates."""
        return tally(self._votes(), self._judged())

    def export_to(self, path: Path) -> None:
        """Writes the votes on these candidates as CSV, JSON or Markdown, by the suffix. Raises `OSError`."""
        export(self._votes(), self._judged(), path)

    # -- votes ------------------------------------------------------------------------------------------------

    def _judged(self) -> tuple[Judged, ...]:
        return tuple(Judged.of(candidate) for candidate in self._candidates)

    @property
    def _key(self) -> frozenset[str]:
        return comparison_key(self._model, [one.adapter for one in self._judged()])

    def _all(self) -> Votes:
        """The file is read once, and when it was changed here; a fault of it is told once."""
        if self._read is None:
            try:
                self._read = self._book.read()
            except OSError as error:
                self._read = Votes()
                self.warned.emit(
                    tr(
                        "The votes in {path} cannot be read: {reason_of}.",
                        path=self._book.path,
                        reason_of=reason_of(error),
                    )
                )
            if self._read.broken:
                lines = plural(self._read.broken, "line")
                self.warned.emit(
                    tr(
                        "{lines} of {path} cannot be read as votes and are left out.",
                        lines=lines,
                        path=self._book.path,
                    )
                )
        return self._read

    def _votes(self) -> tuple[Vote, ...]:
        return self._all().of(self._key)

    def _keep(self, vote: Vote, *, in_place: bool) -> bool:
        """Writes a vote; if that fails all is as before, and the reason is said."""
        before = self._all()
        try:
            (self._book.change if in_place else self._book.add)(vote)
        except OSError as error:
            self.warned.emit(
                tr(
                    "The vote could not be written to {path}: {reason_of}.",
                    path=self._book.path,
                    reason_of=reason_of(error),
                )
            )
            return False
        self._read = before.with_last(vote)
        return True

    def _reveal(self) -> None:
        if self._hidden:
            self._hidden = False
            self.revealed.emit()

    def _on_blind(self, blind: bool) -> None:
        """Leaving blind mode shows the names at once; a vote given after that is not counted as blind."""
        if not blind:
            self._reveal()
        self.blind_changed.emit(blind)

    def _forget(self) -> None:
        """Asks which votes to take away: these, all, or none."""
        these, whole = len(self._votes()), len(self._all().votes)
        box = message_box(self)
        box.setObjectName("judging.forget.box")
        box.setText(tr("Forget {votes} on these candidates?", votes=plural(these, "vote")))
        box.setInformativeText(
            tr("This cannot be undone. There are {votes} on all candidates.", votes=plural(whole, "vote"))
        )
        own = box.addButton(tr("Forget these"), QMessageBox.ButtonRole.AcceptRole) if these else None
        every = box.addButton(tr("Forget all"), QMessageBox.ButtonRole.DestructiveRole) if whole > these else None
        box.setDefaultButton(box.addButton(tr("Cancel"), QMessageBox.ButtonRole.RejectRole))
        box.exec()
        clicked = box.clickedButton()
        if clicked is not None and clicked in (own, every):
            self.forget(everything=clicked is every)

    def forget(self, *, everything: bool = False) -> None:
        """Takes away the votes on these candidates, or on all of them, without asking."""
        try:
            self._book.forget(None if everything else self._key)
        except OSError as error:
            self.warned.emit(tr("The votes could not be taken away: {reason_of}.", reason_of=reason_of(error)))
        self._read = None
        self._show_tally()
        self.forgotten.emit()

    def _export(self) -> None:
        name, chosen = ask_new_file(self, tr("Export votes"), "votes.csv", ";;".join(FILTERS))
        if not name:
            return
        path = Path(name)
        if path.suffix.lower() not in FILTERS.values():
            path = path.with_name(path.name + FILTERS.get(chosen, ".csv"))
        try:
            self.export_to(path)
        except OSError as error:
            self.warned.emit(
                tr("The votes could not be written to {path}: {reason_of}.", path=path, reason_of=reason_of(error))
            )

    # -- showing ----------------------------------------------------------------------------------------------

    def _show_state(self, said: str) -> None:
        self._note.setText(said)
        self._mark()

    def _mark(self) -> None:
        """Marks the vote that was given, whatever was clicked."""
        given = self._given
        column = None if given is None or given.winner is None else self._order.index(given.winner)
        self._choices.show_choice(column, None if given is None else given.outcome, is_open=self.is_open)

    def _show_given(self, replaced: str = "") -> None:
        """Says how was voted, and what that vote ``replaced``."""
        assert self._given is not None
        names = self._names() if self._given.blind else ""
        self._show_state(_said(self.kept_sentence, names, replaced, CHANGES, self._hint))

    def _names(self) -> str:
        """``A was friendly, B was Base model.``"""
        names = (
            tr(
                "{column_name} was {title}",
                column_name=self.column_name(place),
                title=self._candidates[index].title,
            )
            for place, index in enumerate(self._order)
        )
        return ", ".join(names) + "."

    def _show_tally(self) -> None:
        several = len(self._candidates) > 1
        self._tally.setVisible(several)
        if several:
            self._tally.show_tally(self.tally())
        has_votes = several and bool(self._votes())
        self._export_button.setEnabled(has_votes)
        self._export_button.setToolTip(
            tr("Export votes…") if has_votes else tr("Export votes: there are none on these candidates")
        )
        self._forget_button.setEnabled(bool(self._all().votes))
        self._forget_button.setToolTip(
            tr("Forget votes…") if self._all().votes else tr("Forget votes: there are none")
        )

    def _build(self) -> None:
        self.blind = QCheckBox(tr("Blind"), self)
        self.blind.setObjectName("judging.blind")
        self.blind.setAccessibleName(tr("Judge blind"))
        self.blind.setToolTip(tr("Shuffle the columns of the next question and hide their names until the vote"))
        self.blind.toggled.connect(self._on_blind)
        self._export_button = IconButton("ph.export", tr("Export votes…"), self)
        self._export_button.setObjectName("judging.export")
        self._export_button.clicked.connect(self._export)
        self._forget_button = IconButton("ph.trash", tr("Forget votes…"), self)
        self._forget_button.setObjectName("judging.forget")
        self._forget_button.clicked.connect(self._forget)
        for tool in (self.blind, self._export_button, self._forget_button):
            self.tools.addWidget(tool)
        self._note = QLabel(self)
        self._note.setObjectName("judging.note")
        self._note.setWordWrap(True)
        theme.set_role(self._note, role="muted")
        self._choices = VoteRow(self)
        self._choices.chosen.connect(self.vote)
        self._tally = TallyView(self)
        self._tally.hide()
        for tool in (self._export_button, self._forget_button):
            tool.setEnabled(False)
            tool.setToolTip(
                tr("{accessiblename}: choose what is compared first", accessiblename=tool.accessibleName())
            )
        self.body.setSpacing(theme.SPACE * 3 // 2)
        self.body.addWidget(self._note)
        self.body.addWidget(self._choices)
        self.body.addWidget(self._tally)


def _said(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
