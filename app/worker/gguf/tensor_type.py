"""Tensor types: how a GGUF file packs the numbers of a matrix, and a matrix packed so."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType
from gguf.quants import quantize

from app.core.language import tr
from app.core.problem import Problem, UnusableError

# Numbers that are packed at a time by one thread: enough that starting it costs nothing.
_AT_A_TIME = 1 << 20
_LARGEST_F16 = 65504.0


class TensorType(StrEnum):
    """The types that this program writes; the names are llama.cpp's."""

    BF16 = "BF16"
    F16 = "F16"
    Q8_0 = "Q8_0"
    Q5_1 = "Q5_1"
    Q4_0 = "Q4_0"
    MXFP4 = "MXFP4"

    @property
    def ggml(self) -> GGMLQuantizationType:
        """The same type as the ``gguf`` package names it."""
        return GGMLQuantizationType[self.name]

    @property
    def file_type(self) -> LlamaFileType:
        """What a file says of itself whose matrices are mostly of this type."""
        return LlamaFileType["MOSTLY_MXFP4_MOE" if self is TensorType.MXFP4 else f"MOSTLY_{self.name}"]

    @property
    def block(self) -> int:
        """So many numbers of a row are packed together: a row must be a multiple of it."""
        return GGML_QUANT_SIZES[self.ggml][0]


# What stands in for the type in matrices that every token reads, where few bits cost most.
HEAD_TYPES: Mapping[TensorType, TensorType] = MappingProxyType(
    {TensorType.Q5_1: TensorType.Q8_0, TensorType.Q4_0: TensorType.Q8_0, TensorType.MXFP4: TensorType.Q8_0}
)


def fitting(wanted: TensorType, columns: int) -> TensorType:
    """``wanted``, or F16 (as llama.cpp's own converter takes it) for rows that are no multiple of its block."""
    return TensorType.F16 if columns % wanted.block else wanted


def packed(name: str, array: mx.array, kind: GGMLQuantizationType) -> npt.NDArray[Any]:
    """A float array in one of gguf's types: bytes, but for F16 and F32. Its last axis is the row.

    Raises `UnusableError` where a number does not fit F16, which would be infinite in the file.
    """
    if kind is GGMLQuantizationType.BF16:
        bits = np.array(array.astype(mx.bfloat16).view(mx.uint16))
        return bits.view(np.uint8)
    values = np.array(array.astype(mx.float32))
    if kind is GGMLQuantizationType.F32:
        return values
    if kind is GGMLQuantizationType.F16:
        largest = float(np.abs(values).max(initial=0.0))
        if largest > _LARGEST_F16:
            said = tr(
                "{name} holds {largest:g}, and F16 ends at {largest_f16:g}.",
                name=name,
                largest=largest,
                largest_f16=_LARGEST_F16,
            )
            raise UnusableError([Problem("tensor_type", said, hint=tr("Choose {bf16}.", bf16=TensorType.BF16))])
        return values.astype(np.float16)
    rows = values.reshape(-1, values.shape[-1])
    step = max(1, _AT_A_TIME // rows.shape[1])
    parts = [rows[start : start + step] for start in range(0, len(rows), step)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(lambda part: quantize(part, kind), parts))
    result: npt.NDArray[Any] = np.concatenate(done)
    return result.reshape(*values.shape[:-1], result.shape[-1])


def packed_bytes(shape: tuple[int, ...], kind: GGMLQuantizationType) -> int:
    """The size in bytes of an array of this shape in one of gguf's types."""
    count, size = GGML_QUANT_SIZES[kind]
    numbers = 1
    for side in shape:
        numbers *= side
    return numbers // count * size
