"""A run from config to adapter: its events, commands, early end, guards, and what stands on disk afterwards."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import yaml
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import load_adapters

from app.core.language import VARIABLE
from app.core.problem import TaskError, UnusableError
from app.core.protocol.event import (
    CheckpointSaved,
    Event,
    Finished,
    Progressed,
    Started,
    TrainReported,
    Validated,
    Warned,
    read_events,
)
from app.core.protocol.job import TrainJob, write_job
from app.core.protocol.program import worker_command, worker_environment
from app.core.run.folder import RunDir, prepare_run
from app.core.run.reader import RunReader
from app.core.run.summary import summarize
from app.core.setup.config_file import load_config
from app.core.tracker.tracking import LOG_FOLDER
from app.worker.batch.examples import Examples
from app.worker.model.head import find_head
from app.worker.model.inspect import inspect_model
from app.worker.model.loading import load_model
from app.worker.objective.supervised import supervised
from app.worker.objective.validation import ValidationSet, measure
from app.worker.train.guard import DIVERGED_STREAK, LossGuard, LossVerdict
from app.worker.train.kept_weights import calmer_hint
from tests import ROOT
from tests.core.tracker.event_file import scalars
from tests.worker.tiny_model import write_data, write_model
from tests.worker.token.token_file import tokenize_file
from tests.worker.training import Collector, config_for, go_on, saved_arrays, start


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return write_model(folder / "model"), write_data(folder / "data")


def numbers_of(kind: type[Event], channel: Collector) -> list[int]:
    return [event.iteration for event in channel.of(kind)]  # type: ignore[attr-defined]


def all_finite(file: Path) -> bool:
    weights = saved_arrays(file)
    assert weights
    return all(mx.isfinite(array).all().item() for array in weights.values())


def measured_again(run: RunDir, adapter: Path) -> float:
    """The validation loss of an adapter, from the folders alone."""
    config = load_config(run.config).config
    model, tokenizer = load_model(Path(config.model), adapter)
    examples = Examples.of(
        tokenize_file(Path(config.data) / "valid.jsonl", tokenizer, config), config.max_seq_length
    )
    batches = ValidationSet(examples, config.batch_size, config.val_batches)
    loss = measure(model, supervised(find_head(model)), batches)
    assert loss is not None
    return loss


# -- what a run says and leaves ---------------------------------------------------------------------------------


def test_a_run_says_the_parameters_that_were_shown_before_it(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """mlx-lm's count leaves out parameters that stand beside the modules, such as gpt-oss's sinks."""
    kinds = ["sliding_attention", "full_attention"]
    model = write_model(
        tmp_path / "model", "gpt_oss", num_local_experts=4, num_experts_per_tok=2, sliding_window=32, head_dim=16,
        layer_types=kinds,
    )  # fmt: skip
    _, said = start(config_for(model, inputs[1], iters=1), tmp_path / "run")
    assert said.of(Started)[0].total_parameters == inspect_model(model).total_parameters


def test_a_run_from_start_to_finish(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.worker.train.train.REPORT_AT_LEAST_EVERY_S", math.inf)  # however slow the machine is
    config = config_for(*inputs, iters=20, steps_per_report=8, steps_per_eval=8, save_every=7, learning_rate=5e-3)
    run, said = start(config, tmp_path / "run")
    phases = list(dict.fromkeys(event.phase for event in said.of(Progressed)))
    assert phases == ["Reading the model", "Checking the data", "Tokenizing", "Loading the weights"]
    started = said.of(Started)[0]
    assert (started.iterations, started.iterations_per_epoch) == (20, 6.0)
    assert (started.train_examples, started.valid_examples, started.adapted_modules) == (24, 8, 14)
    assert started.trainable_parameters == 4096
    assert started.total_parameters == sum(
        array.size for _, array in tree_flatten(load_model(inputs[0])[0].parameters())
    )
    assert numbers_of(TrainReported, said) == [1, 8, 16, 20]
    assert [len(event.losses) for event in said.of(TrainReported)] == [1, 7, 8, 4]
    assert numbers_of(Validated, said) == [0, 8, 16, 20]
    assert [e.iteration for e in said.of(CheckpointSaved) if e.kind == "numbered"] == [7, 14, 20]
    finished = said.of(Finished)[0]
    assert said.events[-1] is finished
    assert (finished.reason, finished.iteration) == ("completed", 20)
    best = min(said.of(Validated), key=lambda event: event.val_loss)
    assert (finished.best_iteration, finished.best_val_loss) == (best.iteration, best.val_loss)
    assert said.losses[-1] < said.losses[0] - 0.5

    report = said.of(TrainReported)[1]
    assert report.train_loss == pytest.approx(np.mean(report.losses))
    assert report.grad_norm is not None
    assert report.grad_norm > 0
    assert report.trained_tokens > 0
    assert report.tokens_per_second > 0
    assert 0 <= report.padding_share < 0.5
    assert report.peak_memory_gb >= report.active_memory_gb > 0
    assert report.epoch == pytest.approx(8 / 6)

    for event in said.of(CheckpointSaved):
        assert (run.path / event.path).exists()
    assert not [path for path in run.path.rglob("*") if path.name.startswith(".") and path.name != ".lock"]
    assert summarize(run).state == "finished"


def test_a_tracker_is_given_what_the_run_says(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    config = config_for(*inputs, report_to="tensorboard", iters=8, steps_per_report=4, steps_per_eval=8)
    run, said = start(config, tmp_path / "run")
    found = scalars(run.path / LOG_FOLDER)
    reports = said.of(TrainReported)
    assert [step for step, _ in found["train/loss"]] == [one.iteration for one in reports] == [1, 4, 8]
    assert [value for _, value in found["train/loss"]] == pytest.approx([one.train_loss for one in reports])
    assert [value for _, value in found["valid/loss"]] == pytest.approx([v.val_loss for v in said.of(Validated)])


def test_a_tracker_that_is_not_installed_stops_the_run_before_it_starts(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(UnusableError, match=r"Trackio is not installed.*pip install trackio"):
        start(config_for(*inputs, report_to="trackio"), tmp_path / "run")


def test_the_config_says_what_ran(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    config = config_for(
        *inputs, epochs=2, targets="attention", num_layers=1, schedule="cosine", warmup=0.25, optimizer="adamw",
        weight_decay=0.1,
    )  # fmt: skip
    run, _ = start(config, tmp_path / "run")
    tree = yaml.safe_load(run.config.read_text())
    assert tree["iters"] == 12
    assert tree["num_layers"] == 1
    assert tree["lora_parameters"]["keys"] == [f"self_attn.{side}_proj" for side in ("q", "k", "v", "o")]
    assert tree["lr_schedule"] == {"name": "cosine_decay", "arguments": [1e-3, 9, 0.0], "warmup": 2}
    assert tree["optimizer_config"] == {"adamw": {"bias_correction": True, "weight_decay": 0.1}}
    assert Path(tree["data"]) == inputs[1]
    adapter_config = json.loads((run.adapters / "adapter_config.json").read_text())
    assert adapter_config["fine_tune_type"] == "lora"
    assert adapter_config["lora_parameters"] == tree["lora_parameters"]
    again, said = start(config.model_validate(tree | {"adapter_path": ""}), tmp_path / "again")
    assert yaml.safe_load(again.config.read_text()) == tree | {"adapter_path": str(again.adapters)}
    assert said.of(Finished)


def test_a_file_of_rows_is_prepared_in_the_run(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    rows = (inputs[1] / "train.jsonl").read_text().splitlines()
    pairs = [[message["content"] for message in json.loads(row)["messages"]] for row in rows]
    file = tmp_path / "rows.csv"
    file.write_text("prompt,completion\n" + "".join(f"{prompt},{answer}\n" for prompt, answer in pairs))
    run, said = start(config_for(inputs[0], file, valid_fraction=0.25, test_fraction=0.0), tmp_path / "run")
    assert said.of(Started)[0].train_examples == 18
    assert said.of(Started)[0].valid_examples == 6
    assert (run.data / "valid.jsonl").exists()
    assert yaml.safe_load(run.config.read_text())["data"] == str(run.data)


# -- commands ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["stop", "end_of_input"])
def test_stopped(command: str, inputs: tuple[Path, Path], tmp_path: Path) -> None:
    def answer(event: Event) -> str | None:
        return command if isinstance(event, TrainReported) and event.iteration == 3 else None

    run, said = start(config_for(*inputs, iters=1000, steps_per_report=1), tmp_path / "run", answer)
    finished = said.of(Finished)[0]
    assert (finished.reason, finished.iteration) == ("stopped", 3)
    assert (run.adapters / "adapters.safetensors").exists()
    assert (run.state / "0000003" / "state.json").exists()
    assert summarize(run).state == "stopped"


def test_stopped_before_its_first_evaluation_says_nothing_of_measurements(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    config = config_for(*inputs, steps_per_eval=12, steps_per_report=3)
    asked = "stop"
    _, said = start(config, tmp_path / "run", lambda e: asked if isinstance(e, TrainReported) else None)
    finished = said.of(Finished)[0]
    assert finished.reason == "stopped"
    assert [found.iteration for found in said.of(Validated)] == [0]
    assert finished.message.startswith("Nothing was measured after the start")
    assert not [warned for warned in said.of(Warned) if "measurement" in warned.message]


def test_stopped_before_it_began(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run, said = start(
        config_for(*inputs), tmp_path / "run", lambda e: "stop" if isinstance(e, Progressed) else None
    )
    assert said.of(Finished)[0].reason == "stopped"
    assert not said.of(Started)
    assert not (run.adapters / "adapters.safetensors").exists()


def test_stopped_while_it_measured_the_untrained_model(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """There is an adapter that opens, and a state to go on from."""
    run, said = start(config_for(*inputs), tmp_path / "run", lambda e: "stop" if isinstance(e, Started) else None)
    assert (said.of(Finished)[0].reason, said.of(Finished)[0].iteration) == ("stopped", 0)
    assert all((run.path / event.path).exists() for event in said.of(CheckpointSaved))
    base, _ = load_model(inputs[0])
    load_adapters(base, str(run.adapters))
    assert go_on(run, resume=True).of(Finished)[0].iteration == 12


def test_a_record_that_ends_before_the_saved_state_is_told(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run, _ = start(config_for(*inputs, steps_per_report=1), tmp_path / "run")
    whole = run.events.read_bytes()
    assert not [said for said in go_on(run, extend_to=13).of(Warned) if "The record" in said.message]
    lines = [line for line in whole.splitlines(keepends=True) if b'"iteration": 12' not in line]
    run.events.write_bytes(b"".join(lines)[:-5])
    (told,) = [said for said in go_on(run, extend_to=14).of(Warned) if "The record" in said.message]
    assert "ends at iteration 10, and its saved state is of iteration 13" in told.message


@pytest.mark.parametrize("accumulation", [1, 3])
def test_an_extended_schedule_tells_at_which_rate_it_goes_on(
    inputs: tuple[Path, Path], tmp_path: Path, accumulation: int
) -> None:
    """A cosine to zero that was at its end is in its middle when twice as many iterations are asked for."""
    config = config_for(
        *inputs, steps_per_report=1, schedule="cosine", warmup=0, grad_accumulation_steps=accumulation,
    )  # fmt: skip
    run, before = start(config, tmp_path / "run")
    updates = 12 // accumulation
    ended = 1e-3 * 0.5 * (1 + math.cos(math.pi * (updates - 1) / updates))
    assert before.of(TrainReported)[-1].learning_rate == pytest.approx(ended, rel=1e-4)
    extended = go_on(run, extend_to=24)
    (told,) = [said for said in extended.of(Warned) if "learning rate" in said.message]
    assert told.message == (
        f"The learning rate was {ended:.3g} at iteration 12, and goes on at 0.0005: its schedule reaches to "
        "iteration 24 now."
    )
    rates = {said.iteration: said.learning_rate for said in extended.of(TrainReported)}
    assert rates[12 + accumulation] == pytest.approx(5e-4, rel=1e-4)


def test_a_rate_that_goes_on_as_it_was_is_not_told(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    config = config_for(*inputs, schedule="constant", warmup=0)
    run, _ = start(config, tmp_path / "run")
    assert not [said for said in go_on(run, extend_to=24).of(Warned) if "learning rate" in said.message]

    def stop(said: Event) -> str | None:
        return "stop" if isinstance(said, TrainReported) and said.iteration == 3 else None

    decaying = config_for(*inputs, schedule="cosine", warmup=4, steps_per_report=1)
    stopped, _ = start(decaying, tmp_path / "stopped", stop)
    assert not [said for said in go_on(stopped, resume=True).of(Warned) if "learning rate" in said.message]


def test_saved_on_request(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    def answer(event: Event) -> str | None:
        return "save" if isinstance(event, TrainReported) and event.iteration == 5 else None

    run, said = start(config_for(*inputs, steps_per_report=1, save_every=1000), tmp_path / "run", answer)
    assert [e.iteration for e in said.of(CheckpointSaved) if e.kind == "numbered"] == [5, 12]
    assert (run.adapters / "0000005_adapters.safetensors").exists()


# -- best, last, early ------------------------------------------------------------------------------------------

RISING: dict[str, Any] = {"iters": 400, "steps_per_eval": 3, "learning_rate": 3e-2, "batch_size": 2}


def test_patience_is_counted_exactly(tmp_path: Path) -> None:
    """A few examples learned by heart: the validation loss rises, and two measurements later it is over."""
    model, data = write_model(tmp_path / "model"), write_data(tmp_path / "data", train=2, valid=8)
    config = config_for(model, data, early_stopping={"enabled": True, "patience": 2}, **RISING)
    run, said = start(config, tmp_path / "run")
    losses = [event.val_loss for event in said.of(Validated)]
    counts = [event.without_improvement for event in said.of(Validated)]
    assert said.of(Finished)[0].reason == "early_stopping"
    assert counts[-2:] == [1, 2]
    assert counts.count(2) == 1
    best = int(np.argmin(losses))
    assert best == len(losses) - 3 > 0
    assert measured_again(run, run.best) == pytest.approx(losses[best], rel=1e-6)
    assert measured_again(run, run.adapters) == pytest.approx(losses[best], rel=1e-6)
    last = said.of(Validated)[-1].iteration
    numbered = saved_arrays(run.adapters / f"{last:07d}_adapters.safetensors")
    final = saved_arrays(run.adapters / "adapters.safetensors")
    assert any(mx.any(numbered[name] != final[name]).item() for name in final)


def test_the_last_weights_if_wanted(tmp_path: Path) -> None:
    model, data = write_model(tmp_path / "model"), write_data(tmp_path / "data", train=2, valid=8)
    config = config_for(
        model, data, early_stopping={"enabled": True, "patience": 1}, final_adapter="last", **RISING
    )
    run, said = start(config, tmp_path / "run")
    assert measured_again(run, run.adapters) == pytest.approx(said.of(Validated)[-1].val_loss, rel=1e-6)
    assert measured_again(run, run.best) == pytest.approx(min(e.val_loss for e in said.of(Validated)), rel=1e-6)


def test_without_early_stopping_it_goes_on(tmp_path: Path) -> None:
    model, data = write_model(tmp_path / "model"), write_data(tmp_path / "data", train=2, valid=8)
    never_better = {"enabled": False, "patience": 1, "min_delta": 5.0}
    config = config_for(model, data, early_stopping=never_better, **RISING | {"iters": 24})
    _, said = start(config, tmp_path / "run")
    assert said.of(Finished)[0].reason == "completed"
    assert said.of(Validated)[-1].without_improvement == 8


def test_nothing_better_than_the_untrained_model(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """An adapter that does nothing is not what anybody trained for: the last weights are kept, and it is said."""
    config = config_for(*inputs, iters=4, early_stopping={"enabled": True, "min_delta": 5.0})
    run, said = start(config, tmp_path / "run")
    assert said.of(Finished)[0].best_iteration == 0
    assert "untrained" in said.of(Warned)[-1].message
    weights = saved_arrays(run.adapters / "adapters.safetensors")
    assert any(mx.any(array != 0).item() for name, array in weights.items() if name.endswith("lora_b"))


# -- guards -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [
    {"learning_rate": 1e3},
    {"learning_rate": 1e3, "grad_accumulation_steps": 2},
    {"learning_rate": 1e3, "fine_tune_type": "dora", "save_every": 1},
    {"learning_rate": 1e3, "valid_fraction": 0.0},
    {"optimizer": "sgd", "learning_rate": 1e6},
    {"optimizer": "adamw", "learning_rate": 1e6, "save_every": 1},
])  # fmt: skip
def test_divergence_leaves_good_weights(values: dict[str, Any], inputs: tuple[Path, Path], tmp_path: Path) -> None:
    tried: dict[str, Any] = {"iters": 200, "early_stopping": {"enabled": False}} | values
    config = config_for(*inputs, **tried)
    with pytest.raises(TaskError) as failed:
        start(config, tmp_path / "run")
    run = RunDir(tmp_path / "run")
    assert "diverged at iteration" in failed.value.message
    assert "learning rate" in failed.value.hint
    assert failed.value.iteration is not None
    assert failed.value.iteration < 60
    for file in run.adapters.rglob("*.safetensors"):
        assert all_finite(file), file
    base, _ = load_model(inputs[0])
    load_adapters(base, str(run.adapters))
    first = next(event.val_loss for event in read_events(run.events) if isinstance(event, Validated))
    assert measured_again(run, run.adapters) <= first + 0.5


def test_divergence_keeps_the_best(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """A rate that explodes: the adapter holds the best of the measured weights that could be kept."""
    schedule = {"name": "linear_schedule", "arguments": [1e-3, 1e4, 40]}
    config = config_for(
        *inputs, iters=200, optimizer="sgd", steps_per_eval=2, schedule="custom", lr_schedule=schedule,
        early_stopping={"enabled": False}, lora_parameters={"rank": 4, "scale": 32.0},
    )  # fmt: skip
    with pytest.raises(TaskError) as failed:
        start(config, tmp_path / "run")
    run = RunDir(tmp_path / "run")
    measured = [event.val_loss for event in read_events(run.events) if isinstance(event, Validated)]
    best = min(loss for loss in measured if math.isfinite(loss))
    assert "The adapter holds the last good weights, of iteration 0." in failed.value.message
    assert measured_again(run, run.adapters) == pytest.approx(best, rel=1e-5)


def test_a_spike_is_told_apart_from_a_divergence() -> None:
    guard = LossGuard(reference=2.0)
    steady = [2.0, 2.1, 1.9, 2.05, 1.95] * 5
    assert {guard.judge(loss) for loss in steady} == {LossVerdict.GOOD}
    assert guard.judge(4.0) is LossVerdict.SPIKE
    assert guard.judge(2.0) is LossVerdict.GOOD
    verdicts = [guard.judge(9.0) for _ in range(DIVERGED_STREAK)]
    assert verdicts == [LossVerdict.SUSPICIOUS] * (DIVERGED_STREAK - 1) + [LossVerdict.DIVERGED]
    assert LossGuard().judge(math.nan) is LossVerdict.DIVERGED
    assert LossGuard().judge(math.inf) is LossVerdict.DIVERGED
    assert LossGuard().judge(2.0, math.nan) is LossVerdict.DIVERGED
    dead = LossGuard(vocabulary=1000, reference=8.0)
    assert [dead.judge(math.log(1000)) for _ in range(DIVERGED_STREAK)][-1] is LossVerdict.DIVERGED


def test_a_spike_is_reported_and_training_goes_on(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.worker.train.guard.SPIKE_AT_LEAST", 0.0)
    monkeypatch.setattr("app.worker.train.guard.SPIKE_DEVIATIONS", 0.5)
    _, said = start(config_for(*inputs, iters=40, bias_correction=False), tmp_path / "run")
    assert any("jumped" in event.message for event in said.of(Warned))
    assert said.of(Finished)


# -- what is refused or warned of -------------------------------------------------------------------------------


def refused(inputs: tuple[Path, Path], folder: Path, **values: Any) -> UnusableError:
    with pytest.raises(UnusableError) as caught:
        start(config_for(*inputs, **values), folder)
    return caught.value


def test_targets_that_match_nothing(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    (weights := inputs[0] / "model.safetensors").rename(tmp_path / "elsewhere")
    try:  # the weights are not there to be read
        problem = refused(inputs, tmp_path / "run", targets="no_such_matrix").problems[0]
    finally:
        (tmp_path / "elsewhere").rename(weights)
    assert problem.path == "targets"


def test_nothing_to_learn(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    row = {"prompt": "a question that is longer than all that counts", "completion": "yes"}
    (tmp_path / "data.jsonl").write_text((json.dumps(row) + "\n") * 20)
    error = refused((inputs[0], tmp_path / "data.jsonl"), tmp_path / "run", mask_prompt=True, max_seq_length=8)
    assert error.problems[0].path == "data"


@pytest.mark.parametrize("values, path", [
    ({"optimizer_config": {"adam": {"no_such": 1}}}, "optimizer_config"),
    ({"schedule": "custom", "lr_schedule": {"name": "no_such", "arguments": [1.0]}}, "lr_schedule"),
])  # fmt: skip
def test_settings_that_cannot_be_built(
    values: dict[str, Any], path: str, inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    assert refused(inputs, tmp_path / "run", **values).problems[0].path == path


def test_small_data_and_cut_examples_are_told(tmp_path: Path) -> None:
    model, data = write_model(tmp_path / "model"), write_data(tmp_path / "data", train=5, valid=2)
    run, said = start(config_for(model, data, batch_size=8, max_seq_length=20), tmp_path / "run")
    messages = [event.message for event in said.of(Warned)]
    (small,) = [event for event in said.of(Warned) if "batches" in event.message]
    assert small.message == "There are only 5 examples to train on: the batches will hold 5."
    assert small.hint == "Use a batch size of at most 5."
    assert any("longer than 20 tokens" in message for message in messages)
    assert said.of(Started)[0].batch_size == 5
    assert yaml.safe_load(run.config.read_text())["batch_size"] == 5


def test_what_the_window_warns_of_before_start_is_told_by_the_worker_too(
    inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    """Of the config, of the model with it, and of the config with the data."""
    config = config_for(*inputs, iters=3, weight_decay=0.1, max_seq_length=4096, warmup=5)
    _, said = start(config, tmp_path / "run")
    messages = [event.message for event in said.of(Warned)]
    for part in ("Adam does not use it", "made for texts of at most 2,048 tokens", "The run has only 3 iterations"):
        assert sum(part in message for message in messages) == 1
    order = [type(one) for one in said.events]
    assert order.index(Warned) < order.index(Started)


def test_start_from_an_adapter(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    first, said = start(config_for(*inputs), tmp_path / "first")
    file = str(first.adapters / "adapters.safetensors")
    _, second = start(config_for(*inputs, resume_adapter_file=file), tmp_path / "second")
    assert second.of(Validated)[0].val_loss == pytest.approx(min(e.val_loss for e in said.of(Validated)), rel=1e-6)
    error = refused(inputs, tmp_path / "third", resume_adapter_file=file, lora_parameters={"rank": 8})
    assert error.problems[0].path == "resume_adapter_file"


def test_packing_is_refused_by_name(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    sizes: dict[str, Any] = {
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": 64,
        "n_ctx": 64,
        "layer_norm_epsilon": 1e-5,
    }
    model = write_model(tmp_path / "gpt2", "gpt2", **sizes)
    problem = refused((model, inputs[1]), tmp_path / "run", batching="pack").problems[0]
    assert problem.path == "batching"
    assert "gpt2" in problem.message


def test_packed_losses_are_those_of_single_rows(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """An epoch in one batch: packed or padded, the loss and the first step are the same."""
    values: dict[str, Any] = {"batch_size": 24, "iters": 3}
    _, padded = start(config_for(*inputs, **values), tmp_path / "padded")
    _, packed = start(config_for(*inputs, batching="pack", **values), tmp_path / "packed")
    np.testing.assert_allclose(packed.losses, padded.losses, rtol=1e-5)


def test_accumulation_weighs_tokens(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """Six uneven batches of four accumulated make the step of one batch of all 24 examples."""
    accumulated, _ = start(
        config_for(*inputs, iters=6, grad_accumulation_steps=6, final_adapter="last"), tmp_path / "six"
    )
    at_once, _ = start(config_for(*inputs, iters=1, batch_size=24, final_adapter="last"), tmp_path / "one")
    first, second = (saved_arrays(run.adapters / "adapters.safetensors") for run in (accumulated, at_once))
    for name in first:
        np.testing.assert_allclose(first[name], second[name], atol=1e-6)


@pytest.mark.parametrize("layers", [0, 1])
def test_checkpointing_changes_nothing_but_memory(layers: int, inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """In a process of its own: it patches the layers' class."""
    import subprocess
    import sys

    run, said = start(config_for(*inputs, iters=3), tmp_path / "plain")
    code = (
        "from pathlib import Path; import sys, json; from tests.worker.training import *;"
        "model, data, folder = map(Path, sys.argv[1:]);"
        "_, said = start(config_for(model, data, iters=3, grad_checkpoint=True, batching='pack',"
        f"checkpoint_layers={layers}), folder);"
        "print(json.dumps(said.losses), file=open(folder / 'losses', 'w'))"
    )
    command = [sys.executable, "-c", code, *map(str, inputs), str(tmp_path / "checkpointed")]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    assert len(json.loads((tmp_path / "checkpointed" / "losses").read_text())) == 3
    assert run.config.exists()
    assert len(said.losses) == 3
    _, packed = start(config_for(*inputs, iters=3, batching="pack"), tmp_path / "packed")
    np.testing.assert_allclose(
        json.loads((tmp_path / "checkpointed" / "losses").read_text()), packed.losses, rtol=1e-6
    )


def test_go_on_is_a_fresh_start_without_a_word(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """A job without ``resume`` begins at the beginning, also in a folder that has a state."""
    run, _ = start(config_for(*inputs, iters=4), tmp_path / "run")
    assert go_on(run).of(Started)[0].iteration == 0


# -- languages ---------------------------------------------------------------------------------------------------


def test_a_run_is_told_in_the_language_of_who_reads_it(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """The worker spoke German; its warnings, its outcome and its phases are English to an English reader."""
    config = config_for(*inputs, iters=2, max_seq_length=8, steps_per_eval=100, save_every=100)
    run = prepare_run(config, tmp_path / "run")
    write_job(run.path, TrainJob(outlives_parent=True))
    environment = worker_environment() | {VARIABLE: "de"}
    subprocess.run(worker_command(run.path), cwd=ROOT, env=environment, check=True, capture_output=True)
    kept = run.events.read_text(encoding="utf-8")
    assert "Der Adapter enthält" in kept
    reader = RunReader(run)
    reader.read()
    assert "examples are longer than 8 tokens and are cut." in next(iter(reader.history.warnings))
    assert reader.history.finished is not None
    assert reader.history.finished.message.startswith("The adapter holds the ")
    phases = [found.phase for found in read_events(run.events) if isinstance(found, Progressed)]
    assert phases[0] == "Reading the model"


def test_patience_counts_measurements_of_other_weights_alone(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """Before the first update they are the untrained ones, and between two the same."""
    values = {"early_stopping.enabled": True, "early_stopping.patience": 3, "grad_accumulation_steps": 4}
    config = config_for(*inputs, iters=12, steps_per_eval=1, save_every=4, learning_rate=5e-3).with_values(values)
    _, said = start(config, tmp_path / "run")
    assert [one.iteration for one in said.of(Validated) if one.best and one.iteration] == [4, 8, 12]
    assert (said.of(Finished)[0].reason, said.of(Finished)[0].iteration) == ("completed", 12)


def test_a_run_that_left_nothing_worth_keeping_says_so(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.worker.train.guard.LossGuard.is_suspicious", True)
    config = config_for(*inputs, iters=4, steps_per_eval=2, save_every=2, learning_rate=2e-2)
    with pytest.raises(TaskError) as caught:
        start(config, tmp_path / "run")
    assert str(caught.value).startswith("The loss rose far above the untrained model's")
    assert caught.value.hint == "Try a learning rate of 0.0001, a warm-up, or gradient clipping at 1."
    assert calmer_hint(config.with_value("learning_rate", 5e-5)).startswith("Try a learning rate of 5e-06,")
