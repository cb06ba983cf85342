"""A bundle's archive: its folder in one file, ZIP or tar, chosen by the name that it gets."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

PACKED_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_STORED = (".safetensors", ".gz", ".zip")  # what packing makes no smaller


def archive_suffix(out: Path) -> str:
    """The suffix that makes ``out`` an archive; empty for a folder."""
    return next((suffix for suffix in PACKED_SUFFIXES if out.name.lower().endswith(suffix)), "")


def archive_stem(out: Path) -> str:
    """The name of the folder inside the archive ``out``, or of the folder that it is."""
    return out.name[: -len(suffix)] if (suffix := archive_suffix(out)) else out.name


def pack(folder: Path, file: Path, stem: str, suffix: str, progress: Callable[[int, int], None]) -> None:
    """Writes ``folder`` into ``file`` under the name ``stem``; ``progress`` counts bytes."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    total, done = sum(path.stat().st_size for path in paths), 0
    if suffix == ".zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in paths:
                progress(done, total)
                how = zipfile.ZIP_STORED if path.suffix in _STORED else zipfile.ZIP_DEFLATED
                archive.write(path, f"{stem}/{path.relative_to(folder).as_posix()}", how)
                done += path.stat().st_size
    else:
        with tarfile.open(file, "w:gz" if suffix != ".tar" else "w") as archive:
            for path in paths:
                progress(done, total)
                archive.add(path, f"{stem}/{path.relative_to(folder).as_posix()}", recursive=False)
                done += path.stat().st_size
    progress(total, total)
