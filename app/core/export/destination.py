"""Where an export goes: a folder that is not there yet, on a disk with room for it."""

from __future__ import annotations

from pathlib import Path

from app.core.export.lm_studio import PUBLISHER, lm_studio_models
from app.core.language import tr
from app.core.problem import Problem
from app.core.quantity import bytes_text
from app.core.system import place
from app.core.system.disk import free_bytes
from app.core.system.plain_text import holds_no_text


def exports_dir() -> Path:
    """Where exports go unless another folder is chosen."""
    return place.data_dir() / "exports"


def usual_parent(format_name: str) -> Path:
    """Where an export of this format goes by default: LM Studio's own models folder, or `exports_dir`."""
    return lm_studio_models() / PUBLISHER if format_name == "lmstudio" else exports_dir()


def free_destination(word: str, format_name: str, parent: Path | None = None) -> Path:
    """A folder for an export that is not there yet: ``PARENT/WORD-FORMAT``, with a number if that is taken.

    ``parent`` is by default what `usual_parent` says.
    """
    base = (parent if parent is not None else usual_parent(format_name)) / f"{word}-{format_name}"
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path


def destination_problems(out: Path, needed_bytes: int) -> list[Problem]:
    """What is in the way of an export of so many bytes into the folder ``out``."""
    problems = []
    if holds_no_text(out):
        said = tr("MLX cannot write where a name holds bytes that are no UTF-8: {out}.", out=out)
        return [Problem("out", said, hint=tr("Choose another folder."))]
    if out.exists():
        said = tr("{out} exists, and nothing is written over.", out=out)
        problems.append(Problem("out", said, hint=tr("Choose another name, or delete it.")))
    if not (above := next(path for path in out.parents if path.exists())).is_dir():
        problems.append(
            Problem("out", tr("{above} is a file, not a folder.", above=above), hint=tr("Choose another folder."))
        )
        return problems
    free = free_bytes(out)
    if needed_bytes > free:
        said = tr(
            "The export takes about {needed_bytes}, and {free} are free.",
            needed_bytes=bytes_text(needed_bytes),
            free=bytes_text(free),
        )
        problems.append(Problem("out", said, hint=tr("Free some space, or choose another disk.")))
    return problems
