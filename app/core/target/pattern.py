"""Target patterns: what a person writes to name modules, and which modules of a model each pattern names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from app.core.language import tr
from app.core.model.inspection import Inspection, Module

How = Literal["path", "key", "name", "glob", "contains", "other_case", "everything", ""]

EMPTY_PATTERN = "''"  # as it is written; it is part of every path
HOW_TEXT = {
    "path": tr("exactly this module"),
    "key": tr("this matrix of each layer"),
    "name": tr("modules of this name, or inside one"),
    "glob": tr("paths that fit the pattern"),
    "contains": tr("paths that contain it"),
    "other_case": tr("found only when upper and lower case do not count"),
    "everything": tr("the empty pattern is in every path"),
    "": tr("nothing"),
}


@dataclass(frozen=True, slots=True)
class PatternMatch:
    """What one pattern names in a model, over all its layers.

    ``modules`` can take an adapter, ``refused`` were named but cannot (each says why), ``near`` are names that the
    model has and that look like it (only when nothing matched).
    """

    pattern: str
    how: How
    modules: tuple[Module, ...] = ()
    refused: tuple[Module, ...] = ()
    near: tuple[str, ...] = ()

    @property
    def examples(self) -> tuple[str, ...]:
        """The first few paths."""
        return tuple(module.path for module in self.modules[:3])


def split_patterns(text: str) -> tuple[str, ...]:
    """The patterns of a comma-separated list, in order, each once; pasted quotes and brackets are dropped.

    Two quotes with nothing between them are the empty pattern; nothing between two commas is none.
    """
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    written = (part.strip() for part in re.split(r"[,\n;]", text))
    bare = ((part in (EMPTY_PATTERN, '""'), part.strip("'\"").strip()) for part in written)
    return tuple(dict.fromkeys(part for is_empty, part in bare if part or is_empty))


def patterns_text(patterns: Iterable[str]) -> str:
    """Patterns as one text that `split_patterns` takes apart again."""
    return ", ".join(pattern.strip() or EMPTY_PATTERN for pattern in patterns)


def match_pattern(inspection: Inspection, pattern: str) -> PatternMatch:
    """The modules that a pattern names. The first reading that finds something counts:

    a full path · a key as mlx-lm has it (``self_attn.q_proj``) · a name or names in a row anywhere in the path
    (``q_proj``, ``mlp``, ``layers.3``) · with ``* ? [``, a glob over path and key · any part of the path · any part
    whatever its case. Case counts first, because some models have ``Wqkv`` and others ``wqkv``. The empty pattern
    is part of every path.
    """
    how, found = _find(inspection, pattern)
    adaptable = tuple(module for module in found if module.adaptable)
    refused = tuple(module for module in found if not module.adaptable)
    near = () if found else near_names(inspection, pattern)
    return PatternMatch(pattern, how, adaptable, refused, near)


def _find(inspection: Inspection, pattern: str) -> tuple[How, list[Module]]:
    if not pattern:
        return "everything", list(inspection.modules)
    if (exact := inspection.by_path.get(pattern)) is not None:
        return "path", [exact]
    if pattern in inspection.by_key:
        return "key", list(inspection.by_key[pattern])
    if any(sign in pattern for sign in "*?["):
        found = [m for m in inspection.modules if fnmatchcase(m.path, pattern) or fnmatchcase(m.key, pattern)]
        return ("glob", found) if found else ("", [])
    wanted = f".{pattern}."
    if found := [m for m in inspection.modules if wanted in f".{m.path}."]:
        return "name", found
    if found := [m for m in inspection.modules if pattern in m.path]:
        return "contains", found
    folded = pattern.lower()
    if found := [m for m in inspection.modules if folded in m.path.lower()]:
        return "other_case", found
    return "", []


def near_names(inspection: Inspection, pattern: str, count: int = 3) -> tuple[str, ...]:
    """Names and keys of adaptable modules that look like a pattern that matched nothing."""
    names: dict[str, str] = {}
    for module in inspection.adaptable:
        for name in (module.name, module.key):
            names.setdefault(name.lower(), name)
    bare = pattern.strip("*?.").lower()
    found = difflib.get_close_matches(bare, list(names), count, 0.6)
    if not found:
        found = difflib.get_close_matches(bare.rsplit(".", 1)[-1], list(names), count, 0.6)
    return tuple(names[name] for name in found)


def available_names(inspection: Inspection, limit: int = 40) -> str:
    """What there is to name, as a sentence lists it: keys inside layers, then what is outside them."""
    names = list(dict.fromkeys([*(row.key for row in inspection.rows), *(m.path for m in inspection.outside)]))
    shown = ", ".join(names[:limit])
    return tr("{shown} and {names} more", shown=shown, names=len(names) - limit) if len(names) > limit else shown
