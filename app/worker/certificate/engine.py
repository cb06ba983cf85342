"""An engine: a program that opens a model and reads prompts and rows with it, and what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from app.core.export.certificate import Readings
from app.worker.certificate.material import Material
from app.worker.process.progress import Progress

ANSWERS = 10  # prompts that are answered
ANSWER_TOKENS = 24
# Asked after a whole conversation, so that its last turn is ended as the template ends turns.
FOLLOW_UP = {"role": "user", "content": "Go on."}


class Engine(Protocol):
    """One program with one model open."""

    name: str

    def prompt(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """The tokens of a conversation that waits for an answer."""
        ...

    def ends(self) -> frozenset[int]:
        """The tokens at which an answer ends."""
        ...

    def log_probabilities(self, tokens: Sequence[int], places: Sequence[int]) -> npt.NDArray[np.float64]:
        """Of the token at each place (1 or later), given those before it: natural logarithms, (places,)."""
        ...

    def answer(self, tokens: Sequence[int], limit: int) -> tuple[list[int], list[float]]:
        """The likeliest tokens after these, up to an end token (not among them), and their margins in nats."""
        ...


def read_with(engine: Engine, material: Material, progress: Progress) -> Readings:
    """Everything that is compared, of one engine."""
    prompts = [engine.prompt(messages) for messages, _ in material.conversations]
    # Answers are asked for with the run's own tokens: a template that differs is told once, and only once.
    asked = material.prompts[:ANSWERS]
    total = len(asked) + len(material.rows)
    answers = []
    for number, tokens in enumerate(asked):
        progress(number, total)
        answers.append(engine.answer(tokens, ANSWER_TOKENS))
    return Readings(
        engine.name,
        prompts,
        [engine.prompt([*whole, FOLLOW_UP]) for _, whole in material.conversations],
        engine.ends(),
        [tokens for tokens, _ in answers],
        [margins for _, margins in answers],
        row_log_probabilities(engine, material, progress, len(asked)),
    )


def row_log_probabilities(
    engine: Engine, material: Material, progress: Progress, done: int = 0
) -> list[list[float]]:
    """Those of each row's trained tokens."""
    found = []
    for number, (tokens, trained) in enumerate(material.rows):
        progress(done + number, done + len(material.rows))
        places = [place for place, counts in enumerate(trained) if counts and place]
        found.append([float(one) for one in engine.log_probabilities(tokens, places)] if places else [])
    progress(done + len(material.rows), done + len(material.rows))
    return found
