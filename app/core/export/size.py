"""About how many bytes an export takes, from the headers of base and adapter alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.core.export.option import OptionValue
from app.core.model.conversion import QUANTIZATIONS
from app.core.model.folder import read_config
from app.core.model.safetensors_header import read_header, weight_files

KEPT_NAME, KEPT_AVERAGE = "4.8bit", 4.8  # bits a weight, scales included, of a model that is tuned to few bits
OWN_FILES_BYTES = 100_000  # configs, certificate, and what file systems round up


@dataclass(frozen=True, slots=True)
class SourceSize:
    """``parameters`` of the base, as if not packed; ``float_bytes`` of one of them; bytes of the adapter's file,
    and of the tokenizer and the other files beside the base's weights."""

    parameters: int
    float_bytes: int
    adapter_bytes: int
    other_bytes: int = 0


SizeEstimate = Callable[[SourceSize, Mapping[str, OptionValue]], int]


def source_size(base: Path, adapter: Path) -> SourceSize:
    """The sizes of a base model's folder and of an adapter's file. Raises `UnusableError` for broken files."""
    parameters, widest = 0, 2
    told = read_config(base).get("quantization") or {}
    bits = told.get("bits", 4) if isinstance(told, dict) else 4
    for file in weight_files(base):
        for tensor in read_header(file):
            parameters += tensor.size * 32 // bits if tensor.dtype == "U32" else tensor.size
            widest = 4 if tensor.dtype == "F32" else widest
    weights = set(weight_files(base))
    others = sum(path.stat().st_size for path in base.iterdir() if path.is_file() and path not in weights)
    return SourceSize(parameters, widest, adapter.stat().st_size, others)


def adapter_bytes(size: SourceSize, _values: Mapping[str, OptionValue]) -> int:
    """A copy of the adapter."""
    return size.adapter_bytes + OWN_FILES_BYTES


def float_model_bytes(size: SourceSize, _values: Mapping[str, OptionValue]) -> int:
    """The whole model in the base's own float type."""
    return size.parameters * size.float_bytes + size.other_bytes + OWN_FILES_BYTES


def fused_bytes(size: SourceSize, values: Mapping[str, OptionValue]) -> int:
    """The whole model with weights of the option ``bits``: as floats, or in a quantization of that name."""
    if str(values["bits"]) == KEPT_NAME:
        return int(size.parameters * KEPT_AVERAGE / 8) + size.other_bytes + OWN_FILES_BYTES
    way = QUANTIZATIONS.get(str(values["bits"]))
    return (
        float_model_bytes(size, values)
        if way is None
        else way.bytes_of(size.parameters) + size.other_bytes + OWN_FILES_BYTES
    )


def hub_bytes(size: SourceSize, values: Mapping[str, OptionValue]) -> int:
    """What the option ``content`` takes."""
    if values["content"] in ("adapter", "peft"):
        return adapter_bytes(size, values)
    return fused_bytes(size, values) if values["content"] == "fused" else float_model_bytes(size, values)
