"""The held-out answer: base and tuned model of a run are asked a question that it was not trained on.

Where both answer alike, the next few questions are tried: what a run changed is what a person wants to see.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from app.core.compare.before_after import BeforeAfter, save_before_after, tuned_candidate, weights_stamp
from app.core.compare.candidate import BASE, base_of
from app.core.compare.held_out import HeldOut, held_out_questions
from app.core.compare.prompt_set import Prompt
from app.core.model.folder import locate_model
from app.core.problem import UnusableError
from app.core.refusal import reason_of
from app.core.run.folder import RunDir
from app.core.setup.config_file import load_config
from app.ui.compare.answerer import Answerer
from app.ui.compare.session import CompareSession

HELD_OUT_TOKENS = 160
MOST_ASKED = 4  # questions, until one is answered otherwise than before
NO_QUESTION = "This run has no held-out question: neither its validation nor its test data ask any."
IS_ASKED = "Another question is being answered. Ask when that has ended."


class HeldOutAnswer(QObject):
    """Asks one run at a time, through the window's `Answerer`; what came of it is kept in the run's folder."""

    progressed = Signal(str)
    answered = Signal(object)  # BeforeAfter
    failed = Signal(str)

    def __init__(self, answerer: Answerer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._answerer = answerer
        self._session = CompareSession(answerer, self)
        self._session.settled.connect(self._on_settled)
        self._run: RunDir | None = None
        self._found = BeforeAfter("", "", "", "", "", 0)
        self._fault = self._model = ""
        self._tuned = BASE
        self._questions: list[HeldOut] = []
        answerer.progressed.connect(self._on_progress)
        answerer.failed.connect(self._on_failed)

    @property
    def run(self) -> RunDir | None:
        """The run that is being asked; None when none is."""
        return self._run

    def ask(self, run: RunDir) -> None:
        """Asks; `answered` or `failed` tells what came of it."""
        if self._answerer.is_busy:
            self.failed.emit(IS_ASKED)
            return
        tuned = tuned_candidate(run)
        try:
            questions = held_out_questions(run.path, load_config(run.config).config)
            if tuned is None or tuned.adapter is None or not questions:
                self.failed.emit(NO_QUESTION)
                return
            model = str(locate_model(base_of(tuned.adapter)))
        except UnusableError as error:
            first = error.problems[0]
            self.failed.emit(f"{first.message} {first.hint}".strip())
            return
        except OSError as error:
            self.failed.emit(f"The held-out examples cannot be read: {reason_of(error)}.")
            return
        self._run, self._model, self._tuned, self._questions = run, model, tuned, questions[:MOST_ASKED]
        weights = tuned.adapter.relative_to(run.path).as_posix()
        self._found = BeforeAfter("", "", "", "", weights, weights_stamp(tuned.adapter))
        self._ask_next(0)

    def _ask_next(self, place: int) -> None:
        asked, self._fault = self._questions[place], ""
        self._found = replace(self._found, prompt=asked.prompt, system=asked.system, passed=place)
        settings = {"max_tokens": HELD_OUT_TOKENS, "temp": 0.0}
        self._session.ask(self._model, [BASE, self._tuned], [Prompt(asked.prompt)], settings, asked.system)

    def stop(self) -> None:
        """Gives it up without a word."""
        if self._run is not None:
            self._run = None
            self._session.stop()

    def _on_progress(self, text: str) -> None:
        if self._run is not None:
            self.progressed.emit(text)

    def _on_failed(self, text: str) -> None:
        self._fault = text

    def _on_settled(self) -> None:
        run, self._run = self._run, None
        page = self._session.shown
        self._session.clear()
        if run is None:
            return
        replies = page.last.replies if page is not None else []
        faults = [reply.last.message for reply in replies if reply.last is not None and reply.last.message]
        if self._fault or faults or len(replies) < 2 or page is None or not page.last.is_answered:
            self.failed.emit(self._fault or "".join(faults[:1]) or "There was no answer.")
            return
        found = replace(self._found, before=replies[0].text, after=replies[1].text)
        if found.before.strip() == found.after.strip() and found.passed + 1 < len(self._questions):
            self._run = run
            self._ask_next(found.passed + 1)
            return
        with suppress(OSError):  # a folder that can only be read: it is shown all the same
            save_before_after(run, found)
        self.answered.emit(found)
