"""The adapter switch against stock mlx-lm: same logits with an adapter, the very same base without."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten
from mlx_lm import load

from app.core.problem import UnusableError
from app.worker.model.adapter_switch import AdapterSwitch, adapter_files
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.training import saved_arrays

TOKENS = mx.array([[5, 9, 20, 33, 100, 7]])
KINDS = ("lora", "dora", "full")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dense and a quantized base, each with adapters of every kind that it can have."""
    root = tmp_path_factory.mktemp("models")
    make_model(root / "dense")
    make_model(root / "quantized", quantized=True)
    for kind in KINDS:
        make_adapter(root / "dense", root / f"dense-{kind}", kind)
    for kind in ("lora", "dora"):
        make_adapter(root / "quantized", root / f"quantized-{kind}", kind)
    return root


@pytest.mark.parametrize("base, kinds", [("dense", KINDS), ("quantized", ("lora", "dora"))])
def test_an_adapter_gives_what_stock_mlx_lm_gives(models: Path, base: str, kinds: tuple[str, ...]) -> None:
    model, _ = load(str(models / base))
    switch = AdapterSwitch(model)
    for kind in kinds:
        path = models / f"{base}-{kind}"
        adapter = switch.load(path)
        assert adapter.kind == kind
        switch.use(adapter)
        stock, _ = load(str(models / base), adapter_path=str(path))
        assert mx.array_equal(model(TOKENS), stock(TOKENS)).item()


@pytest.mark.parametrize("base, kinds", [("dense", KINDS), ("quantized", ("lora", "dora"))])
def test_switching_leaves_the_base_as_it_was_and_memory_flat(
    models: Path, base: str, kinds: tuple[str, ...]
) -> None:
    model, _ = load(str(models / base))
    switch = AdapterSwitch(model)
    before = model(TOKENS)
    adapters = [switch.load(models / f"{base}-{kind}") for kind in kinds]
    memory = []
    for _ in range(20):
        for adapter in adapters:
            switch.use(adapter)
            assert not mx.array_equal(model(TOKENS), before).item()
        switch.use(None)
        assert mx.array_equal(model(TOKENS), before).item()
        mx.clear_cache()
        memory.append(mx.get_active_memory())
    assert memory[-1] == memory[0]


def test_base_and_two_adapters_take_hardly_more_than_the_base(tmp_path: Path) -> None:
    make_model(tmp_path / "base", hidden_size=256)
    paths = [make_adapter(tmp_path / "base", tmp_path / f"rank{rank}", rank=rank, layers=1) for rank in (1, 2)]
    mx.clear_cache()
    model, _ = load(str(tmp_path / "base"))
    alone = sum(array.nbytes for _, array in tree_flatten(model.parameters()))
    switch = AdapterSwitch(model)
    before = mx.get_active_memory()
    kept = [switch.load(path) for path in paths]
    assert len(kept) == 2
    assert mx.get_active_memory() - before < 0.1 * alone


def test_forgetting_an_adapter_frees_it_and_puts_the_base_back(models: Path) -> None:
    model, _ = load(str(models / "dense"))
    before = model(TOKENS)
    mx.eval(before)
    switch = AdapterSwitch(model)
    mx.clear_cache()
    memory = mx.get_active_memory()
    switch.use(switch.load(models / "dense-lora"))
    assert mx.get_active_memory() > memory
    switch.keep([])
    assert mx.array_equal(model(TOKENS), before).item()
    mx.clear_cache()
    assert mx.get_active_memory() <= memory


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_a_config_that_does_not_say_its_kind_is_told_by_its_weights(
    models: Path, tmp_path: Path, kind: str
) -> None:
    """As mlx-lm-lora writes it."""
    path = Path(shutil.copytree(models / f"dense-{kind}", tmp_path / "adapter"))
    config = json.loads((path / "adapter_config.json").read_text())
    del config["fine_tune_type"]
    (path / "adapter_config.json").write_text(json.dumps(config))
    model, _ = load(str(models / "dense"))
    switch = AdapterSwitch(model)
    adapter = switch.load(path)
    assert adapter.kind == kind
    switch.use(adapter)
    stock, _ = load(str(models / "dense"), adapter_path=str(models / f"dense-{kind}"))
    assert mx.array_equal(model(TOKENS), stock(TOKENS)).item()


def test_a_file_is_read_again_only_when_it_changed(models: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(models / "dense-lora", tmp_path / "adapter"))
    switch = AdapterSwitch(load(str(models / "dense"))[0])
    first = switch.load(path)
    assert switch.load(path) is first
    shutil.copy(make_adapter(models / "dense", tmp_path / "other", layers=1) / "adapters.safetensors", path)
    shutil.copy(tmp_path / "other" / "adapter_config.json", path)
    assert switch.load(path) is not first


def test_a_checkpoint_file_and_a_run_folder_are_adapters_too(models: Path, tmp_path: Path) -> None:
    adapters = Path(shutil.copytree(models / "dense-lora", tmp_path / "run" / "adapters"))
    numbered = adapters / "0000100_adapters.safetensors"
    (adapters / "adapters.safetensors").rename(numbered)
    assert adapter_files(numbered) == (adapters, numbered)
    shutil.copy(numbered, adapters / "adapters.safetensors")
    assert adapter_files(tmp_path / "run") == (adapters, adapters / "adapters.safetensors")


def _faults(model: Path, adapter: Path) -> str:
    base, _ = load(str(model))
    before = base(TOKENS)
    switch = AdapterSwitch(base)
    with pytest.raises(UnusableError) as caught:
        switch.load(adapter)
    assert mx.array_equal(base(TOKENS), before).item(), "a refused adapter must leave no trace on the base"
    return str(caught.value)


def test_an_adapter_of_another_size_of_model_says_so(models: Path, tmp_path: Path) -> None:
    make_model(tmp_path / "wide", hidden_size=128)
    said = _faults(tmp_path / "wide", models / "dense-lora")
    assert "64 × 4" in said
    assert "128 × 4" in said


def test_a_full_fine_tune_of_another_model_says_what_differs(models: Path, tmp_path: Path) -> None:
    make_model(tmp_path / "wide", hidden_size=128)
    assert "in the base model" in _faults(tmp_path / "wide", models / "dense-full")


def test_another_rank_says_both_ranks(models: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(models / "dense-lora", tmp_path / "adapter"))
    _edit(path, lambda config: config["lora_parameters"].update(rank=8))
    assert "rank 4, adapter_config.json says 8" in _faults(models / "dense", path)


def test_modules_that_the_base_lacks_are_named(models: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(models / "dense-lora", tmp_path / "adapter"))
    weights = mx.load(str(path / "adapters.safetensors"))
    assert isinstance(weights, dict)
    renamed = {name.replace("layers.2", "layers.7"): array for name, array in weights.items()}
    mx.save_safetensors(str(path / "adapters.safetensors"), renamed)
    said = _faults(models / "dense", path)
    assert "The base model has no model.layers.7." in said
    assert "no weights for modules" in said


def test_a_config_that_names_fewer_modules_than_the_weights_says_so(models: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(models / "dense-lora", tmp_path / "adapter"))
    _edit(path, lambda config: config["lora_parameters"].update(keys=["self_attn.q_proj"]))
    assert "does not name: model.layers.1.mlp.down_proj" in _faults(models / "dense", path)


@pytest.mark.parametrize("damage", ["gone", "empty", "no config", "broken config", "no rank", "broken weights"])
def test_a_damaged_adapter_is_told_in_words(models: Path, tmp_path: Path, damage: str) -> None:
    path = Path(shutil.copytree(models / "dense-lora", tmp_path / "adapter"))
    match damage:
        case "gone":
            shutil.rmtree(path)
        case "empty":
            shutil.rmtree(path)
            path.mkdir()
        case "no config":
            (path / "adapter_config.json").unlink()
        case "broken config":
            (path / "adapter_config.json").write_text("[1")
        case "no rank":
            _edit(path, lambda config: config["lora_parameters"].pop("rank"))
        case "broken weights":
            (path / "adapters.safetensors").write_bytes(b"\0" * 100)
    said = _faults(models / "dense", path)
    assert str(path) in said
    assert "Traceback" not in said


def _edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = path / "adapter_config.json"
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_an_adapter_whose_values_are_no_numbers_is_none(
    models: Path, tmp_path: Path, kind: str, value: float
) -> None:
    """It would answer with one token for ever, and be the same as its base on every example."""
    astray = shutil.copytree(models / f"dense-{kind}", tmp_path / "astray")
    arrays = saved_arrays(astray / "adapters.safetensors")
    name = sorted(arrays)[-1]
    flat = arrays[name].flatten()
    flat[-1] = value
    arrays[name] = flat.reshape(arrays[name].shape)
    mx.save_safetensors(str(astray / "adapters.safetensors"), arrays)
    with pytest.raises(UnusableError) as caught:
        AdapterSwitch(load(str(models / "dense"))[0]).load(astray)
    (told,) = caught.value.problems
    assert (told.path, told.file) == ("adapter_path", str((astray / "adapters.safetensors").resolve()))
    assert told.text == (
        f"The adapter has values in {name} that are no numbers. "
        "Its training went astray: take an earlier checkpoint."
    )


@pytest.mark.parametrize(
    "name, value, said",
    [
        ("scale", math.nan, "has NaN as scale"),
        ("scale", math.inf, "has Infinity as scale"),
        ("scale", "2.0", 'has "2.0" as scale'),
        ("scale", None, "has null as scale"),
        ("scale", True, "has true as scale"),
        ("rank", 0, "has 0 as rank"),
        ("rank", 4.0, "has 4.0 as rank"),
        ("rank", 10**12, "has 1000000000000 as rank"),
        ("dropout", 1, "has 1 as dropout"),
        ("keys", "self_attn.q_proj", 'has "self_attn.q_proj" as keys'),
    ],
)
def test_odd_values_of_a_config_are_told_in_words(
    models: Path, tmp_path: Path, name: str, value: Any, said: str
) -> None:
    odd = shutil.copytree(models / "dense-lora", tmp_path / "odd")
    _edit(odd, lambda config: config["lora_parameters"].update({name: value}))
    switch = AdapterSwitch(load(str(models / "dense"))[0])
    with pytest.raises(UnusableError, match=said) as caught:
        switch.load(odd)
    assert caught.value.problems[0].file == str((odd / "adapter_config.json").resolve())


@pytest.mark.parametrize("name", ["rank", "scale", "dropout"])
def test_what_a_config_lacks_is_named(models: Path, tmp_path: Path, name: str) -> None:
    odd = shutil.copytree(models / "dense-lora", tmp_path / "odd")
    _edit(odd, lambda config: config["lora_parameters"].pop(name))
    with pytest.raises(UnusableError, match=f"lacks {name}"):
        AdapterSwitch(load(str(models / "dense"))[0]).load(odd)


def test_weights_of_whole_numbers_are_none(models: Path, tmp_path: Path) -> None:
    odd = shutil.copytree(models / "dense-lora", tmp_path / "odd")
    arrays = saved_arrays(odd / "adapters.safetensors")
    whole = {name: array.astype(mx.int8) for name, array in arrays.items()}
    mx.save_safetensors(str(odd / "adapters.safetensors"), whole)
    with pytest.raises(UnusableError, match="whole numbers in"):
        AdapterSwitch(load(str(models / "dense"))[0]).load(odd)


def test_an_adapter_whose_path_is_no_text_is_told_in_words(models: Path, tmp_path: Path) -> None:
    odd = shutil.copytree(models / "dense-lora", tmp_path / "plain").rename(tmp_path / os.fsdecode(b"caf\xe9"))
    with pytest.raises(UnusableError, match="bytes that are no UTF-8") as caught:
        adapter_files(odd)
    assert caught.value.problems[0].path == "adapter_path"
