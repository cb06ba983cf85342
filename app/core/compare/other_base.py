"""Whether an adapter is put on the base that it was trained on: that of another model fits, too, if sizes agree."""

from __future__ import annotations

from pathlib import Path

from app.core.compare.candidate import base_of, same_weights
from app.core.language import tr
from app.core.typed_path import typed_path


def other_base(adapter: Path, base: Path) -> str:
    """What is told of an adapter whose own config names another base than the folder ``base``.

    Empty where it names none, or this one, or a copy of it. One that is not here is judged by its name: a folder
    that was moved, or that lies elsewhere on the machine that trained, keeps that.
    """
    named = base_of(adapter)
    place = typed_path(named)
    if not named or _are_copies(place, base) or (not place.is_dir() and place.name in _names(base)):
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
