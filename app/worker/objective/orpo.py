"""The loss of ORPO (arXiv 2403.07691)."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from app.worker.objective.preference import PreferenceTerms, RatedBatch, at_least_one

# Log-probabilities nearer to 0 than this are taken for this: log(1 − p) has no slope that float32 can hold there.
NEAREST_TO_CERTAIN = -1e-6


def orpo(batch: RatedBatch) -> PreferenceTerms:
    """Learns to say the chosen answers, and lowers the odds of the rejected ones.

    The likelihood is over the answers' tokens, as in the paper; TRL's is over those of the prompts as well.
    """
    beta, likelihood = batch.config.beta, batch.likelihood_loss
    losses = orpo_losses(*mx.split(batch.sums, 2), *mx.split(batch.lengths, 2))
    figures = {"likelihood_loss": batch.mean_figure(likelihood)}
    return PreferenceTerms(beta * losses, beta * batch.means, beside=likelihood, figures=figures)


def orpo_losses(
    chosen: mx.array, rejected: mx.array, chosen_lengths: mx.array, rejected_lengths: mx.array
) -> mx.array:
    """The odds-ratio loss of ORPO (arXiv 2403.07691) on log-probabilities (n,), averaged over the tokens here.

    ORPO's whole loss is the likelihood of the chosen answers plus ``beta`` times this.
    """
    log_odds = _log_odds(chosen / at_least_one(chosen_lengths))
    return -nn.log_sigmoid(log_odds - _log_odds(rejected / at_least_one(rejected_lengths)))


def _log_odds(log_probability: mx.array) -> mx.array:
    """log(p / (1 − p)) of log p < 0."""
    log_probability = mx.minimum(log_probability, NEAREST_TO_CERTAIN)
    # Near certainty log(−expm1(x)) keeps the digits that log1p(−exp(x)) loses, far from it the other way round.
    near = mx.log(-mx.expm1(mx.maximum(log_probability, -1.0)))
    far = mx.log1p(-mx.exp(mx.minimum(log_probability, -0.5)))
    return log_probability - mx.where(log_probability > -0.6931472, near, far)
