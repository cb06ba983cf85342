"""The adapter switch: one base model in memory, any number of adapters put on it and taken off again.

An adapter's modules wrap the base's *own* modules, so switching only changes which object stands at a place in the
module tree: the base's arrays are never copied or written, and its logits are bit-identical before and after.
Adapters are in mlx-lm's layout (``adapters.safetensors`` beside ``adapter_config.json``): LoRA, DoRA and full
fine-tunes, whose changed arrays are swapped instead of modules; or in PEFT's (`app.worker.model.peft`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.model.adapter_base import other_base
from app.core.model.adapter_file import ADAPTER_CONFIG, ADAPTER_FILE, PEFT_FILE, is_peft
from app.core.model.folder import unreadable_name
from app.core.problem import Problem, UnusableError
from app.core.quantity import count_text
from app.core.typed_path import typed_path
from app.worker.array import Arrays
from app.worker.model.adapter_problem import adapter_problem, odd_parameter, size_problem, some
from app.worker.model.soundness import first_unsound
from app.worker.model.strength import between, module_at_strength

ADAPTER_LEAVES = ("lora_a", "lora_b", "m")
PICKLED = "adapter_model.bin"


@dataclass(frozen=True, slots=True)
class Adapter:
    """One adapter ready for its base: what stands at each changed place of the module tree, with and without it.

    ``parts`` and ``base_parts`` have the same dotted paths; values are modules (LoRA, DoRA) or arrays (full).
    """

    path: Path
    kind: str
    parts: dict[str, Any]
    base_parts: dict[str, Any]

    def at(self, strength: float) -> Adapter:
        """The same with another strength: 0 is the base, 1 this one. Of a full fine-tune it takes memory anew."""
        if strength == 1:
            return self
        parts = {path: self._part_at(path, part, strength) for path, part in self.parts.items()}
        mx.eval([part if isinstance(part, mx.array) else part.parameters() for part in parts.values()])
        return Adapter(self.path, self.kind, parts, self.base_parts)

    def _part_at(self, path: str, part: Any, strength: float) -> Any:
        if isinstance(part, mx.array):
            return between(self.base_parts[path], part, strength)
        return module_at_strength(part, strength)

    @property
    def parameters(self) -> int:
        """How many numbers the adapter itself has: its matrices and magnitudes, or the changed arrays."""
        arrays = [
            part if isinstance(part, mx.array) else [part[leaf] for leaf in ADAPTER_LEAVES if leaf in part]
            for part in self.parts.values()
        ]
        return sum(int(array.size) for _, array in tree_flatten(arrays))

    @property
    def changes_nothing(self) -> bool:
        """Whether it answers as its base does: its weights are those of before a training."""
        return all(
            bool(mx.array_equal(part, self.base_parts[path]))
            if isinstance(part, mx.array)
            else not bool(part.lora_b.any())
            for path, part in self.parts.items()
        )


NOTHING_LEARNED = tr("The adapter changes nothing: it holds the weights of before the training.")


class AdapterSwitch:
    """Puts adapters on one base model; ``None`` is the base itself."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._base = dict(model.named_modules())
        self._active: Adapter | None = None
        self._loaded: dict[tuple[Path, int, int], Adapter] = {}

    def use(self, adapter: Adapter | None) -> None:
        """Makes the model answer with ``adapter``, or as the base for None. Costs under a millisecond."""
        if adapter is self._active:
            return
        if self._active is not None:
            for path, part in self._active.base_parts.items():
                _put(self.model, path, part)
        self._active = adapter
        if adapter is not None:
            for path, part in adapter.parts.items():
                _put(self.model, path, part)

    def load(self, path: Path) -> Adapter:
        """Reads an adapter: its folder, a checkpoint file in such a folder, or a run's folder.

        Reads the file again only if it changed. Raises `UnusableError` with everything that does not fit the base.
        """
        folder, file = adapter_files(path)
        state = file.stat()
        key = (file, state.st_mtime_ns, state.st_size)
        if key not in self._loaded:
            active = self._active
            self.use(None)
            try:
                self._loaded[key] = self._read(folder, file)
            finally:
                self.use(active)
        return self._loaded[key]

    def keep(self, adapters: Iterable[Adapter | None]) -> None:
        """Forgets every loaded adapter but these, which frees their memory."""
        kept = {id(adapter) for adapter in adapters}
        if id(self._active) not in kept:
            self.use(None)
        self._loaded = {key: adapter for key, adapter in self._loaded.items() if id(adapter) in kept}

    def _read(self, folder: Path, file: Path) -> Adapter:
        config = _read_config(folder)
        weights = _read_weights(file)
        if is_peft(config):
            return self._peft(file, config, weights)
        kind = str(config.get("fine_tune_type") or _kind_of(weights))
        if kind == "full":
            return self._full(file, weights)
        wrapped = self._wrap(config, kind == "dora", folder)
        if problems := _differences(wrapped, weights, self._base, file):
            raise UnusableError(problems)
        for path, module in wrapped.items():
            module.update({leaf: weights[f"{path}.{leaf}"] for leaf in ADAPTER_LEAVES if leaf in module})
        return self._ready(file, kind, wrapped)

    def _peft(self, file: Path, config: dict[str, Any], weights: Arrays) -> Adapter:
        from app.worker.model.peft import peft_modules

        wrapped = peft_modules(config, weights, self._base, file)
        return self._ready(file, "dora" if config.get("use_dora") else "lora", wrapped)

    def _ready(self, file: Path, kind: str, wrapped: dict[str, nn.Module]) -> Adapter:
        for module in wrapped.values():
            module.eval()  # a fresh module is in training mode, and would apply its dropout
        mx.eval([module.parameters() for module in wrapped.values()])
        return Adapter(file, kind, dict(wrapped), {path: self._base[path] for path in wrapped})

    def _full(self, file: Path, weights: Arrays) -> Adapter:
        own = dict(tree_flatten(self.model.parameters()))
        strange = [name for name in weights if name not in own]
        problems = _missing_modules(strange, file)
        if odd := [n for n in weights if n in own and weights[n].shape != own[n].shape]:
            problems.append(size_problem(odd, _size(weights[odd[0]]), _size(own[odd[0]]), file))
        if problems:
            raise UnusableError(problems)
        mx.eval(weights)
        return Adapter(file, "full", dict(weights), {name: own[name] for name in weights})

    def _wrap(self, config: dict[str, Any], dora: bool, folder: Path) -> dict[str, nn.Module]:
        """The adapter modules that stock mlx-lm would make, by path; the base is as it was when this returns."""
        from mlx_lm.tuner.utils import linear_to_lora_layers  # its trainer comes with it: not for the base alone

        if said := odd_parameter(config.get("lora_parameters")):
            raise UnusableError([adapter_problem(said, folder / ADAPTER_CONFIG)])
        try:
            layers, parameters = int(config["num_layers"]), config["lora_parameters"]
            linear_to_lora_layers(self.model, layers, parameters, use_dora=dora)
            now = dict(self.model.named_modules())
            return {path: now[path] for path, module in self._base.items() if now[path] is not module}
        except (KeyError, TypeError, ValueError) as error:
            said = tr(
                "The adapter's {adapter_config} does not fit this base model: {error}.",
                adapter_config=ADAPTER_CONFIG,
                error=error,
            )
            raise UnusableError([adapter_problem(said, folder / ADAPTER_CONFIG)]) from error
        finally:
            self._restore()

    def _restore(self) -> None:
        for path, module in sorted(self._base.items(), key=lambda item: item[0].count(".")):
            if path and _get(self.model, path) is not module:
                _put(self.model, path, module)


def base_warning(path: Path, base: Path) -> str:
    """What is told of an adapter (as `adapter_files` takes it) that was trained on another base; empty else."""
    return other_base(adapter_files(path)[0], base)


def adapter_files(path: Path) -> tuple[Path, Path]:
    """The folder with the adapter's config, and the weights file, that ``path`` means.

    ``path`` may be the adapter's folder (mlx-lm's or PEFT's), a checkpoint file in it, or the folder of a run.
    Raises `UnusableError`.
    """
    path = typed_path(path)
    if path.is_file():
        folder, file = path.parent, path
        if not (folder / ADAPTER_CONFIG).is_file() and (folder.parent / ADAPTER_CONFIG).is_file():
            folder = folder.parent
    elif (path / ADAPTER_CONFIG).is_file() or not (path / "adapters" / ADAPTER_CONFIG).is_file():
        folder, file = path, path / ADAPTER_FILE
    else:
        folder, file = path / "adapters", path / "adapters" / ADAPTER_FILE
    if not path.exists():
        raise UnusableError([adapter_problem(tr("There is no such adapter."), path)])
    if not file.is_file() and (folder / PEFT_FILE).is_file():
        file = folder / PEFT_FILE
    if not file.is_file() and (folder / PICKLED).is_file():
        said = tr("{pickled} is pickled code, which is not run.", pickled=PICKLED)
        raise UnusableError(
            [adapter_problem(said, path, tr("Save the adapter with PEFT as {peft_file}.", peft_file=PEFT_FILE))]
        )
    if (problem := unreadable_name(file)) is not None:
        raise UnusableError([replace(problem, path="adapter_path")])
    if missing := [p for p in (folder / ADAPTER_CONFIG, file) if not p.is_file()]:
        names = tr(" and ").join(p.name for p in missing)
        raise UnusableError(
            [adapter_problem(tr("This is no adapter of mlx-lm or PEFT: {names} is not there.", names=names), path)]
        )
    return folder.resolve(), file.resolve()


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / ADAPTER_CONFIG
    try:
        config = parsed_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableError(
            [adapter_problem(tr("The adapter's config cannot be read: {error}.", error=error), file)]
        ) from error
    if not isinstance(config, dict):
        raise UnusableError([adapter_problem(tr("The adapter's config is not a JSON object."), file)])
    return config


def _read_weights(file: Path) -> Arrays:
    try:
        weights = mx.load(str(file))
    except (RuntimeError, ValueError, OSError) as error:
        raise UnusableError(
            [adapter_problem(tr("The adapter's weights cannot be read: {error}", error=error), file)]
        ) from error
    if not isinstance(weights, dict) or not weights:
        raise UnusableError([adapter_problem(tr("The file holds no weights."), file)])
    if whole := next((name for name, array in weights.items() if not _is_floating(array)), ""):
        said = tr("The adapter has whole numbers in {whole}, where weights should be.", whole=whole)
        raise UnusableError([adapter_problem(said, file)])
    if broken := first_unsound(weights.items()):
        said = tr("The adapter has values in {broken} that are no numbers.", broken=broken)
        hint = tr("Its training went astray: take an earlier checkpoint.")
        raise UnusableError([adapter_problem(said, file, hint)])
    return weights


def _is_floating(array: mx.array) -> bool:
    return bool(mx.issubdtype(array.dtype, mx.floating))


def _kind_of(weights: Arrays) -> str:
    """What an adapter is whose config does not say so (mlx-lm-lora's DoRA): only DoRA has magnitudes ``m``."""
    return "dora" if any(name.endswith(".m") for name in weights) else "lora"


def _differences(
    wrapped: dict[str, nn.Module], weights: Arrays, base: dict[str, nn.Module], file: Path
) -> list[Problem]:
    """What keeps ``weights`` from being those of ``wrapped``, in words."""
    expected = {f"{path}.{leaf}": m[leaf] for path, m in wrapped.items() for leaf in ADAPTER_LEAVES if leaf in m}
    strange = [name for name in weights if name not in expected]
    problems = _missing_modules([name for name in strange if _module_of(name) not in base], file)
    if unnamed := sorted({_module_of(name) for name in strange if _module_of(name) in base}):
        said = tr(
            "The adapter changes modules that its {adapter_config} does not name: {some}.",
            adapter_config=ADAPTER_CONFIG,
            some=some(unnamed),
        )
        problems.append(adapter_problem(said, file))
    if lacking := sorted({_module_of(name) for name in expected if name not in weights}):
        said = tr(
            "The adapter has no weights for modules that its {adapter_config} names: {some}.",
            adapter_config=ADAPTER_CONFIG,
            some=some(lacking),
        )
        problems.append(adapter_problem(said, file))
    shared = [name for name in expected if name in weights and weights[name].shape != expected[name].shape]
    return problems + _shape_problems(shared, weights, expected, file)


def _shape_problems(names: list[str], weights: Arrays, expected: Arrays, file: Path) -> list[Problem]:
    problems: dict[str, Problem] = {}
    others: list[str] = []
    for name in names:
        found, wanted = weights[name], expected[name]
        differing = [i for i, (a, b) in enumerate(zip(found.shape, wanted.shape, strict=False)) if a != b]
        rank_axis = found.ndim - 1 if name.endswith("lora_a") else found.ndim - 2
        if found.ndim == wanted.ndim == 2 and differing == [rank_axis]:
            said = tr(
                "The weights have rank {shape}, {adapter_config} says {shape2}.",
                shape=found.shape[rank_axis],
                adapter_config=ADAPTER_CONFIG,
                shape2=wanted.shape[rank_axis],
            )
            problems.setdefault(said, adapter_problem(said, file))
        else:
            others.append(name)
    if others:
        first = others[0]
        return [*problems.values(), size_problem(others, _size(weights[first]), _size(expected[first]), file)]
    return list(problems.values())


def _missing_modules(names: list[str], file: Path) -> list[Problem]:
    if not names:
        return []
    said = tr("The base model has no {some}.", some=some(sorted({_module_of(name) for name in names})))
    return [adapter_problem(said, file)]


def _module_of(name: str) -> str:
    return name.rsplit(".", 1)[0]


def _size(array: mx.array) -> str:
    return " × ".join(count_text(n) for n in array.shape)


def _get(model: Any, path: str) -> Any:
    node = model
    for name in path.split("."):
        node = node[int(name)] if isinstance(node, (list, tuple)) else node[name]
    return node


def _put(model: Any, path: str, part: Any) -> None:
    parent, _, name = path.rpartition(".")
    node = _get(model, parent) if parent else model
    if isinstance(node, list):
        node[int(name)] = part
    else:
        setattr(node, name, part)
