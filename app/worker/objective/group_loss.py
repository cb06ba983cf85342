"""Group-relative losses: GRPO and its kin on log-probabilities, masks and rewards, as pure functions.

A row is one sampled answer of B, a column one of its T tokens; ``mask`` (B, T) is 1 where a token counts. The
old log-probabilities are those of the weights that sampled the answers: with more than one update a generation
the ratio to them leaves 1, and clipping acts. Checked against TRL 1.16 (`packaging/golden`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import mlx.core as mx
import numpy as np

from app.worker.array import DoubleFloats

LossKind = Literal["grpo", "bnpo", "dr_grpo", "dapo"]
Level = Literal["token", "sequence"]
Scaling = Literal["group", "none"]

ADVANTAGE_EPSILON = 1e-4
# Spreads of rewards below this are rounding: the group says nothing about which answer is better.
EQUAL_SPREAD = 1e-8


@dataclass(frozen=True, slots=True)
class Options:
    """What tells the methods apart.

    ``kind`` is how tokens are averaged: ``grpo`` within each answer, then over answers (arXiv 2402.03300); ``bnpo``
    over all tokens of the batch; ``dapo`` over all tokens of the accumulation (2503.14476); ``dr_grpo`` by the
    constant ``max_length``, so that long answers are not favoured (2503.20783). ``level`` ``sequence`` takes one
    ratio an answer, the geometric mean of its tokens' (GSPO, 2507.18071). Ratios are clipped to
    [1 − ``epsilon``, 1 + ``epsilon_high``]. ``beta`` weighs the divergence from the reference (0: none).
    """

    kind: LossKind = "grpo"
    level: Level = "token"
    epsilon: float = 0.2
    epsilon_high: float = 0.2
    beta: float = 0.0
    max_length: int = 512


@dataclass(frozen=True, slots=True)
class GroupLoss:
    """The loss is ``total`` / ``weight`` (scalars); ``divergence`` and ``clipped`` are (sum, count)."""

    total: mx.array
    weight: mx.array
    divergence: mx.array
    clipped: mx.array


def group_advantages(rewards: DoubleFloats, group_size: int, scaling: Scaling = "group") -> DoubleFloats:
    """How much better each answer is than its group: (n,) rewards, neighbours of ``group_size`` form a group.

    ``group`` divides by the group's standard deviation (of a sample), ``none`` (Dr. GRPO) does not.
    """
    groups = rewards.reshape(-1, group_size)
    centred = groups - groups.mean(axis=1, keepdims=True)
    if scaling == "group":
        centred = centred / (groups.std(axis=1, ddof=1, keepdims=True) + ADVANTAGE_EPSILON)
    return np.asarray(centred.reshape(-1), np.float64)


def equal_groups(rewards: DoubleFloats, group_size: int) -> float:
    """Share of the groups whose rewards are all equal: these teach nothing."""
    return float((rewards.reshape(-1, group_size).std(axis=1) < EQUAL_SPREAD).mean())


def group_loss(
    log_probabilities: mx.array,
    old: mx.array | None,
    reference: mx.array | None,
    mask: mx.array,
    advantages: mx.array,
    options: Options,
) -> GroupLoss:
    """The clipped surrogate with divergence: log-probabilities (B, T), ``advantages`` (B,).

    The divergence is added as it is, as in GRPO's paper and by TRL's default: no importance ratio weighs it.

    ``old`` None means that the answers were sampled by these very weights: the ratio is 1 and only its gradient
    counts. ``reference`` may be None where ``beta`` is 0.
    """
    before = mx.stop_gradient(log_probabilities) if old is None else old
    ratio = _ratio(log_probabilities - before, mask, options.level)
    signed = advantages[:, None]
    bounded = mx.clip(ratio, 1 - options.epsilon, 1 + options.epsilon_high)
    losses = -mx.minimum(ratio * signed, bounded * signed)
    divergence = mx.zeros((2,))
    if options.beta and reference is not None:
        apart = _divergence(log_probabilities, reference)
        losses = losses + options.beta * apart
        divergence = mx.stack([(apart * mask).sum(), mask.sum()])
    losses = mx.broadcast_to(losses, mask.shape) * mask
    total, weight = _averaged(losses, mask, options)
    below, above = ratio < 1 - options.epsilon, ratio > 1 + options.epsilon_high
    clipped = mx.broadcast_to((below & (signed < 0)) | (above & (signed > 0)), mask.shape) * mask
    return GroupLoss(total, weight, divergence, mx.stack([clipped.sum(), mask.sum()]))


def _ratio(log_ratio: mx.array, mask: mx.array, level: Level) -> mx.array:
    """(B, T), or (B, 1) at the level of sequences."""
    if level == "token":
        # Masked places may hold anything, and the exponential of anything may overflow into the gradient.
        return mx.exp(log_ratio * mask)
    mean = (log_ratio * mask).sum(axis=1, keepdims=True) / mx.maximum(mask.sum(axis=1, keepdims=True), 1)
    return mx.exp(mean)


def _divergence(log_probabilities: mx.array, reference: mx.array) -> mx.array:
    """Schulman's unbiased, never negative estimate of KL(π ‖ π_ref) for each token ("k3")."""
    apart = reference - log_probabilities
    return mx.exp(apart) - apart - 1


def _averaged(losses: mx.array, mask: mx.array, options: Options) -> tuple[mx.array, mx.array]:
    """(sum, weight): their quotient is the batch's mean, and over an accumulation they add up."""
    rows, tokens = mx.array(float(losses.shape[0])), mask.sum()
    if options.kind == "grpo":
        return (losses.sum(axis=1) / mx.maximum(mask.sum(axis=1), 1)).sum(), rows
    if options.kind == "bnpo":
        return losses.sum() / mx.maximum(tokens, 1), mx.array(1.0)
    if options.kind == "dapo":
        return losses.sum(), tokens
    return losses.sum() / options.max_length, rows
