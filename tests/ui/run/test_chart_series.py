"""What a chart draws of a history: its curves and their places, their names, and how values are written."""

from __future__ import annotations

import pytest

from app.core.protocol import event
from app.core.run.history import RunHistory
from app.ui.run.chart_series import Series, figure_text, leading, meaning_of, series_label


def fed(*events: event.Event) -> RunHistory:
    found = RunHistory()
    found.feed(event.Started(iterations=20, iterations_per_epoch=10, train_examples=10, valid_examples=2))
    for one in events:
        found.feed(one)
    return found


def reported(iteration: int, losses: list[float], **figures: float) -> event.TrainReported:
    return event.TrainReported(
        iteration=iteration,
        train_loss=losses[-1],
        losses=losses,
        learning_rate=1e-4,
        iterations_per_second=1.0,
        tokens_per_second=100.0,
        trained_tokens=iteration * 50,
        epoch=iteration / 10,
        elapsed_s=iteration * 2.0,
        figures=figures,
    )


def validated(iteration: int, loss: float, *, best: bool = False, **figures: float) -> event.Validated:
    return event.Validated(
        iteration=iteration,
        val_loss=loss,
        best=best,
        epoch=iteration / 10,
        trained_tokens=iteration * 50,
        elapsed_s=iteration * 2.0,
        figures=figures,
    )


def measured(iteration: int, forgot: float) -> event.NeutralMeasured:
    return event.NeutralMeasured(iteration=iteration, neutral_loss=2 + forgot, base_loss=2.0, forgot=forgot)


def test_the_loss_has_validations_the_best_of_them_and_what_was_forgotten() -> None:
    history = fed(
        validated(0, 3.0), measured(0, 0.0), reported(2, [2.5, 2.25]), validated(2, 2.0, best=True),
        reported(4, [2.0, 1.75]), measured(4, 0.125), validated(4, 2.5),
    )  # fmt: skip
    loss = Series(history)
    assert (leading(history), loss.label, loss.is_reported) == ("", "Loss", False)
    assert (loss.values.tolist(), loss.x("iterations").tolist()) == ([2.5, 2.25, 2.0, 1.75], [1, 2, 3, 4])
    assert (loss.valid_values.tolist(), loss.valid_x("tokens").tolist()) == ([3.0, 2.0, 2.5], [0, 100, 200])
    assert (loss.forgot.tolist(), loss.forgot_x("iterations").tolist()) == ([0.0, 0.125], [0, 4])
    assert loss.best_index == 1
    rate = Series(history, "learning_rate")
    assert rate.is_reported
    assert (rate.values.tolist(), rate.x("epochs").tolist()) == ([1e-4, 1e-4], [0.2, 0.4])
    of_no_validation = (rate.valid_values, rate.valid_x("time"), rate.forgot, rate.forgot_x("time"))
    assert [len(one) for one in of_no_validation] == [0, 0, 0, 0]
    assert rate.best_index is None


def test_where_answers_are_rewarded_the_reward_has_the_validations_and_the_best() -> None:
    history = fed(
        reported(2, [0.5, 0.25], reward=0.25, kl=0.5), validated(2, -0.25, best=True, reward=0.25),
        reported(4, [0.5, 0.25], reward=0.75, kl=0.75), validated(4, -0.75, best=True, reward=0.75),
        measured(4, 0.5),
    )  # fmt: skip
    assert leading(history) == "reward"
    loss, reward, kl = (Series(history, name) for name in ("", "reward", "kl"))
    assert (loss.valid_values.tolist(), loss.valid_x("iterations").tolist(), loss.best_index) == ([], [], None)
    assert (reward.values.tolist(), reward.x("time").tolist()) == ([0.25, 0.75], [4.0, 8.0])
    assert (reward.valid_values.tolist(), reward.valid_x("time").tolist()) == ([0.25, 0.75], [4.0, 8.0])
    assert (reward.best_index, kl.best_index) == (1, None)
    assert [one.forgot.tolist() for one in (loss, reward, kl)] == [[0.5], [], []]
    assert [one.forgot_x("iterations").tolist() for one in (loss, reward, kl)] == [[4], [], []]
    assert [len(one.valid_values) for one in (loss, reward, kl)] == [0, 2, 0]


def test_the_best_validation_is_none_of_a_figure_that_came_later() -> None:
    """Validations had no reward at first: the best by number lies behind those that have one."""
    history = fed(validated(0, 1.0), validated(2, -0.5, reward=0.5), validated(4, -1.0, best=True))
    assert Series(history, "reward").best_index is None
    history = fed(validated(0, -0.5, reward=0.5), validated(2, -1.0, best=True))
    assert Series(history, "reward").best_index is None


@pytest.mark.parametrize(
    "name, label, value, text, meaning",
    [
        ("", "Loss", 1.23456, "1.235", "What training minimizes"),
        ("learning_rate", "Learning rate", 0.000123456, "0.000123", "How far each step of the optimizer went"),
        ("grad_norm", "Gradient norm", 12.3456, "12.3", "Length of the gradient before it is cut; where it jumps, "
         "the loss may follow"),
        ("tokens_per_second", "Tokens/s", 1823.4, "1,823", "Tokens a second since the report before, "
         "without padding"),
        ("peak_memory_gb", "Peak memory", 1.234, "1.23\u00a0GB", "The most that MLX held until then, in GB"),
        ("kl", "KL divergence", 0.5, "0.500", "How far the model has moved from the reference"),
        ("reward/mine", "Reward: mine", -1.0, "−1.000", ""),
    ],
)  # fmt: skip
def test_each_has_its_name_its_form_and_its_meaning(
    name: str, label: str, value: float, text: str, meaning: str
) -> None:
    series = Series(RunHistory(), name)
    assert (series_label(name), figure_text(name, value), meaning_of(name)) == (label, text, meaning)
    assert (series.label, series.text(value)) == (label, text)


def test_a_curve_only_grew_while_nothing_of_it_was_forgotten() -> None:
    history = fed(reported(2, [1.0, 0.5]))
    before = Series(history).key
    history.feed(reported(4, [0.5, 0.25]))
    assert Series(history).key == before
    assert Series(history, "kl").key != before
    assert Series(fed()).key != before
    history.feed(
        event.Started(iteration=2, iterations=20, iterations_per_epoch=10, train_examples=10, valid_examples=2)
    )
    assert Series(history).key != before
