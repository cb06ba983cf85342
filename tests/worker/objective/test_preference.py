"""The preference losses and their gradients are TRL's, and behave at the edges."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest

from app.core.method.table import METHODS
from app.worker.objective.cpo import cpo_losses
from app.worker.objective.dpo import dpo_losses
from app.worker.objective.kto import kto_losses, kto_reference_point
from app.worker.objective.orpo import orpo_losses
from app.worker.objective.preference import negative_log_likelihood
from app.worker.objective.preference_objective import LOSSES
from tests.worker.golden_case import cases, check, named


def halves(policy: mx.array, mask: mx.array) -> tuple[mx.array, mx.array, mx.array, mx.array]:
    """Sums of log-probabilities and lengths of the chosen rows (first) and the rejected ones."""
    chosen, rejected = mx.split((policy * mask).sum(axis=1), 2)
    return chosen, rejected, *mx.split(mask.sum(axis=1), 2)


@pytest.mark.parametrize("case", cases("preference", "dpo"), ids=named)
def test_dpo_is_trls(case: dict[str, Any]) -> None:
    mask, reference = mx.array(case["mask"]), mx.array(case["reference"])
    check(case, lambda policy: dpo_losses(*halves(policy - reference, mask), **case["options"]).mean())


@pytest.mark.parametrize("case", cases("preference", "cpo"), ids=named)
def test_cpo_is_trls(case: dict[str, Any]) -> None:
    options, mask = dict(case["options"]), mx.array(case["mask"])
    alpha = options.pop("alpha")

    def loss(policy: mx.array) -> mx.array:
        chosen = len(policy) // 2
        likelihood = negative_log_likelihood((policy * mask)[:chosen], mask[:chosen].sum())
        return cpo_losses(*halves(policy, mask), **options).mean() + alpha * likelihood

    check(case, loss)


@pytest.mark.parametrize("case", cases("preference", "orpo"), ids=named)
def test_orpo_is_trls(case: dict[str, Any]) -> None:
    mask = mx.array(case["mask"])

    def loss(policy: mx.array) -> mx.array:
        chosen = len(policy) // 2
        odds = orpo_losses(*halves(policy, mask)).mean()
        return (
            negative_log_likelihood((policy * mask)[:chosen], mask[:chosen].sum()) + case["options"]["beta"] * odds
        )

    check(case, loss)


@pytest.mark.parametrize("case", cases("preference", "kto"), ids=named)
def test_kto_is_trls(case: dict[str, Any]) -> None:
    mask, reference = mx.array(case["mask"]), mx.array(case["reference"])
    apart = mx.array(case["mismatched"]) - mx.array(case["mismatched_reference"])
    point = kto_reference_point(apart.sum(), mx.array(apart.size))

    def loss(policy: mx.array) -> mx.array:
        ratios = ((policy - reference) * mask).sum(axis=1)
        return kto_losses(ratios, mx.array(case["labels"]), point, **case["options"]).mean()

    check(case, loss)


def test_the_reference_point_is_zero_below_zero() -> None:
    assert kto_reference_point(mx.array(-4.0), mx.array(2.0)).item() == 0
    assert kto_reference_point(mx.array(6.0), mx.array(2.0)).item() == 3
    assert kto_reference_point(mx.array(0.0), mx.array(0.0)).item() == 0


@pytest.mark.parametrize("log_probability", [0.0, -1e-9, -0.6931472, -30.0, -500.0])
def test_orpo_stays_finite_at_certainty(log_probability: float) -> None:
    lengths = mx.array([1.0])
    gradient = mx.grad(lambda x: orpo_losses(x, mx.array([-1.0]), lengths, lengths).sum())
    assert mx.isfinite(gradient(mx.array([log_probability]))).all()


def test_an_answer_without_tokens_makes_no_nan() -> None:
    zero = mx.array([0.0])
    for kind in ("sigmoid", "hinge", "ipo"):
        assert mx.isfinite(dpo_losses(zero, zero, zero, zero, beta=0.1, kind=kind)).all()
    assert mx.isfinite(orpo_losses(zero, zero, zero, zero)).all()


def test_every_method_that_learns_from_rated_answers_has_its_loss() -> None:
    rated = [method for method in METHODS.values() if method.goals and not method.is_group_relative]
    assert set(LOSSES) == {method.mode for method in rated}
