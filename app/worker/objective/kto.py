"""The loss of KTO (arXiv 2402.01306)."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from app.worker.array import Arrays
from app.worker.model.head import Head, NoHead
from app.worker.objective.log_probability import answer_log_probabilities, answer_sums
from app.worker.objective.objective import GATHERED, Gather
from app.worker.objective.preference import PreferenceTerms, RatedBatch


def kto(batch: RatedBatch) -> PreferenceTerms:
    """Lets each good answer gain and each bad one lose, compared with the mean of answers to other prompts."""
    config, arrays, ratios = batch.config, batch.arrays, batch.ratios
    total, count = arrays[GATHERED]
    point = kto_reference_point(total, count)
    # Of pairs the first half of the rows is good; labelled answers say it themselves.
    desirable = arrays.get("desirable")
    if desirable is None:
        desirable = mx.arange(ratios.shape[0]) < ratios.shape[0] // 2
    losses = kto_losses(
        ratios, desirable, point, beta=config.beta, desirable_weight=config.desirable_weight,
        undesirable_weight=config.undesirable_weight,
    )  # fmt: skip
    return PreferenceTerms(
        losses,
        config.beta * ratios,
        figures={"kl": batch.mean_figure(point * batch.share)},
        point=config.beta * point,
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


def kto_reference_point(total: mx.array, count: mx.array) -> mx.array:
    """KTO's estimate of the divergence: the mean log-ratio of answers under prompts that they do not belong to.

    ``total`` of all ``count`` of them, scalars. Never negative, and without a gradient.
    """
    return mx.stop_gradient(mx.maximum(total / mx.maximum(count, 1), 0))


def mismatched_sums(head: Head | NoHead) -> Gather:
    """What the reference point is made of: the sum of the mismatched log-ratios, and their number, (2,)."""

    def gather(model: nn.Module, arrays: Arrays) -> mx.array:
        sums, _ = answer_sums(answer_log_probabilities(model, head, arrays, differentiable=False), arrays)
        counted = mx.tile(arrays["counted"], sums.shape[0] // arrays["counted"].shape[0])
        return mx.stop_gradient(mx.stack([((sums - arrays["reference"]) * counted).sum(), counted.sum()]))

    return gather
