"""Which base an adapter was trained on, and whether it is put on that: another one of the same sizes fits, too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.model.adapter_file import ADAPTER_CONFIG
from app.core.typed_path import typed_path

_PIECES, _PIECE_BYTES = 16, 4096  # of a file that is held against another
PEFT_BASE = "base_model_name_or_path"


def base_of(adapter: Path) -> str:
    """The base model that an adapter's own config names, mlx-lm's or PEFT's; empty if it names none."""
    folder = adapter if adapter.is_dir() else adapter.parent
    try:
        tree = parsed_json((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    named = (tree.get("model"), tree.get(PEFT_BASE)) if isinstance(tree, dict) else ()
    return next((name for name in named if isinstance(name, str) and name), "")


def same_weights(one: Path, other: Path) -> bool:
    """Whether two files of weights are the same, as far as their sizes and some pieces of them tell."""
    try:
        size = one.stat().st_size
        if size != other.stat().st_size:
            return False
        with one.open("rb") as first, other.open("rb") as second:
            pairs = zip(sampled_pieces(first, size), sampled_pieces(second, size), strict=True)
            return all(piece == its for piece, its in pairs)
    except OSError:
        return False


def sampled_pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Some pieces of a file of ``size`` bytes, evenly spread, by which weights are told apart."""
    for piece in range(_PIECES):
        file.seek(size * piece // _PIECES)
        yield file.read(_PIECE_BYTES)


def other_base(adapter: Path, base: Path) -> str:
    """What is told of an adapter whose own config names another base than the folder ``base``.

    Empty where it names none, or this one, or a copy of it. One that is not here is judged by its name: a folder
    that was moved, or that lies elsewhere on the machine that trained, keeps that.
    """
    named = base_of(adapter)
    place = typed_path(named)
    is_here = os.path.isdir(place)  # noqa: PTH112  # nor any error, of what is no name of a file
    if not named or (_are_copies(place, base) if is_here else place.name in _names(base)):
        return ""
    return tr(
        "The adapter {adapter} was trained on {named}; here it is put on {base}.",
        adapter=adapter,
        named=named,
        base=base,
    )


def _are_copies(one: Path, other: Path) -> bool:
    """Whether two folders are the same, or hold the same weights, as far as sizes and some pieces tell."""
    if one.resolve() == other.resolve():
        return True
    names = [{file.name for file in folder.glob("*.safetensors")} for folder in (one, other)]
    return names[0] == names[1] != set() and all(same_weights(one / name, other / name) for name in names[0])


def _names(base: Path) -> set[str]:
    """What a base may be called: its folder, and in the cache of the hub the repository without its owner."""
    cached = [part.rsplit("--", 1)[-1] for part in base.parts if part.startswith("models--")]
    return {base.name, *cached}
