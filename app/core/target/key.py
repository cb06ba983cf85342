"""Target keys: ``num_layers`` and ``lora_parameters.keys`` as mlx-lm reads them, from and to sets of modules.

mlx-lm (tuner/utils.py, `linear_to_lora_layers`) compares each key with the paths inside each of the top
``num_layers`` layers, and again with the full paths of the whole model, whatever ``num_layers`` says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from app.core.model.inspection import Inspection, Module


@dataclass(frozen=True, slots=True)
class Keys:
    """What goes into a config for mlx-lm; ``num_layers`` −1 is all."""

    keys: tuple[str, ...]
    num_layers: int


@dataclass(frozen=True, slots=True)
class Adapted:
    """What mlx-lm would adapt for given keys, which keys match nothing, and which make it stop with an error."""

    modules: tuple[Module, ...]
    unmatched: tuple[str, ...]
    refused: tuple[str, ...]
    twice: tuple[str, ...]


def top_layers(inspection: Inspection, num_layers: int) -> int:
    """How many layers ``num_layers`` covers: mlx-lm slices ``layers[-max(n, 0):]``, so 0 and −1 are all."""
    count = inspection.num_layers
    return min(num_layers, count) if num_layers > 0 else count


def default_keys(inspection: Inspection) -> tuple[str, ...]:
    """What mlx-lm adapts when no keys are given: everything in the layers that it can, embeddings included."""
    return tuple(dict.fromkeys(module.key for module in inspection.adaptable if module.layer is not None))


def adapted_by(inspection: Inspection, keys: Collection[str], num_layers: int) -> Adapted:
    """Plays through what stock mlx-lm does with these keys."""
    wanted = set(keys)
    bottom = inspection.num_layers - top_layers(inspection, num_layers)
    found, matched, refused, twice = [], set(), set(), []
    for module in inspection.modules:
        by_key = module.layer is not None and module.layer >= bottom and module.key in wanted
        by_path = module.path in wanted
        if module.bare or not (by_key or by_path):
            continue
        matched |= {name for name in (module.key, module.path) if name in wanted}
        if not module.adaptable:
            refused.add(module.key if by_key else module.path)
            continue
        found.append(module)
        if by_key and by_path and module.key != module.path:
            twice.append(module.path)
    stops = wanted & set(inspection.other_names)
    return Adapted(
        tuple(found),
        tuple(key for key in keys if key not in matched | stops),
        tuple(sorted(refused | stops)),
        tuple(twice),
    )


def keys_for(inspection: Inspection, chosen: Iterable[str], num_layers: int | None = None) -> Keys:
    """Keys with which stock mlx-lm adapts exactly the modules with the paths ``chosen``.

    A matrix chosen in just the top ``num_layers`` layers takes its short key; whatever else takes full paths, which
    hold regardless of ``num_layers``. With None, the number of layers is the one that leaves the fewest keys.
    """
    rows = _Rows(inspection, set(chosen))
    depth = rows.best_depth() if num_layers is None else top_layers(inspection, num_layers)
    keys: list[str] = []
    for key, paths in rows.chosen.items():
        keys += [key] if rows.fits(key, depth) else paths
    return Keys((*keys, *rows.outside), depth if depth < inspection.num_layers else -1)


class _Rows:
    """The chosen modules by key, and for each key the depths (numbers of top layers) that describe its choice."""

    def __init__(self, inspection: Inspection, chosen: set[str]) -> None:
        self.count = inspection.num_layers
        self.chosen: dict[str, list[str]] = {}
        self.spans: dict[str, tuple[int, int]] = {}
        self.outside = [module.path for module in inspection.outside if module.path in chosen]
        taken = {module.path for module in inspection.modules if module.layer is None}
        taken |= set(inspection.other_names)
        # The matrix's usual order, so that configs read q, k, v, o and not as the model happens to define them.
        for key in dict.fromkeys([*(row.key for row in inspection.rows), *inspection.by_key]):
            modules = inspection.by_key[key]
            paths = [module.path for module in modules if module.path in chosen]
            if not paths:
                continue
            self.chosen[key] = paths
            # A short key must name nothing else: no container, nothing outside, nothing that mlx-lm refuses.
            if key not in taken and all(module.adaptable for module in modules):
                self._add_span(key, modules, chosen)

    def _add_span(self, key: str, modules: Iterable[Module], chosen: set[str]) -> None:
        inside = [module.layer for module in modules if module.path in chosen and module.layer is not None]
        missing = [module.layer for module in modules if module.path not in chosen and module.layer is not None]
        if max(missing, default=-1) < min(inside):
            self.spans[key] = (self.count - min(inside), self.count - 1 - max(missing, default=-1))

    def fits(self, key: str, depth: int) -> bool:
        """Whether the key's short form at this depth names exactly what is chosen of it."""
        low, high = self.spans.get(key, (1, 0))
        return low <= depth <= high

    def best_depth(self) -> int:
        """The number of top layers that leaves the fewest keys; all of them between equals."""
        ends = {end for span in self.spans.values() for end in span}
        candidates = [self.count, *sorted(ends, reverse=True)]

        def cost(depth: int) -> int:
            return sum(1 if self.fits(key, depth) else len(paths) for key, paths in self.chosen.items())

        return min(candidates, key=cost)
