"""About how many bytes an export takes: what is worked out by hand."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from app.core.export.size import OWN_FILES_BYTES, adapter_bytes, float_model_bytes, fused_bytes, source_size


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
