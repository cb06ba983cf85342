"""A run's history: fed with events, live or again, it always holds the same points."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import numpy as np
import pytest

from app.core.protocol import event
from app.core.run.history import RunHistory
from app.core.run.smoothing import Smoothed, smooth


def report(iteration: int, losses: list[float], **figures: float) -> event.TrainReported:
    known: dict[str, Any] = {
        "learning_rate": 1e-4,
        "iterations_per_second": 10.0,
        "tokens_per_second": 1000.0,
        "trained_tokens": iteration * 100,
        "epoch": iteration / 50,
        "elapsed_s": iteration / 10,
    }
    return event.TrainReported(iteration=iteration, train_loss=losses[-1], losses=losses, **(known | figures))


def started(iteration: int = 0, iterations: int = 100) -> event.Started:
    return event.Started(
        iteration=iteration, iterations=iterations, iterations_per_epoch=50, train_examples=50, valid_examples=5
    )


def validated(iteration: int, val_loss: float, best: bool = False) -> event.Validated:
    return event.Validated(
        iteration=iteration, val_loss=val_loss, best=best, epoch=iteration / 50, elapsed_s=iteration / 10
    )


def fed(*events: event.Event) -> RunHistory:
    history = RunHistory()
    for found in events:
        history.feed(found)
    return history


def test_every_iteration_is_a_point_and_its_place_is_interpolated() -> None:
    history = fed(started(), report(4, [4.0, 3.0, 2.0, 1.0]), report(6, [0.5, 0.25]))
    assert history.losses.tolist() == [4.0, 3.0, 2.0, 1.0, 0.5, 0.25]
    assert history.x("iterations").tolist() == [1, 2, 3, 4, 5, 6]
    assert history.x("tokens").tolist() == [100, 200, 300, 400, 500, 600]
    assert history.x("time") == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert history.x("epochs") == pytest.approx(np.arange(1, 7) / 50)


def test_a_report_without_single_losses_is_one_point() -> None:
    history = fed(started(), report(25, [2.0]), report(50, [1.5]))
    assert history.x("iterations").tolist() == [25, 50]
    assert history.losses.tolist() == [2.0, 1.5]


def test_growing_never_loses_a_point() -> None:
    history = fed(started(iterations=5000), *(report(i, [1.0 / i]) for i in range(1, 5001)))
    assert len(history) == 5000
    assert history.losses == pytest.approx(1.0 / np.arange(1, 5001))


def test_a_resumed_run_forgets_what_came_after_its_checkpoint() -> None:
    history = fed(
        started(), report(4, [4.0, 3.0, 2.0, 1.0]), validated(2, 2.0, best=True), validated(4, 1.0, best=True)
    )
    revision = history.revision
    history.feed(started(iteration=2))
    assert history.x("iterations").tolist() == [1, 2]
    assert history.revision > revision
    assert history.best is not None
    assert history.best.iteration == 2
    history.feed(report(3, [2.5], elapsed_s=0.1))
    assert history.losses.tolist() == [4.0, 3.0, 2.5]
    assert history.x("time")[-1] == pytest.approx(0.3)


def test_nothing_is_shown_of_weights_that_are_gone() -> None:
    """All that has a place on the run, of the weights after the saved state: it goes, and what was before it stays.

    So that what is new is caught too, everything that the history shows is compared with that of a run which never
    came so far."""

    def part(iteration: int, value: float) -> list[event.Event]:
        figures = {"figures": {"margin": value}}
        at: dict[str, Any] = {"epoch": iteration / 10, "trained_tokens": 100, "elapsed_s": iteration / 10}
        loss: dict[str, Any] = {"neutral_loss": 2 + value, "base_loss": 2, "forgot": value, "learned": 2 * value}
        said = {"prompt": "a", "completion": str(value)}
        return [
            report(iteration, [value] * 2).model_copy(update=figures),
            validated(iteration, value, best=True).model_copy(update=figures),
            event.NeutralMeasured(iteration=iteration, tokens=9, source="a", **loss, **at),
            event.Sampled(iteration=iteration, samples=[said]),
        ]

    short = fed(started(), *part(2, 3.0), started(iteration=2))
    long = fed(started(), *part(2, 3.0), *part(4, 1.0), *part(6, 0.5), started(iteration=2))
    assert len(short.to_csv().splitlines()) == 3
    for found in (short, long):
        found.feed(event.Hello(task="train"))
    assert long.to_csv() == short.to_csv()
    for one in (short, long):
        assert [(number, said.samples[0]["completion"]) for number, said in one.spoken.items()] == [(2, "3.0")]
    assert (long.best, long.traded, long.iteration) == (short.best, short.traded, 2)
    assert long.elapsed_s == short.elapsed_s


def test_time_is_not_added_twice_when_the_trainer_goes_on_counting() -> None:
    history = fed(started(), report(4, [4.0, 3.0, 2.0, 1.0]), started(iteration=4), report(5, [0.9], elapsed_s=0.5))
    assert history.elapsed_s == pytest.approx(0.5)


def test_best_is_what_the_trainer_called_best_else_the_lowest() -> None:
    assert fed(started()).best is None
    said = fed(started(), validated(10, 2.0, best=True), validated(20, 1.99))
    assert said.best is not None
    assert (said.best.iteration, said.best_index()) == (10, 0)
    lowest = fed(started(), validated(10, 2.0), validated(20, 1.0), validated(30, math.nan))
    assert lowest.best is not None
    assert lowest.best.val_loss == 1.0
    assert fed(started(), validated(10, math.nan)).best is None


def test_the_remaining_time_comes_from_the_pace_so_far() -> None:
    history = fed(started(iterations=100))
    assert history.remaining_s() is None
    history.feed(report(50, [1.0] * 50))
    assert history.remaining_s() == pytest.approx(5.0)


def test_the_remaining_time_counts_the_validations_that_are_to_come() -> None:
    """Of 50 iterations in 5 s, with 4 s of validation after them, 50 more take 9 s: as long again."""
    history = fed(started(iterations=100), report(50, [1.0] * 50))
    slow = event.Validated(iteration=50, val_loss=2.0, best=True, epoch=1, elapsed_s=9.0)
    history.feed(slow)
    # The first point stands at 0.1 s: 49 iterations took 8.9 s.
    assert history.remaining_s() == pytest.approx(50 * 8.9 / 49)


def test_the_remaining_time_follows_a_pace_that_changed() -> None:
    """The first 400 of 1,000 took 40 s, the 500 since a second each: the last 400 of them are what counts."""
    history = fed(started(iterations=1000), report(400, [1.0] * 400), report(900, [1.0] * 500, elapsed_s=540.0))
    assert history.remaining_s() == pytest.approx(100.0)


def test_the_csv_has_every_point_with_its_units() -> None:
    history = fed(started(), report(2, [4.0, math.nan]), validated(2, 2.5), validated(3, 2.0))
    rows = list(csv.DictReader(io.StringIO(history.to_csv())))
    assert [row["iteration"] for row in rows] == ["1", "2", "3"]
    assert [row["train_loss"] for row in rows] == ["4", "nan", ""]
    assert [row["val_loss"] for row in rows] == ["", "2.5", "2"]
    assert rows[1]["trained_tokens"] == "200"


def test_the_csv_has_the_learning_rate_only_where_it_was_told() -> None:
    """Between two reports of a warm-up it was lower: the line of such an iteration says nothing of it."""
    warming = [report(end, [1.0] * 2).model_copy(update={"learning_rate": end * 1e-5}) for end in (2, 4)]
    history = fed(started(), *warming)
    rows = list(csv.DictReader(io.StringIO(history.to_csv())))
    assert [row["learning_rate"] for row in rows] == ["", "2e-05", "", "4e-05"]
    assert [row["train_loss"] for row in rows] == ["1"] * 4


def test_the_csv_has_the_figures_of_the_method() -> None:
    reported = report(2, [4.0, 3.5]).model_copy(update={"figures": {"margin": 0.25, "reward/exact": 1.0}})
    measured = validated(2, 2.5).model_copy(update={"figures": {"margin": -0.5}})
    history = fed(started(), reported, measured, report(3, [3.0]))
    rows = list(csv.DictReader(io.StringIO(history.to_csv())))
    assert list(rows[0])[4:] == [
        "train_loss", "learning_rate", "val_loss", "margin", "reward/exact", "tokens_per_second", "val_margin"
    ]  # fmt: skip
    assert [row["margin"] for row in rows] == ["", "0.25", ""]
    assert [row["reward/exact"] for row in rows] == ["", "1", ""]
    assert [row["val_margin"] for row in rows] == ["", "-0.5", ""]
    assert rows[1]["train_loss"] == "3.5"


def test_smoothing_is_the_unbiased_moving_average() -> None:
    values = np.array([4.0, 2.0, 8.0])
    weight = 0.5
    expected = [4.0, (0.5 * 4 * 0.5 + 0.5 * 2) / 0.75, (0.25 * 0.5 * 4 + 0.5 * 0.5 * 2 + 0.5 * 8) / 0.875]
    assert smooth(values, weight) == pytest.approx(expected)
    assert smooth(values, 0.0) == pytest.approx(values)


def test_smoothing_keeps_gaps_and_goes_on_after_them() -> None:
    found = smooth(np.array([1.0, math.nan, math.inf, 1.0]), 0.9)
    assert found[0] == pytest.approx(1.0)
    assert np.isnan(found[1:3]).all()
    assert found[3] == pytest.approx(1.0)


@pytest.mark.parametrize("weight", [0.0, 0.6, 0.99])
def test_smoothing_step_by_step_equals_smoothing_at_once(weight: float) -> None:
    values = np.random.default_rng(0).normal(size=1000)
    values[[0, 100, 500]] = math.nan
    smoothed = Smoothed(weight)
    for end in (0, 1, 63, 64, 65, 300, 1000):
        found = smoothed.update(values[:end])
    assert found == pytest.approx(smooth(values, weight), nan_ok=True)


def neutral(iteration: int, forgot: float, learned: float | None = 0.5) -> event.NeutralMeasured:
    return event.NeutralMeasured(
        iteration=iteration, neutral_loss=2 + forgot, base_loss=2.0, forgot=forgot, learned=learned, tokens=512,
        epoch=iteration / 50, elapsed_s=iteration / 10,
    )  # fmt: skip


def test_what_was_learned_and_forgotten_is_a_curve() -> None:
    history = fed(started(), neutral(0, 0.0, 0.0), report(4, [1.0] * 4), validated(4, 0.5), neutral(4, 0.25))
    assert history.forgot_x("iterations").tolist() == [0, 4]
    assert history.forgot.tolist() == [0, 0.25]
    assert history.learned.tolist() == [0, 0.5]
    assert history.traded is not None
    assert history.traded.text() == "learned 0.500, forgot 0.250"
    rows = list(csv.DictReader(io.StringIO(history.to_csv())))
    assert [(row["iteration"], row["forgot"], row["learned"]) for row in rows if row["forgot"]] == [
        ("0", "0", "0"), ("4", "0.25", "0.5")
    ]  # fmt: skip
    history.feed(event.Finished(iteration=4, learned=0.4, forgot=0.1))  # of the adapter that was kept
    assert history.traded is not None
    assert (history.traded.learned, history.traded.forgot) == (0.4, 0.1)


def test_what_was_forgotten_after_the_point_of_a_resume_is_forgotten() -> None:
    history = fed(started(), report(4, [1.0] * 4), neutral(4, 0.1, None), report(8, [1.0] * 4), neutral(8, 0.9))
    history.feed(started(iteration=6))
    assert history.forgot.tolist() == [0.1]
    assert history.traded is not None
    assert history.traded.text() == "forgot 0.100"


def test_a_run_that_measured_nothing_of_it_says_so() -> None:
    assert fed(started(), report(4, [1.0]), validated(4, 0.5)).traded is None


def test_the_iteration_is_that_of_whatever_told_of_the_latest() -> None:
    history = fed(started(), report(25, [2.0]), event.Paused(iteration=31))
    assert history.iteration == 31
    history.feed(event.CheckpointSaved(iteration=20, path="adapters/best", kind="best"))
    assert history.iteration == 31
    history.feed(event.Finished(reason="paused", iteration=33))
    assert history.iteration == 33
    history.feed(started(iteration=30))
    assert history.iteration == 30


def test_a_validation_of_an_earlier_iteration_takes_the_best_with_what_came_after_it() -> None:
    history = fed(started(), validated(4, 3.0, best=True), validated(10, 2.0, best=True), validated(6, 2.5))
    assert history.best is not None
    assert (history.best.iteration, history.best_index()) == (4, 0)
    lowest = fed(started(), validated(10, 2.0, best=True), validated(6, 2.5), validated(8, 2.4))
    assert lowest.best is not None
    assert lowest.best.iteration == 8


def test_the_best_of_trained_weights_is_never_the_untrained_models() -> None:
    history = fed(started(), validated(0, 1.0, best=True))
    assert (history.best_trained, history.best and history.best.val_loss) == (None, 1.0)
    assert not history.never_improved, "nothing else was measured yet"
    for found in (validated(10, 3.0), validated(20, 2.0)):
        history.feed(found)
    assert (history.best_trained, history.best and history.best.val_loss) == (2.0, 1.0)
    assert history.never_improved
    history.feed(validated(30, 0.9, best=True))
    assert not history.never_improved
