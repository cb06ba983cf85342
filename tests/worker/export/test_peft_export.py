"""PEFT folders: transformers with PEFT answers as the adapter did here, and the way back loses nothing."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm import load

from app.core.model.template import template_offers, with_template
from app.core.problem import UnusableError
from app.worker.export.naming import NAMINGS
from app.worker.export.peft import PeftAdapter, targets
from app.worker.model.adapter_switch import AdapterSwitch
from app.worker.model.peft import PEFT_PREFIX
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.export.exporting import exported, run_export
from tests.worker.export.hf_model import MORE, mlx_logits, torch_logits, write_adapter, write_hf_model
from tests.worker.model.test_peft import write_peft
from tests.worker.training import saved_arrays

# What transformers and PEFT say of each other's versions, and PEFT of ranks of parameters, which it does take.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The following (rank|alpha)_pattern keys:RuntimeWarning"),
]
ATTENTION = ["self_attn.q_proj", "self_attn.o_proj"]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("peft")
    for model_type in MORE:
        write_hf_model(root / model_type, model_type)
    return root


@pytest.mark.torch
@pytest.mark.parametrize("model_type", list(MORE))
def test_peft_answers_as_the_adapter_did(bases: Path, tmp_path: Path, model_type: str) -> None:
    base = bases / model_type
    adapter = write_adapter(base, tmp_path / "adapter")
    wanted = mlx_logits(base, adapter)
    out = exported(tmp_path, adapter, "peft")
    assert np.abs(wanted - torch_logits(base)).max() > 0.05
    assert np.abs(torch_logits(base, out) - wanted).max() < 1e-3
    config = json.loads((out / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], type(config["lora_alpha"])) == (4, 8, int)


@pytest.mark.torch
@pytest.mark.parametrize("model_type", ["llama", "gpt2", "phi3"])
def test_dora_too(bases: Path, tmp_path: Path, model_type: str) -> None:
    base = bases / model_type
    adapter = write_adapter(base, tmp_path / "adapter", "dora")
    out = exported(tmp_path, adapter, "peft")
    assert np.abs(torch_logits(base, out) - mlx_logits(base, adapter)).max() < 1e-3


@pytest.mark.torch
@pytest.mark.parametrize(
    "more, said",
    [
        ({"layers": 2, "keys": ATTENTION}, {"layers_to_transform": [1, 2], "exclude_modules": None}),
        ({"layers": 1, "keys": [*ATTENTION, "lm_head"]}, {"layers_to_transform": None}),
        ({"keys": ["lm_head", "model.embed_tokens", "model.layers.1.mlp.up_proj"]}, {"layers_to_transform": None}),
        ({"layers": 1, "rank": 3, "scale": 1 / 3, "keys": ATTENTION}, {"lora_alpha": 1}),
        ({"layers": 1, "rank": 3, "scale": 0.5, "keys": ATTENTION}, {"lora_alpha": 1.5}),
    ],
)
def test_what_is_chosen_one_by_one_is_chosen_there(
    bases: Path, tmp_path: Path, more: dict[str, Any], said: dict[str, Any]
) -> None:
    base = bases / "llama"
    adapter = write_adapter(base, tmp_path / "adapter", **more)
    out = exported(tmp_path, adapter, "peft")
    config = json.loads((out / "adapter_config.json").read_text())
    assert {name: config[name] for name in said} == said
    assert np.abs(torch_logits(base, out) - mlx_logits(base, adapter)).max() < 1e-3


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_the_way_from_peft_to_mlx_and_back_loses_nothing(tmp_path: Path, kind: str) -> None:
    base = make_model(tmp_path / "base")
    peft = write_peft(make_adapter(base, tmp_path / "own", kind), tmp_path / "peft", kind)
    config = json.loads((peft / "adapter_config.json").read_text()) | {"base_model_name_or_path": str(base)}
    (peft / "adapter_config.json").write_text(json.dumps(config))
    mlx = exported(tmp_path, peft, "adapter", out=tmp_path / "mlx")
    for source in (peft, mlx):
        back = exported(tmp_path, source, "peft", out=tmp_path / f"back-{source.name}")
        wanted = saved_arrays(peft / "adapter_model.safetensors")
        found = saved_arrays(back / "adapter_model.safetensors")
        assert found.keys() == wanted.keys()
        assert all(mx.array_equal(found[name], wanted[name]).item() for name in wanted)
        told = json.loads((back / "adapter_config.json").read_text())
        assert (told["r"], told["lora_alpha"]) == (config["r"], config["lora_alpha"])


@pytest.mark.torch
@pytest.mark.parametrize("keys", [None, ["mlp.switch_mlp.down_proj"], ["mlp.switch_mlp.gate_proj", "mlp.gate"]])
def test_experts_come_back_as_they_were(bases: Path, tmp_path: Path, keys: list[str] | None) -> None:
    """3-D parameters, from PEFT to MLX and back: the same logits, and where all have one rank the same tensors."""
    base = bases / "qwen3_moe"
    more: dict[str, Any] = {} if keys is None else {"keys": keys}
    own = write_adapter(base, tmp_path / "own", **more)
    peft = exported(tmp_path, own, "peft", out=tmp_path / "peft")
    mlx = exported(tmp_path, peft, "adapter", out=tmp_path / "mlx")
    back = exported(tmp_path, mlx, "peft", out=tmp_path / "back")
    assert np.abs(mlx_logits(base, mlx) - mlx_logits(base, own)).max() < 1e-4
    wanted, found = (saved_arrays(one / "adapter_model.safetensors") for one in (peft, back))
    assert found.keys() == wanted.keys()
    if keys is None:  # the gates and ups are wider together than the rest
        return
    assert all(mx.array_equal(found[name], wanted[name]).item() for name in wanted)
    told = [json.loads((one / "adapter_config.json").read_text()) for one in (peft, back)]
    for key in ("target_parameters", "target_modules", "r", "lora_alpha", "rank_pattern", "alpha_pattern"):
        assert told[0][key] == told[1][key]


def expert(a: Any, b: Any, scale: float) -> SimpleNamespace:
    """The adapter of one matrix of all experts: (experts, rank, inputs) and (experts, outputs, rank)."""
    return SimpleNamespace(lora_a=mx.array(a), lora_b=mx.array(b), scale=scale)


def change_in_peft(adapter: PeftAdapter, place: str, parameter: str, experts: int) -> Any:
    """What PEFT adds to a parameter, (experts, outputs, inputs), by its own rule for 3-D parameters."""
    rank, alpha = adapter.parameters[parameter]
    a = np.array(adapter.tensors[f"{PEFT_PREFIX}{place}.lora_A.weight"])
    b = np.array(adapter.tensors[f"{PEFT_PREFIX}{place}.lora_B.weight"])
    a, b = a.reshape(experts, rank, -1), b.reshape(b.shape[0], rank, experts)
    return np.einsum("ore,eri->eoi", b, a) * (alpha / rank)


def test_experts_change_by_as_much_as_their_adapters_did() -> None:
    source = np.random.default_rng(4)

    def drawn(inputs: int, outputs: int, rank: int, scale: float) -> SimpleNamespace:
        a, b = source.normal(size=(3, rank, inputs)), source.normal(size=(3, outputs, rank))
        return expert(a.astype(np.float32), b.astype(np.float32), scale)

    def change(part: SimpleNamespace) -> Any:
        return np.stack([np.array(part.lora_b[one] @ part.lora_a[one]) for one in range(3)]) * part.scale

    gate, up, down = drawn(5, 4, 2, 3.0), drawn(5, 4, 1, 6.0), drawn(4, 5, 2, 0.5)
    alike = SimpleNamespace(lora_a=gate.lora_a, lora_b=mx.repeat(up.lora_b, 2, axis=2), scale=3.0)
    nothing = np.zeros((3, 4, 5))
    for gates, wanted, rank in (
        ({"gate_proj": gate, "up_proj": up}, [change(gate), change(up)], 3),
        ({"gate_proj": gate, "up_proj": alike}, [change(gate), change(alike)], 2),  # one A is enough
        ({"up_proj": up}, [nothing, change(up)], 1),
        ({"gate_proj": gate}, [change(gate), nothing], 2),
    ):
        adapter = PeftAdapter()
        adapter.add_experts("mlp.experts", {**gates, "down_proj": down})
        assert list(adapter.parameters) == ["mlp.experts.down_proj", "mlp.experts.gate_up_proj"]
        assert adapter.parameters["mlp.experts.gate_up_proj"][0] == rank
        # What was declared last is the outer one: the gates are inside of its wrapper.
        found = change_in_peft(adapter, "mlp.experts.base_layer", "mlp.experts.gate_up_proj", 3)
        np.testing.assert_allclose(found, np.concatenate(wanted, axis=1), rtol=1e-4, atol=1e-5)
        found = change_in_peft(adapter, "mlp.experts", "mlp.experts.down_proj", 3)
        np.testing.assert_allclose(found, change(down), rtol=1e-4, atol=1e-5)
    adapter = PeftAdapter()
    adapter.add_experts("mlp.experts", {"gate_proj": gate})
    assert list(adapter.parameters) == ["mlp.experts.gate_up_proj"]
    assert set(adapter.tensors) == {f"{PEFT_PREFIX}mlp.experts.lora_{side}.weight" for side in "AB"}


def test_stacked_experts_are_named_one_by_one_as_transformers_has_them() -> None:
    stack = mx.arange(12).reshape(2, 3, 2)
    found = dict(NAMINGS["qwen3_moe"].tensors("model.layers.1.mlp.switch_mlp.up_proj.weight", stack))
    assert {name: array.tolist() for name, array in found.items()} == {
        "model.layers.1.mlp.experts.0.up_proj.weight": [[0, 1], [2, 3], [4, 5]],
        "model.layers.1.mlp.experts.1.up_proj.weight": [[6, 7], [8, 9], [10, 11]],
    }
    found = dict(NAMINGS["mixtral"].tensors("model.layers.0.block_sparse_moe.switch_mlp.down_proj.weight", stack))
    assert list(found) == [f"model.layers.0.block_sparse_moe.experts.{number}.w2.weight" for number in (0, 1)]
    router = dict(NAMINGS["qwen3_moe"].tensors("model.layers.1.mlp.gate.weight", stack[0]))
    assert list(router) == ["model.layers.1.mlp.gate.weight"]


def test_what_peft_has_no_form_for_is_named(tmp_path: Path) -> None:
    base = make_model(tmp_path / "base")
    with pytest.raises(UnusableError, match="no adapter to be exported"):
        run_export(tmp_path, make_adapter(base, tmp_path / "full", "full"), "peft")
    tied = write_adapter(base, tmp_path / "tied", keys=["model.embed_tokens"])
    with pytest.raises(UnusableError, match="also the head of this model"):
        run_export(tmp_path, tied, "peft")


EVERY = [f"model.layers.{n}.{m}" for n in range(3) for m in ("attn.c_proj", "mlp.c_proj", "mlp.c_fc")] + ["lm_head"]


@pytest.mark.parametrize(
    "adapted, names, layers, excluded",
    [
        ([m for m in EVERY if m != "lm_head"], ["attn.c_proj", "c_fc", "mlp.c_proj"], None, None),
        ([m for m in EVERY if ".2.mlp" in m], ["c_fc", "mlp.c_proj"], [2], None),
        (["lm_head", EVERY[0]], ["attn.c_proj", "lm_head"], None, [EVERY[3], EVERY[6]]),
        ([EVERY[0], EVERY[4]], ["attn.c_proj", "mlp.c_proj"], None, [EVERY[1], EVERY[3], EVERY[6], EVERY[7]]),
    ],
)
def test_targets_choose_exactly_what_is_adapted(
    adapted: list[str], names: list[str], layers: list[int] | None, excluded: list[str] | None
) -> None:
    found = targets(dict.fromkeys(adapted), EVERY)
    assert (found["target_modules"], found["layers_to_transform"], found["exclude_modules"]) == (
        names,
        layers,
        excluded,
    )


def test_an_untouched_model_has_no_adapter_to_lose(tmp_path: Path) -> None:
    """What was written is all of the adapter: as many numbers as the run trained."""
    base = make_model(tmp_path / "base")
    adapter = make_adapter(base, tmp_path / "adapter")
    out = exported(tmp_path, adapter, "peft")
    model, _ = load(str(base), adapter_path=str(adapter))
    trained = [array.size for name, array in tree_flatten(model.parameters()) if "lora_" in name]
    assert sum(array.size for array in saved_arrays(out / "adapter_model.safetensors").values()) == sum(trained)


def test_ranks_and_alphas_by_module_become_one_that_answers_the_same(tmp_path: Path) -> None:
    """mlx-lm's layout has one of both: narrower matrices are widened by nothing, and the factor stands in B."""
    base = make_model(tmp_path / "base")
    peft = write_peft(make_adapter(base, tmp_path / "own"), tmp_path / "peft")
    file, config = peft / "adapter_model.safetensors", json.loads((peft / "adapter_config.json").read_text())
    tensors = saved_arrays(file)
    narrow = "base_model.model.model.layers.2.self_attn.q_proj"
    tensors[f"{narrow}.lora_A.weight"] = tensors[f"{narrow}.lora_A.weight"][:2]
    tensors[f"{narrow}.lora_B.weight"] = tensors[f"{narrow}.lora_B.weight"][:, :2]
    mx.save_safetensors(str(file), tensors)
    patterns = {"rank_pattern": {"layers.2.self_attn.q_proj": 2}, "alpha_pattern": {"q_proj": 10}}
    (peft / "adapter_config.json").write_text(
        json.dumps(config | patterns | {"base_model_name_or_path": str(base)})
    )
    mlx = exported(tmp_path, peft, "adapter", out=tmp_path / "mlx")
    model, _ = load(str(base))
    switch, tokens = AdapterSwitch(model), mx.array([[5, 9, 20, 33, 100, 7]])
    switch.use(switch.load(peft))
    wanted = model(tokens)
    stock, _ = load(str(base), adapter_path=str(mlx))
    assert mx.allclose(stock(tokens), wanted, atol=1e-4).item()
    weights = saved_arrays(mlx / "adapters.safetensors")
    assert weights["model.layers.2.self_attn.q_proj.lora_a"].shape[1] == 4


@pytest.mark.torch
def test_a_given_template_goes_along_and_the_base_is_named(home: Path, bases: Path, tmp_path: Path) -> None:
    assert home.is_dir()
    base = bases / "llama"
    text = template_offers(base)[-1].text
    adapter = write_adapter(with_template(base, text), tmp_path / "trained")
    for content in ("peft", "adapter"):
        (tmp_path / content).mkdir()
        out = exported(tmp_path / content, adapter, content)
        assert (out / "chat_template.jinja").read_text(encoding="utf-8") == text
    config = json.loads((next((tmp_path / "peft").rglob("adapter_config.json"))).read_text())
    assert config["base_model_name_or_path"] == str(base)
