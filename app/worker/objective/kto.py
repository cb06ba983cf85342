"""The loss of KTO (arXiv 2402.01306)."""

from __future__ import annotations

import mlx.core as mx

from app.worker.batch.answer import without_prefix
from app.worker.objective.preference import PreferenceTerms, RatedBatch, mean_figure
from app.worker.token.rated_answer import MISMATCHED


def kto(batch: RatedBatch) -> PreferenceTerms:
    """Lets each good answer gain and each bad one lose, compared with the mean of answers to other prompts."""
    config, arrays, ratios = batch.config, batch.arrays, batch.ratios
    others = without_prefix(arrays, MISMATCHED)
    apart = (batch.apart(others) * others["mask"]).sum(axis=1) - others["reference"]
    # Of pairs the first half of the rows is good; labelled answers say it themselves.
    counted = mx.tile(batch.counted, batch.sums.shape[0] // batch.counted.shape[0])
    point = kto_reference_point(apart, counted)
    desirable = arrays.get("desirable")
    if desirable is None:
        desirable = mx.arange(ratios.shape[0]) < ratios.shape[0] // 2
    losses = kto_losses(
        ratios, desirable, point, beta=config.beta, desirable_weight=config.desirable_weight,
        undesirable_weight=config.undesirable_weight,
    )  # fmt: skip
    return PreferenceTerms(
        losses, config.beta * ratios, figures={"kl": mean_figure(point)}, point=config.beta * point
    )


def kto_losses(
    log_ratios: mx.array,
    desirable: mx.array,
    kl: mx.array,
    *,
    beta: float,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> mx.array:
    """KTO (arXiv 2402.01306): single answers, each ``desirable`` (n,) true or false.

    ``kl`` is the reference point, a scalar estimate of KL(π ‖ π_ref) (see `kto_reference_point`).
    """
    gains = desirable_weight * (1 - mx.sigmoid(beta * (log_ratios - kl)))
    losses = undesirable_weight * (1 - mx.sigmoid(beta * (kl - log_ratios)))
    return mx.where(desirable, gains, losses)


def kto_reference_point(mismatched_log_ratios: mx.array, counted: mx.array) -> mx.array:
    """KTO's estimate of the divergence: the mean log-ratio of answers under prompts that they do not belong to.

    Both (n,); ``counted`` is 1 where a row holds an answer. Never negative, and without a gradient.
    """
    mean = (mismatched_log_ratios * counted).sum() / mx.maximum(counted.sum(), 1)
    return mx.stop_gradient(mx.maximum(mean, 0))
