"""A run that was interrupted and resumed gives the very losses and weights of one that was not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
import yaml

from app.core.problem import UnusableError
from app.core.protocol.event import (
    CheckpointSaved,
    Event,
    Finished,
    Paused,
    Resumed,
    Started,
    TrainReported,
    Validated,
    Warned,
)
from app.core.run.folder import RunDir
from app.core.run.summary import summarize
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import config_for, go_on, start


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model and 18 examples: at batch 4 an epoch of 5 batches, the last one smaller."""
    folder = tmp_path_factory.mktemp("inputs")
    return write_model(folder / "model", layers=1), write_data(folder / "data", train=18, valid=5)


def stop_at(iteration: int) -> Any:
    """Answers the report of an iteration with the command to stop."""

    def answer(event: Event) -> str | None:
        return "stop" if isinstance(event, TrainReported) and event.iteration == iteration else None

    return answer


def weights(run: RunDir) -> dict[str, Any]:
    arrays = mx.load(str(run.adapters / "adapters.safetensors"))
    assert isinstance(arrays, dict)
    return {name: array.tolist() for name, array in arrays.items()}


def newest_state(run: RunDir) -> dict[str, Any]:
    """All of the saved state but weights, times and places: a resume that forgets something has it otherwise."""
    (folder,) = run.state.iterdir()
    tree: dict[str, Any] = json.loads((folder / "state.json").read_text())
    del tree["provenance"]
    return without_times(tree)


def without_times(tree: dict[str, Any]) -> dict[str, Any]:
    return {
        name: without_times(value) if isinstance(value, dict) else value
        for name, value in tree.items()
        if not name.endswith("_s")
    }


WAYS: dict[str, dict[str, Any]] = {
    "adam": {},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.01, "schedule": "cosine", "warmup": 4},
    "muon": {"optimizer": "muon"},
    "sgd": {"optimizer": "sgd", "optimizer_config": {"sgd": {"momentum": 0.9}}, "schedule": "linear"},
    "adafactor": {"optimizer": "adafactor"},
    "lion": {"optimizer": "lion", "learning_rate": 1e-4},
    "accumulation": {"grad_accumulation_steps": 3, "max_grad_norm": 0.5},
    "dora, packed": {"fine_tune_type": "dora", "batching": "pack"},
    "full, as in the file": {"fine_tune_type": "full", "batching": "file_order"},
    "masked": {"mask_prompt": True},
    "adam, corrected": {"optimizer_config": {"adam": {"bias_correction": True}}, "neutral_tokens": 16},
}


# In the middle of an epoch; of three accumulated batches after the first; just after it was measured and saved.
STOPS = {way: 3 + 2 * number % 9 for number, way in enumerate(WAYS)} | {"accumulation": 7, "masked": 6}


@pytest.mark.parametrize("way, at", STOPS.items())
def test_resumed_equals_undisturbed(way: str, at: int, inputs: tuple[Path, Path], tmp_path: Path) -> None:
    parameters = {"rank": 2, "scale": 4.0, "dropout": 0.1}
    config = config_for(
        *inputs, steps_per_report=1, lora_parameters=parameters, early_stopping={"enabled": False},
        final_adapter="last", **WAYS[way],
    )  # fmt: skip
    undisturbed, whole = start(config, tmp_path / "undisturbed")
    run, first = start(config, tmp_path / "run", stop_at(at))
    assert first.of(Finished)[-1].reason == "stopped"
    assert first.of(TrainReported)[-1].iteration == at
    second = go_on(run, resume=True)
    assert second.of(Started)[0].iteration == at
    assert first.losses + second.losses == whole.losses
    assert len(whole.losses) == config.iters
    measured = [(event.iteration, event.val_loss) for part in (first, second) for event in part.of(Validated)]
    assert measured == [(event.iteration, event.val_loss) for event in whole.of(Validated)]
    times = [event.elapsed_s for part in (first, second) for event in part.of(TrainReported)]
    assert times == sorted(times), "it is counted on"
    assert weights(run) == weights(undisturbed)
    assert newest_state(run) == newest_state(undisturbed)
    assert second.of(TrainReported)[-1].trained_tokens == whole.of(TrainReported)[-1].trained_tokens
    assert second.of(TrainReported)[-1].learning_rate == whole.of(TrainReported)[-1].learning_rate


def test_killed_and_resumed_from_the_last_checkpoint(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """The process is gone in the middle of an iteration: what was not yet reported comes with the resumed run."""

    class KilledError(BaseException):
        pass

    def kill(event: Event) -> str | None:
        if isinstance(event, TrainReported) and event.iteration == 9:
            raise KilledError
        return None

    config = config_for(*inputs, steps_per_report=3, save_every=4)
    _, whole = start(config, tmp_path / "undisturbed")
    with pytest.raises(KilledError):
        start(config, tmp_path / "run", kill)
    run = RunDir(tmp_path / "run")
    second = go_on(run, resume=True)
    assert second.of(Started)[0].iteration == 8
    assert second.of(TrainReported)[0].iteration == 9
    assert second.losses == whole.losses[6:]  # reports at 9 and 12: the one of 6 was sent before the kill


@pytest.mark.parametrize("final", ["best", "last"])
def test_killed_between_the_last_state_and_the_end(final: str, inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """All iterations are done, but nobody has chosen the weights that the run keeps: a resume does."""

    class KilledError(BaseException):
        pass

    def kill(event: Event) -> str | None:
        if isinstance(event, CheckpointSaved) and event.iteration == 12 and event.kind != "best":
            raise KilledError
        return None

    config = config_for(*inputs, steps_per_report=1, final_adapter=final, learning_rate=0.05)
    undisturbed, whole = start(config, tmp_path / "undisturbed")
    with pytest.raises(KilledError):
        start(config, tmp_path / "run", kill)
    run = RunDir(tmp_path / "run")
    second = go_on(run, resume=True)
    assert (second.of(Finished)[0].reason, second.losses) == ("completed", [])
    assert weights(run) == weights(undisturbed)
    ends = [
        (one.message, one.best_iteration, one.iteration) for one in (whole.of(Finished)[0], second.of(Finished)[0])
    ]
    assert ends[0] == ends[1]
    with pytest.raises(UnusableError):
        go_on(run, resume=True)


def test_extended(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """The losses are those of a run that was as long from the start."""
    run, first = start(config_for(*inputs, iters=4), tmp_path / "run")
    _, whole = start(config_for(*inputs, iters=11), tmp_path / "long")
    second = go_on(run, extend_to=11)
    assert second.of(Started)[0].iterations == 11
    assert first.losses + second.losses == whole.losses
    config = yaml.safe_load(run.config.read_text())
    assert (config["iters"], config["epochs"]) == (11, None)


def test_early_stopping_remembers_across_a_resume(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """The measurements before the stop count: of three without improvement one came before it."""
    config = config_for(
        *inputs, learning_rate=1e-12, steps_per_eval=2, steps_per_report=1, iters=30,
        early_stopping={"enabled": True, "patience": 3, "min_delta": 0.5},
    )  # fmt: skip
    run, _ = start(config, tmp_path / "run", stop_at(3))
    second = go_on(run, resume=True)
    assert [event.without_improvement for event in second.of(Validated)] == [2, 3]
    assert second.of(Finished)[0].reason == "early_stopping"
    assert second.of(Finished)[0].iteration == 6


def test_paused_in_place(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """A pause changes nothing, and while it lasts everything is on disk."""
    state: list[list[str]] = []

    def answer(event: Event) -> str | None:
        if isinstance(event, TrainReported) and event.iteration == 5:
            return "pause"
        if isinstance(event, Paused):
            state.append([path.name for path in (tmp_path / "run" / "state").iterdir()])
            return "resume"
        return None

    config = config_for(*inputs, steps_per_report=1)
    _, whole = start(config, tmp_path / "undisturbed")
    _, paused = start(config, tmp_path / "run", answer)
    assert [event.iteration for event in paused.of(Paused)] == [5]
    assert [event.iteration for event in paused.of(Resumed)] == [5]
    assert state == [["0000005"]]
    assert paused.losses == whole.losses


def test_stopped_while_paused(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    def answer(event: Event) -> str | None:
        if isinstance(event, TrainReported) and event.iteration == 5:
            return "pause"
        return "end_of_input" if isinstance(event, Paused) else None

    run, paused = start(config_for(*inputs, steps_per_report=1), tmp_path / "run", answer)
    assert paused.of(Finished)[0].reason == "stopped"
    assert (run.adapters / "0000005_adapters.safetensors").exists()


@pytest.mark.parametrize("way", [{"grad_accumulation_steps": 8}, {"warmup": 8, "grad_accumulation_steps": 4}])
def test_stopped_before_a_weight_has_changed(
    way: dict[str, Any], inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    """Within the first accumulation, and where the warm-up's first rate was 0: that is a run like any other."""
    config = config_for(*inputs, steps_per_report=1, final_adapter="last", **way)
    _, whole = start(config, tmp_path / "undisturbed")
    run, first = start(config, tmp_path / "run", stop_at(4))
    assert (first.of(Finished)[0].reason, first.of(Finished)[0].iteration) == ("stopped", 4)
    assert [said.message for said in first.of(Warned)][-1].startswith("No weight has changed so far")
    second = go_on(run, resume=True)
    assert first.losses + second.losses == whole.losses
    assert summarize(run).state == "finished"


@pytest.mark.parametrize("in_place_first", [False, True])
@pytest.mark.parametrize("way", ["adamw", "accumulation"])
def test_paused_with_the_memory_free(
    way: str, in_place_first: bool, inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    """The worker leaves in the middle of an epoch (and of an accumulation); a resume changes nothing."""

    def answer(event: Event) -> str | None:
        if isinstance(event, TrainReported) and event.iteration == 7:
            return "pause" if in_place_first else "park"
        return "park" if isinstance(event, Paused) else None

    parameters = {"rank": 2, "scale": 4.0, "dropout": 0.1}
    config = config_for(
        *inputs, steps_per_report=1, lora_parameters=parameters, final_adapter="last",
        early_stopping={"enabled": False}, **WAYS[way],
    )  # fmt: skip
    undisturbed, whole = start(config, tmp_path / "undisturbed")
    run, first = start(config, tmp_path / "run", answer)
    assert (first.events[-1], first.of(Resumed)) == (first.of(Finished)[0], [])
    assert (first.of(Finished)[0].reason, first.of(Finished)[0].iteration) == ("paused", 7)
    parked = summarize(run)
    assert (parked.state, parked.is_live, parked.can_resume) == ("paused", False, True)
    assert (run.adapters / "adapters.safetensors").exists()
    second = go_on(run, resume=True)
    assert first.losses + second.losses == whole.losses
    assert weights(run) == weights(undisturbed)
    assert summarize(run).state == "finished"


def test_a_pause_at_the_last_iteration_only_ends_the_run(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    def answer(event: Event) -> str | None:
        return "park" if isinstance(event, TrainReported) and event.iteration == 12 else None

    _, said = start(config_for(*inputs, steps_per_report=1), tmp_path / "run", answer)
    assert said.of(Finished)[0].reason == "completed"


def test_losses_are_told_once_when_a_stop_meets_a_checkpoint(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """The checkpoint of iteration 6 holds losses that the stop then reports, and was measured just before: a resume
    must not tell them, nor measure, again."""

    def answer(event: Event) -> str | None:
        return "stop" if isinstance(event, CheckpointSaved) and event.iteration == 6 else None

    config = config_for(*inputs, steps_per_report=5, steps_per_eval=3)
    _, whole = start(config, tmp_path / "undisturbed")
    run, first = start(config, tmp_path / "run", answer)
    second = go_on(run, resume=True)
    assert first.losses + second.losses == whole.losses
    measured = [(found.iteration, found.val_loss) for part in (first, second) for found in part.of(Validated)]
    assert measured == [(found.iteration, found.val_loss) for found in whole.of(Validated)]
    assert newest_state(run)["measured_at"] == 12


def test_other_data_are_refused(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    model, data = inputs
    own = shutil.copytree(data, tmp_path / "data")
    run, _ = start(config_for(model, own, steps_per_report=1), tmp_path / "run", stop_at(5))
    write_data(own, train=18, valid=5, seed=9)
    with pytest.raises(UnusableError) as refused:
        go_on(run, resume=True)
    assert refused.value.problems[0].path == "data"


def test_other_shapes_are_refused(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run, _ = start(config_for(*inputs, steps_per_report=1), tmp_path / "run", stop_at(5))
    config = yaml.safe_load(run.config.read_text())
    config["lora_parameters"]["rank"] = 8
    run.config.write_text(yaml.safe_dump(config))
    with pytest.raises(UnusableError) as refused:
        go_on(run, resume=True)
    assert refused.value.problems[0].message.endswith("`lora_parameters.rank` is 8, and was 4.")


def test_nothing_left_to_do(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run, _ = start(config_for(*inputs, iters=4), tmp_path / "run")
    with pytest.raises(UnusableError) as refused:
        go_on(run, resume=True)
    assert "The run has done all of its 4 iterations." in str(refused.value)


def test_without_a_state_it_starts_over(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run, _ = start(config_for(*inputs, iters=4), tmp_path / "run")
    shutil.rmtree(run.state)
    again = go_on(run, resume=True)
    assert again.of(Started)[0].iteration == 0
    assert "no saved state" in again.of(Warned)[0].message
