"""Scores of answers: prompts of the examples answered greedily, and what reward functions say of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.nn as nn

from app.core.compare.comparison import Exchange
from app.core.config.train_config import TrainConfig
from app.core.data.prepare import CancelledError
from app.core.language import tr
from app.core.method.reward import BUILT_IN, declared_in
from app.core.problem import Problem, TaskError, UnusableError
from app.core.protocol.job import EvaluateJob
from app.core.protocol.question import Question
from app.core.quantity import plural
from app.worker.compare.answer import AskedPrompt, streamed_answers
from app.worker.process.progress import Reporter
from app.worker.rollout.score import Scorer
from app.worker.token.template_limit import limited_template


@dataclass(frozen=True, slots=True)
class AnswerScores:
    """Scores of answers by function, in the order of the exchanges; ``cut`` answers reached the longest length."""

    by_function: dict[str, list[float]]
    cut: int


@dataclass(frozen=True, slots=True)
class Scoring:
    """What is scored: the first ``limit`` exchanges that have a prompt and an answer, of ``available``.

    ``left_out`` says which are not, though they have both; empty if there are none.
    """

    exchanges: tuple[Exchange, ...]
    available: int
    max_tokens: int
    config: TrainConfig
    trusted_sha256: str
    left_out: str = ""

    def scores(self, model: nn.Module, tokenizer: Any, reporter: Reporter, phase: str) -> AnswerScores:
        """The score of each answer of the model.

        Raises `TaskError` with the file and line where a function of the user's own fails.
        """
        answers, cut = self._answers(model, tokenizer, reporter, phase)
        scorer = Scorer(self.config, self.trusted_sha256)
        try:
            found = scorer.score(
                [one.prompt for one in self.exchanges],
                answers,
                [one.answer for one in self.exchanges],
                [None] * len(answers),
            )
        finally:
            scorer.close()
        return AnswerScores({name: values.tolist() for name, values in found.by_function.items()}, cut)

    def _answers(self, model: nn.Module, tokenizer: Any, reporter: Reporter, phase: str) -> tuple[list[str], int]:
        """The model's answers, in the order of the exchanges, and how many are cut; those that are told by now
        count as progress."""
        question, report, done, cut = Question(max_tokens=self.max_tokens), reporter.phase(phase), 0, 0
        prompts = [AskedPrompt(_prompt(tokenizer, one), question) for one in self.exchanges]
        answers = [""] * len(prompts)
        report(done, len(prompts))
        for piece in streamed_answers(model, tokenizer, prompts, reporter.stopped):
            answers[piece.number] += piece.text
            if piece.finish_reason == "stopped":
                raise CancelledError
            if piece.message:
                raise TaskError(piece.message)
            done += bool(piece.finish_reason)
            cut += piece.finish_reason == "length"
            report(done, len(prompts))
        return answers, cut


def scoring_of(job: EvaluateJob, config: TrainConfig, exchanges: Sequence[Exchange]) -> Scoring | None:
    """What a job asks to score under ``scores``; None if nothing. Raises `UnusableError` in words."""
    asked, functions = job.scores, list(job.scores.functions)
    if not functions:
        return None
    config = config.with_value("reward_functions", functions).with_value("reward_weights", [])
    own = _declared(config)
    if unknown := [name for name in functions if name not in BUILT_IN and name not in own]:
        hint = tr("There are {names}.", names=", ".join(dict.fromkeys([*own, *BUILT_IN])))
        raise UnusableError(
            [Problem("scores", tr("There is no reward function {unknown}.", unknown=unknown[0]), hint=hint)]
        )
    usable = tuple(one for one in exchanges if one.asked and one.answer.strip() and one.is_text)
    tooled = sum(not one.is_text for one in exchanges)
    left_out = (
        tr("Not scored, since they offer or call tools, which prompts do without here: {tooled:,} of {examples}.",
           tooled=tooled, examples=plural(len(exchanges), "example"))
        if tooled
        else ""
    )  # fmt: skip
    if not usable:
        said = left_out or tr("None of these examples has a prompt and an answer to score by.")
        raise UnusableError([Problem("scores", said, hint=tr("Measure without scores, or use chats."))])
    shown = usable[: asked.limit]
    return Scoring(shown, len(usable), asked.max_tokens, config, job.reward_file_sha256, left_out)


def _declared(config: TrainConfig) -> list[str]:
    """The functions of the config's reward file. Raises `UnusableError` if it cannot be read."""
    if not config.reward_functions_file:
        return []
    file = Path(config.reward_functions_file)
    try:
        return [function.name for function in declared_in(file)]
    except (OSError, SyntaxError, ValueError) as error:
        said = tr("The reward file cannot be read: {error}.", error=error)
        raise UnusableError([Problem("reward_functions_file", said, file=str(file))]) from error


def _prompt(tokenizer: Any, one: Exchange) -> list[int]:
    """The token ids that the model is given: with the chat template where there is one, as in answering."""
    if not tokenizer.has_chat_template:
        return list(tokenizer.encode("\n".join(turn["content"] for turn in one.asked)))
    with limited_template():
        text = tokenizer.apply_chat_template(list(one.asked), tokenize=False, add_generation_prompt=True)
    return list(tokenizer.encode(text, add_special_tokens=False))
