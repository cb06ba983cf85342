"""The held-out answer: base and tuned model of a run are asked a question that it was not trained on.

They are asked a few together, and the first one counts that they do not answer alike: what a run changed is what a
person wants to see.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from app.core.compare.before_after import BeforeAfter, save_before_after, tuned_candidate, weights_stamp
from app.core.compare.candidate import BASE
from app.core.compare.conversation import Conversation
from app.core.compare.held_out import HeldOut, held_out_questions
from app.core.compare.prompt_set import Prompt, PromptMessage
from app.core.language import tr
from app.core.model.adapter_base import base_of
from app.core.model.folder import locate_model
from app.core.problem import UnusableError
from app.core.refusal import reason_of
from app.core.run.folder import RunDir
from app.core.setup.config_file import load_config
from app.ui.compare.answerer import Answerer
from app.ui.compare.session import CompareSession

HELD_OUT_TOKENS = 160
MOST_ASKED = 4  # questions, of which one may be answered otherwise than before
NO_QUESTION = tr("This run has no held-out question: neither its validation nor its test data ask any.")
IS_ASKED = tr("Another question is being answered. Ask when that has ended.")


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
            self.failed.emit(first.text)
            return
        except OSError as error:
            self.failed.emit(tr("The held-out examples cannot be read: {reason_of}.", reason_of=reason_of(error)))
            return
        self._run, self._model, self._tuned, self._questions = run, model, tuned, questions[:MOST_ASKED]
        weights = tuned.adapter.relative_to(run.path).as_posix()
        self._found = BeforeAfter("", "", "", "", weights, weights_stamp(tuned.adapter))
        self._fault = ""
        prompts = [Prompt(asked.prompt, _opening(asked)) for asked in self._questions]
        settings = {"max_tokens": HELD_OUT_TOKENS, "temp": 0.0}
        self._session.ask(self._model, [BASE, self._tuned], prompts, settings)

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
        pages = list(self._session.pages)
        self._session.clear()
        if run is None:
            return
        answered = {at: page.answers for at, page in enumerate(pages) if page.last.is_answered}
        if self._fault or not answered:
            self.failed.emit(self._fault or _fault(pages))
            return
        unlike = (at for at, (before, after) in answered.items() if before.strip() != after.strip())
        place = next(unlike, max(answered))
        asked, (before, after) = self._questions[place], answered[place]
        found = replace(
            self._found, prompt=asked.prompt, system=asked.system, before=before, after=after, passed=place
        )
        with suppress(OSError):  # a folder that can only be read: it is shown all the same
            save_before_after(run, found)
        self.answered.emit(found)


def _opening(asked: HeldOut) -> tuple[PromptMessage, ...]:
    return ({"role": "system", "content": asked.system},) if asked.system else ()


def _fault(pages: list[Conversation]) -> str:
    """Why nothing is answered by both."""
    replies = [reply for page in pages for reply in page.last.replies]
    told = (reply.last.message for reply in replies if reply.last is not None and reply.last.message)
    return next(told, tr("There was no answer."))
