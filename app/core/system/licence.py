"""Licences of what Luthier is made of, read from the metadata of the packages; the same from source and frozen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from app.core.resource import resource

LICENCE_FOLDER = "licences"  # in the frozen app: those of what is no Python package, as NAME.txt
_OWN = "luthier"
_TEXTS = ("license", "licence", "copying", "copyright", "notice", "authors")  # how such files' names begin
# Licences that packages only name, with the files that have their words.
_NAMED = {"LGPL-3.0": ("LGPL-3.txt", "GPL-3.txt"), "Apache": ("Apache-2.0.txt",)}


@dataclass(frozen=True, slots=True)
class Licence:
    """One part. ``terms`` names the licence in a few words, ``text`` is all that it says; either may be empty."""

    part: str
    version: str
    terms: str
    text: str

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.part} {self.version}".strip()


@cache
def licences() -> tuple[Licence, ...]:
    """Luthier's own first, then those of all that it needs, by name."""
    found = [_of(metadata.distribution(name)) for name in distributions_inside()]
    others = sorted([*found, *_others()], key=lambda one: one.part.lower())
    return tuple(sorted(others, key=lambda one: one.part != _OWN))


def distributions_inside() -> tuple[str, ...]:
    """The packages that Luthier needs on this machine, and those that they need, down to the last; itself first.

    Where Luthier is not installed as a package, all packages that are.
    """
    try:
        metadata.distribution(_OWN)
    except metadata.PackageNotFoundError:
        return tuple(sorted({found.name for found in metadata.distributions()}))
    seen: dict[tuple[str, str], None] = {}
    waiting = [(_OWN, "")]
    while waiting:
        entry = waiting.pop(0)
        if entry in seen:
            continue
        try:
            needs = metadata.distribution(entry[0]).requires or []
        except metadata.PackageNotFoundError:
            continue  # another system's
        seen[entry] = None
        waiting += _needed(needs, entry[1])
    return tuple(dict.fromkeys(name for name, _ in seen))


def _needed(requirements: list[str], extra: str) -> Iterator[tuple[str, str]]:
    """Name and extra of each requirement that holds here."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    for line in requirements:
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
            for one in ("", *sorted(wanted.extras)):
                yield canonicalize_name(wanted.name), one


def _of(found: metadata.Distribution) -> Licence:
    about = found.metadata
    terms = _field(about, "License-Expression")
    if not terms:
        lines = about.get_all("Classifier") or ()
        classes = [line.split(" :: ")[-1] for line in lines if line.startswith("License")]
        short = _field(about, "License")
        terms = ", ".join(name for name in classes if name != "OSI Approved") or (short if len(short) < 80 else "")
    own = [file for file in found.files or () if _is_text(file.name, file.parts)]
    texts = [_read(Path(str(found.locate_file(file)))) for file in own]
    if not any(texts):
        named = [file for name, files in _NAMED.items() if name in terms for file in files]
        texts = [_read(resource("licences", file)) for file in named]
    return Licence(found.name, found.version, terms, "\n\n".join(text for text in texts if text))


def _field(about: metadata.PackageMetadata, name: str) -> str:
    return about[name].strip() if name in about else ""


def _is_text(name: str, parts: tuple[str, ...]) -> bool:
    inside = any(part.endswith(".dist-info") for part in parts)
    return inside and name.lower().startswith(_TEXTS)


def _others() -> list[Licence]:
    """What is in a frozen app besides packages: Python itself and libraries of the system that made it."""
    folder = Path(getattr(sys, "_MEIPASS", "")) / LICENCE_FOLDER if hasattr(sys, "_MEIPASS") else None
    if folder is None or not folder.is_dir():
        return [Licence("Python", sys.version.split()[0], "Python-2.0", "")]
    files = sorted(folder.glob("*.txt"))
    names = [file.stem.rpartition(" ") for file in files]
    return [
        Licence(name or version, version if name else "", "", _read(file))
        for file, (name, _, version) in zip(files, names, strict=True)
    ]


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
