"""Preference losses: what DPO, CPO, SimPO, ORPO and KTO make of log-probabilities, as pure functions.

Everywhere ``n`` is the number of pairs (for KTO: of answers). A log-probability of an answer is the sum over its
tokens, in nats, float32; a log-ratio is log π(answer) − log π_ref(answer). Losses come back one a pair, (n,), so
that a batch filled up with empty rows can leave those out. Checked against TRL 1.16 (`packaging/golden`).
"""

from __future__ import annotations

from typing import Literal

import mlx.core as mx
import mlx.nn as nn

PairKind = Literal["sigmoid", "hinge", "ipo"]
CpoKind = Literal["sigmoid", "hinge", "ipo", "simpo"]
# Log-probabilities nearer to 0 than this are taken for this: log(1 − p) has no slope that float32 can hold there.
NEAREST_TO_CERTAIN = -1e-6


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
        margin = chosen / _at_least_one(chosen_lengths) - rejected / _at_least_one(rejected_lengths)
        return mx.square(margin - 1 / (2 * beta))
    margin = beta * (chosen - rejected)
    return nn.relu(1 - margin) if kind == "hinge" else -nn.log_sigmoid(margin)


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
        chosen = chosen / _at_least_one(chosen_lengths)
        rejected = rejected / _at_least_one(rejected_lengths)
    margin = chosen - rejected
    if kind == "ipo":
        return mx.square(margin - 1 / (2 * beta))
    if kind == "hinge":
        return nn.relu(1 - beta * margin)
    return -nn.log_sigmoid(beta * margin - (gamma if kind == "simpo" else 0.0))


def orpo_losses(
    chosen: mx.array, rejected: mx.array, chosen_lengths: mx.array, rejected_lengths: mx.array
) -> mx.array:
    """The odds-ratio loss of ORPO (arXiv 2403.07691) on log-probabilities (n,), averaged over the tokens here.

    ORPO's whole loss is the likelihood of the chosen answers plus ``beta`` times this.
    """
    log_odds = _log_odds(chosen / _at_least_one(chosen_lengths))
    return -nn.log_sigmoid(log_odds - _log_odds(rejected / _at_least_one(rejected_lengths)))


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


def negative_log_likelihood(log_probabilities: mx.array, mask: mx.array) -> mx.array:
    """The mean over all tokens of −log π; ``log_probabilities`` and ``mask`` (rows, tokens). A scalar."""
    return -(log_probabilities * mask).sum() / mx.maximum(mask.sum(), 1)


def _log_odds(log_probability: mx.array) -> mx.array:
    """log(p / (1 − p)) of log p < 0."""
    log_probability = mx.minimum(log_probability, NEAREST_TO_CERTAIN)
    # Near certainty log(−expm1(x)) keeps the digits that log1p(−exp(x)) loses, far from it the other way round.
    near = mx.log(-mx.expm1(mx.maximum(log_probability, -1.0)))
    far = mx.log1p(-mx.exp(mx.minimum(log_probability, -0.5)))
    return log_probability - mx.where(log_probability > -0.6931472, near, far)


def _at_least_one(lengths: mx.array) -> mx.array:
    return mx.maximum(lengths, 1)
