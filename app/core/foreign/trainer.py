"""The trainers whose config files are read: how a file of theirs is known, and what reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.foreign.axolotl import is_axolotl, read_axolotl
from app.core.foreign.file import ForeignFile, flattened
from app.core.foreign.llama_factory import (
    is_llama_factory,
    is_llama_factory_1,
    read_llama_factory,
    read_llama_factory_1,
)
from app.core.foreign.unsloth import SECTIONS, is_unsloth, read_unsloth
from app.core.language import tr


@dataclass(frozen=True, slots=True)
class Trainer:
    """Another program that fine-tunes, by the config files that it reads."""

    name: str
    owns: Callable[[Mapping[str, Any]], bool]
    read: Callable[[ForeignFile], None]
    sections: frozenset[str] = frozenset()

    def reading(
        self, tree: Mapping[str, Any], file: str, lines: Mapping[str, int], base: Path | None
    ) -> ForeignFile:
        """A file of this trainer in Luthier's words, with everything that could not be put in them."""
        found = ForeignFile(self.name, flattened(tree, self.sections), file, lines, base)
        self.read(found)
        return found


TRAINERS = (
    Trainer("LLaMA-Factory", is_llama_factory, read_llama_factory),
    Trainer("LLaMA-Factory 1", is_llama_factory_1, read_llama_factory_1),
    Trainer("axolotl", is_axolotl, read_axolotl),
    Trainer(tr("Unsloth"), is_unsloth, read_unsloth, SECTIONS),
)


def trainer_of(tree: Mapping[str, Any]) -> Trainer | None:
    """Whose file it is by its keys; None for one of Luthier, mlx-lm or mlx-lm-lora."""
    return next((trainer for trainer in TRAINERS if trainer.owns(tree)), None)
