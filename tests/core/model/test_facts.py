"""What a model's config says whatever names it has for it, which part of a model a module is, and conversions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.model.conversion import QUANTIZATIONS, converted_folder, quantization
from app.core.model.facts import ModelFacts, layer_count, model_facts
from app.core.model.hub import (
    Destination,
    Fit,
    HubModel,
    ModelId,
    fit,
    model_id,
    quantization_text,
    training_bytes,
    wanted_files,
    weight_bytes,
)
from app.core.model.inspection import AdapterCost, AdapterSize
from app.core.model.module_group import Group, group_of, name_rank, settle
from app.core.model.safetensors_header import Tensor, weight_files
from app.core.model.vocabulary import added_tokens, embedding_rows
from app.core.problem import UnusableError
from tests.core.inspections import llama

PLAIN: dict[str, Any] = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM", "Other"], "hidden_size": 64, "vocab_size": 100,
    "num_attention_heads": 8, "max_position_embeddings": 512, "torch_dtype": "torch.bfloat16",
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "changed"),
    [
        (PLAIN, {}),
        (PLAIN | {"num_key_value_heads": 2, "head_dim": 32}, {"num_kv_heads": 2, "head_dim": 32}),
        (PLAIN | {"num_experts_per_tok": 3, "dtype": "float"}, {"experts_per_token": 3}),
        (PLAIN | {"torch_dtype": "half"}, {"dtype": "float16"}),
        (PLAIN | {"torch_dtype": None, "dtype": "float"}, {"dtype": "float32"}),
        (PLAIN | {"torch_dtype": 3}, {"dtype": ""}),
        (PLAIN | {"hidden_size": [32, 96, 64]}, {"hidden_size": 96, "head_dim": 12}),
        (PLAIN | {"hidden_size": ["a"], "d_model": 48}, {"hidden_size": 48, "head_dim": 6}),
        (PLAIN | {"hidden_size": True, "dim": 40.0}, {"hidden_size": 40, "head_dim": 5}),
        (PLAIN | {"text_config": {"vocab_size": 200, "dtype": "float16"}}, {"vocab_size": 200, "dtype": "float16"}),
        (PLAIN | {"architectures": []}, {"architecture": ""}),
        (PLAIN | {"architectures": "Llama", "model_type": None}, {"architecture": "", "model_type": ""}),
    ],
)
def test_facts_are_read_whatever_they_are_called(config: dict[str, Any], changed: dict[str, Any]) -> None:
    facts: dict[str, Any] = {
        "model_type": "llama", "architecture": "LlamaForCausalLM", "hidden_size": 64, "vocab_size": 100,
        "num_heads": 8, "num_kv_heads": 8, "head_dim": 8, "max_length": 512, "experts_per_token": 0,
        "dtype": "bfloat16",
    }  # fmt: skip
    found = model_facts(config)
    assert found == ModelFacts(**facts | changed)
    assert found.as_fields() == {name: value for name, value in (facts | changed).items() if name != "dtype"}


def test_layers_are_counted_in_the_language_model_first() -> None:
    assert model_facts({}).head_dim == 0
    for config, count in (
        ({"n_layer": 5}, 5), ({"num_layers": 0, "n_layers": 3}, 3), ({"num_layers": True}, 0), ({}, 0),
        ({"num_layers": 4, "text_config": {"n_layers": 7}}, 7), ({"num_layers": 4, "text_config": 7}, 4),
    ):  # fmt: skip
        assert layer_count(config) == count, config


@pytest.mark.parametrize(
    ("key", "kind", "more", "group"),
    [
        ("self_attn.q_proj", "Linear", {}, Group.ATTENTION),
        ("mlp.up_proj", "Linear", {}, Group.MLP),
        ("mlp.experts.0.up_proj", "Linear", {}, Group.EXPERTS),
        ("block_sparse.w1", "SwitchLinear", {}, Group.EXPERTS),
        ("mlp.shared_expert.up_proj", "Linear", {}, Group.SHARED_EXPERTS),
        ("mlp.gate", "Linear", {}, Group.ROUTER),
        ("self_attn.gate", "Linear", {}, Group.ATTENTION),
        ("mixer.in_proj", "Linear", {}, Group.STATE_SPACE),
        ("mixer.in_proj", "Linear", {"owners": ["Attention"]}, Group.ATTENTION),
        ("mixer.in_proj", "Linear", {"owners": ["GatedDeltaNet", "Attention"]}, Group.STATE_SPACE),
        ("attn.fc", "Linear", {"owners": ["SwiGLUMLP"]}, Group.MLP),
        ("fc", "Linear", {"owners": ["FeedForward"]}, Group.MLP),
        ("conv.in_proj", "Linear", {}, Group.STATE_SPACE),
        ("dense2.fc", "Linear", {}, Group.OTHER),
        ("altup.proj", "Linear", {}, Group.OTHER),
        ("wte", "QuantizedEmbedding", {}, Group.EMBEDDINGS),
        ("embed_tokens.proj", "Linear", {"inside": False}, Group.EMBEDDINGS),
        ("lm_head", "Linear", {"inside": False}, Group.HEAD),
        ("model.output", "Linear", {"inside": False}, Group.HEAD),
        ("model.proj", "Linear", {"inside": False, "head": True}, Group.HEAD),
        ("pooler.dense", "Linear", {"inside": False}, Group.OTHER),
        ("msa0.out_proj", "Linear", {"inside": False}, Group.ATTENTION),
        ("ffn_1.dense", "Linear", {"inside": False}, Group.MLP),
        ("output.dense", "Linear", {"inside": False}, Group.OTHER),
    ],
)
def test_a_module_s_part_is_told_by_its_path_and_its_class(
    key: str, kind: str, more: dict[str, Any], group: Group
) -> None:
    assert group_of(key, kind, **more) is group


def test_a_shared_mlp_without_experts_is_the_mlp_and_matrices_stand_as_people_name_them() -> None:
    assert settle([Group.SHARED_EXPERTS, Group.ATTENTION]) == {Group.SHARED_EXPERTS: Group.MLP}
    assert settle([Group.SHARED_EXPERTS, Group.EXPERTS]) == settle([Group.EXPERTS]) == {}
    names = ["odd", "down_proj", "gate_proj", "o_proj", "v_proj", "k_proj", "q_proj"]
    assert sorted(names, key=lambda name: name_rank(f"mlp.{name}")) == [*reversed(names)]


def test_an_adapter_s_size_follows_from_its_rank() -> None:
    cost = AdapterCost(lora=AdapterSize(slope=10, constant=3), dora=AdapterSize(slope=10, refused="No."))
    assert (cost.of("lora").parameters(8), cost.of("dora").parameters(8)) == (83, 0)
    inspection = llama(1)
    conv = inspection.by_path["model.layers.0.conv1d"]
    assert inspection.size(conv, "lora") == AdapterSize(refused="A convolution.")
    assert conv.shape_text == "64 × 4 × 1"
    twice = inspection.model_copy(update={"modules": (conv, conv, *inspection.adaptable)})
    assert twice.refusals == (("conv1d", "A convolution.", 2),)
    assert inspection.named("mlp.up_proj") == (inspection.by_path["model.layers.0.mlp.up_proj"],)
    assert inspection.named("lm_head") == (inspection.by_path["lm_head"],)
    assert inspection.named("none") == ()


def test_each_way_of_fewer_bits_has_its_size() -> None:
    assert {name: (one.bits_per_weight, one.mode) for name, one in QUANTIZATIONS.items()} == {
        "4bit": (4.5, "affine"), "5bit": (5.5, "affine"), "6bit": (6.5, "affine"), "8bit": (8.5, "affine"),
        "mxfp4": (4.25, "mxfp4"),
    }  # fmt: skip
    assert quantization("5bit") is QUANTIZATIONS["5bit"]
    with pytest.raises(UnusableError) as caught:
        quantization("3bit")
    [problem] = caught.value.problems
    assert (problem.path, problem.text) == (
        "quantization",
        "“3bit” is no quantization that Luthier makes. Choose one of 4bit, 5bit, 6bit, 8bit, mxfp4.",
    )


def test_a_conversion_goes_beside_those_that_are_there(tmp_path: Path) -> None:
    chosen = QUANTIZATIONS["4bit"]
    for name in ("Qwen-4bit", "Qwen-4bit-2", "Qwen-4bit-3"):
        assert converted_folder("org/Qwen@main", chosen, tmp_path) == tmp_path / name
        (tmp_path / name).mkdir()
    assert converted_folder("/models/Other/", chosen, tmp_path) == tmp_path / "Other-4bit"


def test_types_of_the_hub_take_their_bytes() -> None:
    sizes = {
        "F64": 8, "I64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2, "F8_E4M3": 1,
        "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1, "NEW": 2,
    }  # fmt: skip
    assert {name: weight_bytes({name: 1}) for name in sizes} == sizes
    bits = {
        "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
        "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64,
        "F64": 64, "C64": 64, "NEW": 32,
    }  # fmt: skip
    assert {name: Tensor("a", name, (2, 4)).bytes for name in bits} == bits


def test_a_model_fits_with_a_fifth_to_spare() -> None:
    assert training_bytes(4_000_000_000) == 6.5e9
    for limit, judged in ((8.2e9, Fit.FITS), (8.1e9, Fit.TIGHT), (6.5e9, Fit.TIGHT), (6.4e9, Fit.TOO_LARGE),
                          (0, Fit.UNKNOWN), (-1, Fit.UNKNOWN)):  # fmt: skip
        assert fit(4_000_000_000, limit) is judged
    assert fit(-1, 1e9) is Fit.UNKNOWN
    assert [one.label for one in Fit] == ["fits", "tight", "too large", "unknown"]


def test_what_the_hub_says_of_a_model_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {"id": "a/b", "size_bytes": 0, "downloads": 0, "likes": 0, "quantization": "", "model_type": "",
             "gated": False, "updated": ""}  # fmt: skip
    assert HubModel("a/b").as_dict() == plain
    assert HubModel.from_dict(plain | {"newer": 1}) == HubModel("a/b")
    assert (str(ModelId("a/b", "dev")), str(ModelId("a/b"))) == ("a/b@dev", "a/b")
    with pytest.raises(UnusableError) as caught:
        model_id(" some words ")
    assert caught.value.problems[0].text == (
        "“some words” is no name of a model on the hub. "
        "A name reads organization/model; the address of the model's page does too."
    )
    for config, tags, dtypes, said in (
        ({"quantization": {"mode": "mxfp8", "bits": 8}}, [], [], "mxfp8"),
        ({"quantization": {"bits": 3}}, [], [], "3-bit"),
        ({}, ["4bit", "8-bit"], [], "4-bit"), ({}, ["44-bit"], ["U32", "F16", "BF16"], "f16"), ({}, [], ["U8"], ""),
    ):  # fmt: skip
        assert quantization_text(config, tags, dtypes) == said
    assert wanted_files(["consolidated.safetensors", "other.safetensors", "a.json"]) == [
        "consolidated.safetensors", "other.safetensors", "a.json",
    ]  # fmt: skip
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    cached, apart = Destination(ModelId("a/b")), Destination(ModelId("a/b"), tmp_path / "x")
    assert (cached.partial, cached.lock) == (
        tmp_path / "models--a--b" / "blobs", tmp_path / ".locks" / "models--a--b" / "luthier.lock",
    )  # fmt: skip
    download = tmp_path / "x" / ".cache" / "huggingface" / "download"
    assert (apart.partial, apart.lock) == (download, download / "luthier.lock")


def test_tokens_that_were_added_are_read_from_each_file(tmp_path: Path) -> None:
    listed = [{"id": 1, "content": "a"}, {"id": "2", "content": "b"}, {"id": 3}, 4]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": listed}))
    decoder = {"1": {"content": "not this"}, "5": {"content": "c"}, "6": {}, "x": {"content": "d"}, "7": "e"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": decoder}))
    (tmp_path / "added_tokens.json").write_text(json.dumps({"f": 8, "g": "9", "not this": 5}))
    assert added_tokens(tmp_path) == {1: "a", 5: "c", 6: "", 8: "f"}
    (tmp_path / "tokenizer_config.json").write_text("[]")
    (tmp_path / "added_tokens.json").write_text("{")
    assert added_tokens(tmp_path) == {1: "a"}
    (tmp_path / "config.json").write_text("{")
    assert embedding_rows(tmp_path) == 0


def test_weights_are_those_called_model_and_no_adapters(tmp_path: Path) -> None:
    for names, found in (
        (["adapters.safetensors", "b.safetensors", "a.safetensors"], ["a.safetensors", "b.safetensors"]),
        (["model-2.safetensors", "model-1.safetensors"], ["model-1.safetensors", "model-2.safetensors"]),
    ):
        for name in names:
            (tmp_path / name).write_bytes(b"")
        assert [path.name for path in weight_files(tmp_path)] == found
