"""The weights that a run keeps: checkpoints, the best and the adapter on disk, in memory those to fall back to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from app.core.config.train_config import TrainConfig
from app.core.language import joined, tr
from app.core.problem import TaskError
from app.core.protocol import event
from app.core.run.folder import RunDir
from app.core.setup.chosen_method import has_judge, method_of
from app.worker.model import adapter
from app.worker.model.adapter import AdapterFolder
from app.worker.model.loading import trainable
from app.worker.model.soundness import check_sound, largest_sound
from app.worker.model.strength import at_strength
from app.worker.objective.validation import Measurement
from app.worker.train.best import BestLoss
from app.worker.train.guard import LossGuard
from app.worker.train.trade import Weighed

# How often the weights are held on to as a place to fall back to; it costs one more copy of them at most.
FALLBACK_EVERY = 10


def calmer_hint(config: TrainConfig) -> str:
    """What to try after a loss that rose: a tenth of the learning rate, and no more than the usual one."""
    rate = min(config.highest_rate / 10, TrainConfig().learning_rate)
    return tr("Try a learning rate of {rate:g}, a warm-up, or gradient clipping at 1.", rate=rate)


class KeptWeights:
    """What is kept of the trained weights, and which of them the adapter holds in the end.

    Nothing is written while ``guard`` is suspicious of them. Must be made while the model is untrained.
    """

    def __init__(
        self,
        run: RunDir,
        config: TrainConfig,
        model: nn.Module,
        guard: LossGuard,
        tell: Callable[[event.Event], None],
    ) -> None:
        self._run = run
        self._config = config
        self._model = model
        self._guard = guard
        self._tell = tell
        self._largest = largest_sound(trainable(model))
        self._adapters = AdapterFolder(run.adapters, config, self._largest)
        self._totals_before = adapter.totals(trainable(model))
        # Only adapters are held on to: of a full fine-tune a second copy might not fit.
        self._keeps_fallback = config.fine_tune_type != "full"
        self._fallback = (0, trainable(model)) if self._keeps_fallback else None
        self._saved_at = -1
        # Of which iteration the adapter in the end is, and what it learned and forgot where that was weighed.
        self.placed_at = -1
        self.placed: Weighed | None = None
        self._measured_updates: int | None = None  # after how many weights were measured last
        self._is_untrained = False  # whether the weights that were put in place are those of before the training
        self.best = BestLoss(config.early_stopping.min_delta)

    def follow(self, run: RunDir) -> None:
        """The run's folder was moved to another place."""
        self._run = run
        self._adapters.path = run.adapters

    # -- in memory ------------------------------------------------------------------------------------------------

    def entering(self, iteration: int) -> dict[str, mx.array] | None:
        """The weights that an iteration begins with, where it is its turn to show whether they are good."""
        return trainable(self._model) if self._keeps_fallback and iteration % FALLBACK_EVERY == 1 else None

    def fall_back_to(self, iteration: int, weights: dict[str, mx.array]) -> None:
        """Holds on to good weights, those after ``iteration``. Raises `UnsoundWeightsError`."""
        check_sound(weights, self._largest)
        self._fallback = (iteration, weights)

    # -- on disk --------------------------------------------------------------------------------------------------

    def take(self, iteration: int, measured: Measurement) -> bool:
        """Notes a measurement of the present weights, and writes them if they are the best; true if they are.

        Between two updates they are the same ones still: that they are no better says nothing.
        """
        updates = iteration // self._config.grad_accumulation_steps
        if updates == self._measured_updates and iteration != self._config.iters:  # the end may bring an update
            return False
        self._measured_updates = updates
        before = self.best.state()
        is_best = self.best.take(iteration, measured.loss, self._score(measured))
        if is_best and not self._guard.is_suspicious:
            try:
                self._adapters.save(self._adapters.best, trainable(self._model))
            except BaseException:
                self.best.restore(before)  # a state must not call best what is not on disk
                raise
        return is_best

    def tell_best(self, iteration: int) -> None:
        """Says where the best weights are."""
        self._tell_saved(iteration, self._adapters.best.parent, "best")

    def has_saved(self, iteration: int) -> bool:
        """Whether there is a checkpoint of this iteration, whoever saved it."""
        return self._adapters.numbered(iteration).exists()

    def is_saved(self, iteration: int) -> bool:
        """Whether there is a checkpoint of this iteration by this process."""
        return self._saved_at == iteration

    def save(self, iteration: int) -> bool:
        """Writes a numbered checkpoint and the current adapter; true if that was to be done."""
        if self.is_saved(iteration):
            return False
        if self._guard.is_suspicious:
            print(f"Not saved at iteration {iteration:,}: the loss is far too high.", flush=True)
            return False
        weights = trainable(self._model)
        self._adapters.save(self._adapters.numbered(iteration), weights)
        self._adapters.save(self._adapters.current, weights)
        self._saved_at = iteration
        return True

    def tell_numbered(self, iteration: int) -> None:
        """Says where the checkpoint is."""
        self._tell_saved(iteration, self._adapters.numbered(iteration), "numbered")

    def save_current(self) -> None:
        """The current adapter alone."""
        if not self._guard.is_suspicious:
            self._adapters.save(self._adapters.current, trainable(self._model))

    # -- the adapter in the end -----------------------------------------------------------------------------------

    def checkpoints(self, iteration: int) -> dict[int, Path]:
        """The files of the weights that are on disk, by their iteration, up to this one."""
        found = {int(name[1]): file for file, name in self._adapters.numbered_files()}
        if self.best.iteration and self._adapters.best.exists():
            found[self.best.iteration] = self._adapters.best
        return {number: file for number, file in found.items() if 0 < number <= iteration}

    def place_final(self, iteration: int, balanced: Weighed | None = None, *, is_over: bool = True) -> str:
        """Puts the chosen weights where mlx-lm looks for the adapter and opens them again; says which they are.

        Those of ``balanced`` where it is given, at its strength. Raises `TaskError` if they are not as they should
        be. Of a run that is not over and goes on when it is resumed, the weights may be as they were.
        """
        said = self._placed(iteration) if balanced is None else self._place_balanced(iteration, balanced)
        self._tell_saved(iteration, self._adapters.current, "final")
        if iteration:
            self._verify(iteration, is_over=is_over)
        return said

    def restore_good(self) -> str:
        """Puts good weights in place after trouble, the best measured, else those of before; says which."""
        if self._adapters.best.exists() and self.best.iteration:
            self._adapters.copy(self._adapters.best, self._adapters.current)
            return tr(
                "The adapter holds the best weights, of iteration {iteration:,}.", iteration=self.best.iteration
            )
        if self._fallback is not None:
            iteration, weights = self._fallback
            self._is_untrained = not iteration
            self._adapters.save(self._adapters.current, weights)
            return tr("The adapter holds the last good weights, of iteration {iteration:,}.", iteration=iteration)
        if self._adapters.current.exists():
            return tr("The adapter holds the weights of the last checkpoint.")
        return tr("No weights had been saved.")

    # -- resuming -------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return {"best": self.best.state(), "totals_before": self._totals_before}

    def restore(self, state: dict[str, Any], iteration: int) -> None:
        """Goes on from `state`; the model has the weights of ``iteration`` by now."""
        self.best.restore(state["best"])
        self._totals_before = state["totals_before"]
        if self._keeps_fallback:
            self._fallback = (iteration, trainable(self._model))

    def forget_best(self) -> None:
        """Looks for the best anew: what was measured before does not compare with what will be."""
        self.best = BestLoss(self._config.early_stopping.min_delta)

    # ---------------------------------------------------------------------------------------------------------

    def _score(self, measured: Measurement) -> float:
        """What the best weights have least of: the loss, or a figure with its sign changed."""
        by = self._config.select_by
        return -measured.figures[by] if by != "loss" and by in measured.figures else measured.loss

    def _place_balanced(self, iteration: int, chosen: Weighed) -> str:
        """Writes the weights of a checkpoint at a strength, which is in the weights themselves."""
        file = self.checkpoints(iteration)[chosen.iteration]
        weights = mx.load(str(file))
        assert isinstance(weights, dict)
        self._adapters.save(self._adapters.current, at_strength(self._model, weights, chosen.strength))
        self.placed, self.placed_at = chosen, chosen.iteration
        strength = (
            "" if chosen.strength == 1 else tr(" at {strength:g} of their strength", strength=chosen.strength)
        )
        said = tr(
            "The adapter holds the weights of iteration {iteration:,}{strength}, the best balance",
            iteration=chosen.iteration,
            strength=strength,
        )
        return joined((said, ": ", chosen.text(), "."), "")

    def _placed(self, iteration: int) -> str:
        best = self.best.iteration
        self.placed_at = iteration
        if self._guard.is_suspicious:
            return self.restore_good()
        if self._config.final_adapter == "last" or best is None or best == iteration:
            return tr("The adapter holds the weights of iteration {iteration:,}.", iteration=iteration)
        if best == 0 and not self.best.without_improvement:
            return tr(
                "Nothing was measured after the start: the adapter holds the weights of iteration {iteration:,}.",
                iteration=iteration,
            )
        if best == 0:
            said = tr("No measurement was better than the untrained model's: the adapter holds the last weights.")
            self._tell(event.Warned(message=said, hint=tr("Try a lower learning rate, or more and other data.")))
            return said
        self._adapters.copy(self._adapters.best, self._adapters.current)
        self.placed_at = best
        return tr("The adapter holds the best weights, of iteration {best:,}.", best=best)

    def _verify(self, iteration: int, *, is_over: bool) -> None:
        problems = adapter.verify(self._adapters.path, trainable(self._model), self._totals_before)
        if problems == [adapter.UNCHANGED] and not is_over and not self._is_untrained:
            # Within the first accumulation, at a warm-up's first rate of 0, or as long as no reward differed.
            said = tr("No weight has changed so far: the adapter answers as the base model does.")
            self._tell(event.Warned(message=said, hint=tr("Resume the run.")))
            return
        if problems == [adapter.UNCHANGED] and has_judge(self._config):
            said = tr("The judge found no answer better than another, in any iteration: that teaches nothing.")
            hint = tr("Try a higher temperature, a larger judge, or another word to it.")
            raise TaskError(said, hint, iteration)
        if problems == [adapter.UNCHANGED] and method_of(self._config).data == "prompts":
            said = tr("All answers of a group earned the same reward, in every iteration: that teaches nothing.")
            hint = tr("Try the rewards on sampled answers: good ones must earn more than bad ones.")
            raise TaskError(said, hint, iteration)
        if problems == [adapter.UNCHANGED] and self._is_untrained:
            said = tr(
                "The loss rose far above the untrained model's, and no weights of before were worth keeping: "
                "nothing was learned."
            )
            raise TaskError(said, calmer_hint(self._config), iteration)
        if problems:
            said = tr(
                "The adapter in {path} is not as it should be: {problems}.",
                path=self._adapters.path,
                problems="; ".join(problems),
            )
            raise TaskError(said, tr("The checkpoints beside it may be good."), iteration)

    def _tell_saved(self, iteration: int, path: Path, kind: str) -> None:
        relative = path.relative_to(self._run.path).as_posix()
        self._tell(event.CheckpointSaved(iteration=iteration, path=relative, kind=kind))
