"""The manifest of a bundle: every file in it with its size and hash, and the versions that wrote it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import __version__
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.problem import Problem, UnusableError

MANIFEST = "manifest.json"
BUNDLE_FORMAT = 1
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle holds: ``files`` by their paths in it, each with its bytes and SHA-256."""

    format: int
    versions: dict[str, str]
    files: dict[str, tuple[int, str]]

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(size for size, _ in self.files.values())

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        files = {name: {"bytes": size, "sha256": digest} for name, (size, digest) in sorted(self.files.items())}
        return {"format": self.format, "versions": self.versions, "files": files}


def seal(folder: Path, versions: dict[str, str]) -> Manifest:
    """Writes the manifest of everything that is in ``folder`` by now; nothing may be added afterwards."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            files[path.relative_to(folder).as_posix()] = (path.stat().st_size, _digest(path))
    manifest = Manifest(BUNDLE_FORMAT, {"luthier": __version__} | versions, files)
    text = json.dumps(manifest.as_dict(), indent=1)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle's folder. Raises `UnusableError` if there is none that can be read."""
    path = folder / MANIFEST
    try:
        tree = parsed_json(path.read_text(encoding="utf-8"))
        files = {str(name): (int(one["bytes"]), str(one["sha256"])) for name, one in tree["files"].items()}
        manifest = Manifest(int(tree["format"]), dict(tree["versions"]), files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = tr(
            "{folder} is no bundle: its {manifest} cannot be read ({name}).",
            folder=folder,
            manifest=MANIFEST,
            name=type(error).__name__,
        )
        raise UnusableError([Problem("bundle", said, hint=tr("Make it again with `luthier bundle`."))]) from error
    if manifest.format > BUNDLE_FORMAT:
        said = tr(
            "The bundle is of format {format}; this Luthier knows {bundle_format}.",
            format=manifest.format,
            bundle_format=BUNDLE_FORMAT,
        )
        raise UnusableError([Problem("bundle", said, hint=tr("Update Luthier to read it."))])
    return manifest


def seal_problems(folder: Path) -> list[Problem]:
    """What in a bundle's folder is not as it was sealed; raises `UnusableError` if it is none."""
    problems = []
    for name, (size, digest) in read_manifest(folder).files.items():
        path = folder / name
        if not path.is_file():
            problems.append(Problem("bundle", tr("{name} is missing.", name=name), file=str(path)))
        elif path.stat().st_size != size or _digest(path) != digest:
            problems.append(
                Problem("bundle", tr("{name} was changed since it was sealed.", name=name), file=str(path))
            )
    return problems


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            found.update(piece)
    return found.hexdigest()
