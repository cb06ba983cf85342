"""Known models: a bundled list of small instruct models, to choose from before anything is searched.

The list, ``resources/models/known.toml``, was written from knowledge on its date and is not checked against the
hub: what a model takes is computed from its parameters, and a name may have moved since. What the hub says counts.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache

from app.core.language import tr
from app.core.model.hub import HubModel
from app.core.resource import resource

LARGE_MACHINE_BYTES = 36 * 2**30  # from here on macOS gives the GPU three quarters, not two thirds


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model of the list. ``bits`` of a parameter in the file, on average; ``stored`` as a search says it."""

    id: str
    parameters: int
    bits: float
    stored: str
    licence: str
    gated: bool
    good_for: str

    @property
    def size_bytes(self) -> int:
        """About what is downloaded: parameters by bits; tokenizer and configs are some MB more."""
        return round(self.parameters * self.bits / 8)

    def as_hub_model(self) -> HubModel:
        """What a search would answer of it, as far as the list knows."""
        return HubModel(self.id, size_bytes=self.size_bytes, quantization=self.stored, gated=self.gated)


@dataclass(frozen=True, slots=True)
class KnownModels:
    """The list, smallest first, and the day it was written."""

    as_of: date
    models: tuple[KnownModel, ...]


@cache
def known_models() -> KnownModels:
    """Reads the bundled list; raises `FileNotFoundError` if it did not ship."""
    tree = tomllib.loads(resource("models", "known.toml").read_text(encoding="utf-8"))
    models = [KnownModel(**entry | {"good_for": tr(entry["good_for"])}) for entry in tree["model"]]
    return KnownModels(tree["as_of"], tuple(sorted(models, key=lambda model: model.size_bytes)))


def working_set_of(memory_bytes: int) -> int:
    """What MLX may use of a machine's memory: two thirds, and three quarters from 36 GB on, as macOS recommends."""
    share = 3 / 4 if memory_bytes >= LARGE_MACHINE_BYTES else 2 / 3
    return int(memory_bytes * share)


def machine_memory_bytes() -> int:
    """This machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
