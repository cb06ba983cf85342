"""The Compare tab: the same questions for up to four candidates on one base model, answered side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QScrollArea, QToolButton, QVBoxLayout, QWidget

from app.core.compare.candidate import (
    BASE,
    LEAST_COLUMNS,
    MOST_COLUMNS,
    Candidate,
    candidate_of,
    first_other,
    run_candidates,
)
from app.core.compare.conversation import Conversation
from app.core.compare.held_out import HeldOut, held_out_questions
from app.core.compare.kept_comparison import (
    ComparisonHead,
    KeptComparison,
    kept_comparison,
    mark_judged,
    present_candidate,
)
from app.core.compare.shelf import gone_sentence
from app.core.config.train_config import FieldSpec
from app.core.language import tr
from app.core.model.adapter_base import base_of
from app.core.model.folder import locate_model
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.run.folder import RunDir
from app.core.setup.config_file import load_config
from app.core.system.title import path_title
from app.ui.benchmark.card import BenchmarkCard
from app.ui.compare.answer_chooser import CandidateList
from app.ui.compare.answer_column import AnswerColumn
from app.ui.compare.answer_grid import AnswerGrid
from app.ui.compare.answerer import Answerer
from app.ui.compare.figure_card import FigureCard
from app.ui.compare.pager import Pager
from app.ui.compare.question import CompareQuestion, exact_text
from app.ui.compare.sampler import labelled
from app.ui.compare.session import CompareSession
from app.ui.compare.vote_flow import VoteFlow
from app.ui.form.path_editor import PathEditor
from app.ui.judging.judging_card import JudgingCard
from app.ui.kept.earlier_button import EarlierButton
from app.ui.kept.keeper import ComparisonKeeper
from app.ui.platform.key_text import MAIN_KEYS
from app.ui.widget import theme
from app.ui.worker.beside import NOT_BEGUN

BASE_MODEL = FieldSpec(
    "compare.base", tr("Base model"), "path", "", what=tr("The one model in memory, on which every adapter is put")
)


class CompareTab(QWidget):
    """Asks an `Answerer`. Nothing is loaded before the first question, and one base serves all columns."""

    warned = Signal(str)
    export_requested = Signal(object)  # a column's Candidate
    chat_requested = Signal(object)
    serve_requested = Signal(object)

    def __init__(self, answerer: Answerer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("compare_tab")
        self._answerer = answerer
        self.session = CompareSession(answerer, self)
        self._list = CandidateList(self)
        self._training = self._is_follow_up = False
        self._answered_base = ""  # on which the answers that are shown were given
        self._gone = ""  # what of a kept comparison is not there any more
        self.keeper = ComparisonKeeper(self._taken, self)
        self._build()
        self._connect()
        self._set_count(LEAST_COLUMNS)
        self.columns[0].set_candidate(BASE)
        self._on_candidates()
        self.keeper.settle()
        self.keeper.restore()

    # -- choosing ---------------------------------------------------------------------------------------------

    def choose_adapter(self, adapter: Path, *others: Path) -> None:
        """Base and adapters: prefills the first one's base, and a question that it was not trained on.

        What is shown stays among the earlier comparisons; where it is just these, it stays as it is.
        """
        chosen = [candidate_of(one) for one in (adapter, *others)]
        if self.session.pages and self.candidates == (BASE, *chosen):
            return
        self.keeper.begin()
        if self.session.is_busy:
            self.session.stop()
        self._votes.withdraw()
        self.session.clear()
        self._set_count(1 + len(chosen))
        for place, candidate in enumerate((BASE, *chosen)):
            self.columns[place].set_candidate(candidate)
        for place in range(1, len(self.columns)):
            self._take_chosen(place, fills=place == 1)

    def choose_run(self, run: RunDir) -> None:
        """Base and the adapter of a run."""
        self.choose_adapter(run.adapters)

    @property
    def columns(self) -> list[AnswerColumn]:
        """The columns, in the order of the candidates."""
        return self._grid.columns

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Who is compared; columns for which nobody is chosen yet are left out."""
        return tuple(column.candidate for column in self.columns if column.candidate is not None)

    @property
    def adapter(self) -> Path | None:
        """The first adapter that is compared; None while none is chosen."""
        return next((found.adapter for found in self.candidates if found.adapter is not None), None)

    @property
    def base(self) -> str:
        """The base model's folder or name."""
        return str(self._base.value() or "")

    @property
    def conversation(self) -> Conversation | None:
        """What is shown: prompts and the candidates' answers; None before the first question."""
        return self.session.shown

    @property
    def settings(self) -> dict[str, float | int | None]:
        """How tokens are chosen, under mlx-lm's names."""
        return self.question.sampler.settings()

    def set_training(self, training: bool) -> None:
        """When a run begins to train, the memory is its own; what is asked beside it is asked for first."""
        if training and not self._training:
            self.session.stop()
            self._answerer.release()
        self._training = training
        if not training:
            self.question.drop_note(NOT_BEGUN)
        self._figures.set_training(training)
        self._benchmarks.set_training(training)
        self._show_state()

    def refresh_runs(self) -> None:
        """Looks for runs that have an adapter; what was chosen stays chosen."""
        self._list.refresh()
        self._look_for_gone()

    def take_names(self) -> None:
        """Looks anew what the runs are called: columns, answers, votes and figures stay as they are."""
        self._list.take_names()
        candidates = [column.candidate for column in self.columns]
        for page in self.session.pages:
            page.candidates[:] = candidates
        self._on_candidates()

    def add_column(self) -> None:
        """One more candidate: other weights of the same run, else the newest run that is not here yet."""
        count = len(self.columns)
        if count >= MOST_COLUMNS or self._is_fixed():
            return
        self._set_count(count + 1)
        here = {found.adapter for found in self.candidates}
        runs = dict.fromkeys(found.run for found in self.candidates if found.run is not None)
        known = [*(found for run in runs for found in run_candidates(run)), *self._list.runs()]
        others = [found for found in known if found.adapter not in here]
        self.columns[count].set_candidate(first_other(others, here))
        self.session.set_candidate(count, self.columns[count].candidate)
        self._show_page()
        self._take_chosen(count, fills=False)

    def _set_count(self, count: int) -> None:
        self._grid.set_count(count)
        for place, column in enumerate(self.columns):
            column.set_letter(self._judging.column_name(place), hidden=False)
            column.set_plain(self._plain.isChecked())

    def _on_removed(self, column: int) -> None:
        if self.session.has_answer_of(column):
            self.keeper.begin()
        self.session.remove_column(column)
        self._set_count(len(self.columns))
        self._show_page()
        self._on_candidates()
        self._votes.turn()

    def _on_chosen(self, index: int) -> None:
        self._take_chosen(index, fills=not self.session.pages and self.question.is_untouched)

    def _take_chosen(self, index: int, *, fills: bool) -> None:
        """An adapter knows its base, a run questions that it was not trained on: one ``fills`` an empty box."""
        candidate = self.columns[index].candidate
        if self.session.is_other(index, candidate) and self.session.has_answer_of(index):
            self.keeper.begin()
        self.session.set_candidate(index, candidate)
        self._show_page()
        if candidate is not None and candidate.adapter is not None:
            base = base_of(candidate.adapter)
            others = (column.candidate for place, column in enumerate(self.columns) if place != index)
            is_only = not any(found is not None and not found.is_base for found in others)
            if base and (is_only or not self.base):
                self._base.set_value(base)
            elif base and base != self.base:
                told = tr(
                    "Trained on {path_title}; the base here is {path_title2}.",
                    path_title=path_title(base),
                    path_title2=path_title(self.base),
                )
                self.columns[index].set_status(told, role="warning")
        self.question.set_held_out(self._held_out(), fills=fills)
        self._on_candidates()

    def _held_out(self) -> list[HeldOut]:
        """Questions that the first compared run was not trained on."""
        run = next((found.run for found in self.candidates if found.run is not None), None)
        if run is None:
            return []
        try:
            return held_out_questions(run, load_config(RunDir(run).config).config)
        except (UnusableError, OSError):
            return []  # a convenience: without it the user asks a question of his own

    def _on_candidates(self) -> None:
        candidates = self.candidates
        self._judging.set_candidates(candidates, self.base)
        self._figures.set_candidates(self.base, candidates)
        self._benchmarks.set_candidates(self.base, candidates)
        self._gone = ""
        self._show_state()

    # -- keeping ----------------------------------------------------------------------------------------------

    def _taken(self) -> KeptComparison:
        """What is shown, to be kept."""
        pages = self.session.pages
        head = ComparisonHead(
            base=self._answered_base if pages else self.base,
            columns=tuple(pages[0].candidates if pages else (column.candidate for column in self.columns)),
            question=self.question.kept(),
            place=self.session.place,
            blind=self._judging.is_blind,
            order=self._grid.order if self._votes.hides_names else (),
            scrolls=tuple(column.view.verticalScrollBar().value() for column in self.columns),
        )
        return kept_comparison(head, pages)

    def _show_kept(self, kept: KeptComparison) -> None:
        """Shows a kept comparison as it was left; what is gone of it is said where one asks."""
        head = kept.head
        mark_judged(kept, self._judging.votes_now())
        self._votes.withdraw()
        self._set_count(len(head.columns))
        for column, candidate in zip(self.columns, head.columns, strict=True):
            column.set_candidate(present_candidate(candidate))
        candidates = [column.candidate for column in self.columns]
        for page in kept.pages:
            page.candidates[:] = candidates
        self._base.set_value(head.base)
        self._answered_base = head.base
        self.session.restore(kept.pages, head.place)
        self.question.set_held_out(self._held_out())
        self.question.show_kept(head.question)
        self._judging.blind.setChecked(head.blind)
        self._on_candidates()
        self._votes.resume(head.order)
        self._show_page()
        for column, scroll in zip(self.columns, head.scrolls, strict=False):
            column.view.scroll_to(scroll)
        self._look_for_gone()
        if kept.note:
            self.warned.emit(kept.note)

    def _refusal(self) -> str:
        """Why no earlier comparison can be opened now; empty if one can."""
        if self.session.is_busy:
            return tr("Wait for the answers, or stop them, to open another")
        if self._figures.is_busy or self._benchmarks.is_busy:
            return tr("Wait for the figures, or stop them, to open another")
        return ""

    def _look_for_gone(self) -> None:
        """Model or adapters of answers that are shown may have gone meanwhile."""
        self._gone = gone_sentence(self.base, self.candidates) if self.session.pages and self.base else ""
        self._show_state()

    # -- asking -----------------------------------------------------------------------------------------------

    def compare(self) -> None:
        """Asks all columns; what cannot be asked yet is said beside the button."""
        if self.session.is_busy or self._hindrance():
            return
        try:
            model = str(locate_model(self.base))
        except UnusableError as error:
            self.question.show_note(error.problems[0].sentence(), role="error")
            return
        if self.session.pages and self.base != self._answered_base:  # answers of two models are two comparisons
            self.keeper.begin()
            self.session.clear()
        self._answered_base = self.base
        self._votes.withdraw()
        prompts, settings = self.question.prompts(), self.settings
        self._is_follow_up = False
        if self.question.follows_up and self.conversation is not None:
            self._is_follow_up = True
            self.session.follow_up(model, prompts[0].text, settings, self.question.system_text)
        else:
            candidates = [column.candidate for column in self.columns]
            self.session.ask(model, candidates, prompts, settings, self.question.system_text)

    def _begin_anew(self) -> None:
        self.keeper.begin()
        self._votes.withdraw()
        self.session.clear()
        self.question.begin_anew()

    def _hindrance(self) -> str:
        """Why it cannot be asked now; empty if it can."""
        if self.keeper.is_reading:
            return tr("The comparison is being read.")
        if self._figures.is_busy or self._benchmarks.is_busy:
            return tr("The figures are being measured. Compare when that has ended.")
        if self._answerer.is_busy:
            return tr("Another question is being answered. Compare when that has ended.")
        if len(self.candidates) < len(self.columns):
            return tr("Choose an adapter: a run of yours, or a folder.")
        if not self.base:
            return tr("Choose the base model that the adapter was trained on.")
        if self._gone:
            return self._gone
        return self.question.hindrance()

    def _is_fixed(self) -> bool:
        """Whether columns must stay as they are: while they answer, and while their names are hidden."""
        return self.session.is_busy or self._votes.hides_names

    def _on_began(self) -> None:
        assert self.conversation is not None
        self._votes.begin(self.conversation)
        self.session.order = self._grid.order
        self._show_progress()
        self._show_page()

    def _show_progress(self) -> None:
        done, total = self.session.progress
        self.question.show_note(
            tr("{done:,} of {total:,} answers", done=done, total=total) if total > len(self.columns) else ""
        )

    def _on_replied(self, page: Conversation, column: int, piece: event.Answered) -> None:
        self.keeper.touch()
        if piece.done:
            self._show_progress()
        if page is not self.conversation:
            return
        self.columns[column].take(piece)
        if piece.done:
            self._show_column(column)
            self._show_differences()

    def _on_settled(self) -> None:
        self._show_page()
        if not self.session.is_busy:
            self._votes.offer()
            self._sum_up()
            self._clear_prompt()
        self._show_state()

    def _clear_prompt(self) -> None:
        """As in a chat: once it is answered, the prompt of a follow-up stands above its answers."""
        last = self.conversation.last if self.conversation is not None else None
        if self._is_follow_up and last is not None and last.is_answered and last.prompt == exact_text(self.prompt):
            self.prompt.replace_text("")

    def _on_progress(self, text: str) -> None:
        if self.session.is_answering(self.conversation):
            waiting = [self.columns[index] for index in self._grid.order if not self.columns[index].answer]
            if waiting:
                waiting[0].set_status(f"{text}…")

    def _on_answerer(self) -> None:
        if not self.session.is_busy:  # else the session tells
            self._show_state()

    def _on_failed(self, text: str) -> None:
        self.question.show_note(text, role="small" if text == NOT_BEGUN else "error")

    def _on_no_answer(self, text: str) -> None:
        if self.session.is_busy:  # else it was asked by somebody else
            self._on_failed(text)

    def _on_warned(self, text: str) -> None:
        if self.session.is_busy:
            self.warned.emit(text)

    def _sum_up(self) -> None:
        """What a look at the columns would not tell at once."""
        shown = self.conversation
        if shown is not None and shown.last.is_answered and len(set(shown.answers)) == 1:
            which = tr("Both") if len(shown.answers) == 2 else tr("All")
            self.question.show_note(tr("{which} answers are the same, word for word.", which=which))

    def _question_of(self, conversation: Conversation) -> dict[str, Any]:
        """All that decided a conversation's answers: what stands in the fields by now may be something else."""
        last = conversation.last
        asked = {"model": self._answered_base, "messages": conversation.asked(), "weights": list(last.weights)}
        return asked | last.settings

    # -- showing ----------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._votes.turn()
        self._show_page()

    def _on_named(self) -> None:
        self._show_differences()
        self._show_state()

    def _show_page(self) -> None:
        """Puts the shown conversation into the columns."""
        for index in range(len(self.columns)):
            self._show_column(index)
        self._show_differences()
        self._show_state()

    def _show_column(self, index: int) -> None:
        shown, column = self.conversation, self.columns[index]
        turns = [(turn.prompt, turn.replies[index]) for turn in shown.turns] if shown else []
        column.show_turns(turns, has_changed=shown is not None and shown.last.is_by_others(index, column.candidate))
        if shown is not None and self.session.is_answering(shown) and shown.last.replies[index].last is None:
            column.set_status(tr("Answering…") if column.answer else tr("Waiting…"))

    def _show_differences(self) -> None:
        """Marks what differs from the column at the left, and of two columns also the other way round.

        Not while answers are still coming.
        """
        order, shown = self._grid.order, self.conversation
        compared = self._differences.isChecked() and shown is not None and not self.session.is_answering(shown)
        texts = [self.columns[index].view.shown_text() for index in order] if compared else []
        for place, index in enumerate(order):
            reference = texts[0 if place else 1] if compared and (place or len(order) == 2) else None
            self.columns[index].mark_against(reference)

    def _show_plain(self, plain: bool) -> None:
        for column in self.columns:
            column.set_plain(plain)
        self._show_differences()

    def _show_state(self) -> None:
        busy, fixed, shown = self.session.is_busy, self._is_fixed(), self.conversation
        hindrance = "" if busy else self._hindrance()
        settings = shown.last.settings if shown is not None else {}
        answered = shown is not None and not busy
        self.question.show_state(busy=busy, hindrance=hindrance, answered=answered, settings=settings)
        for column in self.columns:
            column.chooser.setEnabled(not fixed)
            column.strength.setEnabled(not fixed)
            column.remove.setEnabled(not fixed)
        full = len(self.columns) >= MOST_COLUMNS
        self._add.setEnabled(not full and not fixed)
        told = tr("Compare one more adapter or checkpoint")
        if full:
            told = tr("There are {most_columns} columns, which is the most", most_columns=MOST_COLUMNS)
        elif fixed:
            told = tr("Wait for the answers") if busy else tr("Vote first: the names are hidden")
        self._add.setToolTip(told)
        self._base.setEnabled(not busy)
        self._earlier.refuse(self._refusal())
        self.keeper.touch()
        self._pager.show_place(closed=busy and self._votes.hides_names)

    def _on_figures(self, busy: bool) -> None:
        if busy:
            self._benchmarks.stop()
        self._on_measuring(busy)

    def _on_benchmarks(self, busy: bool) -> None:
        if busy:
            self._figures.stop()
        self._on_measuring(busy)

    def _on_measuring(self, busy: bool) -> None:
        if busy:  # the figures' model would be a second one in memory
            self.session.stop()
            self._answerer.release()
        self._show_state()

    def showEvent(self, shown: QShowEvent) -> None:
        super().showEvent(shown)
        self.refresh_runs()

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        page = QWidget()
        page.setObjectName("page")
        layout = QVBoxLayout(page)
        layout.setContentsMargins(theme.SPACE * 3, theme.SPACE * 2, theme.SPACE * 3, theme.SPACE * 3)
        layout.setSpacing(theme.SPACE * 2)
        layout.addLayout(self._build_head())
        self.question = CompareQuestion(page)
        self.prompt, self.system = self.question.prompt, self.question.system
        layout.addWidget(self.question)
        answers = QVBoxLayout()
        answers.setSpacing(theme.SPACE)
        answers.addLayout(self._build_tools())
        self._grid = AnswerGrid(self._list, page)
        self._grid.export_requested.connect(self.export_requested)
        self._grid.chat_requested.connect(self.chat_requested)
        self._grid.serve_requested.connect(self.serve_requested)
        answers.addWidget(self._grid, 1)
        layout.addLayout(answers, 1)
        self._judging, self._figures, self._benchmarks = JudgingCard(page), FigureCard(page), BenchmarkCard(page)
        self._votes = VoteFlow(self._judging, self.session, self._grid, self._question_of, self)
        layout.addWidget(self._judging)
        layout.addWidget(self._figures)
        layout.addWidget(self._benchmarks)
        scroll = self.scroll_area = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(page)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)

    def _build_head(self) -> QHBoxLayout:
        title, line = (
            QLabel(tr("Compare")),
            QLabel(tr("The same question for the base model and for your tuned one.")),
        )
        self._earlier = EarlierButton(self.keeper, self)
        theme.set_role(title, role="title")
        theme.set_role(line, role="muted")
        line.setWordWrap(True)
        self._base = PathEditor(BASE_MODEL, self, folder=True, placeholder=tr("Filled in from the adapter"))
        self._base.line.setObjectName(BASE_MODEL.path)
        self._base.line.setAccessibleName(BASE_MODEL.label)
        self._base.line.setToolTip(BASE_MODEL.what)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        top = QHBoxLayout()
        top.setSpacing(theme.SPACE * 2)
        top.addWidget(title)
        top.addWidget(self._earlier, 0, Qt.AlignmentFlag.AlignBottom)
        top.addStretch(1)
        texts.addLayout(top)
        texts.addWidget(line)
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE * 4)
        head.addLayout(texts, 1)
        head.addWidget(labelled(BASE_MODEL.label, self._base.line, self._base), 1)
        return head

    def _build_tools(self) -> QHBoxLayout:
        self._pager = Pager(self.session, self)
        self._differences = _toggle(
            tr("Show differences"),
            "differences",
            tr("Mark the words in which the answers differ from the first one"),
        )
        self._plain = _toggle(tr("Plain text"), "plain", tr("Show answers as they came, without formatting"))
        self._add = QPushButton(tr("Add a column"), self)
        self._add.setObjectName("compare.add")
        self._add.setAccessibleName(tr("Add a column"))
        theme.set_role(self._add, kind="quiet")
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addWidget(self._pager)
        row.addWidget(self._pager.prompt, 1)
        row.addStretch(0)
        for button in (self._differences, self._plain, self._add):
            row.addWidget(button)
        return row

    def _connect(self) -> None:
        session, answerer = self.session, self._answerer
        session.began.connect(self._on_began)
        session.replied.connect(self._on_replied)
        session.settled.connect(self._on_settled)
        session.turned.connect(self._turn)
        answerer.progressed.connect(self._on_progress)
        answerer.failed.connect(self._on_no_answer)
        answerer.warned.connect(self._on_warned)
        answerer.state_changed.connect(self._on_answerer)
        answerer.shut_down.connect(self._figures.shutdown)
        answerer.shut_down.connect(self._benchmarks.shutdown)
        self._grid.chosen.connect(self._on_chosen)
        self._grid.removed.connect(self._on_removed)
        self._grid.scrolled.connect(self.keeper.touch)
        self._base.edited.connect(self._on_candidates)
        self.question.edited.connect(self._show_state)
        self.question.asked.connect(self.compare)
        self.question.stopped.connect(session.stop)
        self.question.new_requested.connect(self._begin_anew)
        self.question.failed.connect(self._on_failed)
        self._differences.toggled.connect(self._show_differences)
        self._plain.toggled.connect(self._show_plain)
        self._add.clicked.connect(self.add_column)
        self._votes.named.connect(self._on_named)
        self._judging.warned.connect(self.warned)
        self._judging.voted.connect(self.keeper.touch)
        self._judging.forgotten.connect(self.keeper.touch)
        self._judging.blind_changed.connect(self.keeper.touch)
        self.keeper.restored.connect(self._show_kept)
        self.keeper.reading_changed.connect(self._show_state)
        self.keeper.failed.connect(self._on_failed)
        self.keeper.warned.connect(self.warned)
        self._figures.busy_changed.connect(self._on_figures)
        self._benchmarks.busy_changed.connect(self._on_benchmarks)
        ask = QShortcut(QKeySequence(MAIN_KEYS), self)  # of the whole window, while the tab shows
        ask.activated.connect(self.compare)


def _toggle(text: str, name: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setObjectName(f"compare.{name}")
    button.setAccessibleName(text)
    button.setToolTip(tip)
    button.setCheckable(True)
    return button
