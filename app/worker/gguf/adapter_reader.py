"""An adapter's GGUF file read again and put on its base, where no other program is here to do it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from gguf import GGUFReader, Keys
from mlx.utils import tree_unflatten
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear
from mlx_lm.tuner.lora import LoRALinear, LoRASwitchLinear

from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.worker.gguf.architecture import architecture_of
from app.worker.gguf.tensor import TensorNames

_EXPERTS = (SwitchLinear, QuantizedSwitchLinear)
_MATRICES = (nn.Linear, nn.QuantizedLinear, *_EXPERTS)


def put_gguf_adapter(path: Path, model: nn.Module, config: Mapping[str, Any]) -> list[str]:
    """Puts the adapter of a file on ``model``, mlx-lm's base of this ``config``: the paths of the adapted modules.

    Its matrices act with alpha ÷ their own rank, as llama.cpp reckons. Raises `UnusableError` for an architecture
    that is not written here, and for matrices that are of no module of the base.
    """
    reader = GGUFReader(path)
    alpha = float(reader.fields[Keys.Adapter.LORA_ALPHA].contents())
    # Copies: the file may go while they are in use.
    found = {tensor.name: mx.array(np.array(tensor.data, np.float32)) for tensor in reader.tensors}
    names = TensorNames(architecture_of(config), model)
    parts: list[tuple[str, nn.Module]] = []
    for place, module in model.named_modules():
        target = names.name(f"{place}.weight") if isinstance(module, _MATRICES) else None
        if target is None or f"{target}.lora_a" not in found or f"{target}.lora_b" not in found:
            continue
        a, b = found.pop(f"{target}.lora_a"), found.pop(f"{target}.lora_b")
        parts.append((place, _adapted(module, a, names.in_own_order(f"{place}.weight", b), alpha)))
    if found:
        said = tr(
            "{name} has matrices for no module of the base: {names}.",
            name=path.name,
            names=", ".join(sorted(found)[:3]),
        )
        raise UnusableError([Problem("format", said, hint=tr("Export the adapter again."))])
    model.update_modules(tree_unflatten(parts))
    return [place for place, _ in parts]


def _adapted(module: Any, a: mx.array, b: mx.array, alpha: float) -> nn.Module:
    """The module wearing A (rank, inputs) and B (outputs, rank), each of every expert where there are any."""
    rank = int(b.shape[-1])
    kind: Any = LoRASwitchLinear if isinstance(module, _EXPERTS) else LoRALinear
    made: nn.Module = kind.from_base(module, r=rank, scale=alpha / rank)
    made.lora_a, made.lora_b = (a, b) if isinstance(module, _EXPERTS) else (a.T, b.T)
    made.eval()
    return made
