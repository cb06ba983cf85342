"""Preference training as an objective of the loop: from a batch of pairs to a loss and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

from app.core.config.train_config import TrainConfig
from app.worker.array import Arrays
from app.worker.batch.answer import without_prefix
from app.worker.model.head import Head, NoHead
from app.worker.objective.log_probability import answer_log_probabilities
from app.worker.objective.objective import Objective
from app.worker.objective.preference_loss import (
    cpo_losses,
    dpo_losses,
    kto_losses,
    kto_reference_point,
    negative_log_likelihood,
    orpo_losses,
)
from app.worker.token.rated_answer import MISMATCHED


@dataclass(frozen=True, slots=True)
class _Answers:
    """``log_probabilities`` and ``mask`` (rows, tokens), ``sums`` and ``lengths`` (rows,); chosen rows first."""

    log_probabilities: mx.array
    mask: mx.array
    sums: mx.array
    lengths: mx.array
    counted: mx.array

    @property
    def likelihood_loss(self) -> mx.array:
        """Of the chosen answers."""
        half = self.mask.shape[0] // 2
        return negative_log_likelihood(self.log_probabilities[:half], self.mask[:half])

    @property
    def means(self) -> mx.array:
        """Log-probabilities a token, (rows,)."""
        return self.sums / mx.maximum(self.lengths, 1)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What a method makes of a batch: the losses of its pairs (or answers), what is added to their mean, and for
    the figures the rewards that it sees in the answers, (rows,), and the ``point`` above which KTO gains."""

    losses: mx.array
    beside: mx.array | None
    rewards: mx.array
    figures: Arrays
    point: mx.array | None = None


def preference(head: Head | NoHead, config: TrainConfig) -> Objective:
    """The objective of a config whose train_mode is dpo, cpo, orpo, kto or online_dpo."""
    judge = _JUDGES[config.train_mode]

    def objective(model: nn.Module, arrays: Arrays) -> tuple[mx.array, mx.array, Arrays]:
        found = answer_log_probabilities(model, head, arrays)
        mask = arrays["mask"]
        answers = _Answers(found, mask, (found * mask).sum(axis=1), mask.sum(axis=1), arrays["counted"])
        judged = judge(config, model, head, answers, arrays)
        counted = answers.counted
        weight = counted.sum()
        # KTO judges each answer by itself: of pairs its losses are twice as many.
        share = judged.losses.shape[0] // counted.shape[0]
        total = (judged.losses * mx.tile(counted, share)).sum() / share
        if judged.beside is not None:
            total = total + judged.beside * weight
        if "desirable" in arrays:
            return total, weight, judged.figures | _labelled_figures(judged, arrays["desirable"], counted)
        return total, weight, judged.figures | _figures(judged.rewards, counted)

    return objective


def _figures(rewards: mx.array, counted: mx.array) -> Arrays:
    """Sum and count, (2,), of each: how much better the chosen answer is, and how often it is better at all."""
    rewards = mx.stop_gradient(rewards)
    chosen, rejected = mx.split(rewards, 2)
    named = {
        "margin": chosen - rejected,
        "accuracy": (chosen > rejected).astype(mx.float32),
        "chosen_reward": chosen,
        "rejected_reward": rejected,
    }
    return {name: mx.stack([(values * counted).sum(), counted.sum()]) for name, values in named.items()}


def _labelled_figures(judged: _Judged, desirable: mx.array, counted: mx.array) -> Arrays:
    """The rewards of good and of bad answers, and how often a good one lies above KTO's point and a bad one not.

    A batch may have answers of one kind only; the margin is the difference of the two means
    (`app.worker.objective.figure`), for it can only be told of many batches together.
    """
    rewards = mx.stop_gradient(judged.rewards)
    good, bad = counted * desirable, counted * (1 - desirable)
    assert judged.point is not None
    is_right = ((rewards > judged.point) == desirable).astype(mx.float32)
    return {
        "accuracy": mx.stack([(is_right * counted).sum(), counted.sum()]),
        "chosen_reward": mx.stack([(rewards * good).sum(), good.sum()]),
        "rejected_reward": mx.stack([(rewards * bad).sum(), bad.sum()]),
    }


def _mean(value: mx.array) -> mx.array:
    return mx.stack([mx.stop_gradient(value), mx.array(1.0)])


def _dpo(
    config: TrainConfig, _model: nn.Module, _head: Head | NoHead, answers: _Answers, arrays: Arrays
) -> _Judged:
    ratios = answers.sums - arrays["reference"]
    kind = config.dpo_cpo_loss_type
    assert kind != "simpo"  # the config's check
    losses = dpo_losses(*mx.split(ratios, 2), *mx.split(answers.lengths, 2), beta=config.beta, kind=kind)
    return _Judged(losses, None, config.beta * ratios, {})


def _cpo(
    config: TrainConfig, _model: nn.Module, _head: Head | NoHead, answers: _Answers, _arrays: Arrays
) -> _Judged:
    kind = config.dpo_cpo_loss_type
    losses = cpo_losses(
        *mx.split(answers.sums, 2), *mx.split(answers.lengths, 2), beta=config.beta, kind=kind,
        gamma=config.simpo_gamma,
    )  # fmt: skip
    likelihood = answers.likelihood_loss
    rewards = config.beta * (answers.means if kind in ("ipo", "simpo") else answers.sums)
    figures = {"likelihood_loss": _mean(likelihood)}
    return _Judged(losses, config.cpo_alpha * likelihood if config.cpo_alpha else None, rewards, figures)


def _orpo(
    config: TrainConfig, _model: nn.Module, _head: Head | NoHead, answers: _Answers, _arrays: Arrays
) -> _Judged:
    losses = orpo_losses(*mx.split(answers.sums, 2), *mx.split(answers.lengths, 2))
    likelihood = answers.likelihood_loss
    figures = {"likelihood_loss": _mean(likelihood)}
    return _Judged(config.beta * losses, likelihood, config.beta * answers.means, figures)


def _kto(config: TrainConfig, model: nn.Module, head: Head | NoHead, answers: _Answers, arrays: Arrays) -> _Judged:
    others = without_prefix(arrays, MISMATCHED)
    apart = answer_log_probabilities(model, head, others, differentiable=False) * others["mask"]
    # Of pairs the first half of the rows is good; labelled answers say it themselves.
    counted = mx.tile(answers.counted, answers.sums.shape[0] // answers.counted.shape[0])
    point = kto_reference_point(mx.stop_gradient(apart).sum(axis=1) - others["reference"], counted)
    ratios = answers.sums - arrays["reference"]
    desirable = arrays.get("desirable")
    if desirable is None:
        desirable = mx.arange(ratios.shape[0]) < ratios.shape[0] // 2
    losses = kto_losses(
        ratios, desirable, point, beta=config.beta, desirable_weight=config.desirable_weight,
        undesirable_weight=config.undesirable_weight,
    )  # fmt: skip
    return _Judged(losses, None, config.beta * ratios, {"kl": _mean(point)}, config.beta * point)


_JUDGES: dict[str, Callable[[TrainConfig, nn.Module, Head | NoHead, _Answers, Arrays], _Judged]] = {
    "dpo": _dpo,
    "cpo": _cpo,
    "orpo": _orpo,
    "kto": _kto,
    "online_dpo": _dpo,
}
