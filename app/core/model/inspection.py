"""Inspection: what a model is made of, module by module, told once by the worker and then only calculated with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict

from app.core.model.module_group import Group, name_rank
from app.core.quantity import count_text

# Raised when the form or the meaning of an inspection changes, so that cached ones of older versions are made anew.
INSPECTION_FORMAT = 6


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class AdapterSize(_Part):
    """Adapter parameters of one module: ``slope`` · rank + ``constant``; ``refused`` says why there is none."""

    slope: int = 0
    constant: int = 0
    refused: str = ""

    def parameters(self, rank: int) -> int:
        """Trainable parameters at a rank; 0 if refused."""
        return 0 if self.refused else self.slope * rank + self.constant


class AdapterCost(_Part):
    """What an adapter on one kind of module costs, measured on mlx-lm's own conversion."""

    lora: AdapterSize
    dora: AdapterSize

    def of(self, kind: str) -> AdapterSize:
        """The size for ``lora`` or ``dora``."""
        return self.dora if kind == "dora" else self.lora


class Module(_Part):
    """One module (or bare parameter) with a matrix in it.

    ``path`` is its full dotted path, ``key`` its path inside its layer (the full path when it is in none) and
    ``layer`` the index of that layer. ``shape`` is the logical weight: (out, in), (experts, out, in) or other.
    ``parameters`` counts logical parameters (unpacked, with bias), ``bytes`` what they take in memory. ``cost`` is
    an index into `Inspection.costs`, or −1 if nothing can be adapted here, and then ``refused`` says why. What is
    ``bare`` is a parameter and no module: mlx-lm passes over a key that names it.
    """

    path: str
    key: str
    layer: int | None
    group: Group
    type: str
    shape: tuple[int, ...]
    parameters: int
    bytes: int
    bits: int | None = None
    cost: int = -1
    refused: str = ""
    bare: bool = False

    @property
    def name(self) -> str:
        """The last part of the path: ``q_proj``."""
        return self.path.rsplit(".", 1)[-1]

    @property
    def adaptable(self) -> bool:
        """Whether an adapter can be put here at all."""
        return self.cost >= 0

    @property
    def shape_text(self) -> str:
        """``4,864 × 896`` (out × in)."""
        return " × ".join(count_text(size) for size in self.shape)


class Layer(_Part):
    """One of the model's blocks: its path, all its parameters (logical), their bytes, and what full training
    would make trainable in it (as stored: packed weights count as what is stored)."""

    path: str
    parameters: int
    bytes: int
    unfrozen_parameters: int
    unfrozen_bytes: int


class Inspection(_Part):
    """Everything the window shows of a model. From mlx-lm's own classes (``source`` "mlx-lm") or, where mlx-lm has
    no such model, from the headers of its safetensors files ("header": preview and export only). ``untrainable``
    says why the model cannot be trained here, if so."""

    format: int = INSPECTION_FORMAT
    source: Literal["mlx-lm", "header"] = "mlx-lm"
    path: str = ""
    model_type: str = ""
    architecture: str = ""
    hidden_size: int = 0
    vocab_size: int = 0
    num_heads: int = 0
    num_kv_heads: int = 0
    head_dim: int = 0
    max_length: int = 0
    experts_per_token: int = 0
    dtype: str = ""
    quantization: str = ""
    total_parameters: int = 0
    weight_bytes: int = 0
    layers: tuple[Layer, ...] = ()
    modules: tuple[Module, ...] = ()
    costs: tuple[AdapterCost, ...] = ()
    other_names: tuple[str, ...] = ()
    has_weights: bool = False
    weight_faults: tuple[str, ...] = ()  # what is missing or cut off among the weight files, in sentences
    misfit: str = ""  # how the weight files differ from the model that config.json describes
    misread: tuple[str, ...] = ()  # what mlx-lm reads otherwise than config.json says it, in sentences
    file_bytes: int = 0
    has_tokenizer: bool = False
    has_chat_template: bool = False
    tokens_beyond: dict[int, str] = {}  # added tokens that the embedding has no row for, by id
    untrainable: str = ""
    branches: bool = False  # whether its layers let sequences that begin alike compute that once
    notes: tuple[str, ...] = ()

    @property
    def num_layers(self) -> int:
        """How many layers the model has."""
        return len(self.layers)

    @property
    def quantized(self) -> bool:
        """Whether any of its weights are packed."""
        return bool(self.quantization)

    def size(self, module: Module, kind: str) -> AdapterSize:
        """The adapter's size on a module for ``lora`` or ``dora``."""
        if module.cost < 0:
            return AdapterSize(refused=module.refused)
        return self.costs[module.cost].of(kind)

    def named(self, key: str) -> tuple[Module, ...]:
        """The modules of a key inside the layers, or the one of a full path."""
        return self.by_key.get(key) or tuple(module for module in (self.by_path.get(key),) if module is not None)

    # Everything below is derived once and then kept: an edit must cost no more than adding up.

    @cached_property
    def adaptable(self) -> tuple[Module, ...]:
        """The modules that can take an adapter."""
        return tuple(module for module in self.modules if module.adaptable)

    @cached_property
    def refused(self) -> tuple[Module, ...]:
        """The matrices that cannot take one, each with its reason."""
        return tuple(module for module in self.modules if not module.adaptable)

    @cached_property
    def refusals(self) -> tuple[tuple[str, str, int], ...]:
        """What cannot take an adapter, once for each key: the key, why, and how many there are."""
        found: dict[tuple[str, str], int] = {}
        for module in self.refused:
            found[module.key, module.refused] = found.get((module.key, module.refused), 0) + 1
        return tuple((key, why, count) for (key, why), count in found.items())

    @cached_property
    def by_path(self) -> dict[str, Module]:
        """Every module by its full path."""
        return {module.path: module for module in self.modules}

    @cached_property
    def by_key(self) -> dict[str, tuple[Module, ...]]:
        """The modules of each key inside the layers, bottom layer first (adaptable or not)."""
        found: dict[str, list[Module]] = {}
        for module in self.modules:
            if module.layer is not None:
                found.setdefault(module.key, []).append(module)
        return {key: tuple(modules) for key, modules in found.items()}

    @cached_property
    def rows(self) -> tuple[MatrixRow, ...]:
        """The coverage matrix: one row a key that can be adapted, one cell a layer."""
        rows = []
        for key, modules in self.by_key.items():
            cells: list[Module | None] = [None] * self.num_layers
            for module in modules:
                if module.adaptable and module.layer is not None:
                    cells[module.layer] = module
            first = next((cell for cell in cells if cell is not None), None)
            if first is not None:
                rows.append(MatrixRow(key, first.group, tuple(cells)))
        order = list(Group)
        return tuple(sorted(rows, key=lambda row: (order.index(row.group), name_rank(row.key))))

    @cached_property
    def outside(self) -> tuple[Module, ...]:
        """The adaptable modules outside the layers: embeddings, head, projections."""
        return tuple(module for module in self.adaptable if module.layer is None)

    @cached_property
    def groups(self) -> dict[Group, tuple[Module, ...]]:
        """The adaptable modules of each group that there is, in the order in which groups are shown."""
        found = {group: tuple(m for m in self.adaptable if m.group is group) for group in Group}
        return {group: modules for group, modules in found.items() if modules}


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One line of the coverage matrix; ``cells[i]`` is the module in layer ``i``, None where the layer lacks it."""

    key: str
    group: Group
    cells: tuple[Module | None, ...]

    @property
    def label(self) -> str:
        """The matrix's short name."""
        return self.key.rsplit(".", 1)[-1]

    @property
    def modules(self) -> tuple[Module, ...]:
        """The modules that there are, bottom layer first."""
        return tuple(cell for cell in self.cells if cell is not None)
