"""What a preference loss is given of a batch, and what it makes of it.

Everywhere ``n`` is the number of pairs (for KTO: of answers). A log-probability of an answer is the sum over its
tokens, in nats, float32; a log-ratio is log π(answer) − log π_ref(answer). Losses come back one a pair, (n,), so
that a batch filled up with empty rows can leave those out. Checked against TRL 1.16 (`packaging/golden`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx

from app.core.config.train_config import TrainConfig
from app.worker.array import Arrays


@dataclass(frozen=True, slots=True)
class RatedBatch:
    """A batch of pairs, the chosen answers first, or of labelled answers, as the model in training sees it; or one
    part of it.

    ``arrays`` are those of `app.worker.batch.pair_batch`. ``sums`` and ``lengths`` (answers,), ``counted``
    (pairs,), 1 where there is one.
    """

    config: TrainConfig
    arrays: Arrays
    sums: mx.array
    lengths: mx.array
    counted: mx.array

    @property
    def ratios(self) -> mx.array:
        """Log-ratios to the reference, (rows,)."""
        return self.sums - self.arrays["reference"]

    @property
    def means(self) -> mx.array:
        """Log-probabilities a token, (rows,)."""
        return self.sums / at_least_one(self.lengths)

    @property
    def likelihood_loss(self) -> mx.array:
        """Of the chosen answers: the mean over all their tokens in the batch, of which this is the part's share."""
        half = self.sums.shape[0] // 2
        tokens = self.arrays.get("chosen_tokens")
        return negative_log_likelihood(self.sums[:half], self.lengths[:half].sum() if tokens is None else tokens)

    @property
    def pairs(self) -> mx.array:
        """How many the whole batch has."""
        found = self.arrays.get("pairs")
        return self.counted.sum() if found is None else found

    def mean_figure(self, value: mx.array) -> mx.array:
        """A mean of the whole batch, or the part's share of it, as the sum and count, (2,), that figures are of."""
        return mx.stack([mx.stop_gradient(value), self.share])

    @property
    def share(self) -> mx.array:
        """Which share of the batch's pairs is here."""
        return self.counted.sum() / mx.maximum(self.pairs, 1)


@dataclass(frozen=True, slots=True)
class PreferenceTerms:
    """What a method makes of a batch: the losses of its pairs (or answers), for the figures the rewards that it
    sees in the answers, (rows,), what is added to the mean loss of the whole batch, further figures, and the
    ``point`` above which KTO gains."""

    losses: mx.array
    rewards: mx.array
    beside: mx.array | None = None
    figures: Arrays | None = None
    point: mx.array | None = None


PreferenceLoss = Callable[[RatedBatch], PreferenceTerms]


def negative_log_likelihood(log_probabilities: mx.array, tokens: mx.array) -> mx.array:
    """The mean over all ``tokens`` of −log π, a scalar; ``log_probabilities`` of tokens or summed over answers."""
    return -log_probabilities.sum() / mx.maximum(tokens, 1)


def at_least_one(lengths: mx.array) -> mx.array:
    """Lengths that can be divided by: an empty row's is 1."""
    return mx.maximum(lengths, 1)
