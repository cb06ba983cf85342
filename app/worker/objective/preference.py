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
    """A batch of pairs, the chosen answers first, or of labelled answers, as the model in training sees it.

    ``arrays`` are those of `app.worker.batch.pair_batch`. ``log_probabilities`` and ``mask`` (rows, tokens),
    ``sums`` and ``lengths`` (rows,), ``counted`` (pairs,), 1 where there is one. ``apart`` gives log-probabilities
    of other arrays under the same weights, without a gradient, (rows, tokens).
    """

    config: TrainConfig
    arrays: Arrays
    log_probabilities: mx.array
    mask: mx.array
    sums: mx.array
    lengths: mx.array
    counted: mx.array
    apart: Callable[[Arrays], mx.array]

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
        """Of the chosen answers."""
        half = self.mask.shape[0] // 2
        return negative_log_likelihood(self.log_probabilities[:half], self.mask[:half])


@dataclass(frozen=True, slots=True)
class PreferenceTerms:
    """What a method makes of a batch: the losses of its pairs (or answers), for the figures the rewards that it
    sees in the answers, (rows,), what is added to the losses' mean, further figures, and the ``point`` above which
    KTO gains."""

    losses: mx.array
    rewards: mx.array
    beside: mx.array | None = None
    figures: Arrays | None = None
    point: mx.array | None = None


PreferenceLoss = Callable[[RatedBatch], PreferenceTerms]


def mean_figure(value: mx.array) -> mx.array:
    """A mean as the sum and count, (2,), that figures are made of."""
    return mx.stack([mx.stop_gradient(value), mx.array(1.0)])


def negative_log_likelihood(log_probabilities: mx.array, mask: mx.array) -> mx.array:
    """The mean over all tokens of −log π; ``log_probabilities`` and ``mask`` (rows, tokens). A scalar."""
    return -(log_probabilities * mask).sum() / mx.maximum(mask.sum(), 1)


def at_least_one(lengths: mx.array) -> mx.array:
    """Lengths that can be divided by: an empty row's is 1."""
    return mx.maximum(lengths, 1)
