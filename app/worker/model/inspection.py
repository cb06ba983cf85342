"""The inspection of a lazily built model: every matrix, its group, and what mlx-lm's adapters on it cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers

from app.core.language import tr
from app.core.model.facts import model_facts
from app.core.model.inspection import AdapterCost, AdapterSize, Inspection, Layer, Module
from app.core.model.module_group import Group, group_of, settle
from app.core.model.safetensors_header import read_headers, weight_files
from app.worker.model.build import UnknownModelError, build_model, quantization_of, weights_misfit
from app.worker.model.rotation import is_plainly_causal

__all__ = ["UnknownModelError", "inspect_built", "inspect_structure"]

_ITEM_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_HEADER_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def inspect_built(path: Path, raw_config: dict[str, Any]) -> Inspection:
    """Builds the model in a folder lazily and inspects it. Raises as `build_model` does."""
    model, config = build_model(path)
    dtype = _stored_dtype(path) or model_facts(raw_config).dtype or "bfloat16"
    more = {"misread": _misread(model, raw_config), "misfit": weights_misfit(path)}
    return inspect_structure(model, config, dtype).model_copy(update=more)


def _misread(model: nn.Module, config: dict[str, Any]) -> tuple[str, ...]:
    """What mlx-lm takes a default for, though the config says it: at a place that it does not look at.

    transformers 5 writes ``rope_parameters``; many of mlx-lm's models know ``rope_theta`` and ``rope_scaling``
    only, and would answer wrongly without a word.
    """
    arguments = getattr(model, "args", None)
    said = config.get("rope_parameters")
    if arguments is None or not isinstance(said, dict) or hasattr(arguments, "rope_parameters"):
        return ()
    found = []
    theta, read = said.get("rope_theta"), getattr(arguments, "rope_theta", None)
    if isinstance(theta, (int, float)) and isinstance(read, (int, float)) and theta != read:
        found.append(
            tr(
                "mlx-lm's {model_type} reads a rotary base of {read:,.0f} where config.json says "
                "{theta:,.0f}, in `rope_parameters`: it lacks `rope_theta`: {theta:g}.",
                model_type=config.get("model_type"),
                read=read,
                theta=theta,
            )
        )
    kind = said.get("rope_type", "default")
    if kind != "default" and hasattr(arguments, "rope_scaling") and not arguments.rope_scaling:
        found.append(
            tr(
                "mlx-lm's {model_type} does not see the rotary scaling “{kind}”, which config.json "
                "has in `rope_parameters`: it lacks `rope_scaling`.",
                model_type=config.get("model_type"),
                kind=kind,
            )
        )
    return tuple(found)


def inspect_structure(model: nn.Module, config: dict[str, Any], dtype: str) -> Inspection:
    """The inspection of a built model. ``dtype`` is what its unpacked weights are stored as."""
    facts = model_facts(config)
    return Inspection(**facts.as_fields(), **_Collector(model, facts.vocab_size, dtype).collect(), dtype=dtype,
                      quantization=_quantization_text(config))  # fmt: skip


def _stored_dtype(path: Path) -> str:
    """The floating type that most weights in the files have; empty if there are none (or only packed ones)."""
    if not weight_files(path):
        return ""
    counts: dict[str, int] = {}
    for tensor in read_headers(path):
        if tensor.dtype in _HEADER_DTYPES:
            counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.size
    return _HEADER_DTYPES[max(counts, key=lambda name: counts[name])] if counts else ""


def _quantization_text(config: dict[str, Any]) -> str:
    quantization = quantization_of(config)
    if quantization is None:
        method = (config.get("quantization_config") or {}).get("quant_method")
        return tr("1.58 bit (BitNet)") if method == "bitnet" else ""
    mode = quantization.get("mode", "affine")
    text = tr(
        "{bits} bit, groups of {group_size}",
        bits=quantization.get("bits", 4),
        group_size=quantization.get("group_size", 64),
    )
    text = text if mode == "affine" else f"{mode}, {text}"
    own = {v["bits"] for v in quantization.values() if isinstance(v, dict) and "bits" in v}
    if own - {quantization.get("bits")}:
        text += tr(", some {names} bit", names=tr(" and ").join(str(bits) for bits in sorted(own)))
    return text


_BARE_MATRIX = tr("A bare parameter of the model, not a module: there is nothing for an adapter to wrap.")
_BARE_VECTOR = tr(
    "A vector of bare numbers: an adapter is a product of two matrices, and needs a matrix to add it to."
)


@dataclass
class _Collector:
    """One pass over a model. Modules come in the order in which the model defines them."""

    model: nn.Module
    vocab_size: int
    dtype: str

    def untrainable(self) -> str:
        """Why mlx-lm could not prepare this model for training; empty if it can."""
        if not hasattr(self.model, "_no_grad"):
            return tr("mlx-lm's class for this model cannot freeze its parameters, and so cannot train it.")
        if not list(getattr(self.model, "layers", ())):
            return tr("mlx-lm's class for this model names no layers, and so cannot train it.")
        return ""

    def collect(self) -> dict[str, Any]:
        # named_modules walks a stack, last child first; reversed it is the order of definition.
        named = list(reversed(list(self.model.named_modules())))
        self.types = {path: type(module).__name__ for path, module in named}
        layers = list(getattr(self.model, "layers", ()))
        paths = {id(module): path for path, module in reversed(named)}
        prefixes = [paths.get(id(layer), "") for layer in layers]
        self.layer_of = {prefix: index for index, prefix in enumerate(prefixes) if prefix}
        # Before anything is converted: that freezes modules on the way.
        found_layers = tuple(self._layer(prefix, layer) for prefix, layer in zip(prefixes, layers, strict=True))
        self.costs: list[AdapterCost] = []
        self.known: dict[tuple[Any, ...], int | str] = {}
        modules = [entry for path, module in named for entry in self._entries(path, module)]
        return {
            "untrainable": self.untrainable(),
            "layers": found_layers,
            "branches": is_plainly_causal(self.model),
            "modules": _settled(modules),
            "costs": tuple(self.costs),
            "other_names": self._other_names(modules),
            "total_parameters": self._total(named),
            "weight_bytes": sum(_bytes(array, self.dtype) for array in _arrays(self.model)),
        }

    def _layer(self, prefix: str, layer: nn.Module) -> Layer:
        layer.unfreeze()
        unfrozen = [array for _, array in tree_flatten(layer.trainable_parameters())]
        return Layer(
            path=prefix,
            parameters=self._total(list(layer.named_modules())),
            bytes=sum(_bytes(array, self.dtype) for array in _arrays(layer)),
            unfrozen_parameters=sum(array.size for array in unfrozen),
            unfrozen_bytes=sum(_bytes(array, self.dtype) for array in unfrozen),
        )

    def _total(self, named: list[tuple[str, nn.Module]]) -> int:
        """All parameters, packed ones unpacked, shared ones once."""
        seen: set[int] = set()
        total = 0
        for _, module in named:
            if id(module) in seen:
                continue
            seen.add(id(module))
            for name, array in _own(module):
                if id(array) not in seen:
                    seen.add(id(array))
                    total += _logical_size(module, name, array)
        return total

    def _place(self, path: str) -> tuple[int | None, str]:
        """The layer a path is in, and the path inside it."""
        parts = path.split(".")
        for end in range(len(parts), 0, -1):
            index = self.layer_of.get(".".join(parts[:end]))
            if index is not None:
                return index, ".".join(parts[end:])
        return None, path

    def _owners(self, path: str) -> list[str]:
        """The class names of the modules around a path inside its layer, innermost first."""
        parts = path.split(".")
        prefixes = [".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]
        inner = []
        for prefix in prefixes:
            if prefix in self.layer_of:
                break
            inner.append(self.types.get(prefix, ""))
        return inner

    def _entries(self, path: str, module: nn.Module) -> Iterator[Module]:
        own = dict(_own(module))
        if "weight" in own and (own["weight"].ndim >= 2 or hasattr(module, "to_lora")):
            yield self._entry(path, module, own)
            return
        for name, array in own.items():
            # Norms hold a vector too; theirs is called weight, and nobody asks for an adapter on it.
            if array.ndim >= 2 or (array.ndim == 1 and "weight" not in own):
                refused = _BARE_MATRIX if array.ndim >= 2 else _BARE_VECTOR
                yield self._made(f"{path}.{name}" if path else name, type(module).__name__, tuple(array.shape),
                                 array.size, _bytes(array, self.dtype), refused=refused, bare=True)  # fmt: skip

    def _entry(self, path: str, module: nn.Module, own: dict[str, mx.array]) -> Module:
        bits = getattr(module, "bits", None) if "scales" in own else None
        cost = self._cost(module, own)
        return self._made(
            path,
            type(module).__name__,
            _logical_shape(module, own["weight"]),
            sum(_logical_size(module, name, array) for name, array in own.items()),
            sum(_bytes(array, self.dtype) for array in own.values()),
            bits=bits,
            cost=cost if isinstance(cost, int) else -1,
            refused=cost if isinstance(cost, str) else "",
        )

    def _made(self, path: str, kind: str, shape: tuple[int, ...], parameters: int, size: int, *, cost: int = -1,
              bits: int | None = None, refused: str = "", bare: bool = False) -> Module:  # fmt: skip
        layer, key = self._place(path)
        head = layer is None and len(shape) == 2 and shape[0] == self.vocab_size and "Embedding" not in kind
        group = group_of(key, kind, self._owners(path), inside=layer is not None, head=head)
        return Module(path=path, key=key, layer=layer, group=group, type=kind, shape=shape, parameters=parameters,
                      bytes=size, bits=bits, cost=cost, refused=refused, bare=bare)  # fmt: skip

    def _cost(self, module: nn.Module, own: dict[str, mx.array]) -> int | str:
        """The index of the module's cost, or why it takes no adapter; measured once for each kind and shape."""
        mark = (type(module), tuple(own["weight"].shape), getattr(module, "bits", None), "bias" in own)
        if mark not in self.known:
            lora = adapter_size(module, dora=False)
            if lora.refused:
                self.known[mark] = lora.refused
            else:
                self.known[mark] = len(self.costs)
                self.costs.append(AdapterCost(lora=lora, dora=_dora_size(module, lora)))
        return self.known[mark]

    def _other_names(self, modules: list[Module]) -> tuple[str, ...]:
        """Keys and paths that mlx-lm would find and refuse: containers, norms, activations."""
        adaptable = {module.path for module in modules if module.adaptable}
        names: dict[str, None] = {}
        for path in self.types:
            if path and path not in adaptable and path not in self.layer_of:
                names[self._place(path)[1]] = None
        return tuple(names)


def adapter_size(module: nn.Module, *, dora: bool) -> AdapterSize:
    """Trainable parameters of mlx-lm's adapter on a module, from its own conversion at ranks 1 and 2.

    The module is frozen and stays as it is otherwise.
    """
    counts = []
    for rank in (1, 2):
        holder, stub = nn.Module(), nn.Module()
        holder.module = module
        stub.layers = [holder]
        stub.freeze()
        try:
            linear_to_lora_layers(
                stub, 1, {"rank": rank, "scale": 1.0, "dropout": 0.0, "keys": {"module"}}, use_dora=dora
            )
        except ValueError as error:
            return AdapterSize(refused=_reason(type(module).__name__, error))
        counts.append(sum(array.size for _, array in tree_flatten(stub.trainable_parameters())))
    slope = counts[1] - counts[0]
    return AdapterSize(slope=slope, constant=counts[0] - slope)


def _dora_size(module: nn.Module, lora: AdapterSize) -> AdapterSize:
    """As `adapter_size`, and refused where mlx-lm would convert the module to something that cannot run."""
    name = type(module).__name__
    if hasattr(module, "to_lora"):
        return AdapterSize(refused=tr("mlx-lm's DoRA does not know {name} and would break it.", name=name))
    size = adapter_size(module, dora=True)
    if not size.refused and size.slope != lora.slope:
        bits = getattr(module, "bits", 0)
        return AdapterSize(
            refused=tr("mlx-lm's DoRA gets the width of {name} at {bits} bit wrong.", name=name, bits=bits)
        )
    return size


def _reason(kind: str, error: ValueError) -> str:
    if "DoRA" in str(error):
        return tr("mlx-lm has no DoRA for experts ({kind}).", kind=kind)
    if "Conv" in kind:
        return tr("A convolution: mlx-lm adapts linear layers, experts and embeddings.")
    return tr("mlx-lm has no adapter for {kind}.", kind=kind)


def _own(module: nn.Module) -> list[tuple[str, mx.array]]:
    """A module's own arrays that are parameters (names with an underscore are not)."""
    return [(k, v) for k, v in module.items() if isinstance(v, mx.array) and not k.startswith("_")]


def _arrays(module: nn.Module) -> list[mx.array]:
    """All parameters, shared ones once."""
    return list({id(array): array for _, array in tree_flatten(module.parameters())}.values())


def _bytes(array: mx.array, dtype: str) -> int:
    """What an array takes once loaded: floating ones as stored, packed ones as they are."""
    floating = mx.issubdtype(array.dtype, mx.floating)
    return array.size * _ITEM_BYTES.get(dtype, 4) if floating else array.nbytes


def _logical_size(module: nn.Module, name: str, array: mx.array) -> int:
    """Elements that a parameter stands for: packed weights unpacked, their scales not counted."""
    if "scales" in module and hasattr(module, "bits"):
        if name == "weight":
            return array.size * 32 // int(module.bits)
        return array.size if name == "bias" else 0
    return array.size


def _logical_shape(module: nn.Module, weight: mx.array) -> tuple[int, ...]:
    shape = tuple(weight.shape)
    if "scales" in module and hasattr(module, "bits"):
        return (*shape[:-1], shape[-1] * 32 // int(module.bits))
    return shape


def _settled(modules: list[Module]) -> tuple[Module, ...]:
    renamed = settle(module.group for module in modules)
    return tuple(_regrouped(module, renamed) for module in modules)


def _regrouped(module: Module, renamed: dict[Group, Group]) -> Module:
    group = renamed.get(module.group)
    return module if group is None else module.model_copy(update={"group": group})
