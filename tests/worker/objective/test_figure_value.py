"""The figures of preference training by their values, worked out by hand from log-probabilities that are given."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest

from app.core.config.train_config import TrainConfig
from app.worker.array import Arrays
from app.worker.model.head import NoHead
from app.worker.objective.figure import FigureSums
from app.worker.objective.preference_objective import preference

# Three pairs, the chosen answers first; the last pair only fills the batch up. Two tokens, or four.
LOG_PROBABILITIES = [[-1.0, -2.0, 0, 0], [-1.0, -1.0, -1.0, -1.0], [0, 0, 0, 0]]  # chosen: −3 and −4
LOG_PROBABILITIES += [[-2.0, -3.0, 0, 0], [-2.0, -2.0, 0, 0], [0, 0, 0, 0]]  # rejected: −5 and −4
MASK = [[1, 1, 0, 0], [1, 1, 1, 1], [0] * 4, [1, 1, 0, 0], [1, 1, 0, 0], [0] * 4]
REFERENCE = [-4.0, -3.5, 0, -4.0, -3.5, 0]


def figures(monkeypatch: pytest.MonkeyPatch, more: dict[str, Any] | None = None, **config: Any) -> dict[str, float]:
    arrays: Arrays = {
        "mask": mx.array(MASK, mx.float32), "counted": mx.array([1.0, 1.0, 0.0]), "reference": mx.array(REFERENCE)
    }  # fmt: skip
    given = mx.array(LOG_PROBABILITIES)
    monkeypatch.setattr(
        "app.worker.objective.preference_objective.answer_log_probabilities", lambda *_, **__: given
    )
    chosen = TrainConfig.model_validate({"beta": 0.5} | config)
    _, weight, found = preference(NoHead("none"), chosen)(nn.Module(), arrays | (more or {}))
    assert weight.item() == 2
    sums = FigureSums()
    sums.add(found)
    return sums.means()


def test_dpo_rewards_are_beta_times_the_gain_on_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    found = figures(monkeypatch, train_mode="dpo")
    # Gains: chosen 1 and −0.5, rejected −1 and −0.5. The second pair is a tie, which is no success.
    assert found["chosen_reward"] == pytest.approx(0.5 * (1 - 0.5) / 2)
    assert found["rejected_reward"] == pytest.approx(0.5 * (-1 - 0.5) / 2)
    assert found["margin"] == pytest.approx(0.5 * (2 + 0) / 2)
    assert found["accuracy"] == 0.5


@pytest.mark.parametrize("kind", ["sigmoid", "hinge"])
def test_cpo_rewards_are_beta_times_the_sum(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = figures(monkeypatch, train_mode="cpo", dpo_cpo_loss_type=kind)
    assert found["chosen_reward"] == pytest.approx(0.5 * (-3 - 4) / 2)
    assert found["rejected_reward"] == pytest.approx(0.5 * (-5 - 4) / 2)
    assert found["accuracy"] == 0.5  # −4 against −4


@pytest.mark.parametrize("kind", ["simpo", "ipo"])
def test_the_rewards_of_simpo_and_ipo_are_of_a_token(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = figures(monkeypatch, train_mode="cpo", dpo_cpo_loss_type=kind)
    assert found["chosen_reward"] == pytest.approx(0.5 * (-1.5 - 1) / 2)
    assert found["rejected_reward"] == pytest.approx(0.5 * (-2.5 - 2) / 2)
    assert found["margin"] == pytest.approx(0.5 * (1 + 1) / 2)
    assert found["accuracy"] == 1


def test_the_likelihood_of_cpo_is_of_all_tokens_of_the_chosen_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    found = figures(monkeypatch, train_mode="cpo", cpo_alpha=0.7)
    assert found["likelihood_loss"] == pytest.approx((3 + 4) / 6)


def test_kto_judges_each_labelled_answer_against_its_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two good answers, two bad ones, and an empty row that only fills the batch up; one token each.

    The point is the mean log-ratio of answers to other prompts, 0.5 nats here, in units of beta.
    """
    ratios = [1.0, 0.5, -1.0, 0.9, -9.0]  # the second is not above the point, the fourth is
    references = [-2.0, -1.0, -3.0, -2.0, 0.0]
    given = mx.array(ratios)[:, None] + mx.array(references)[:, None]
    monkeypatch.setattr(
        "app.worker.objective.preference_objective.answer_log_probabilities", lambda *_, **__: given
    )
    arrays: Arrays = {
        "mask": mx.ones((5, 1)), "counted": mx.array([1.0, 1, 1, 1, 0]), "reference": mx.array(references),
        "desirable": mx.array([True, True, False, False, False]),
        "gathered": mx.array([0.2 + 0.8 + 0.6 + 0.4, 4.0]),
    }  # fmt: skip
    config = TrainConfig.model_validate({"train_mode": "kto", "beta": 0.2})
    _, weight, found = preference(NoHead("none"), config)(nn.Module(), arrays)
    assert weight.item() == 4
    sums = FigureSums()
    sums.add(found)
    assert sums.means() == pytest.approx(
        {
            "kl": 0.5, "accuracy": 2 / 4, "chosen_reward": 0.2 * (1 + 0.5) / 2,
            "rejected_reward": 0.2 * (-1 + 0.9) / 2, "margin": 0.2 * (0.75 + 0.05),
        }
    )  # fmt: skip


def test_a_sum_counts_by_what_it_is_of() -> None:
    sums = FigureSums()
    assert sums.add({"margin": mx.array([6.0, 3.0])}) == {"margin": 2.0}
    sums.add({"margin": mx.array([2.0, 1.0])})
    assert sums.means() == {"margin": 2.0}
    sums.add({"margin": mx.array([4.0, 0.0])})
    assert sums.means() == {"margin": 3.0}


def test_of_nothing_there_is_no_mean() -> None:
    """A batch of ties alone judged nothing the right way round, and nothing the wrong way."""
    sums = FigureSums()
    assert sums.add({"accuracy": mx.array([0.0, 0.0]), "clipped": mx.array([0.0, 5.0])}) == {"clipped": 0.0}
    assert sums.means() == {"clipped": 0.0}
