"""An adapter alone as a GGUF file, which llama.cpp puts on the base's own file (``--lora``)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, Keys
from mlx_lm.tuner.lora import LoRALinear, LoRASwitchLinear

from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.worker.gguf.architecture import architecture_of
from app.worker.gguf.tensor import TensorNames
from app.worker.gguf.tensor_type import packed

_WIDE = GGMLQuantizationType.F32


def gguf_adapter_problems(config: Mapping[str, Any], parts: Mapping[str, Any]) -> list[Problem]:
    """What keeps the modules ``parts`` (by their paths) from being an adapter of llama.cpp's; reads no weight.

    Raises `UnusableError` for an architecture that is not written here.
    """
    architecture_of(config)
    problems = []
    hint = tr("Export the whole model as gguf instead.")
    odd = {type(part).__name__ for part in parts.values() if not isinstance(part, (LoRALinear, LoRASwitchLinear))}
    for name in sorted(odd):
        said = tr("llama.cpp's adapters are LoRA on matrices; this one has {name}.", name=name)
        problems.append(Problem("format", said, hint=hint))
    return problems


def write_gguf_adapter(
    path: Path, model: nn.Module, config: Mapping[str, Any], parts: Mapping[str, Any], name: str
) -> None:
    """Writes the LoRA modules ``parts`` of ``model`` as one file, which appears when it is whole.

    llama.cpp multiplies by alpha ÷ rank: alpha is the first module's scale × rank, and what others have otherwise
    is put into their matrices. Raises `UnusableError` as `gguf_adapter_problems` says, and for a module that
    llama.cpp has no name for.
    """
    if problems := gguf_adapter_problems(config, parts):
        raise UnusableError(problems)
    architecture = architecture_of(config)
    names = TensorNames(architecture, model)
    writer = GGUFWriter(None, architecture.name)
    writer.add_type("adapter")
    writer.add_name(name)
    writer.add_string(Keys.Adapter.TYPE, "lora")
    first = next(iter(parts.values()))
    alpha = float(first.scale) * _rank(first)
    writer.add_float32(Keys.Adapter.LORA_ALPHA, alpha)
    for place, part in parts.items():
        target = names.name(f"{place}.weight")
        if target is None:
            said = tr("llama.cpp's {name} has no name for {place}.", name=architecture.name, place=place)
            raise UnusableError([Problem("format", said, hint=tr("Export the whole model as gguf instead."))])
        a, b = _matrices(part)
        b = b * (float(part.scale) * _rank(part) / alpha)
        for leaf, array in (("lora_a", a), ("lora_b", names.in_order(f"{place}.weight", b))):
            data = packed(target, array, _WIDE)
            writer.add_tensor(f"{target}.{leaf}", np.ascontiguousarray(data))
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        writer.write_header_to_file(beside)
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        beside.rename(path)
    finally:
        writer.close()
        beside.unlink(missing_ok=True)


def _rank(part: Any) -> int:
    return int(part.lora_b.shape[-1] if isinstance(part, LoRASwitchLinear) else part.lora_b.shape[0])


def _matrices(part: Any) -> tuple[mx.array, mx.array]:
    """(rank, inputs) and (outputs, rank), each of every expert where there are any."""
    if isinstance(part, LoRASwitchLinear):
        experts = part.lora_b.shape[0]
        return part.lora_a.reshape(experts, -1, part.lora_a.shape[-1]), part.lora_b
    return part.lora_a.T, part.lora_b.T
