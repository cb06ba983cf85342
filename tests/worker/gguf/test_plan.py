"""What a GGUF file will say, and what is refused in words before any of it is written."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from gguf import MODEL_ARCH, GGUFReader, TokenType
from mlx_lm import load
from mlx_lm.models import phi3
from mlx_lm.models.rope_utils import YarnRoPE
from mlx_lm.tuner.lora import LoRALinear
from mlx_lm.utils import load_config

from app.core.model.vocabulary import end_tokens
from app.core.problem import UnusableError
from app.worker.gguf.adapter import gguf_adapter_problems, write_gguf_adapter
from app.worker.gguf.architecture import _gemma2, _gemma3, _qwen3_moe, architecture_of
from app.worker.gguf.file import GgufPlan, plan_gguf, write_gguf
from app.worker.gguf.matrix import full_weight
from app.worker.gguf.pre_tokenizer import pre_tokenizer_name
from app.worker.gguf.rotation import _yarn, rotation_factors, rotation_values
from app.worker.gguf.tensor_type import TensorType, packed
from tests.worker.gguf.tiny_gguf import BYTE_RULES, CHATML, PADDING, QWEN2, write_tiny, write_tokenizer

# As files of these models have them.
QWEN35 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
ANY_CASE, EACH_CASE = "(?i:'s|'t|'re|'ve|'m|'ll|'d)", "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
DIGITS = {"type": "Digits", "individual_digits": True}


def cut(regex: str, **more: Any) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False} | more


def planned(folder: Path, kind: TensorType = TensorType.BF16, name: str = "tiny") -> GgufPlan:
    model, tokenizer = load(str(folder))
    return plan_gguf(model, load_config(folder), tokenizer, kind, name=name, ends=tuple(end_tokens(folder)))


def said(folder: Path) -> str:
    with pytest.raises(UnusableError) as caught:
        planned(folder)
    return str(caught.value)


@pytest.mark.parametrize("rule", BYTE_RULES)
def test_a_rule_is_known_by_its_pattern_and_by_whether_words_stay_whole(rule: str, tmp_path: Path) -> None:
    write_tokenizer(tmp_path, rule, CHATML)
    tree = json.loads((tmp_path / "tokenizer.json").read_text())
    assert pre_tokenizer_name(tree) == rule
    tree["model"]["ignore_merges"] = not tree["model"]["ignore_merges"]
    assert pre_tokenizer_name(tree) == {"llama-bpe": "dbrx", "dbrx": "llama-bpe"}.get(rule)


@pytest.mark.parametrize(
    "part, name",
    [
        ({"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}, "gpt-2"),
        ({"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}, None),
        ({"type": "ByteLevel"}, "gpt-2"),
        ({"type": "Whitespace"}, None),
        (None, None),
        ({"type": "Sequence", "pretokenizers": [DIGITS, {"type": "ByteLevel"}]}, "smollm"),
        (
            {"type": "Sequence", "pretokenizers": [DIGITS | {"individual_digits": False}]},
            None,
        ),
        (cut(QWEN2), "qwen2"),
        (cut(QWEN2, behavior="Removed"), None),
        (cut(QWEN2, invert=True), None),
        (cut(QWEN2, pattern={"String": QWEN2}), None),
        (cut(QWEN2, pattern=QWEN2), None),
        ({"type": "Sequence", "pretokenizers": [cut(QWEN2), {"type": "ByteLevel", "use_regex": False}]}, "qwen2"),
        ({"type": "Sequence", "pretokenizers": [cut(QWEN2), {"type": "ByteLevel"}]}, None),
        (cut(QWEN2.replace(ANY_CASE, EACH_CASE)), "qwen2"),
        (cut(QWEN2.replace(r"\p{N}|", r"\p{N}{1}|").replace("]?\\p{L}+", "]?+\\p{L}+")), "qwen2"),
        (cut(QWEN35), "qwen35"),
        (cut(GPT4O), "gpt-4o"),
        ({"type": "Split", "pattern": {"Regex": r"\w+"}, "behavior": "Isolated", "invert": False}, None),
    ],
)
def test_other_rules_are_known_or_not(part: dict[str, Any] | None, name: str | None) -> None:
    tree = {"pre_tokenizer": part, "model": {"type": "BPE", "merges": [["a", "b"]], "ignore_merges": False}}
    assert pre_tokenizer_name(tree) == name
    tree["model"] = {"type": "BPE", "merges": [], "ignore_merges": True}  # none is left unmerged, or all are
    assert pre_tokenizer_name(tree) == name


def test_a_tokenizer_that_llama_cpp_would_read_otherwise_is_refused(tmp_path: Path) -> None:
    bytes_ = write_tiny(tmp_path / "bytes", "qwen3")
    _edit(bytes_ / "tokenizer.json", lambda tree: tree["pre_tokenizer"]["pretokenizers"].pop(0))
    assert "no name for the rule by which this tokenizer cuts a text" in said(bytes_)
    pieces = write_tiny(tmp_path / "pieces", "mistral")
    # As a tokenizer that was trained with merges: a piece has one way to be made, and llama.cpp takes any.
    _edit(pieces / "tokenizer.json", lambda tree: tree["model"].update(merges=_by_letter(tree["model"]["merges"])))
    assert "llama.cpp would read" in said(pieces)


def _by_letter(merges: list[list[str]]) -> list[list[str]]:
    return [pair for pair in merges if len(pair[1]) == 1]


def _edit(file: Path, change: Any) -> None:
    tree = json.loads(file.read_text())
    change(tree)
    file.write_text(json.dumps(tree))


@pytest.mark.parametrize(
    "name, setting, words",
    [
        ("qwen3", {"model_type": "mamba"}, "mamba are not written as GGUF here"),
        ("llama", {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "Positions are scaled by dynamic"),
        ("gemma2", {"query_pre_attn_scalar": 30}, "query_pre_attn_scalar is 30; llama.cpp takes 16"),
        ("qwen3_moe", {"norm_topk_prob": False}, "norm_topk_prob"),
        ("qwen2", {"rope_traditional": True}, "The model turns neighbours (rope_traditional), which qwen2 in"),
        ("llama", {"layer_types": ["sliding_attention"] + ["full_attention"] * 2, "sliding_window": 9}, "window"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(
    name: str, setting: dict[str, Any], words: str, tmp_path: Path
) -> None:
    folder = write_tiny(tmp_path / "model", name)
    if "model_type" in setting:
        with pytest.raises(UnusableError, match=words):
            architecture_of(setting)
        return
    _edit(folder / "config.json", lambda config: config.update(setting))
    assert words in said(folder)


def test_an_embedding_with_more_rows_is_padded_and_one_with_fewer_is_told(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "model", "qwen2")
    plan = planned(folder)
    assert plan.vocabulary.types[-PADDING:] == [TokenType.UNUSED] * PADDING
    assert len(plan.vocabulary.tokens) == plan.values["vocab_size"]
    assert len(plan.notes) == 1  # of letters with their marks
    odd = planned(write_tiny(tmp_path / "odd", "llama", intermediate_size=80), TensorType.Q8_0)
    assert odd.notes == ("3 matrices in F16, with rows that are no multiple of 32 (blk.0.ffn_down.weight).",)
    fewer = write_tiny(tmp_path / "fewer", "qwen2", vocab_size=len(plan.vocabulary.tokens) - PADDING - 1)
    assert "Left out: 1 token without a row in the embedding." in planned(fewer).notes


def test_a_name_that_makes_llama_cpp_read_otherwise_is_changed(tmp_path: Path) -> None:
    assert planned(write_tiny(tmp_path / "phi", "phi3"), name="mine").name == "Phi-3 mine"
    assert planned(write_tiny(tmp_path / "llama", "llama"), name="like-phi3").name == "like-Phi 3"


def test_a_file_holds_what_was_planned_and_nothing_is_left_of_one_that_was_stopped(tmp_path: Path) -> None:
    plan = planned(write_tiny(tmp_path / "model", "gemma3"), TensorType.Q8_0)
    seen: list[tuple[int, int]] = []
    write_gguf(plan, tmp_path / "model.gguf", lambda done, total: seen.append((done, total)))
    assert seen[-1] == (plan.tensor_bytes, plan.tensor_bytes)
    reader = GGUFReader(tmp_path / "model.gguf")
    assert [tensor.name for tensor in reader.tensors] == [tensor.name for tensor in plan.tensors]
    assert reader.fields["gemma3.attention.sliding_window_pattern"].contents() == 2
    assert reader.fields["tokenizer.chat_template"].contents() == plan.vocabulary.chat_template

    def stop(done: int, _total: int) -> None:
        if done > plan.tensor_bytes // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_gguf(plan, tmp_path / "other.gguf", stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.gguf"]


def test_numbers_beyond_f16_are_refused() -> None:
    with pytest.raises(UnusableError, match="F16 ends at 65504"):
        packed("blk.0.ffn_up.weight", mx.array([[1e5, 0.0]]), TensorType.F16.ggml)
    kept = packed("x", mx.array([[1e5, 0.0]]), TensorType.BF16.ggml)
    assert np.allclose((kept.view(np.uint16).astype(np.uint32) << 16).view(np.float32), [[1e5, 0.0]], rtol=0.004)


def test_an_adapter_that_is_no_lora_is_refused(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "model", "llama")
    model, _ = load(str(folder))
    config = load_config(folder)
    (problem,) = gguf_adapter_problems(config, {"model.norm": model.model.norm})
    assert problem.message == "llama.cpp's adapters are LoRA on matrices; this one has RMSNorm."
    with pytest.raises(UnusableError, match="this one has RMSNorm"):
        write_gguf_adapter(tmp_path / "a.gguf", model, config, {"model.norm": model.model.norm}, "a")
    lora = LoRALinear.from_base(nn.Linear(4, 4), r=2)
    with pytest.raises(UnusableError, match=r"llama.cpp's llama has no name for model\.strange\."):
        write_gguf_adapter(tmp_path / "a.gguf", model, config, {"model.strange": lora}, "a")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_array_that_llama_cpp_has_no_name_for_is_told(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "model", "llama")
    model, tokenizer = load(str(folder))[:2]
    model.model.layers[1].strange = nn.RMSNorm(4)
    with pytest.raises(UnusableError, match=r"llama has no name for model\.layers\.1\.strange\.weight\."):
        plan_gguf(model, load_config(folder), tokenizer, TensorType.F16, name="x")
    model.model.layers[1].strange = nn.Conv1d(4, 4, 1)
    with pytest.raises(
        UnusableError, match=r"layers\.1\.strange is stored as Conv1d, which cannot be unpacked here"
    ):
        plan_gguf(model, load_config(folder), tokenizer, TensorType.F16, name="x")


# Gemma 2 and 3 of 27 billion parameters scale by what a head would have of the width; the smaller ones by a head.
@pytest.mark.parametrize(("own", "layers", "width", "heads", "head", "scalar", "wanted"), [
    (_gemma2, 46, 4608, 32, 128, 144, None), (_gemma2, 46, 4608, 32, 128, 128, "128; llama.cpp takes 144"),
    (_gemma2, 42, 3584, 16, 256, 256, None), (_gemma2, 42, 3584, 16, 256, 224, "224; llama.cpp takes 256"),
    (_gemma3, 62, 5376, 32, 128, 168, None), (_gemma3, 34, 2560, 8, 256, 256, None),
    (_gemma3, 46, 4608, 32, 128, 144, "144; llama.cpp takes 128"),
])  # fmt: skip
def test_gemmas_queries_are_scaled_as_its_sizes_are_there(
    own: Any, layers: int, width: int, heads: int, head: int, scalar: int, wanted: str | None
) -> None:
    args = {
        "num_hidden_layers": layers, "hidden_size": width, "num_attention_heads": heads, "sliding_window": 0,
        "query_pre_attn_scalar": scalar, "attn_logit_softcapping": 50, "final_logit_softcapping": 30,
        "rope_local_base_freq": 1e4, "sliding_window_pattern": 6,
    }  # fmt: skip
    values, faults = own(args, head)
    assert faults == ([] if wanted is None else [f"query_pre_attn_scalar is {wanted}"])
    assert values == (
        {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "attention.sliding_window": 4096}
        if own is _gemma2 else {"attention.sliding_window": 0, "rope.freq_base_swa": 1e4}
    )  # fmt: skip


@pytest.mark.parametrize(
    "own", [{"mlp_only_layers": [1]}, {"decoder_sparse_step": 2}, {"norm_topk_prob": False}, {}]
)
def test_experts_are_in_every_layer_and_their_shares_are_normed(own: dict[str, Any]) -> None:
    args = {"norm_topk_prob": True, "mlp_only_layers": [], "decoder_sparse_step": 1, "num_experts": 128,
            "num_experts_per_tok": 8, "moe_intermediate_size": 768} | own  # fmt: skip
    values, faults = _qwen3_moe(args, 64)
    assert values == {"expert_count": 128, "expert_used_count": 8, "expert_feed_forward_length": 768}
    shares = "The experts' shares are not normed (norm_topk_prob), which llama.cpp's qwen3moe always does"
    none = "Some layers have no experts, which llama.cpp's qwen3moe does not know"
    assert faults == ([] if not own else [shares] if "norm_topk_prob" in own else [none])


def test_positions_of_a_long_phi_and_a_yarn_of_its_own_scale() -> None:
    """Phi's factors stand for long texts and short ones, with what MLX multiplies queries and keys by."""
    long = [1.0 + step / 8 for step in range(8)]
    args = phi3.ModelArgs(
        model_type="phi3", hidden_size=64, num_hidden_layers=1, intermediate_size=8, num_attention_heads=4,
        rms_norm_eps=1e-5, vocab_size=8, max_position_embeddings=131072, original_max_position_embeddings=4096,
        rope_scaling={"type": "longrope", "long_factor": long, "short_factor": [1.0] * 8},
    )  # fmt: skip
    model = phi3.Model(args)
    values, faults = rotation_values(MODEL_ARCH.PHI3, model, asdict(args), 16)
    assert faults == []
    assert values == {
        "rope.freq_base": 10000.0, "rope.dimension_count": 16, "attention.sliding_window": 0,
        "rope.scaling.original_context_length": 4096,
        "rope.scaling.attn_factor": pytest.approx(math.sqrt(1 + math.log(32) / math.log(4096))),
    }  # fmt: skip
    factors = rotation_factors(MODEL_ARCH.PHI3, model, asdict(args))
    assert sorted(factors) == ["rope_factors_long.weight", "rope_factors_short.weight"]
    assert all(np.allclose(array, long, rtol=1e-5) for array in factors.values())
    usual = {
        "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 4096,
        "rope.scaling.yarn_beta_fast": 32.0, "rope.scaling.yarn_beta_slow": 1.0,
    }  # fmt: skip
    assert _yarn(YarnRoPE(16, scaling_factor=4.0), {"factor": 4}) == usual
    own = {"factor": 4, "original_max_position_embeddings": 64, "beta_fast": 16, "beta_slow": 2}
    assert _yarn(YarnRoPE(16, scaling_factor=4.0, mscale=1, mscale_all_dim=1), own) == {
        "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 64,
        "rope.scaling.yarn_beta_fast": 16.0, "rope.scaling.yarn_beta_slow": 2.0,
        "rope.scaling.attn_factor": pytest.approx(1 / (0.1 * math.log(4) + 1)),
    }  # fmt: skip
    assert "rope.scaling.attn_factor" not in _yarn(YarnRoPE(16, scaling_factor=0.5), {"factor": 0.5})


def test_a_packed_matrix_is_unpacked_in_float32() -> None:
    """Eight numbers of four bits are in a word, the first in the lowest; each is scale × number + bias."""
    mx.random.seed(1)
    linear = nn.Linear(32, 3, bias=False)
    linear.weight = linear.weight.astype(mx.bfloat16)
    module = nn.QuantizedLinear.from_linear(linear, 32, 4)
    words = np.array(module.weight)
    numbers = (words[..., None] >> (4 * np.arange(8, dtype=np.uint32)) & 15).reshape(3, 32)
    scales, biases = (np.array(array.astype(mx.float32)) for array in (module.scales, module.biases))
    found = full_weight(module)
    assert found.dtype == mx.float32
    assert np.allclose(found, numbers * scales + biases, rtol=0, atol=1e-7)
    packed_otherwise = nn.QuantizedLinear.from_linear(linear, 32, 4, mode="mxfp4")
    again = mx.dequantize(packed_otherwise.weight, packed_otherwise.scales, None, 32, 4, "mxfp4")
    assert mx.array_equal(full_weight(packed_otherwise), again.astype(mx.float32))
