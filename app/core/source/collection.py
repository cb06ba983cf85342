"""A collection: several data files from anywhere, put together as one folder of links that a config can name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from app.core.system import place


def collections_dir() -> Path:
    """Where collections lie."""
    return place.data_dir() / "collections"


def collect(files: Sequence[Path]) -> Path:
    """One path that stands for all ``files`` (files and folders): itself if there is but one, else a folder of
    links to them. The same files give the same folder; nothing is copied. Raises `OSError`."""
    unique = list(dict.fromkeys(file.resolve() for file in files))
    if len(unique) == 1:
        return files[0]
    digest = hashlib.sha256("\0".join(map(str, unique)).encode()).hexdigest()[:6]
    stem = re.sub(r"[^\w.-]+", "-", unique[0].stem)[:40]
    folder = collections_dir() / f"{stem}-and-{len(unique) - 1}-more-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(unique, 1):
        # The name says "train", so that no file is taken for another split because of what it is called.
        link = folder / f"train-{number:03}-{file.name}"
        if not link.is_symlink():
            link.symlink_to(file, target_is_directory=file.is_dir())
    return folder


def members(path: Path) -> list[Path]:
    """The files that a collection stands for, in order; empty if ``path`` is no collection."""
    if path.parent != collections_dir() or not path.is_dir():
        return []
    return [link.resolve() for link in sorted(path.iterdir()) if link.is_symlink()]


def shown_path(file: str) -> Path:
    """The file that a person knows: what a link of a collection leads to, else the file itself."""
    path = Path(file)
    return path.resolve() if path.is_relative_to(collections_dir()) else path
