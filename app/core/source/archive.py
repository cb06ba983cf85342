"""Archives (ZIP and tar): their files are read in place, each under a path that goes through the archive."""

from __future__ import annotations

import atexit
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import IO, Literal, cast

from app.core.language import tr
from app.core.source.refusal import ARCHIVE_ERRORS, ZIP_START, is_plain_archive, packed_names
from app.core.system.leftover import temporary_prefix

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz")
FILE_LIMIT = 10_000
TOTAL_LIMIT_BYTES = 64 << 30
TAR_LIMIT_BYTES = 8 << 30  # unpacked onto the disk: tar can only be read from its beginning
RATIO_LIMIT, RATIO_FROM_BYTES = 200, 256 << 20
_HIDDEN = re.compile(r"\.|__MACOSX$|__pycache__$")
_TAR_ERRORS = (tarfile.TarError, OSError, EOFError, zlib.error)


class ArchiveError(Exception):
    """An archive that is not read, and why; ``kind`` is that of the finding."""

    def __init__(self, reason: str, kind: str = "unsupported_file") -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


def archive_kind(path: Path) -> Literal["", "zip", "tar"]:
    """What an archive of data files is, by its content; empty for every other file, documents and workbooks too."""
    try:
        with path.open("rb") as file:
            start = file.read(512)
            if start.startswith(ZIP_START) or start.startswith(b"PK\x05\x06"):
                file.seek(0)
                return "zip" if is_plain_archive(packed_names(file).names) else ""
        is_packed = start.startswith(b"\x1f\x8b")
        if start[257:262] != b"ustar" and not (is_packed and path.name.lower().endswith((".tgz", ".tar.gz"))):
            return ""
        with tarfile.open(path, "r|*"):
            return "tar"
    except _TAR_ERRORS:
        return ""


def through_archive(path: Path) -> tuple[Path, str] | None:
    """The archive that a path goes through, and the name of the file in it; None for a path of the file system."""
    if path.exists():
        return None
    outer = next((parent for parent in path.parents if parent.is_file()), None)
    return None if outer is None else (outer, path.relative_to(outer).as_posix())


def outer_file(path: Path) -> Path:
    """The file of the file system that a path leads to: the archive, for a file in one."""
    found = through_archive(path)
    return path if found is None else found[0]


def archive_files(path: Path) -> list[Path]:
    """The paths of the files in an archive. Raises `ArchiveError` for what must not or cannot be unpacked."""
    return [path / name for name in _opened(path).names]


def left_out(path: Path) -> tuple[list[str], list[str]]:
    """What an archive holds that is none of its `archive_files`, as it is named in there: links and the like, and
    files in whose place a later one of the same name is read. Raises `ArchiveError`."""
    found = _opened(path)
    return found.links, found.earlier


def is_file_in_archive(path: Path) -> bool:
    """True if a path goes through an archive to a file that is there."""
    found = through_archive(path)
    try:
        return found is not None and found[1] in _opened(found[0]).names
    except ArchiveError:
        return False


def file_size(path: Path) -> int:
    """The bytes of a file, unpacked if it is in an archive. Raises `OSError`."""
    found = through_archive(path)
    return path.stat().st_size if found is None else _opened_or_error(found[0]).size(found[1])


def open_file(path: Path) -> IO[bytes]:
    """A file, or one in an archive, from its beginning on. Raises `OSError`."""
    found = through_archive(path)
    if found is None:
        return path.open("rb", buffering=0)
    return _opened_or_error(found[0]).open(found[1])


def _opened_or_error(path: Path) -> _Zip | _Tar:
    try:
        return _opened(path)
    except ArchiveError as error:
        raise OSError(error.reason) from error


def _opened(path: Path) -> _Zip | _Tar:
    """The archive; opened anew when it has changed."""
    state = path.stat()
    return _known(path.resolve(), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=2)
def _known(path: Path, _changed: int, size: int) -> _Zip | _Tar:
    return _Zip(path, size) if archive_kind(path) == "zip" else _Tar(path, size)


def _clean(name: str) -> str:
    """A name that leads nowhere but into the archive: no drive, no root, no way up; empty for what is hidden."""
    parts = [part for part in re.split(r"[/\\]+", name) if part not in ("", ".", "..") and not part.endswith(":")]
    return "" if any(_HIDDEN.match(part) for part in parts) else "/".join(parts)


def _check_counts(names: Iterable[str], total: int, packed: int, limit: int) -> None:
    if sum(1 for _ in names) > FILE_LIMIT:
        raise ArchiveError(
            tr(
                "The archive holds more than {file_limit:,} files. Unpack it and choose what is data.",
                file_limit=FILE_LIMIT,
            )
        )
    if total > limit:
        said = tr(
            "The archive is {total:,}\u00a0GB when unpacked, more than {limit}. Unpack it first.",
            total=total >> 30,
            limit=limit >> 30,
        )
        raise ArchiveError(said)
    if total > RATIO_FROM_BYTES and total > RATIO_LIMIT * max(packed, 1):
        times = tr("{total:,} times", total=total // max(packed, 1))
        raise ArchiveError(
            tr("The archive would grow to {times} its size, as no data does; it is not opened.", times=times)
        )


class _Zip:
    """A ZIP archive; its files are unpacked while they are read."""

    def __init__(self, path: Path, size: int) -> None:
        try:
            self._archive = zipfile.ZipFile(path)
        except ARCHIVE_ERRORS as error:
            raise ArchiveError(tr("The archive is damaged: {error}.", error=error), "damaged_file") from error
        entries = [entry for entry in self._archive.infolist() if entry.filename and not entry.is_dir()]
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self.links: list[str] = []
        self.earlier: list[str] = []
        for entry in entries:
            name = _clean(entry.filename)
            if name and stat.S_ISLNK(entry.external_attr >> 16):
                self.links.append(entry.filename)
            elif name:
                if name in self._entries:
                    self.earlier.append(self._entries[name].filename)
                self._entries[name] = entry
        _check_counts(
            (entry.filename for entry in entries), sum(e.file_size for e in entries), size, TOTAL_LIMIT_BYTES
        )
        if any(entry.flag_bits & 1 for entry in entries):
            raise ArchiveError(tr("The archive is encrypted. Unpack it with its password first."))

    @property
    def names(self) -> list[str]:
        return sorted(self._entries)

    def size(self, name: str) -> int:
        return self._entry(name).file_size

    def open(self, name: str) -> IO[bytes]:
        entry = self._entry(name)
        try:
            return self._archive.open(entry)
        except (*ARCHIVE_ERRORS, KeyError) as error:
            raise OSError(tr("`{name}` cannot be unpacked: {error}", name=name, error=error)) from error

    def _entry(self, name: str) -> zipfile.ZipInfo:
        if name not in self._entries:
            raise FileNotFoundError(tr("there is no `{name}` in the archive", name=name))
        return self._entries[name]


class _Tar:
    """A tar archive, unpacked into a folder of numbered files that goes with the process."""

    def __init__(self, path: Path, size: int) -> None:
        self._files: dict[str, Path] = {}
        self.links: list[str] = []
        self.earlier: list[str] = []
        self._folder = Path(tempfile.mkdtemp(prefix=temporary_prefix("archive")))
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        try:
            self._unpack(path, size)
        except _TAR_ERRORS as error:
            raise ArchiveError(
                tr("The archive is damaged or cut off: {error}.", error=error), "damaged_file"
            ) from error

    def _unpack(self, path: Path, size: int) -> None:
        total, seen, names = 0, [], dict[str, str]()
        free = shutil.disk_usage(self._folder).free // 2
        with tarfile.open(path, "r|*") as archive:
            for entry in archive:
                if not entry.isreg():
                    if not entry.isdir() and _clean(entry.name):
                        self.links.append(entry.name)
                    continue
                seen.append(entry.name)
                total += entry.size
                _check_counts(seen, total, size, min(TAR_LIMIT_BYTES, free))
                name, packed = _clean(entry.name), archive.extractfile(entry)
                if not name or packed is None:
                    continue
                if name in names:  # as unpacking does: the later one is the newer
                    self.earlier.append(names[name])
                names[name] = entry.name
                target = self._folder / str(len(seen))
                with packed, target.open("wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
                self._files[name] = target

    @property
    def names(self) -> list[str]:
        return sorted(self._files)

    def size(self, name: str) -> int:
        return self._file(name).stat().st_size

    def open(self, name: str) -> IO[bytes]:
        return cast("IO[bytes]", self._file(name).open("rb", buffering=0))

    def _file(self, name: str) -> Path:
        if name not in self._files:
            raise FileNotFoundError(tr("there is no `{name}` in the archive", name=name))
        return self._files[name]
