"""What a run says in a terminal of what it learned and forgot."""

import pytest

from app.command import output
from app.command.evaluate import strengths_of
from app.command.progress import (
    TrainProgress,
    estimated_line,
    figure_parts,
    finished_line,
    neutral_line,
    report_line,
    started_line,
    validated_line,
)
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
    assert said == (
        "Training 25 of 1,000 parameters (2.50 %) · 7 modules adapted · 80 examples · 30 iterations (1.5 epochs)"
    )
    resumed = started_line(started.model_copy(update={"iteration": 1200, "replicas": 2, "adapted_modules": 0}))
    assert resumed == (
        "Training 25 of 1,000 parameters (2.50 %) · 80 examples · 30 iterations (1.5 epochs) · from iteration 1,200"
        " · 2 replicas"
    )
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


REPORT = event.TrainReported(
    iteration=1200, train_loss=1.25, learning_rate=1e-4, iterations_per_second=2.0, tokens_per_second=1234.4,
    trained_tokens=9, peak_memory_gb=2.5, figures={"margin": -3e-8, "kl": 0.5},
)  # fmt: skip


def test_a_report_tells_what_is_left_and_how_fast() -> None:
    rest = "1,234 tokens/s · 2.5\u00a0GB · learning rate 0.0001"
    head = "loss 1.250 · margin 0 · kl 0.5"
    assert report_line(REPORT, 1320, "validation 1.000") == (
        f"iteration 1,200 of 1,320 · {head} · validation 1.000 · 1\u00a0min left · {rest}"
    )
    assert report_line(REPORT, 1200) == f"iteration 1,200 of 1,200 · {head} · {rest}"
    still = REPORT.model_copy(update={"iterations_per_second": 0.0})
    assert report_line(still, 1320) == f"iteration 1,200 of 1,320 · {head} · {rest}"


def test_a_validation_tells_whether_it_is_the_best() -> None:
    said = event.Validated(iteration=1200, val_loss=1.25, figures={"reward": 0.5})
    line = "iteration 1,200 · validation loss 1.250 · reward 0.5"
    assert validated_line(said) == line
    assert validated_line(said.model_copy(update={"best": True})) == f"{line} · the best so far"
    worse = said.model_copy(update={"without_improvement": 2})
    assert validated_line(worse) == f"{line} · 2 without improvement"


def test_an_estimate_and_an_end_are_told_with_all_that_is_known() -> None:
    known = event.Estimated(memory_bytes=2_000_000_000, limit_bytes=4_000_000_000, seconds=61.0)
    memory = "Estimated: 2\u00a0GB of memory of 4\u00a0GB that MLX should stay within"
    assert estimated_line(known) == f"{memory} · about 1\u00a0min 1\u00a0s, going by an earlier run on this machine"
    most = known.model_copy(update={"is_most": True, "limit_bytes": 0})
    assert estimated_line(most) == (
        "Estimated: 2\u00a0GB of memory · at most 1\u00a0min 1\u00a0s, going by an earlier run on this machine"
    )
    assert estimated_line(known.model_copy(update={"seconds": None})) == memory
    ended = event.Finished(iteration=1200, elapsed_s=61.0, best_val_loss=1.25, best_iteration=1000, forgot=0.5)
    line = "at iteration 1,200 after 1\u00a0min 1\u00a0s"
    more = " · best validation loss 1.250 at iteration 1,000 · forgot 0.500"
    assert finished_line(ended) == f"Finished {line}{more}"
    words = {"stopped": "Stopped and saved", "early_stopping": "Stopped early: no more improvement"}
    for reason, word in (words | {"paused": "Paused"}).items():
        assert (
            finished_line(ended.model_copy(update={"reason": reason, "message": "Words."}))
            == f"{word} {line}{more}"
        )
    nothing = event.Finished(elapsed_s=3.0, best_val_loss=1.25)
    assert finished_line(nothing) == "Finished after 3\u00a0s"
    assert finished_line(event.Finished(reason="stopped", elapsed_s=3.0, message="Words.")) == "Words."
    assert finished_line(event.Finished(reason="stopped", iteration=3, message="Words.")) == "Words."
    assert finished_line(event.Finished(reason="stopped", elapsed_s=3.0)) == "Stopped and saved after 3\u00a0s"


def test_a_pipe_gets_each_phase_once_and_a_line_for_each_report(capsys: pytest.CaptureFixture[str]) -> None:
    hello = event.Hello(task="train", device="M9", memory_gb=64.0, versions={"mlx": "0.1"})
    loading = event.Progressed(phase="Loading the model", done=1, total=2)
    started = event.Started(iterations=1320, iterations_per_epoch=1320.0, train_examples=1, valid_examples=1)
    with TrainProgress() as view:
        for said in (
            hello, loading, loading, event.Progressed(phase="Reading"), event.Warned(message="Odd.", hint="Look."),
            event.Warned(message="Odd."), started, event.Validated(iteration=0, val_loss=2.0), REPORT,
            event.Paused(iteration=1201), event.Ready(), event.NeutralMeasured(
                iteration=1, neutral_loss=2.0, base_loss=1.5, forgot=0.5,
            ), event.Estimated(memory_bytes=1000), event.Finished(),
        ):  # fmt: skip
            view.show(said)
    assert capsys.readouterr().out.splitlines() == [
        "M9 · 64\u00a0GB memory · MLX 0.1", "Loading the model…", "Reading…", "warning: Odd. Look.",
        "warning: Odd.", started_line(started), "iteration 0 · validation loss 2.000",
        report_line(REPORT, 1320, "validation 2.000"),
        "Paused at iteration 1,201.", "iteration 1 · forgot 0.500", "Estimated: 1\u00a0kB of memory",
        "Finished after 0\u00a0s",
    ]  # fmt: skip


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
