"""Preference training as an objective of the loop: from a batch of pairs to a loss and figures."""

from __future__ import annotations

from collections.abc import Mapping

import mlx.core as mx
import mlx.nn as nn

from app.core.config.train_config import TrainConfig
from app.core.setup.chosen_method import method_of
from app.worker.array import Arrays
from app.worker.model.head import Head, NoHead
from app.worker.objective.cpo import cpo
from app.worker.objective.dpo import dpo
from app.worker.objective.kto import kto, mismatched_sums
from app.worker.objective.log_probability import answer_log_probabilities, answer_sums
from app.worker.objective.objective import Gather, Objective
from app.worker.objective.orpo import orpo
from app.worker.objective.preference import PreferenceLoss, PreferenceTerms, RatedBatch

# The loss of each `train_mode` that learns from rated answers.
LOSSES: Mapping[str, PreferenceLoss] = {"dpo": dpo, "cpo": cpo, "orpo": orpo, "kto": kto, "online_dpo": dpo}


def preference(head: Head | NoHead, config: TrainConfig) -> Objective:
    """The objective of a config whose method is among `LOSSES`: of a whole batch, or of any part of one."""
    loss = LOSSES[config.train_mode]

    def objective(model: nn.Module, arrays: Arrays) -> tuple[mx.array, mx.array, Arrays]:
        sums, lengths = answer_sums(answer_log_probabilities(model, head, arrays), arrays)
        counted = arrays["counted"]
        batch = RatedBatch(config, arrays, sums, lengths, counted)
        terms = loss(batch)
        weight = counted.sum()
        # KTO judges each answer by itself: of pairs its losses are twice as many.
        share = terms.losses.shape[0] // counted.shape[0]
        total = (terms.losses * mx.tile(counted, share)).sum() / share
        if terms.beside is not None:
            total = total + terms.beside * batch.pairs
        figures = terms.figures or {}
        if "desirable" in arrays:
            return total, weight, figures | _labelled_figures(terms, arrays["desirable"], counted)
        return total, weight, figures | _figures(terms.rewards, counted)

    return objective


def preference_gather(head: Head | NoHead, config: TrainConfig) -> Gather | None:
    """What is gathered of a batch before its parts; None where each pair speaks for itself."""
    return mismatched_sums(head) if method_of(config).is_mismatched else None


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


def _labelled_figures(terms: PreferenceTerms, desirable: mx.array, counted: mx.array) -> Arrays:
    """The rewards of good and of bad answers, and how often a good one lies above KTO's point and a bad one not.

    A batch may have answers of one kind only; the margin is the difference of the two means
    (`app.worker.objective.figure`), for it can only be told of many batches together.
    """
    rewards = mx.stop_gradient(terms.rewards)
    good, bad = counted * desirable, counted * (1 - desirable)
    assert terms.point is not None
    is_right = ((rewards > terms.point) == desirable).astype(mx.float32)
    return {
        "accuracy": mx.stack([(is_right * counted).sum(), counted.sum()]),
        "chosen_reward": mx.stack([(rewards * good).sum(), good.sum()]),
        "rejected_reward": mx.stack([(rewards * bad).sum(), bad.sum()]),
    }
