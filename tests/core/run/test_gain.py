"""What a run came to: from its first measurement to the weights that were kept."""

from __future__ import annotations

import math

import pytest

from app.core.protocol import event
from app.core.run.gain import Gain, run_gains
from app.core.run.history import RunHistory


def history(*found: event.Event) -> RunHistory:
    made = RunHistory()
    for one in found:
        made.feed(one)
    return made


def validated(iteration: int, loss: float, *, best: bool = False, **figures: float) -> event.Validated:
    return event.Validated(iteration=iteration, val_loss=loss, best=best, figures=figures)


def test_the_loss_goes_from_the_first_to_the_best_not_to_the_last() -> None:
    (gain,) = run_gains(history(validated(0, 4.0), validated(10, 1.0, best=True), validated(20, 1.5)))
    assert (gain.label, gain.journey(), gain.change_text(), gain.share_text()) == (
        "Validation loss", "4.000 → 1.000", "−3.000", "−75\u00a0%",
    )  # fmt: skip
    assert (gain.kept_iteration, gain.last, gain.last_iteration) == (10, 1.5, 20)


def test_a_loss_that_rose_says_so() -> None:
    (gain,) = run_gains(history(validated(10, 2.0, best=False), validated(20, 3.0, best=True)))
    assert (gain.change_text(), gain.share_text()) == ("+1.000", "+50\u00a0%")


def test_a_reward_is_told_as_a_reward() -> None:
    found = history(validated(0, -0.25, reward=0.25), validated(10, -0.75, best=True, reward=0.75))
    (gain,) = run_gains(found, "reward")
    assert (gain.label, gain.journey(), gain.change_text(), gain.share_text()) == (
        "Reward", "0.250 → 0.750", "+0.500", "",
    )  # fmt: skip


def test_a_methods_own_figure_stands_beside_its_loss() -> None:
    found = history(validated(0, 0.7, margin=0.0), validated(10, 0.2, best=True, margin=1.25))
    loss, margin = run_gains(found, "margin")
    assert (loss.journey(), margin.label, margin.journey()) == ("0.700 → 0.200", "Margin", "0.000 → 1.250")


def test_of_nothing_there_is_no_share() -> None:
    gain = Gain("Validation loss", 1.3e-6, 0, 3.0, 60, 3.0, 60, is_lower_better=True)
    assert (gain.journey(), gain.share_text()) == ("0.000 → 3.000", "")


def test_one_measurement_is_no_journey() -> None:
    (gain,) = run_gains(history(validated(10, 2.0, best=True)))
    assert (gain.is_measured_twice, gain.journey()) == (False, "2.000")


def test_without_validations_it_is_the_training_that_tells() -> None:
    reported = event.TrainReported(
        iteration=2, train_loss=2.5, losses=[3.0, 2.0], learning_rate=1e-4, iterations_per_second=1.0,
        tokens_per_second=1.0, trained_tokens=2, peak_memory_gb=0.1, elapsed_s=1.0, epoch=1.0,
    )  # fmt: skip
    (gain,) = run_gains(history(reported))
    assert (gain.label, gain.journey()) == ("Train loss", "3.000 → 2.000")
    assert run_gains(RunHistory()) == []


def trained(losses: list[float]) -> RunHistory:
    return history(
        event.TrainReported(
            iteration=len(losses), train_loss=1.0, losses=losses, learning_rate=1e-4, iterations_per_second=1.0,
            tokens_per_second=1.0, trained_tokens=2,
        )
    )  # fmt: skip


def test_a_single_odd_batch_is_no_gain() -> None:
    """One easy batch at the end would be a fall of nine tenths, where hardly anything was learned."""
    (gain,) = run_gains(trained([2.0] * 100 + [1.9] * 99 + [0.2]))
    assert (gain.label, gain.first_iteration, gain.kept_iteration) == ("Train loss, mean of 20", 1, 200)
    assert gain.first == 2.0
    assert gain.kept == pytest.approx((19 * 1.9 + 0.2) / 20)
    (short,) = run_gains(
        trained([3.0, math.nan, 1.0, 1.0, 1.0, 1.0, math.inf, 2.0])
    )  # what is no number is left out
    assert (short.label, short.journey()) == ("Train loss, mean of 2", "3.000 → 2.000")
    assert run_gains(trained([1.0] * 8 + [math.nan] * 8)) == []


def test_a_best_before_training_is_not_what_was_kept() -> None:
    """No measurement was better than the untrained model's: the adapter holds the last weights."""
    (gain,) = run_gains(history(validated(0, 1.0, best=True), validated(10, 2.0), validated(20, 1.5)))
    assert (gain.journey(), gain.kept_iteration) == ("1.000 → 1.500", 20)
