"""Statistics of comparisons against values that are known from elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.compare.statistic import NORMAL_95, bootstrap_mean, sign_test, wilson


@pytest.mark.parametrize(
    "successes, trials, low, high",
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (7, 11, 0.3538, 0.8483)],
)
def test_wilson_gives_the_published_intervals(successes: int, trials: int, low: float, high: float) -> None:
    found = wilson(successes, trials)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 500), st.data())
def test_wilson_bounds_are_where_the_score_test_is_just_significant(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    found = wilson(successes, trials)
    assert 0 <= found.low <= found.value <= found.high <= 1
    for bound in (found.low, found.high):
        if 0 < bound < 1:
            score = (found.value - bound) / math.sqrt(bound * (1 - bound) / trials)
            assert abs(score) == pytest.approx(NORMAL_95, rel=1e-6)


def test_nothing_tried_says_nothing() -> None:
    found = wilson(0, 0)
    assert (found.low, found.high) == (0, 1)
    assert sign_test(0, 0) == 1


@pytest.mark.parametrize(
    "wins, losses, p", [(5, 0, 0.0625), (6, 0, 0.03125), (8, 2, 0.109375), (10, 10, 1.0), (1, 2, 1.0)]
)
def test_the_sign_test_is_the_exact_binomial(wins: int, losses: int, p: float) -> None:
    assert sign_test(wins, losses) == pytest.approx(p)
    assert sign_test(losses, wins) == sign_test(wins, losses)


def test_the_bootstrap_interval_is_the_normal_one_where_that_holds() -> None:
    values = np.random.default_rng(1).normal(0.3, 1.0, 400)
    found = bootstrap_mean(values, np.ones(400))
    error = values.std() / math.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - NORMAL_95 * error, abs=0.02)
    assert found.high == pytest.approx(values.mean() + NORMAL_95 * error, abs=0.02)


def test_long_examples_weigh_more_and_the_seed_decides() -> None:
    sums, weights = np.array([-90.0, 1.0, 1.0]), np.array([90.0, 1.0, 1.0])
    assert bootstrap_mean(sums, weights).value == pytest.approx(-88 / 92)
    assert bootstrap_mean(sums, weights, seed=3) == bootstrap_mean(sums, weights, seed=3)
    values = np.random.default_rng(0).normal(size=50)
    first, second = (bootstrap_mean(values, np.ones(50), seed=seed) for seed in (1, 2))
    assert first != second


def test_many_examples_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=30)
    whole = bootstrap_mean(values, np.ones(30), resamples=100)
    monkeypatch.setattr("app.core.compare.statistic.DRAWS_AT_ONCE", 90)
    assert bootstrap_mean(values, np.ones(30), resamples=100) == whole


def test_nothing_to_resample_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        bootstrap_mean(np.zeros(3), np.zeros(3))


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    covered = 0
    for trial in range(200):
        found = bootstrap_mean(generator.normal(0.1, 1.0, 60), np.ones(60), resamples=400, seed=trial)
        covered += found.low <= 0.1 <= found.high
    assert 0.88 <= covered / 200 <= 0.99
