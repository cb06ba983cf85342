"""An inspection from the headers of safetensors files alone, for models that mlx-lm has not.

It serves the preview of targets and the export of settings for other programs; training needs mlx-lm's own model.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from app.core.language import tr
from app.core.model.facts import model_facts
from app.core.model.inspection import AdapterCost, AdapterSize, Inspection, Layer, Module
from app.core.model.module_group import Group, group_of, settle
from app.core.model.safetensors_header import Tensor, read_headers
from app.core.problem import Problem, UnusableError

# The part of a path that counts layers: `encoder.layer.11.`, `h.3.`, `blocks.0.`.
_LAYER = re.compile(r"(?:^|\.)(?:layers?|blocks?|h)\.(\d+)\.")
_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_TABLES = re.compile(r"(?:^|[._])(?:embed\w*|wte|wpe|word_embeddings|position_embeddings|token_type_embeddings)$")


def inspect_headers(folder: Path, config: dict[str, Any], why: str) -> Inspection:
    """Every 2-D ``*.weight`` as a linear layer (or embedding), everything else with the reason why it is none.

    ``why`` says why mlx-lm's classes cannot serve. Raises `UnusableError` if there are no safetensors files.
    """
    tensors = read_headers(folder)
    if not tensors:
        hint = tr("Only safetensors files are read; pickle files (.bin, .pt) can run code and are never opened.")
        raise UnusableError(
            [Problem("model", tr("{why} And there are no safetensors files to look at.", why=why), hint=hint)]
        )
    facts = model_facts(config)
    costs: list[AdapterCost] = []
    modules = _settled([_module(tensor, tensors, costs) for tensor in tensors if len(tensor.shape) >= 2])
    names = {module.path for module in modules}
    others = {_owner(tensor.name) for tensor in tensors} - names
    counts: dict[str, int] = {}
    for tensor in tensors:
        counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.size
    dtype = max(counts, key=lambda name: counts[name])
    return Inspection(
        **facts.as_fields(),
        source="header",
        path=str(folder),
        dtype=_DTYPES.get(dtype, dtype),
        total_parameters=sum(tensor.size for tensor in tensors if _is_plain(tensor)),
        weight_bytes=sum(tensor.bytes for tensor in tensors),
        layers=_layers(tensors),
        modules=modules,
        costs=tuple(costs),
        other_names=tuple(sorted(others)),
        untrainable=tr("{why} It cannot be trained here; its targets can be looked at and exported.", why=why),
        notes=(tr("What is shown comes from the headers of the safetensors files."),),
    )


def _is_plain(tensor: Tensor) -> bool:
    """Whether each weight is a number of its own; packed ones share integers with others."""
    return tensor.dtype in _DTYPES or tensor.dtype in ("F64", "F8_E4M3", "F8_E5M2")


def _owner(name: str) -> str:
    return name.rsplit(".", 1)[0] if "." in name else name


def _module(tensor: Tensor, tensors: list[Tensor], costs: list[AdapterCost]) -> Module:
    owner, _, last = tensor.name.rpartition(".")
    path = owner if last == "weight" else tensor.name
    match = _LAYER.search(f"{tensor.name}")
    layer = int(match.group(1)) if match else None
    key = path[match.end() :] if match else path
    refused = _refusal(tensor, last)
    kind = "Embedding" if _TABLES.search(path) and not refused else "Linear" if not refused else ""
    cost = _cost(tensor.shape, costs) if not refused else -1
    bias = next((t.size for t in tensors if t.name == f"{owner}.bias"), 0) if last == "weight" else 0
    return Module(
        path=path,
        key=key,
        layer=layer,
        group=group_of(key, kind, inside=layer is not None),
        type=kind or "parameter",
        shape=tensor.shape,
        parameters=tensor.size + bias,
        bytes=tensor.bytes,
        cost=cost,
        refused=refused,
    )


def _refusal(tensor: Tensor, last: str) -> str:
    if last != "weight":
        return tr(
            "{last} is a bare parameter, not a linear layer: there is nothing for an adapter to wrap.", last=last
        )
    if len(tensor.shape) > 2:
        return tr(
            "A kernel of {shape} dimensions (a convolution or the like), not a linear layer.",
            shape=len(tensor.shape),
        )
    if not _is_plain(tensor):
        return tr("Packed weights ({dtype}): their real shape is not in the header.", dtype=tensor.dtype)
    return ""


def _cost(shape: tuple[int, ...], costs: list[AdapterCost]) -> int:
    """LoRA on out × in takes rank · (in + out); DoRA a magnitude more for each output (each row of a table)."""
    size = AdapterSize(slope=sum(shape))
    cost = AdapterCost(lora=size, dora=AdapterSize(slope=size.slope, constant=shape[0]))
    if cost not in costs:
        costs.append(cost)
    return costs.index(cost)


def _layers(tensors: list[Tensor]) -> tuple[Layer, ...]:
    """The layers that the names count, with gaps filled by empty ones."""
    found: dict[int, tuple[str, int, int]] = {}
    for tensor in tensors:
        if match := _LAYER.search(tensor.name):
            prefix, size, taken = found.get(int(match.group(1)), (tensor.name[: match.end() - 1], 0, 0))
            found[int(match.group(1))] = (prefix, size + tensor.size, taken + tensor.bytes)
    layers = []
    for index in range(max(found, default=-1) + 1):
        prefix, size, taken = found.get(index, ("", 0, 0))
        layers.append(
            Layer(path=prefix, parameters=size, bytes=taken, unfrozen_parameters=size, unfrozen_bytes=taken)
        )
    return tuple(layers)


def _settled(modules: list[Module]) -> tuple[Module, ...]:
    renamed: dict[Group, Group] = settle(module.group for module in modules)
    return tuple(
        module.model_copy(update={"group": renamed[module.group]}) if module.group in renamed else module
        for module in modules
    )
