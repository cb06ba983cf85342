"""What a GGUF file will say, and what is refused in words before any of it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from gguf import GGUFReader, TokenType
from mlx_lm import load
from mlx_lm.utils import load_config

from app.core.model.vocabulary import end_tokens
from app.core.problem import UnusableError
from app.worker.gguf.adapter import gguf_adapter_problems
from app.worker.gguf.architecture import architecture_of
from app.worker.gguf.file import GgufPlan, plan_gguf, write_gguf
from app.worker.gguf.pre_tokenizer import pre_tokenizer_name
from app.worker.gguf.tensor_type import TensorType, packed
from tests.worker.gguf.tiny_gguf import BYTE_RULES, CHATML, PADDING, write_tiny, write_tokenizer


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
        ({"type": "Whitespace"}, None),
        ({"type": "Split", "pattern": {"Regex": r"\w+"}, "behavior": "Isolated", "invert": False}, None),
    ],
)
def test_other_rules_are_known_or_not(part: dict[str, Any], name: str | None) -> None:
    tree = {"pre_tokenizer": part, "model": {"type": "BPE", "merges": [["a", "b"]], "ignore_merges": False}}
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
    fewer = write_tiny(tmp_path / "fewer", "qwen2", vocab_size=len(plan.vocabulary.tokens) - PADDING - 1)
    assert "1 tokens without a row in the embedding are left out." in planned(fewer).notes


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
    assert "this one has RMSNorm" in problem.message
