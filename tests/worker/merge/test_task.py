"""Merging in the worker: the new adapter is what the sum is, all are measured, and nothing half-written stays."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm import load

from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.job import MergeJob
from app.worker.merge.task import merge
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.tiny_model import write_data
from tests.worker.training import Answer, Collector, config_for, saved_arrays, start

TOKENS = mx.array([[5, 9, 20, 33, 100, 7]])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("merge")
    make_model(root / "base")
    make_adapter(root / "base", root / "a", rank=4, layers=2)
    make_adapter(root / "base", root / "b", rank=6, layers=3)
    make_adapter(root / "base", root / "dora", "dora")
    write_data(root / "data", train=4, valid=12)
    return root


def merged(folder: Path, answer: Answer = lambda _: None, **job: Any) -> tuple[dict[str, Any], Collector]:
    channel = Collector(folder / "events.jsonl", answer)
    merge(channel, folder, MergeJob(**job))
    found = channel.of(event.Result)
    return (found[0].data if found else {}), channel


def with_deltas(base: Path, weighted: dict[Path, float]) -> nn.Module:
    """The base with the weighted deltas of adapters added to its matrices: no code of the merge."""
    model, _ = load(str(base))
    modules = dict(model.named_modules())
    for adapter, weight in weighted.items():
        arrays = saved_arrays(adapter / "adapters.safetensors")
        scale = json.loads((adapter / "adapter_config.json").read_text())["lora_parameters"]["scale"]
        for path in {name.rpartition(".")[0] for name in arrays}:
            delta = weight * scale * (arrays[f"{path}.lora_a"] @ arrays[f"{path}.lora_b"]).T
            modules[path].weight = modules[path].weight + delta
    return model


def test_the_sum_is_exact_written_for_mlx_lm_and_measured(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    data = place / "data" / "valid.jsonl"
    found, _ = merged(tmp_path, adapters=(place / "a", place / "b"), weights=(0.75, -0.5), data=data, out=out)
    wanted = with_deltas(place / "base", {place / "a": 0.75, place / "b": -0.5})(TOKENS)
    stock, _ = load(str(place / "base"), adapter_path=str(out))
    assert mx.allclose(stock(TOKENS), wanted, atol=2e-3).item()
    assert (found["rank"], found["path"], found["examples"]) == (10, str(out), 12)
    assert [one["kind"] for one in found["columns"]] == ["base", "adapter", "adapter", "merged"]
    assert [one["weight"] for one in found["columns"]] == [None, 0.75, -0.5, None]
    losses = [one["loss"] for one in found["columns"]]
    assert len(set(losses)) == 4
    assert all(math.isfinite(loss) for loss in losses)
    kept = json.loads((out / "adapter_config.json").read_text())["merged"]
    assert (kept["method"], kept["columns"]) == ("linear", found["columns"])


@pytest.mark.parametrize("method", ["linear", "ties", "dare_linear", "dare_ties"])
def test_one_adapter_of_weight_1_beside_one_of_0_is_itself(place: Path, tmp_path: Path, method: str) -> None:
    data = place / "data" / "valid.jsonl"
    both_of = (place / "a", place / "b")
    found, _ = merged(tmp_path, adapters=both_of, weights=(1.0, 0.0), data=data, method=method, density=1.0)
    assert found["rank"] == 4, "that of the one"
    _, first, _, both = (one["loss"] for one in found["columns"])
    assert both == pytest.approx(first, rel=1e-5)
    assert found["path"] == ""


@pytest.mark.parametrize("method", ["ties", "dare_linear", "dare_ties"])
def test_others_are_of_the_largest_rank_unless_one_is_asked_for(place: Path, tmp_path: Path, method: str) -> None:
    both = (place / "a", place / "b")
    found, _ = merged(tmp_path, adapters=both, method=method, out=tmp_path / "out", density=0.3, seed=1)
    assert found["rank"] == 6
    model, _ = load(str(place / "base"), adapter_path=str(tmp_path / "out"))
    assert mx.isfinite(model(TOKENS)).all().item()
    (tmp_path / "cut").mkdir()
    cut, _ = merged(tmp_path / "cut", adapters=both, method=method, rank=3)
    assert cut["rank"] == 3


def test_a_runs_own_held_out_rows_are_used(place: Path, tmp_path: Path) -> None:
    run, _ = start(config_for(place / "base", place / "data", iters=2), tmp_path / "run")
    found, channel = merged(tmp_path, adapters=(run.path, place / "a"))
    assert found["data"] == str(place / "data" / "valid.jsonl")
    assert not channel.of(event.Warned)
    (tmp_path / "none").mkdir()
    without, channel = merged(tmp_path / "none", adapters=(place / "b", place / "a"))
    assert (without["data"], without["columns"][0]["loss"]) == ("", None)
    assert "nothing is measured" in channel.of(event.Warned)[0].message


def test_one_that_is_worse_than_the_base_is_told(place: Path, tmp_path: Path) -> None:
    data = place / "data" / "valid.jsonl"
    _, channel = merged(tmp_path, adapters=(place / "a", place / "b"), weights=(5.0, 5.0), data=data)
    assert "worse than the base model" in channel.of(event.Warned)[0].message


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"adapters": ("a",)}, "nothing to be merged with"),
        ({"adapters": ("a", "dora")}, "is a DoRA"),
        ({"adapters": ("a", "b"), "weights": (1.0,)}, "Not one weight for each: 1 weight, and 2 adapters."),
        ({"adapters": ("a", "b"), "weights": (0.0, 0.0)}, "nothing would be left"),
        ({"adapters": ("a", "b"), "method": "slerp"}, "no method “slerp”"),
        ({"adapters": ("a", "other")}, "different bases"),
        ({"adapters": ("a", "b"), "out": "data"}, "nothing is written over"),
    ],
)
def test_what_cannot_be_merged_is_refused_in_words(
    place: Path, tmp_path: Path, job: dict[str, Any], said: str
) -> None:
    other = place / "other"
    if not other.exists():
        make_adapter(place / "base", other)
        config = json.loads((other / "adapter_config.json").read_text()) | {"model": "elsewhere"}
        (other / "adapter_config.json").write_text(json.dumps(config))
    paths = {"adapters": tuple(place / name for name in job["adapters"])}
    out = {"out": place / job["out"]} if "out" in job else {}
    with pytest.raises(UnusableError) as caught:
        merged(tmp_path, **job | paths | out)
    assert said in str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_adapter_that_went_astray_is_not_merged(place: Path, tmp_path: Path, value: float) -> None:
    astray, out = tmp_path / "astray", tmp_path / "out"
    make_adapter(place / "base", astray, rank=4, layers=2)
    arrays = saved_arrays(astray / "adapters.safetensors")
    name = sorted(arrays)[0]
    arrays[name] = mx.full(arrays[name].shape, value)
    mx.save_safetensors(str(astray / "adapters.safetensors"), arrays)
    with pytest.raises(UnusableError, match="no numbers"):
        merged(tmp_path, adapters=(place / "a", astray), out=out)
    assert not out.exists()


def test_stopped_it_leaves_nothing(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said: Answer = lambda one: "stop" if isinstance(one, event.Progressed) and one.phase == "Merging" else None  # noqa: E731
    found, channel = merged(tmp_path, said, adapters=(place / "a", place / "b"), out=out)
    assert not found
    assert channel.of(event.Finished)[0].reason == "stopped"
    assert not out.exists()
