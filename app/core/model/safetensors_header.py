"""The headers of safetensors files: names, shapes and dtypes of all tensors, without reading a weight."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from app.core.problem import Problem, UnusableError

# Sizes by the format's dtype names, in bits (F4 and F6 types are packed).
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64,
    "F64": 64, "C64": 64,
}  # fmt: skip
_LARGEST_HEADER = 100_000_000  # bytes; the format's own limit


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as a header describes it; ``dtype`` in the format's own names (``F32``, ``BF16``, ``U32``)."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.size * _BITS.get(self.dtype, 32) // 8


def read_header(path: Path) -> list[Tensor]:
    """The tensors of one file (https://github.com/huggingface/safetensors#format).

    Raises `UnusableError` if it is no safetensors file or was cut off inside its header.
    """
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= _LARGEST_HEADER:
                raise ValueError("its first eight bytes are not the length of a header")
            tree = json.loads(file.read(length))
        return [
            Tensor(name, str(entry["dtype"]), tuple(int(size) for size in entry["shape"]))
            for name, entry in tree.items()
            if name != "__metadata__"
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"This is not a whole safetensors file: {error}."
        raise UnusableError([Problem("model", said, hint="Copy or download it again.", file=str(path))]) from error


def read_headers(folder: Path) -> list[Tensor]:
    """The tensors of all safetensors files in a folder; one that several files hold is listed once."""
    found: dict[str, Tensor] = {}
    for path in weight_files(folder):
        for tensor in read_header(path):
            found.setdefault(tensor.name, tensor)
    return list(found.values())


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder: those called ``model*``, or all if none is, without adapters."""
    files = sorted(path for path in folder.glob("*.safetensors") if "adapter" not in path.name)
    return [path for path in files if path.name.startswith("model")] or files
