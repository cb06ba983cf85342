"""A resume is exact or refused: what was changed since is named, and a damaged state is never taken as it is."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from app.core.problem import TaskError, UnusableError
from app.core.run.folder import RunDir
from app.core.setup.config_file import load_config, save_config
from app.worker.train.checkpoint import load_checkpoint
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import config_for, go_on, saved_arrays, start


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return write_model(folder / "model", layers=1), write_data(folder / "data")


@pytest.fixture(scope="module")
def trained(inputs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, to be copied."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    start(config_for(*inputs, iters=4, save_every=2, steps_per_eval=4), folder)
    return folder


def copied(trained: Path, folder: Path) -> RunDir:
    return RunDir(Path(shutil.copytree(trained, folder / "copy")))


def refusal(run: RunDir, **job: Any) -> str:
    with pytest.raises(UnusableError) as caught:
        go_on(run, **(job or {"extend_to": 6}))
    return f"{caught.value.problems[0].message} {caught.value.problems[0].hint}"


@pytest.mark.parametrize(
    "path, value",
    [("learning_rate", 0.01), ("seed", 9), ("batch_size", 2), ("lora_parameters.scale", 1.0), ("optimizer", "sgd")],
)
def test_a_changed_config_is_named(path: str, value: object, trained: Path, tmp_path: Path) -> None:
    run = copied(trained, tmp_path)
    before = load_config(run.config).config
    save_config(before.with_value(path, value), run.config)
    said = refusal(run)
    assert f"`{path}` is {value}, and was {before.value(path)}" in said
    assert "--as-before" in said


def test_it_goes_on_as_before(inputs: tuple[Path, Path], trained: Path, tmp_path: Path) -> None:
    run = copied(trained, tmp_path)
    before = load_config(run.config).config
    save_config(before.with_values({"learning_rate": 0.5, "steps_per_report": 1}), run.config)
    go_on(run, extend_to=6, as_before=True)
    assert load_config(run.config).config.learning_rate == before.learning_rate
    whole, _ = start(config_for(*inputs, iters=6, save_every=2, steps_per_eval=4), tmp_path / "whole")
    expected = saved_arrays(whole.adapters / "0000006_adapters.safetensors")
    found = saved_arrays(run.adapters / "0000006_adapters.safetensors")
    assert all(mx.array_equal(found[name], array) for name, array in expected.items())


def test_what_decides_nothing_may_change(trained: Path, tmp_path: Path) -> None:
    run = copied(trained, tmp_path)
    config = load_config(run.config).config
    save_config(
        config.with_values(
            {"save_every": 3, "steps_per_report": 1, "adapter_name": "other", "report_to": "tensorboard"}
        ),
        run.config,
    )
    assert go_on(run, extend_to=6).losses


def test_another_model_is_named(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    model = Path(shutil.copytree(inputs[0], tmp_path / "model"))
    run, _ = start(config_for(model, inputs[1], iters=2, save_every=2, steps_per_eval=2), tmp_path / "run")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"rope_theta": 123.0}))
    assert "`rope_theta` of its config.json is 123.0" in refusal(run)
    (model / "config.json").write_text(json.dumps(config))
    weights = saved_arrays(model / "model.safetensors")
    warmer = {name: array * 1.1 for name, array in weights.items()}
    mx.save_safetensors(str(model / "model.safetensors"), warmer, {"format": "mlx"})
    assert "model.safetensors holds other weights" in refusal(run)
    mx.save_safetensors(str(model / "model.safetensors"), weights, {"format": "mlx"})


def test_a_model_may_move(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    model = Path(shutil.copytree(inputs[0], tmp_path / "model"))
    run, _ = start(config_for(model, inputs[1], iters=2, save_every=2, steps_per_eval=2), tmp_path / "run")
    moved = model.rename(tmp_path / "elsewhere")
    save_config(load_config(run.config).config.with_value("model", str(moved)), run.config)
    assert go_on(run, extend_to=3).losses


def test_no_damage_of_a_state_is_taken_as_it_is(trained: Path, tmp_path: Path) -> None:
    """Bytes flipped, zeroed, cut off and gone, at random places of each file."""
    random.seed(5)
    run = copied(trained, tmp_path)
    [state] = run.state.iterdir()
    whole = {path.name: path.read_bytes() for path in state.iterdir()}
    assert sorted(whole) == ["arrays.safetensors", "digests.json", "state.json"]
    for number in range(60):
        name = sorted(whole)[number % 3]
        data = bytearray(whole[name])
        at = random.randrange(len(data))
        match number // 3 % 4:
            case 0:
                data[at] ^= 1 << random.randrange(8)
            case 1:
                data[at : at + 64] = bytes(min(64, len(data) - at))
            case 2:
                del data[at:]
            case _:
                data[at:at] = b"\x00"
        if bytes(data) == whole[name]:
            continue
        (state / name).write_bytes(data)
        with pytest.raises(UnusableError, match=r"damaged|format"):
            load_checkpoint(run.state)
        (state / name).write_bytes(whole[name])
    (state / "digests.json").unlink()
    with pytest.raises(UnusableError, match="damaged"):
        load_checkpoint(run.state)


def test_a_damaged_state_names_what_is_still_there(trained: Path, tmp_path: Path) -> None:
    run = copied(trained, tmp_path)
    [state] = run.state.iterdir()
    (state / "arrays.safetensors").write_bytes(b"")
    said = refusal(run)
    assert "arrays.safetensors is not as it was written" in said
    assert str(run.adapters / "0000004_adapters.safetensors") in said


def test_a_state_of_an_earlier_version_goes_on(trained: Path, tmp_path: Path) -> None:
    run = copied(trained, tmp_path)
    [state] = run.state.iterdir()
    tree = json.loads((state / "state.json").read_text())
    tree["format"] = 1
    del tree["provenance"]
    (state / "state.json").write_text(json.dumps(tree))
    (state / "digests.json").unlink()
    assert go_on(run, extend_to=5).losses


@pytest.mark.parametrize("lacking", ["elapsed_s", "guard", "random", "best", "report"])
def test_a_state_that_lacks_something_is_told_in_words(lacking: str, trained: Path, tmp_path: Path) -> None:
    run = copied(trained, tmp_path)
    [state] = run.state.iterdir()
    tree = json.loads((state / "state.json").read_text())
    del tree[lacking]
    tree["format"] = 1
    (state / "state.json").write_text(json.dumps(tree))
    (state / "digests.json").unlink()
    assert f"is damaged: KeyError: '{lacking}'" in refusal(run)


def test_a_base_that_is_not_finite_is_not_told_as_a_divergence(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    model = Path(shutil.copytree(inputs[0], tmp_path / "model"))
    weights = saved_arrays(model / "model.safetensors")
    name = next(name for name in weights if "down_proj" in name)
    weights[name] = weights[name] * float("nan")
    mx.save_safetensors(str(model / "model.safetensors"), weights, {"format": "mlx"})
    with pytest.raises(TaskError, match=r"base model's weights .*down_proj.* are not finite"):
        start(config_for(model, inputs[1], iters=2, neutral_tokens=0), tmp_path / "run")
