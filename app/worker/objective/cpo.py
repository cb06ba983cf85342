"""The losses of CPO (arXiv 2401.08417) and SimPO (2405.14734)."""

from __future__ import annotations

from typing import Literal

import mlx.core as mx
import mlx.nn as nn

from app.worker.objective.preference import PreferenceTerms, RatedBatch, at_least_one

CpoKind = Literal["sigmoid", "hinge", "ipo", "simpo"]


def cpo(batch: RatedBatch) -> PreferenceTerms:
    """Lets the chosen answers gain on the rejected ones, and learns to say them."""
    config, likelihood = batch.config, batch.likelihood_loss
    kind = config.dpo_cpo_loss_type
    losses = cpo_losses(
        *mx.split(batch.sums, 2), *mx.split(batch.lengths, 2), beta=config.beta, kind=kind, gamma=config.simpo_gamma
    )
    return PreferenceTerms(
        losses,
        config.beta * (batch.means if kind in ("ipo", "simpo") else batch.sums),
        beside=config.cpo_alpha * likelihood if config.cpo_alpha else None,
        figures={"likelihood_loss": batch.mean_figure(likelihood)},
    )


def cpo_losses(
    chosen: mx.array,
    rejected: mx.array,
    chosen_lengths: mx.array,
    rejected_lengths: mx.array,
    *,
    beta: float,
    kind: CpoKind = "sigmoid",
    gamma: float = 0.5,
) -> mx.array:
    """The preference part of CPO (arXiv 2401.08417) on log-probabilities (n,), without a reference.

    ``simpo`` is SimPO (2405.14734): log-probabilities averaged over the tokens, and a target margin ``gamma``. The
    likelihood term that CPO adds is `negative_log_likelihood` of the chosen answers.
    """
    if kind in ("ipo", "simpo"):
        chosen = chosen / at_least_one(chosen_lengths)
        rejected = rejected / at_least_one(rejected_lengths)
    margin = chosen - rejected
    if kind == "ipo":
        return mx.square(margin - 1 / (2 * beta))
    if kind == "hinge":
        return nn.relu(1 - beta * margin)
    return -nn.log_sigmoid(beta * margin - (gamma if kind == "simpo" else 0.0))
