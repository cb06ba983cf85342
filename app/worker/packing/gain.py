"""The gain of an adapter: how much less its run's held-out examples surprise the tuned model than the base."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.nn as nn

from app.core.data.prepare import prepare_data
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.run.folder import RunDir
from app.core.setup.chosen_method import method_of
from app.core.setup.config_file import load_config
from app.core.system.leftover import temporary_prefix
from app.worker.objective.example_loss import example_losses
from app.worker.process.progress import Phases, Progress
from app.worker.token.token_set import TokenSet
from app.worker.token.tokenize import tokenize_rows

READING_DATA, TOKENIZING_DATA = tr("Reading the run's data"), tr("Tokenizing")


@dataclass(frozen=True, slots=True)
class HeldOutGain:
    """Held-out losses of base and tuned model, in nats a token."""

    base: float
    tuned: float

    def kept(self, loss: float) -> float:
        """The share of the gain that a model with this loss has: 1 all of it, 0 as the base."""
        return (self.base - loss) / (self.base - self.tuned)


@dataclass(frozen=True, slots=True)
class RunExamples:
    """What a run trained on, and examples that it did not (its test data, or else those of validation)."""

    trained: TokenSet
    held_out: TokenSet
    max_length: int

    def loss(self, model: nn.Module, progress: Progress) -> float:
        """The mean loss of the held-out examples, in nats a token."""
        sums, counts = example_losses(model, self.held_out, self.max_length, progress)
        return float(sums.sum() / counts.sum())


def run_examples(run: Path | None, tokenizer: Any, progress: Phases) -> RunExamples | None:
    """The examples of the run in a folder; None if there is none, or its data are of another kind or gone."""
    if run is None:
        return None
    try:
        config = load_config(RunDir(run).config).config
        if method_of(config).data != "examples":
            return None
        with tempfile.TemporaryDirectory(prefix=temporary_prefix("gain")) as place:
            data = prepare_data(config, Path(place), progress(READING_DATA), lambda: False)
            held_out = data.test or data.valid
            if held_out is None:
                return None
            sets = [
                tokenize_rows(path, tokenizer, config, progress(TOKENIZING_DATA)).token_set
                for path in (data.train, held_out)
            ]
    except (UnusableError, OSError):
        return None
    return RunExamples(sets[0], sets[1], config.max_seq_length) if all(len(one) for one in sets) else None
