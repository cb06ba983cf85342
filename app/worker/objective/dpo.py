"""The loss of DPO, of pairs that were given (arXiv 2305.18290) or sampled (Online DPO, 2402.04792)."""

from __future__ import annotations

from typing import Literal

import mlx.core as mx
import mlx.nn as nn

from app.worker.objective.preference import PreferenceTerms, RatedBatch, at_least_one

PairKind = Literal["sigmoid", "hinge", "ipo"]


def dpo(batch: RatedBatch) -> PreferenceTerms:
    """Lets the chosen answers gain on the rejected ones, compared with the reference."""
    config, ratios = batch.config, batch.ratios
    kind = config.dpo_cpo_loss_type
    assert kind != "simpo"  # the config's check
    losses = dpo_losses(*mx.split(ratios, 2), *mx.split(batch.lengths, 2), beta=config.beta, kind=kind)
    return PreferenceTerms(losses, config.beta * ratios)


def dpo_losses(
    chosen: mx.array,
    rejected: mx.array,
    chosen_lengths: mx.array,
    rejected_lengths: mx.array,
    *,
    beta: float,
    kind: PairKind = "sigmoid",
) -> mx.array:
    """Direct preference optimization on the log-ratios ``chosen`` and ``rejected`` (n,); lengths in tokens (n,).

    ``sigmoid`` is the DPO paper (arXiv 2305.18290), ``hinge`` SLiC (2305.10425), ``ipo`` IPO (2310.12036), for
    which log-ratios are averaged over the tokens, as its authors did.
    """
    if kind == "ipo":
        margin = chosen / at_least_one(chosen_lengths) - rejected / at_least_one(rejected_lengths)
        return mx.square(margin - 1 / (2 * beta))
    margin = beta * (chosen - rejected)
    return nn.relu(1 - margin) if kind == "hinge" else -nn.log_sigmoid(margin)
