"""The trade of a run: what its weights learned against what they forgot, and which of them balance it best."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.protocol import event
from app.core.quantity import loss_text
from app.core.setup.chosen_method import method_of
from app.worker.model.loading import trainable
from app.worker.model.strength import at_strength
from app.worker.neutral.forgetting import Forgetting, untouched
from app.worker.objective.validation import Measurement
from app.worker.train.preparation import Prepared

MOST_CHECKPOINTS = 8  # that are weighed at the end; of more, as many spread over the run
MOST_SCALED = 3  # of them, the best ones, at less than their whole strength too
STRENGTHS = (0.9, 0.8, 0.7, 0.6, 0.5)
# Of the most that any of them learned, the best balance learned at least this share.
LEARNED_SHARE = 0.99


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the weights of an iteration, put on the base with ``strength``, learned and forgot (nats a token).

    ``learned`` is None where it is not known.
    """

    iteration: int
    strength: float
    learned: float | None
    forgot: float

    @property
    def gain(self) -> float:
        """Learned less forgotten; −∞ where either is no number."""
        found = float("nan") if self.learned is None else self.learned - self.forgot
        return found if found == found else float("-inf")

    def text(self) -> str:
        """``learned 0.823, forgot 0.031``."""
        forgot = tr("forgot {forgot}", forgot=loss_text(self.forgot))
        return (
            forgot
            if self.learned is None
            else tr("learned {learned}, {forgot}", learned=loss_text(self.learned), forgot=forgot)
        )


class Trade:
    """Keeps what each evaluation found. ``neutral`` is None where forgetting is not measured."""

    def __init__(self, prepared: Prepared, neutral: Forgetting | None) -> None:
        self._config: TrainConfig = prepared.config
        self._model: nn.Module = prepared.model
        self._head = prepared.head
        self._objective = prepared.parts.objective
        self._valid = prepared.parts.valid
        self._neutral = neutral
        self._base_loss: float | None = None
        self._found: dict[int, Weighed] = {}
        # Only these losses are nats a token.
        self._is_in_nats = method_of(self._config).data == "examples"

    # -- while it trains ------------------------------------------------------------------------------------------

    def measured(self, iteration: int, validation: Measurement | None) -> event.NeutralMeasured | None:
        """Measures the present weights, those of ``iteration``; the place of the point is for the loop to say."""
        if self._neutral is None:
            return None
        learned = self._learned(iteration, validation.loss) if validation is not None else None
        loss, forgot = (self._neutral.text.base_loss, 0.0) if self._is_base(iteration) else self._neutral.measured()
        self._found[iteration] = Weighed(iteration, 1.0, learned, forgot)
        return event.NeutralMeasured(
            iteration=iteration,
            neutral_loss=loss,
            base_loss=self._neutral.text.base_loss,
            forgot=forgot,
            learned=learned,
            tokens=self._neutral.text.tokens,
            source=self._neutral.text.source,
        )

    def of(self, iteration: int) -> Weighed | None:
        """What was measured of the weights of an iteration."""
        return self._found.get(iteration)

    def state(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        found = [(one.iteration, one.learned, one.forgot) for one in self._found.values()]
        return {"base_loss": self._base_loss, "found": found}

    def restore(self, state: dict[str, Any] | None) -> None:
        """Goes on from `state`; a run that measured nothing of this yet begins with it."""
        if state is not None:
            self._base_loss = state["base_loss"]
            self._found = {row[0]: Weighed(row[0], 1.0, row[1], row[2]) for row in state["found"]}

    def _learned(self, iteration: int, loss: float) -> float | None:
        """How far the validation loss lies below the base's, which is measured where the run does not begin so."""
        if not self._is_in_nats:
            return None
        if self._base_loss is None:
            self._base_loss = self._base_validation(iteration, loss)
        return None if self._base_loss is None else self._base_loss - loss

    def _base_validation(self, iteration: int, loss: float) -> float | None:
        if self._is_base(iteration):
            return loss
        if self._config.fine_tune_type == "full" or self._valid is None:
            return None
        with untouched(self._model, self._head, self._config):
            found = self._valid.measured(self._model, self._objective, lambda: False)
        return None if found is None else found.loss

    def _is_base(self, iteration: int) -> bool:
        """Whether the weights of an iteration are what the run's losses are compared with: an adapter of its own
        begins by changing nothing. (Of a full fine-tune that begins with an earlier one's weights, those.)"""
        is_full = self._config.fine_tune_type == "full"
        return iteration == 0 and (is_full or not self._config.resume_adapter_file)

    # -- at the end -----------------------------------------------------------------------------------------------

    def hindrance(self) -> str:
        """Why checkpoints cannot be balanced; empty if they can."""
        if not self._is_in_nats:
            return tr("the loss of this method is not in nats a token")
        if self._neutral is None:
            return tr("what is forgotten is not measured")
        return "" if self._valid is not None else tr("there is no validation data")

    def balanced(
        self, checkpoints: dict[int, Path], cancelled: Callable[[], bool], progress: Callable[[int, int], None]
    ) -> Weighed | None:
        """The checkpoint and strength of the best balance (`best_balance`), of files of weights by iteration.

        What was measured while training counts as it was; the rest is measured, until it is cancelled. None where
        none of them learned more than it forgot. The model has the weights that it had when this returns.
        """
        present = trainable(self._model)
        files = {number: checkpoints[number] for number in _spread(sorted(checkpoints))}
        strengths = () if self._config.fine_tune_type == "full" else STRENGTHS
        total = len(files) + min(MOST_SCALED, len(files)) * len(strengths)
        found: list[Weighed] = []
        try:
            for standing in self._weighed(files, strengths, found, cancelled):
                found.append(standing)
                progress(len(found), total)
        finally:
            self._model.load_weights(list(present.items()), strict=False)
            self._model.train()
        return best_balance(found)

    def _weighed(
        self,
        files: dict[int, Path],
        strengths: Iterable[float],
        found: list[Weighed],
        cancelled: Callable[[], bool],
    ) -> Iterator[Weighed]:
        for number, file in files.items():
            standing = self._found.get(number)
            if standing is None or standing.learned is None:
                standing = self._measured_file(number, file, 1.0, cancelled)
            if standing is not None:
                yield standing
        for whole in sorted(found, key=lambda one: one.gain, reverse=True)[:MOST_SCALED]:
            for strength in strengths:
                standing = self._measured_file(whole.iteration, files[whole.iteration], strength, cancelled)
                if standing is None:
                    return
                yield standing

    def _measured_file(
        self, iteration: int, file: Path, strength: float, cancelled: Callable[[], bool]
    ) -> Weighed | None:
        assert self._valid is not None
        assert self._neutral is not None
        weights = mx.load(str(file))
        assert isinstance(weights, dict)
        self._model.load_weights(list(at_strength(self._model, weights, strength).items()), strict=False)
        validation = self._valid.measured(self._model, self._objective, cancelled)
        if validation is None:
            return None
        learned = self._learned(iteration, validation.loss)
        return Weighed(iteration, strength, learned, self._neutral.measured()[1])


def best_balance(found: Iterable[Weighed]) -> Weighed | None:
    """Of those that learned nearly as much as any, the one that learned most less what it forgot; None if no gain.

    A nat of the data and one of all else are not worth the same to everyone: what was learned is not given up for
    what was forgotten, but for a hundredth, which no validation tells from chance. Of equal ones it is the later.
    """
    good = [one for one in found if one.gain > 0]
    most = max((one.learned or 0.0 for one in good), default=0.0)
    able = [one for one in good if (one.learned or 0.0) >= LEARNED_SHARE * most]
    return max(able, key=lambda one: (one.gain, one.iteration, one.strength), default=None)


def _spread(numbers: list[int]) -> list[int]:
    """At most `MOST_CHECKPOINTS` of them, the last among them, the others spread evenly."""
    if len(numbers) <= MOST_CHECKPOINTS:
        return numbers
    last = len(numbers) - 1
    return [numbers[round(place * last / (MOST_CHECKPOINTS - 1))] for place in range(MOST_CHECKPOINTS)]
