"""The group-relative losses and gradients are TRL's; off policy the methods differ, and clipping acts."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Literal

import mlx.core as mx
import numpy as np
import pytest

from app.worker.objective.group_loss import Options, equal_groups, group_advantages, group_loss
from tests.worker.golden_case import cases, check, named


def optional(case: dict[str, Any], name: str) -> mx.array | None:
    return mx.array(case[name]) if name in case else None


@pytest.mark.parametrize("case", cases("group_relative", "group"), ids=named)
def test_the_loss_is_trls(case: dict[str, Any]) -> None:
    def loss(policy: mx.array) -> mx.array:
        found = group_loss(
            policy, optional(case, "old"), optional(case, "reference"), mx.array(case["mask"]),
            mx.array(case["advantages"]), Options(**case["options"]),
        )  # fmt: skip
        return found.total / found.weight

    check(case, loss)


@pytest.mark.parametrize("case", cases("group_relative", "advantages"), ids=named)
def test_advantages_are_trls(case: dict[str, Any]) -> None:
    found = group_advantages(np.array(case["rewards"]), 4, case["options"]["scaling"])
    np.testing.assert_allclose(found, case["advantages"], atol=1e-6)


def test_equal_rewards_teach_nothing() -> None:
    rewards = np.array([1.0, 1.0, 0.0, 1.0])
    assert equal_groups(rewards, 2) == 0.5
    assert group_advantages(rewards, 2)[:2].tolist() == [0, 0]


METHODS = {
    "grpo": Options("grpo", "token", 0.2, 0.2),
    "gspo": Options("grpo", "sequence", 3e-4, 4e-4),
    "dr_grpo": Options("dr_grpo", "token", 0.2, 0.2, max_length=8),
    "dapo": Options("dapo", "token", 0.2, 0.28),
}


def gradient(options: Options, *, is_on_policy: bool = False) -> np.ndarray:
    """Of four answers of different lengths, sampled by weights a small step away."""
    random = np.random.default_rng(3)
    policy = mx.array(random.normal(-1.5, 0.5, (4, 6)).astype(np.float32))
    old = policy + mx.array(random.normal(0, 0.3, (4, 6)).astype(np.float32))
    mask = mx.array((np.arange(6) < np.array([6, 2, 4, 5])[:, None]).astype(np.float32))
    scaling: Literal["group", "none"] = "none" if options.kind == "dr_grpo" else "group"
    advantages = mx.array(group_advantages(np.array([1.0, 0.0, 0.5, 0.0]), 4, scaling).astype(np.float32))

    def loss(policy: mx.array) -> mx.array:
        found = group_loss(policy, None if is_on_policy else old, None, mask, advantages, options)
        return found.total / found.weight

    return np.array(mx.grad(loss)(policy))


@pytest.mark.parametrize("first, second", list(combinations(METHODS, 2)))
def test_the_methods_differ_off_policy(first: str, second: str) -> None:
    one, other = gradient(METHODS[first]), gradient(METHODS[second])
    assert np.abs(one - other).max() > 1e-3 * np.abs(one).max()


@pytest.mark.parametrize("level", ["token", "sequence"])
def test_epsilon_matters_off_policy_only(level: Any) -> None:
    narrow, wide = Options("grpo", level, 0.01, 0.01), Options("grpo", level, 0.9, 0.9)
    assert np.abs(gradient(narrow) - gradient(wide)).max() > 1e-3
    np.testing.assert_array_equal(gradient(narrow, is_on_policy=True), gradient(wide, is_on_policy=True))


def test_the_upper_bound_is_separate() -> None:
    """A ratio of 1.25 with a good answer is cut at 0.2 above, not at 0.28; a ratio of 0.75 never is."""
    policy, mask = mx.log(mx.array([[1.25, 0.75]])), mx.ones((1, 2))

    def slope(high: float) -> list[float]:
        options, good = Options("grpo", "token", 0.2, high), mx.array([1.0])
        loss = mx.grad(lambda p: group_loss(p, mx.zeros((1, 2)), None, mask, good, options).total)
        return np.array(loss(policy))[0].tolist()

    assert slope(0.2) == pytest.approx([0, -0.375])
    assert slope(0.28) == pytest.approx([-0.625, -0.375])


def test_figures_count_what_is_clipped() -> None:
    policy, mask = mx.log(mx.array([[1.5, 1.0, 0.5, 9.0]])), mx.array([[1.0, 1.0, 1.0, 0.0]])
    found = group_loss(policy, mx.zeros((1, 4)), mx.zeros((1, 4)), mask, mx.array([1.0]), Options(beta=0.1))
    assert found.clipped.tolist() == [1, 3]
    total, count = np.array(found.divergence)
    expected = sum(1 / ratio + np.log(ratio) - 1 for ratio in (1.5, 1.0, 0.5))
    assert (total, count) == (pytest.approx(expected, rel=1e-5), 3)


def test_only_what_clipping_holds_back_counts_as_clipped() -> None:
    """Ratios 1.5, 0.5 and 1: of a good answer the first is clipped, of a bad one the second, by hand."""
    policy = mx.log(mx.array([[1.5, 0.5, 1.0]] * 2))
    for advantage, expected in ((1.0, 2), (-1.0, 2), (0.0, 0)):
        advantages = mx.array([advantage, advantage])
        found = group_loss(policy, mx.zeros((2, 3)), None, mx.ones((2, 3)), advantages, Options())
        assert found.clipped.tolist() == [expected, 6], advantage
