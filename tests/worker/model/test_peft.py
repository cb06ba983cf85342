"""PEFT folders, written by hand from known LoRAs: the same logits as mlx-lm's own layout, or a refusal in words."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm import load

from app.core.problem import UnusableError
from app.worker.model.adapter_switch import AdapterSwitch
from app.worker.model.build import build_model
from app.worker.model.peft import peft_modules
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.architectures import config_of
from tests.worker.tiny_model import write_model

TOKENS = mx.array([[5, 9, 20, 33, 100, 7]])
RANK, SCALE = 4, 10.0  # of `make_adapter`
Q_PROJ = "base_model.model.model.layers.2.self_attn.q_proj"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("peft")
    make_model(root / "dense")
    make_model(root / "quantized", quantized=True)
    for base in ("dense", "quantized"):
        for kind in ("lora", "dora"):
            adapter = make_adapter(root / base, root / f"{base}-{kind}", kind)
            write_peft(adapter, root / f"{base}-{kind}-peft", kind)
    return root


def write_peft(adapter: Path, folder: Path, kind: str = "lora", **more: Any) -> Path:
    """The same adapter in PEFT's layout: transposed matrices, other names, alpha instead of scale."""
    folder.mkdir()
    weights = mx.load(str(adapter / "adapters.safetensors"))
    assert isinstance(weights, dict)
    names = {"lora_a": "lora_A.weight", "lora_b": "lora_B.weight", "m": "lora_magnitude_vector"}
    tensors = {}
    for name, array in weights.items():
        module, leaf = name.rsplit(".", 1)
        tensors[f"base_model.model.{module}.{names[leaf]}"] = array if leaf == "m" else mx.contiguous(array.T)
    mx.save_safetensors(str(folder / "adapter_model.safetensors"), tensors)
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": "somewhere/else",
        "r": RANK,
        "lora_alpha": SCALE * RANK,
        "use_dora": kind == "dora",
        "use_rslora": False,
        "bias": "none",
        "modules_to_save": None,
        "target_modules": ["q_proj"],
        "init_lora_weights": True,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config | more))
    return folder


def logits(base: Path, adapter: Path) -> mx.array:
    model, _ = load(str(base))
    switch = AdapterSwitch(model)
    switch.use(switch.load(adapter))
    return model(TOKENS)


@pytest.mark.parametrize("base", ["dense", "quantized"])
@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_a_peft_folder_answers_as_the_same_adapter_of_mlx_lm(models: Path, base: str, kind: str) -> None:
    stock, _ = load(str(models / base), adapter_path=str(models / f"{base}-{kind}"))
    assert mx.array_equal(logits(models / base, models / f"{base}-{kind}-peft"), stock(TOKENS)).item()


def test_the_switch_tells_kind_and_parameters_and_gives_the_base_back(models: Path) -> None:
    model, _ = load(str(models / "dense"))
    before, switch = model(TOKENS), AdapterSwitch(model)
    own, peft = switch.load(models / "dense-dora"), switch.load(models / "dense-dora-peft")
    assert (peft.kind, peft.parameters) == ("dora", own.parameters)
    assert set(peft.parts) == set(own.parts)
    switch.use(peft)
    assert not mx.array_equal(model(TOKENS), before).item()
    switch.use(None)
    assert mx.array_equal(model(TOKENS), before).item()
    assert switch.load(models / "dense-lora-peft" / "adapter_model.safetensors").kind == "lora"


def test_alpha_of_rank_stabilised_lora_and_of_patterns(models: Path, tmp_path: Path) -> None:
    own, base = models / "dense-lora", models / "dense"
    plain = logits(base, models / "dense-lora-peft")
    rs = write_peft(own, tmp_path / "rs", use_rslora=True, lora_alpha=SCALE * math.sqrt(RANK))
    pattern = {".*": SCALE * RANK}
    by_alpha = write_peft(own, tmp_path / "alpha", lora_alpha=1, alpha_pattern=pattern)
    by_rank = write_peft(
        own, tmp_path / "rank", r=64, rank_pattern={"q_proj|k_proj|v_proj|o_proj": RANK, ".*": RANK}
    )
    for found in (rs, by_alpha, by_rank):
        assert mx.allclose(logits(base, found), plain, rtol=0, atol=0).item()
    one = write_peft(own, tmp_path / "one", alpha_pattern={"layers.2.self_attn.q_proj": 1})
    assert not mx.allclose(logits(base, one), plain).item()


def test_modules_of_a_wrapped_model_are_found_by_their_ends(models: Path, tmp_path: Path) -> None:
    found = write_peft(models / "dense-lora", tmp_path / "adapter")
    _rename(found, lambda name: name.replace("base_model.model.model.", "base_model.model.model.language_model."))
    assert mx.array_equal(
        logits(models / "dense", found), logits(models / "dense", models / "dense-lora-peft")
    ).item()


def test_an_embedding_is_adapted_where_it_is_not_the_head(tmp_path: Path) -> None:
    write_model(tmp_path / "untied", tied=False)
    write_model(tmp_path / "tied")
    folder = tmp_path / "adapter"
    folder.mkdir()
    model, _ = load(str(tmp_path / "untied"))
    rows, width = model.model.embed_tokens.weight.shape
    mx.random.seed(0)
    a, b = mx.random.normal((RANK, rows)), mx.random.normal((width, RANK))
    name = "base_model.model.model.embed_tokens.lora_embedding_"
    mx.save_safetensors(str(folder / "adapter_model.safetensors"), {f"{name}A": a, f"{name}B": b})
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": RANK, "lora_alpha": 2}))
    tuned = logits(tmp_path / "untied", folder)
    model.model.embed_tokens.weight = model.model.embed_tokens.weight + 2 / RANK * (b @ a).T
    assert mx.allclose(tuned, model(TOKENS), atol=1e-3).item()
    assert "input side only" in _refusal(tmp_path / "tied", folder)


@pytest.mark.parametrize(
    "config, said",
    [
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"peft_type": "IA3"}, "type IA3"),
        ({"bias": "all"}, "bias: all"),
        ({"init_lora_weights": "pissa_niter_4"}, "pissa_niter_4"),
        ({"init_lora_weights": "lora_ga"}, "began with lora_ga, which changes the base's own weights"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"r": 8}, "rank 4 and 4, adapter_config.json says 8"),
        ({"use_dora": True}, "contradict"),
        ({"lora_alpha": None}, "no lora_alpha"),
        ({"lora_alpha": math.inf}, "lora_alpha in adapter_config.json is no finite number"),
        ({"alpha_pattern": {"q_proj": math.nan}}, "lora_alpha in adapter_config.json is no finite number"),
        ({"alpha_pattern": {"(": 1}}, "self_attn"),
    ],
)
def test_what_cannot_be_put_on_a_base_is_named(
    models: Path, tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    assert said in _refusal(models / "dense", write_peft(models / "dense-lora", tmp_path / "adapter", **config))


def test_names_of_gpt2_in_transformers_are_found(tmp_path: Path) -> None:
    """mlx-lm calls `transformer.h` `model.h`; the linear map there stays inputs × rank and rank × outputs."""
    (tmp_path / "gpt2").mkdir()
    (tmp_path / "gpt2" / "config.json").write_text(json.dumps(config_of("gpt2")))
    model, _ = build_model(tmp_path / "gpt2")
    base = dict(model.named_modules())
    outputs, inputs = base["model.h.1.attn.c_attn"].weight.shape
    a, b = mx.random.normal((RANK, inputs)), mx.random.normal((outputs, RANK))
    name = "base_model.model.transformer.h.1.attn.c_attn"
    weights = {f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b}
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 2 * RANK, "fan_in_fan_out": True}
    ((path, module),) = peft_modules(config, weights, base, tmp_path).items()
    assert path == "model.h.1.attn.c_attn"
    x = mx.random.normal((3, inputs))
    wanted = base[path](x) + 2 * (x @ a.T) @ b.T
    assert mx.allclose(module(x), wanted, atol=1e-4).item()


def test_another_base_is_said_with_both_sizes(models: Path, tmp_path: Path) -> None:
    make_model(tmp_path / "wide", hidden_size=128)
    said = _refusal(tmp_path / "wide", models / "dense-lora-peft")
    assert "v_proj is 64 × 32 in the adapter and 128 × 64 in the base model, and 13 more are of other sizes" in said
    assert len(said.splitlines()) == 1  # one sentence, however many modules there are


def test_missing_modules_and_strange_tensors_are_named(models: Path, tmp_path: Path) -> None:
    found = write_peft(models / "dense-lora", tmp_path / "adapter")
    _rename(found, lambda name: name.replace("layers.2.", "layers.7."))
    assert "The base model has no model.layers.7." in _refusal(models / "dense", found)
    other = write_peft(models / "dense-lora", tmp_path / "other")
    _rename(other, lambda name: name.replace(f"{Q_PROJ}.lora_A.weight", f"{Q_PROJ}.lora_A.bias"))
    said = _refusal(models / "dense", other)
    assert "not of LoRA or DoRA" in said
    assert "lora_A is not there" in said


def test_pickled_weights_are_refused(models: Path, tmp_path: Path) -> None:
    found = write_peft(models / "dense-lora", tmp_path / "adapter")
    (found / "adapter_model.safetensors").rename(found / "adapter_model.bin")
    assert "pickled code" in _refusal(models / "dense", found)


def _rename(folder: Path, change: Any) -> None:
    file = str(folder / "adapter_model.safetensors")
    weights = mx.load(file)
    assert isinstance(weights, dict)
    mx.save_safetensors(file, {change(name): array for name, array in weights.items()})


def _refusal(base: Path, adapter: Path) -> str:
    model, _ = load(str(base))
    before = model(TOKENS)
    with pytest.raises(UnusableError) as caught:
        AdapterSwitch(model).load(adapter)
    assert mx.array_equal(model(TOKENS), before).item()
    return str(caught.value)


EXPERTS, HIDDEN, WIDTH = 4, 32, 16
MOE = {"num_experts": EXPERTS, "num_experts_per_tok": 2, "moe_intermediate_size": WIDTH, "hidden_size": HIDDEN,
       "decoder_sparse_step": 1, "mlp_only_layers": [], "norm_topk_prob": True, "num_hidden_layers": 2}  # fmt: skip
AT = "model.layers.1.mlp.experts"


def moe(folder: Path) -> Any:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config_of("qwen3_moe") | MOE))
    return build_model(folder)[0]


def expert_tensors(outer: str, inner: str = "") -> dict[str, mx.array]:
    """What PEFT's wrappers of parameters hold: (experts · rank, inputs) and (outputs, rank · experts)."""
    sizes = {"gate_up_proj": (HIDDEN, 2 * WIDTH), "down_proj": (WIDTH, HIDDEN)}
    mx.random.seed(1)
    found = {}
    for place, name in ((f"base_model.model.{AT}", outer), (f"base_model.model.{AT}.base_layer", inner)):
        if name:
            inputs, outputs = sizes[name]
            found[f"{place}.lora_A.weight"] = mx.random.normal((EXPERTS * RANK, inputs))
            found[f"{place}.lora_B.weight"] = mx.random.normal((outputs, RANK * EXPERTS))
    return found


def test_experts_are_adapted_through_their_parameters(tmp_path: Path) -> None:
    """Expert by expert against the delta that PEFT computes: Σ over the rank of B[:, r, e] A[e, r, :]."""
    base = dict(moe(tmp_path / "moe").named_modules())
    tensors = expert_tensors("down_proj", "gate_up_proj")
    config = {
        "peft_type": "LORA", "r": RANK, "lora_alpha": 8, "alpha_pattern": {r"experts\.down_proj": 2},
        "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"],
    }  # fmt: skip
    found = peft_modules(config, tensors, base, tmp_path)
    paths = [f"model.layers.1.mlp.switch_mlp.{name}" for name in ("gate_proj", "up_proj", "down_proj")]
    assert sorted(found) == sorted(paths)

    def delta(place: str, scale: float) -> mx.array:
        a = tensors[f"base_model.model.{place}.lora_A.weight"].reshape(EXPERTS, RANK, -1)
        b = tensors[f"base_model.model.{place}.lora_B.weight"]
        b = b.reshape(b.shape[0], RANK, EXPERTS)
        each = [
            mx.stack([b[:, r, e][:, None] * a[e, r][None] for r in range(RANK)]).sum(axis=0) for e in range(EXPERTS)
        ]
        return mx.stack(each) * scale

    both, down = delta(f"{AT}.base_layer", 2.0), delta(AT, 0.5)
    for path, wanted in zip(paths, (both[:, :WIDTH], both[:, WIDTH:], down), strict=True):
        module: Any = found[path]
        fused = module.fuse().weight - base[path].weight
        assert mx.allclose(fused, wanted, atol=1e-4).item()


@pytest.mark.parametrize(
    ("tensors", "config", "said"),
    [
        (("down_proj",), {"target_parameters": ["mlp.experts.gate_up_proj"]}, "is 16 × 16 and 32 × 16"),
        (("down_proj",), {"target_parameters": ["mlp.experts.w13"]}, "target_parameters names mlp.experts.w13"),
        (("down_proj", "gate_up_proj"), {"target_parameters": ["experts.down_proj"]}, "contradict each other"),
        (("down_proj",), {}, "contradict each other"),
    ],
)  # fmt: skip
def test_experts_of_another_form_are_named(
    tmp_path: Path, tensors: tuple[str, ...], config: dict[str, Any], said: str
) -> None:
    base = dict(moe(tmp_path / "moe").named_modules())
    plain = {"peft_type": "LORA", "r": RANK, "lora_alpha": 8}
    with pytest.raises(UnusableError) as caught:
        peft_modules(plain | config, expert_tensors(*tensors), base, tmp_path)
    assert said in str(caught.value)
