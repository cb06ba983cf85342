"""Fusing: an adapter added into the base's matrices, computed in 32-bit floats whatever the base is stored in."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear

from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.worker.export.tuned_model import TunedModel
from app.worker.gguf.matrix import adapter_delta
from app.worker.process.progress import Progress

_PLAIN = {
    nn.QuantizedLinear: nn.Linear, nn.QuantizedEmbedding: nn.Embedding, QuantizedSwitchLinear: SwitchLinear,
}  # fmt: skip


def fuse(tuned: TunedModel, progress: Progress) -> nn.Module:
    """The model with its adapter in its own matrices, nothing of it quantized; lazily, in the base's float type.

    Raises `UnusableError` for adapter modules that mlx-lm alone knows how to fuse.
    """
    model = tuned.use_tuned()
    parts = {} if tuned.adapter.kind == "full" else tuned.adapter.parts
    packed = {path: module for path, module in model.named_modules() if type(module) in _PLAIN}
    inside = tuple(f"{path}." for path in parts)
    plain = {path: module for path, module in packed.items() if not path.startswith(inside)} if parts else packed
    done, total = 0, len(parts) + len(plain)
    fused: list[tuple[str, nn.Module]] = []
    for path, part in parts.items():
        fused.append((path, fused_module(path, part)))
        progress(done := done + 1, total)
    for path, module in plain.items():
        fused.append((path, _of_floats(module, float_weight(module))))
        progress(done := done + 1, total)
    model.update_modules(tree_unflatten(fused))
    return model


def fused_module(path: str, part: Any) -> nn.Module:
    """The plain module that computes what an adapted one does."""
    base = part.embedding if hasattr(part, "embedding") else getattr(part, "linear", None)
    own = float_weight(base) if base is not None else None
    delta = adapter_delta(part)
    if own is None or delta is None:
        said = tr("{path} is a {name}, which cannot be fused here.", path=path, name=type(part).__name__)
        raise UnusableError([Problem("format", said, hint=tr("Export the adapter alone."))])
    weight = own.astype(mx.float32) + delta
    if "m" in part:
        weight = weight * (part.m / mx.linalg.norm(weight, axis=1))[:, None]
    return _of_floats(base, weight.astype(own.dtype))


def float_weight(module: Any) -> mx.array:
    """A module's weight, unpacked if it is quantized."""
    if type(module) not in _PLAIN:
        weight: mx.array = module.weight
        return weight
    more = {"global_scale": module["global_scale"]} if "global_scale" in module else {}
    return mx.dequantize(
        module.weight,
        module.scales,
        module.get("biases"),
        group_size=module.group_size,
        bits=module.bits,
        mode=module.mode,
        **more,
    )


def parameters(model: nn.Module) -> dict[str, mx.array]:
    """All arrays of a model by their dotted names."""
    return dict(tree_flatten(model.parameters()))


def _of_floats(module: Any, weight: mx.array) -> nn.Module:
    """A module like ``module``, of floats, with this weight (and its bias, if it has one)."""
    kind: Any = _PLAIN.get(type(module), type(module))
    if issubclass(kind, nn.Embedding):
        made = nn.Embedding(1, 1)
    elif issubclass(kind, SwitchLinear):
        made = SwitchLinear(1, 1, 1, bias="bias" in module)
    else:
        made = nn.Linear(1, 1, bias="bias" in module)
    made.weight = weight
    if "bias" in module:
        made.bias = module.bias
    return made
