"""The guard over any losses, against a plain model of it; saved and restored between any two iterations, it judges
as if it had never stopped."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.worker.train.guard import LossGuard, LossVerdict

VOCABULARY = 1000
LOSS = st.one_of(
    st.floats(0.1, 4.0), st.floats(4.0, 12.0), st.sampled_from([math.log(VOCABULARY), math.inf, math.nan])
)
STRETCHES = st.lists(st.tuples(LOSS, st.integers(1, 25)), max_size=5)  # a loss, and how often it comes


class PlainGuard:
    """What the words of the guard say, with every loss kept."""

    def __init__(self) -> None:
        self.reference: float | None = None
        self.bad = 0
        self.good: list[float] = []

    def judge(self, loss: float) -> str:
        if math.isnan(loss) or math.isinf(loss):
            return "diverged"
        if self.reference is None:
            self.reference = loss
        dead = abs(loss - math.log(VOCABULARY)) < 1e-4
        if dead or loss > 1.5 * self.reference + 1.5:
            self.bad += 1
            return "suspicious" if self.bad < 10 else "diverged"
        self.bad = 0
        before = self.good[-20:]
        self.good.append(loss)
        if len(self.good) >= 20:
            self.reference = min(self.reference, math.fsum(self.good[-20:]) / 20)
        if len(before) < 20:
            return "good"
        mean = math.fsum(before) / 20
        spread = math.sqrt(math.fsum((one - mean) ** 2 for one in before) / 20)
        return "spike" if loss > mean + max(6 * spread, 1) else "good"


@given(stretches=STRETCHES, cut=st.integers(0, 60))
@example(stretches=[(2.0, 1), (1.0, 24), (3.2, 12)], cut=25)  # 3.2 is above 1.5 · 1 + 1.5, not above 1.5 · 2 + 1.5
@example(stretches=[(2.0, 20), (1.0, 25), (3.2, 12)], cut=20)
@example(stretches=[(1.0, 1), (9.0, 9), (1.0, 1), (9.0, 10)], cut=6)
@example(stretches=[(2.0, 20), (3.5, 1), (2.0, 1)], cut=20)
def test_it_judges_as_its_words_say_through_a_resume(stretches: list[tuple[float, int]], cut: int) -> None:
    losses = [loss for loss, count in stretches for _ in range(count)]
    guard, plain = LossGuard(vocabulary=VOCABULARY), PlainGuard()
    for number, loss in enumerate(losses):
        if number == cut:
            state = json.loads(json.dumps(guard.state()))
            guard = LossGuard(vocabulary=VOCABULARY)
            guard.restore(state)
        assert guard.judge(loss).value == plain.judge(loss)
        assert guard.is_suspicious == (plain.bad > 0)


def test_high_losses_apart_are_no_divergence() -> None:
    guard = LossGuard()
    for _ in range(5):
        found = [guard.judge(loss) for loss in [1.0] + [9.0] * 9]
        assert found[1:] == [LossVerdict.SUSPICIOUS] * 9
        assert guard.is_suspicious
        assert guard.judge(1.0) is LossVerdict.GOOD
        assert not guard.is_suspicious


def test_the_untrained_loss_is_the_reference_where_it_is_known() -> None:
    """One and a half times it plus 1.5: of 4, that is 7.5."""
    guard = LossGuard(reference=4.0)
    assert guard.judge(7.5) is LossVerdict.GOOD
    assert guard.judge(7.6) is LossVerdict.SUSPICIOUS


@pytest.mark.parametrize("loss, norm", [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (1.0, math.inf)])
@pytest.mark.parametrize("only_finite", [True, False])
def test_what_is_not_finite_is_a_divergence_at_once(loss: float, norm: float, only_finite: bool) -> None:
    guard = LossGuard(only_finite=only_finite)
    assert guard.judge(1.0, 1.0) is LossVerdict.GOOD
    assert guard.judge(loss, norm) is LossVerdict.DIVERGED


def test_rewards_have_no_height() -> None:
    guard = LossGuard(only_finite=True)
    assert {guard.judge(loss) for loss in [0.1, 900.0, -30.0] * 10} == {LossVerdict.GOOD}
