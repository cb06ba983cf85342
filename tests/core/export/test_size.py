"""About how many bytes an export takes: what is worked out by hand."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from app.core.export.size import (
    OWN_FILES_BYTES,
    adapter_bytes,
    float_model_bytes,
    fused_bytes,
    hub_bytes,
    source_size,
)


def safetensors(path: Path, shape: tuple[int, int], dtype: str, item: int) -> None:
    length = shape[0] * shape[1] * item
    header = json.dumps({"w": {"dtype": dtype, "shape": shape, "data_offsets": [0, length]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(length))


def test_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    safetensors(base / "model.safetensors", (64, 128), "BF16", 2)
    (base / "config.json").write_text("{}")
    (base / "tokenizer.json").write_bytes(bytes(5000))
    adapter = tmp_path / "adapters.safetensors"
    adapter.write_bytes(bytes(777))
    size = source_size(base, adapter)
    assert (size.parameters, size.float_bytes, size.adapter_bytes, size.other_bytes) == (8192, 2, 777, 5002)
    assert adapter_bytes(size, {}) == 777 + OWN_FILES_BYTES
    assert float_model_bytes(size, {}) == 8192 * 2 + 5002 + OWN_FILES_BYTES
    # Four bits a weight, and a scale and a bias of 16 bits a group of 64.
    assert fused_bytes(size, {"bits": "4bit"}) == 8192 * 4.5 / 8 + 5002 + OWN_FILES_BYTES
    assert fused_bytes(size, {"bits": "16bit"}) == float_model_bytes(size, {})
    assert fused_bytes(size, {"bits": "4.8bit"}) == 4915 + 5002 + OWN_FILES_BYTES
    for content, expected in (
        ("adapter", 777 + OWN_FILES_BYTES), ("peft", 777 + OWN_FILES_BYTES),
        ("fused", fused_bytes(size, {"bits": "4bit"})), ("hf", float_model_bytes(size, {})),
    ):  # fmt: skip
        assert hub_bytes(size, {"content": content, "bits": "4bit"}) == expected


def test_packed_weights_count_as_many_as_they_stand_for(tmp_path: Path) -> None:
    adapter = tmp_path / "adapters.safetensors"
    adapter.write_bytes(b"")
    for told, bits in (({"quantization": {"bits": 8}}, 8), ({"quantization": {}}, 4), ({"quantization": 3}, 4)):
        base = tmp_path / str(told)
        base.mkdir()
        safetensors(base / "model.safetensors", (64, 128), "U32", 4)
        safetensors(base / "model-2.safetensors", (2, 2), "F32", 4)
        (base / "config.json").write_text(json.dumps(told))
        size = source_size(base, adapter)
        assert (size.parameters, size.float_bytes) == (8192 * 32 // bits + 4, 4)
