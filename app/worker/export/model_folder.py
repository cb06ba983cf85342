"""A model's folder written: weights in files of a bearable size, config, tokenizer and what else the base has."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx

from app.core.model.adapter_file import ADAPTER_CONFIG
from app.core.model.folder import MODEL_CONFIG
from app.core.model.safetensors_header import INDEX
from app.core.system.disk import is_companion
from app.worker.process.progress import Progress

FILE_BYTES = 2_000_000_000  # of weights; what a stop waits for at most
# What a base brings beside weights and config: tokenizer, chat template, end tokens, licence. No code.
BROUGHT = (
    "*.json",
    "*.jinja",
    "*.txt",
    "*.tiktoken",
    "tokenizer.model",
    "LICENSE*",
    "NOTICE*",
    "additional_chat_templates/*",
)
NOT_BROUGHT = (MODEL_CONFIG, INDEX, ADAPTER_CONFIG, "hf_quant_config.json", "quantize_config.json")
QUANTIZATION_KEYS = ("quantization", "quantization_config", "quantize_activations")


def write_weights(
    folder: Path, tensors: list[tuple[str, mx.array]], progress: Progress, made_for: str = "mlx"
) -> None:
    """``model*.safetensors``, with an index where there are several; ``made_for`` stands in their headers.

    Empties ``tensors``: lazy ones are computed file by file, and leave the memory with it.
    """
    files = list(_divided(tensors))
    total = sum(array.nbytes for _, array in tensors)
    tensors.clear()
    done = 0
    index: dict[str, str] = {}
    for number, names in enumerate(files, 1):
        name = "model.safetensors" if len(files) == 1 else f"model-{number:05}-of-{len(files):05}.safetensors"
        progress(done, total)
        mx.save_safetensors(str(folder / name), dict(names), {"format": made_for})
        done += sum(array.nbytes for _, array in names)
        index |= dict.fromkeys((one for one, _ in names), name)
        names.clear()
    progress(total, total)
    if len(files) > 1:
        tree = {"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))}
        (folder / INDEX).write_text(json.dumps(tree, indent=2), encoding="utf-8")


def _divided(tensors: list[tuple[str, mx.array]]) -> Iterator[list[tuple[str, mx.array]]]:
    """The tensors file by file, in their order."""
    file: list[tuple[str, mx.array]] = []
    size = 0
    for name, array in tensors:
        if file and size + array.nbytes > FILE_BYTES:
            yield file
            file, size = [], 0
        file.append((name, array))
        size += array.nbytes
    if file:
        yield file


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """``config.json``, sorted as mlx-lm and transformers do."""
    text = json.dumps(dict(sorted(config.items())), indent=2)
    (folder / MODEL_CONFIG).write_text(text + "\n", encoding="utf-8")


def plain_config(config: dict[str, Any]) -> dict[str, Any]:
    """A base's config for weights that are not quantized."""
    return {key: value for key, value in config.items() if key not in QUANTIZATION_KEYS}


def bring_files(base: Path, folder: Path) -> None:
    """Copies tokenizer, chat template, end tokens and licence of the base as they are."""
    for pattern in BROUGHT:
        for path in base.glob(pattern):
            if path.is_file() and path.name not in NOT_BROUGHT and not is_companion(path.name):
                target = folder / path.relative_to(base)
                target.parent.mkdir(exist_ok=True)
                shutil.copyfile(path, target)
