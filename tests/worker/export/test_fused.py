"""Fused models: stock mlx-lm answers with them as with base and adapter, whatever the base is stored in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm import load

from app.core.model.conversion import QUANTIZATIONS
from app.core.problem import UnusableError
from app.core.protocol import event
from app.worker.export import model_folder
from app.worker.export.fused import FUSING, WRITING_WEIGHTS
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.export.exporting import exported, run_export
from tests.worker.export.hf_model import write_adapter
from tests.worker.tiny_model import write_model
from tests.worker.training import saved_arrays

TOKENS = mx.array([[5, 9, 20, 33, 100, 7]])
EVERYTHING = ["self_attn.q_proj", "mlp.down_proj", "model.embed_tokens"]


def logits(base: Path, adapter: Path | None = None) -> mx.array:
    model, _ = load(str(base), adapter_path=str(adapter) if adapter else None)
    return model(TOKENS).astype(mx.float32)


@pytest.mark.parametrize("kind", ["lora", "dora", "full"])
@pytest.mark.parametrize("quantized", [False, True], ids=["floats", "4-bit"])
def test_a_fused_model_answers_as_base_and_adapter(tmp_path: Path, kind: str, quantized: bool) -> None:
    if quantized and kind == "full":
        pytest.skip("packed weights are not trained whole")
    base = make_model(tmp_path / "base", quantized=quantized)
    adapter = make_adapter(base, tmp_path / "adapter", kind)
    wanted = logits(base, adapter)
    assert not mx.allclose(wanted, logits(base), atol=0.1).item()
    out = exported(tmp_path, adapter, "fused")
    assert mx.allclose(logits(out), wanted, atol=2e-4).item()
    assert "quantization" not in json.loads((out / "config.json").read_text())
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (out / name).read_bytes() == (base / name).read_bytes()


def test_progress_counts_bytes_where_weights_are_written_and_other_things_elsewhere(tmp_path: Path) -> None:
    adapter = make_adapter(make_model(tmp_path / "base"), tmp_path / "adapter", "lora")
    out, events = run_export(tmp_path, adapter, "fused", prompts=3)
    last = {said.phase: said for said in events if isinstance(said, event.Progressed) and said.total}
    assert [name for name, said in last.items() if said.in_bytes] == [WRITING_WEIGHTS]
    assert last[WRITING_WEIGHTS].done == sum(one.nbytes for one in saved_arrays(out / "model.safetensors").values())
    assert last[FUSING].done == last[FUSING].total == 7 * 2  # matrices of each layer


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_embeddings_are_fused_too_and_stay_the_head_where_they_are(tmp_path: Path, kind: str) -> None:
    base = write_model(tmp_path / "base", tied=True)
    adapter = write_adapter(base, tmp_path / "adapter", kind, keys=EVERYTHING)
    out = exported(tmp_path, adapter, "fused")
    assert mx.allclose(logits(out), logits(base, adapter), atol=2e-4).item()
    assert not mx.allclose(
        saved_arrays(out / "model.safetensors")["model.embed_tokens.weight"],
        saved_arrays(base / "model.safetensors")["model.embed_tokens.weight"],
    ).item()


def test_experts_are_fused(tmp_path: Path) -> None:
    more: dict[str, Any] = {
        "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "decoder_sparse_step": 1,
        "mlp_only_layers": [], "norm_topk_prob": True, "head_dim": 8,
    }  # fmt: skip
    base = write_model(tmp_path / "base", "qwen3_moe", **more)
    adapter = write_adapter(base, tmp_path / "adapter")
    out = exported(tmp_path, adapter, "fused")
    assert mx.allclose(logits(out), logits(base, adapter), atol=2e-4).item()


@pytest.mark.parametrize("name", list(QUANTIZATIONS))
def test_fewer_bits_are_as_small_as_said_and_load(tmp_path: Path, name: str) -> None:
    base = make_model(tmp_path / "base", hidden_size=128)
    adapter = make_adapter(base, tmp_path / "adapter")
    out = exported(tmp_path, adapter, "fused", options={"bits": name})
    told = json.loads((out / "config.json").read_text())["quantization"]
    way = QUANTIZATIONS[name]
    assert (told["bits"], told["group_size"], told["mode"]) == (way.bits, way.group_size, way.mode)
    found, wanted = logits(out), logits(base, adapter)
    assert not mx.array_equal(found, wanted).item()
    assert mx.allclose(found, wanted, atol=0.5 if way.bits == 8 else 5).item()


def test_weights_are_written_in_files_of_a_bearable_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_folder, "FILE_BYTES", 40_000)
    base = make_model(tmp_path / "base")
    adapter = make_adapter(base, tmp_path / "adapter")
    out = exported(tmp_path, adapter, "fused")
    index = json.loads((out / "model.safetensors.index.json").read_text())
    files = sorted(path.name for path in out.glob("*.safetensors"))
    assert len(files) > 2
    assert sorted(set(index["weight_map"].values())) == files
    assert mx.allclose(logits(out), logits(base, adapter), atol=2e-4).item()


def test_half_the_strength_is_half_of_what_is_added(tmp_path: Path) -> None:
    base = make_model(tmp_path / "base")
    adapter = make_adapter(base, tmp_path / "adapter")
    whole = saved_arrays(exported(tmp_path, adapter, "fused", out=tmp_path / "whole") / "model.safetensors")
    half = exported(tmp_path, adapter, "fused", out=tmp_path / "half", options={"scale": 0.5})
    before, name = saved_arrays(base / "model.safetensors"), "model.layers.2.self_attn.q_proj.weight"
    assert mx.allclose(
        saved_arrays(half / "model.safetensors")[name], (before[name] + whole[name]) / 2, atol=1e-6
    ).item()


@pytest.mark.parametrize(
    "model_type, more, said",
    [("gemma3n", {}, "type gemma3n is not known"), ("llama4", {}, "its part that sees")],
)
def test_a_model_with_unknown_names_is_refused_before_any_work(
    tmp_path: Path, model_type: str, more: dict[str, Any], said: str
) -> None:
    base = make_model(tmp_path / "base")
    adapter = make_adapter(base, tmp_path / "adapter")
    config = json.loads((base / "config.json").read_text()) | {"model_type": model_type} | more
    (base / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnusableError, match=said):
        run_export(tmp_path, adapter, "hf")
    assert not list(tmp_path.glob(".out*"))
