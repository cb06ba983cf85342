"""A model written as one GGUF file, tensor by tensor, beside its name and renamed when it is whole."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from gguf import GGUFWriter

from app.core.language import tr
from app.core.quantity import plural
from app.worker.gguf.architecture import architecture_of, hyper_parameters, text_model
from app.worker.gguf.piece_merge import STRIPPING
from app.worker.gguf.tensor import GgufTensor, model_tensors
from app.worker.gguf.tensor_type import TensorType, packed, packed_bytes
from app.worker.gguf.vocabulary import GgufVocabulary, gguf_vocabulary
from app.worker.process.progress import Progress

QUANTIZATION_VERSION = 2  # of ggml's blocks


@dataclass(frozen=True, slots=True)
class GgufPlan:
    """Everything that a file will hold, before anything of it is computed. ``notes`` are for people."""

    architecture: str
    name: str
    kind: TensorType
    values: Mapping[str, int | float | str]
    vocabulary: GgufVocabulary
    tensors: Sequence[GgufTensor]
    notes: tuple[str, ...]

    @property
    def tensor_bytes(self) -> int:
        """The size of the tensors, which is nearly that of the file."""
        return sum(packed_bytes(tensor.shape, tensor.kind) for tensor in self.tensors)


def plan_gguf(
    model: nn.Module,
    config: Mapping[str, Any],
    tokenizer: Any,
    kind: TensorType,
    *,
    name: str,
    ends: Sequence[int] = (),
    texts: Sequence[str] = (),
) -> GgufPlan:
    """What a file of the model will be; nothing is written, and no weight is computed.

    ``model`` is mlx-lm's, quantized or not, with or without an adapter on it; ``config`` its ``config.json``;
    ``name`` is shown by programs. ``ends`` and ``texts`` are those of `gguf_vocabulary`. Raises `UnusableError`
    with what keeps it from being written.
    """
    architecture = architecture_of(config)
    values = hyper_parameters(architecture, model, config)
    text, _ = text_model(model)
    rows = int(dataclasses.asdict(text.args)["vocab_size"])
    vocabulary = gguf_vocabulary(tokenizer, rows, ends, texts)
    tensors = tuple(model_tensors(architecture, model, kind))
    notes = list(vocabulary.notes)
    block = kind.block
    if odd := [tensor.name for tensor in tensors if len(tensor.shape) > 1 and tensor.shape[-1] % block]:
        notes.append(
            tr(
                "{odd} in F16, with rows that are no multiple of {block} ({odd2}).",
                odd=plural(len(odd), "matrix", "matrices"),
                block=block,
                odd2=odd[0],
            )
        )
    return GgufPlan(
        architecture.name, _shown_name(name, vocabulary), kind, values, vocabulary, tensors, tuple(notes)
    )


def _shown_name(name: str, vocabulary: GgufVocabulary) -> str:
    """The name that a file has: llama.cpp goes by it in how it reads special tokens."""
    if vocabulary.strips:
        return name if STRIPPING.search(name) else f"Phi-3 {name}"
    return STRIPPING.sub("Phi 3", name)


def write_gguf(plan: GgufPlan, path: Path, progress: Progress | None = None) -> None:
    """Writes the file. It appears under its name when it is whole; whatever ends this before leaves nothing.

    ``progress`` is told the bytes written and those of all tensors, and may raise to stop.
    """
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    writer = GGUFWriter(None, plan.architecture)
    try:
        _add_head(writer, plan)
        for tensor in plan.tensors:
            _announce(writer, tensor)
        writer.write_header_to_file(beside)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        _write_tensors(writer, plan.tensors, plan.tensor_bytes, progress)
        writer.close()
        beside.rename(path)
    finally:
        writer.close()
        beside.unlink(missing_ok=True)


def _add_head(writer: GGUFWriter, plan: GgufPlan) -> None:
    writer.add_type("model")
    writer.add_name(plan.name)
    writer.add_file_type(plan.kind.file_type)
    writer.add_quantization_version(QUANTIZATION_VERSION)
    for key, value in plan.values.items():
        name = f"{plan.architecture}.{key}"
        if isinstance(value, int):
            writer.add_uint32(name, value)
        elif isinstance(value, float):
            writer.add_float32(name, value)
        else:
            writer.add_string(name, value)
    plan.vocabulary.write(writer)


def _announce(writer: GGUFWriter, tensor: GgufTensor) -> None:
    import numpy as np

    size = packed_bytes(tensor.shape, tensor.kind)
    writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), size, raw_dtype=tensor.kind)


def _write_tensors(
    writer: GGUFWriter, tensors: Sequence[GgufTensor], total: int, progress: Progress | None
) -> None:
    done = 0
    for tensor in tensors:
        data = packed(tensor.name, tensor.numbers(), tensor.kind)
        writer.write_tensor_data(data)
        done += data.nbytes
        mx.clear_cache()
        if progress is not None:
            progress(done, total)
