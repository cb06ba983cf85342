"""What a run says in a terminal of what it learned and forgot."""

import pytest

from app.command import output
from app.command.evaluate import strengths_of
from app.command.progress import TrainProgress, figure_parts, finished_line, neutral_line, started_line
from app.core.method.figure import FIGURES
from app.core.problem import UnusableError
from app.core.protocol import event


def test_learned_and_forgot() -> None:
    measured = event.NeutralMeasured(iteration=1200, neutral_loss=2.03, base_loss=2.0, forgot=0.03, learned=0.82)
    assert neutral_line(measured) == "iteration 1,200 · learned 0.820, forgot 0.030"
    assert neutral_line(measured.model_copy(update={"learned": None})) == "iteration 1,200 · forgot 0.030"
    ended = event.Finished(iteration=1200, elapsed_s=3.0, learned=0.8, forgot=0.01)
    assert finished_line(ended).endswith(" · learned 0.800, forgot 0.010")
    assert "forgot" not in finished_line(event.Finished(iteration=1200))


def test_what_is_trained_on_what_for_how_long() -> None:
    started = event.Started(
        iterations=30, iterations_per_epoch=20.0, train_examples=80, valid_examples=1, trainable_parameters=25,
        total_parameters=1000, adapted_modules=7,
    )  # fmt: skip
    said = started_line(started)
    assert "Training 25 of 1,000 parameters (2.50 %)" in said
    assert "80 examples" in said
    assert "30 iterations (1.5 epochs)" in said
    assert "(1 epoch)" in started_line(started.model_copy(update={"iterations": 20}))
    nothing = {"iterations_per_epoch": 0.0, "total_parameters": 0, "trainable_parameters": 0}
    said = started_line(started.model_copy(update=nothing))
    assert "(0 epochs)" in said
    assert "(0.00 %)" in said


def test_strengths_are_one_for_each_adapter_or_one_for_all() -> None:
    assert strengths_of((None, "a", "b"), None) == (1.0, 1.0, 1.0)
    assert strengths_of((None, "a", "b"), [0.5]) == (1.0, 0.5, 0.5)
    assert strengths_of((None, "a", "b"), [0.5, 0.75]) == (1.0, 0.5, 0.75)
    with pytest.raises(UnusableError, match="2 strengths for 1 adapters"):
        strengths_of((None, "a"), [0.5, 0.75])
    with pytest.raises(UnusableError, match="for 0 adapters"):
        strengths_of((None,), [0.5])


def test_a_short_line_tells_what_matters_most_and_in_one_order() -> None:
    figures = dict.fromkeys([*FIGURES][::-1], 0.25) | {"reward/short": 1.0}
    assert figure_parts(figures) == ["reward 0.25", "margin 0.25", "accuracy 0.25", "kl 0.25"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (event.Progressed(phase="Tokenizing", done=1200, total=4000), "Tokenizing 1,200 of 4,000…"),
        (
            event.Progressed(phase="Packing", done=1_200_000, total=4_000_000, in_bytes=True),
            "Packing 1.2\u00a0MB of 4\u00a0MB…",
        ),
        (event.Progressed(phase="Loading the model"), "Loading the model…"),
    ],
)
def test_the_moving_line_counts_bytes_as_bytes(
    said: event.Progressed, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(output, "is_live", lambda: True)
    with TrainProgress() as view:
        monkeypatch.setattr(view, "_draw", drawn.append)
        view.show(said)
    assert drawn == [shown]
