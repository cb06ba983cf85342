"""The tensors of a model as llama.cpp wants them: its names, its order of rows, norms with what is added to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
from gguf import GGMLQuantizationType, TensorNameMap, get_tensor_name_map
from mlx.utils import tree_flatten

from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.worker.gguf.architecture import GgufArchitecture, text_model
from app.worker.gguf.matrix import DORA, LORA, PLAIN, full_weight, wrapped
from app.worker.gguf.rotation import rotation_factors
from app.worker.gguf.tensor_type import HEAD_TYPES, TensorType, fitting

_WIDE = GGMLQuantizationType.F32
_ROUTER = "ffn_gate_inp"
_HEADS = ("token_embd.weight", "output.weight")


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One tensor of a file: its name, shape (rows first), type, and how to come by its numbers."""

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    numbers: Callable[[], mx.array]


class TensorNames:
    """llama.cpp's names of a model's arrays, and the order of rows that it wants queries and keys in."""

    def __init__(self, architecture: GgufArchitecture, model: nn.Module) -> None:
        text, self._prefix = text_model(model)
        self._args = dataclasses.asdict(text.args)
        self._architecture = architecture
        self._names: TensorNameMap = get_tensor_name_map(architecture.kind, int(self._args["num_hidden_layers"]))

    def name(self, path: str) -> str | None:
        """The name of the array at ``path`` (``model.layers.0.mlp.up_proj.weight``); None if it has none."""
        own = path.removeprefix(self._prefix).replace(".switch_mlp.", ".experts.")
        return self._names.get_name(own, try_suffixes=(".weight", ".bias"))

    def in_order(self, path: str, array: mx.array) -> mx.array:
        """``array`` with its rows (its first axis) as llama.cpp expects them.

        mlx-lm turns the first half of a head against its second, llama.cpp's llama neighbours.
        """
        heads = self._turned_heads(path)
        return array if heads is None else _reordered(array, (heads, 2, -1))

    def in_own_order(self, path: str, array: mx.array) -> mx.array:
        """The reverse of `in_order`: rows of a file as mlx-lm expects them."""
        heads = self._turned_heads(path)
        return array if heads is None else _reordered(array, (heads, -1, 2))

    def _turned_heads(self, path: str) -> int | None:
        """How many heads the rows of a matrix belong to, if their order is another one there."""
        part = path.rpartition(".")[0].rpartition(".")[2]
        if not self._architecture.interleaved or self._args.get("rope_traditional"):
            return None
        if part not in ("q_proj", "k_proj"):
            return None
        return int(self._args["num_attention_heads" if part == "q_proj" else "num_key_value_heads"])


def _reordered(array: mx.array, divided: tuple[int, int, int]) -> mx.array:
    """``array`` with its rows divided so, and the two inner parts changed for each other."""
    parted = array.reshape(*divided, *array.shape[1:])
    return mx.contiguous(parted.swapaxes(1, 2).reshape(array.shape))


def model_tensors(architecture: GgufArchitecture, model: nn.Module, wanted: TensorType) -> Iterator[GgufTensor]:
    """Every tensor of the file, in the model's order; matrices are of the type ``wanted`` where they can be.

    Raises `UnusableError` for an array that llama.cpp
    has no name for.
    """
    text, _ = text_model(model)
    names = TensorNames(architecture, model)
    is_tied = not any(path.endswith("lm_head") for path, _ in model.named_modules())
    nameless: list[str] = []
    for path, shape, numbers, is_matrix in _arrays(model):
        name = names.name(path)
        if name is None:
            nameless.append(path)
            continue
        offset = architecture.norm_offset if name.endswith("norm.weight") else 0.0
        kind = _kind(name, shape, wanted, is_tied) if is_matrix else _WIDE
        yield GgufTensor(name, shape, kind, _prepared(names, path, numbers, offset))
    for name, factors in rotation_factors(architecture.kind, text, dataclasses.asdict(text.args)).items():
        yield GgufTensor(name, factors.shape, _WIDE, lambda factors=factors: factors)  # type: ignore[misc]
    if nameless:
        said = tr(
            "llama.cpp's {name} has no name for {names}.", name=architecture.name, names=", ".join(nameless[:3])
        )
        raise UnusableError([Problem("model", said, hint=tr("Export as hf or fused instead."))])


def _arrays(model: nn.Module) -> Iterator[tuple[str, tuple[int, ...], Callable[[], mx.array], bool]]:
    """Path, shape, numbers, and whether it is a matrix, of every array that the model keeps in its files."""
    leaves = tree_flatten(model.leaf_modules(), is_leaf=nn.Module.is_module)
    modules = dict(model.named_modules())
    done: set[str] = set()
    for path, leaf in leaves:
        owner = _owner(path, modules)
        if owner in done:
            continue
        done.add(owner)
        module = modules[owner]
        inner = wrapped(module)
        if isinstance(inner, PLAIN):
            weight = full_weight(module)
            yield f"{owner}.weight", weight.shape, lambda weight=weight: weight, True  # type: ignore[misc]
            if "bias" in inner:
                bias = inner.bias
                yield f"{owner}.bias", bias.shape, lambda bias=bias: bias, False  # type: ignore[misc]
            continue
        for name, array in tree_flatten(leaf.parameters()):
            if array.ndim > 1:
                said = tr(
                    "{path} is stored as {name}, which cannot be unpacked here.",
                    path=path,
                    name=type(leaf).__name__,
                )
                raise UnusableError([Problem("model", said, hint=tr("Choose the original model as base."))])
            if not name.split(".")[-1].startswith("_"):
                yield f"{path}.{name}", array.shape, lambda array=array: array, False  # type: ignore[misc]


def _owner(path: str, modules: dict[str, nn.Module]) -> str:
    """The path of the adapter round the module at ``path``, or that path itself."""
    parent = path.rpartition(".")[0]
    return parent if isinstance(modules.get(parent), (*LORA, *DORA)) else path


def _kind(name: str, shape: tuple[int, ...], wanted: TensorType, is_tied: bool) -> GGMLQuantizationType:
    if _ROUTER in name:
        return _WIDE
    chosen = wanted
    if name in _HEADS and (is_tied or name != _HEADS[0]):
        chosen = HEAD_TYPES.get(wanted, wanted)
    return fitting(chosen, shape[-1]).ggml


def _prepared(
    names: TensorNames, path: str, numbers: Callable[[], mx.array], offset: float
) -> Callable[[], mx.array]:
    def prepared() -> mx.array:
        array = names.in_order(path, numbers())
        return array.astype(mx.float32) + offset if offset else array

    return prepared
