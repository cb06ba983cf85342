"""A bundle's archive: its folder in one file, ZIP or tar, chosen by the name that it gets."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from app.core.language import tr

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


def unpack(file: Path, folder: Path) -> None:
    """Unpacks an archive of anyone's into ``folder``: nothing lands outside of it.

    Raises `OSError`, and `ValueError` for what is no archive, is broken, or wants that.
    """
    try:
        if file.suffix == ".zip":
            shutil.unpack_archive(str(file), folder)  # which leaves out what would lie outside
            return
        with tarfile.open(file) as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(folder, filter="data")
            else:  # Python up to 3.11.3, as Debian 12 has it
                archive.extractall(folder, members=_harmless(archive))  # nosec B202 # files and folders below it only
    except (shutil.ReadError, tarfile.TarError) as error:
        raise ValueError(str(error)) from error


def _harmless(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of an archive that holds files and folders alone, below where it is unpacked; no links, which may
    lead elsewhere, and no rights but the usual ones."""
    for member in archive:
        path = PurePosixPath(member.name)
        if not (member.isreg() or member.isdir()) or path.is_absolute() or ".." in path.parts:
            raise ValueError(tr("{name!r} in it is no file or folder that may be put there", name=member.name))
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        yield member
