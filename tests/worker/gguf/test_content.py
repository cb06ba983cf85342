"""What stands in a GGUF file, read with the `gguf` package: every field, and every tensor's numbers.

That llama.cpp answers the same from it is tested where that is installed; `content_sheet.txt` holds what was
written then. After an intended change ``LUTHIER_SHEET=1`` writes it anew: its difference is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import mlx.core as mx
import numpy as np
import pytest
from gguf import GGUFReader
from gguf.quants import dequantize
from mlx_lm import load
from mlx_lm.utils import load_config

from app.core.model.vocabulary import end_tokens
from app.worker.gguf.file import plan_gguf, write_gguf
from app.worker.gguf.tensor_type import TensorType
from tests.sheet import compare
from tests.worker.gguf.tiny_gguf import MODELS, write_tiny

SHEET = Path(__file__).with_name("content_sheet.txt")
LONG = 40  # letters of a field that are listed; of more the checksum


def written(folder: Path, name: str, kind: TensorType) -> GGUFReader:
    model, tokenizer = load(str(write_tiny(folder / name, name)))[:2]
    config = load_config(folder / name)
    ends = tuple(end_tokens(folder / name))
    plan = plan_gguf(model, config, tokenizer, kind, name=name, ends=ends)
    write_gguf(plan, folder / f"{name}.gguf", lambda *_: None)
    return GGUFReader(folder / f"{name}.gguf")


def short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONG else f"{text[:LONG]}… {len(value)} {crc32(text.encode()):08x}"


def lines_of(reader: GGUFReader) -> Iterator[str]:
    for name, field in reader.fields.items():
        yield f"  {name} {'/'.join(kind.name for kind in field.types)} {short(field.contents())}"
    for tensor in reader.tensors:
        numbers = dequantize(tensor.data, tensor.tensor_type).astype(np.float64).reshape(-1)
        places = np.arange(1, len(numbers) + 1) / len(numbers)  # where a number stands counts as well
        yield (
            f"  {tensor.name} {tensor.shape.tolist()} {tensor.tensor_type.name} "
            f"{np.abs(numbers).mean():.4f} {numbers @ places / len(numbers):+.4f}"
        )


def test_every_field_and_tensor_is_what_it_was(tmp_path: Path) -> None:
    lines = []
    for number, name in enumerate(MODELS):
        kind = list(TensorType)[number % len(TensorType)]
        lines += [f"{name} {kind.value}", *lines_of(written(tmp_path, name, kind))]
    compare(lines, SHEET)


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen2"])
def test_rows_of_queries_and_keys_are_in_the_order_of_llama_cpp(name: str, tmp_path: Path) -> None:
    """As in its converter: the two halves of a head, for a rotation of neighbours, are woven together."""
    reader = written(tmp_path, name, TensorType.F16)
    config = load_config(tmp_path / name)
    weights = mx.load(str(tmp_path / name / "model.safetensors"))
    assert isinstance(weights, dict)
    heads = {"q": config["num_attention_heads"], "k": config["num_key_value_heads"], "v": 0}
    found = {tensor.name: tensor.data for tensor in reader.tensors}
    for part, count in heads.items():
        own = np.array(weights[f"model.layers.1.self_attn.{part}_proj.weight"])
        wanted = own
        if count and name != "qwen2":
            half = len(own) // count // 2
            order = [
                head * 2 * half + side * half + row
                for head in range(count) for row in range(half) for side in range(2)
            ]  # fmt: skip
            wanted = own[order]
        assert np.allclose(found[f"blk.1.attn_{part}.weight"].astype(np.float32), wanted, atol=1e-3)


@pytest.mark.parametrize("name", ["gemma2", "gemma3", "qwen3"])
def test_norms_hold_what_is_added_to_them(name: str, tmp_path: Path) -> None:
    reader = written(tmp_path, name, TensorType.F16)
    weights = mx.load(str(tmp_path / name / "model.safetensors"))
    assert isinstance(weights, dict)
    found = {tensor.name: tensor.data for tensor in reader.tensors}["output_norm.weight"]
    assert np.allclose(found, np.array(weights["model.norm.weight"]) + (name != "qwen3"), atol=1e-6)
