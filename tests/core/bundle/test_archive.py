"""A bundle's archive, unpacked by any Python: nothing of it lands elsewhere."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from app.core.bundle.archive import archive_stem, archive_suffix, pack, unpack

BOTH = pytest.mark.parametrize("has_filter", [True, False])


def packed(file: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(file, "w:gz") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return file


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for name_of, value in {"type": kind, "linkname": link, "size": size, "mode": 0o4777}.items():
        setattr(made, name_of, value)
    return made


@pytest.fixture
def old(has_filter: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11.2, as Debian 12 has it, knows no filter."""
    if not has_filter:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)


@BOTH
@pytest.mark.usefixtures("old")
def test_files_and_folders_come_with_usual_rights(tmp_path: Path) -> None:
    file = packed(tmp_path / "a.tar.gz", member("a", tarfile.DIRTYPE), member("a/b.txt", size=3))
    unpack(file, tmp_path / "out")
    assert (tmp_path / "out/a/b.txt").read_text() == "xxx"
    assert (tmp_path / "out/a/b.txt").stat().st_mode & 0o7022 == 0


@BOTH
@pytest.mark.usefixtures("old")
@pytest.mark.parametrize(
    "odd",
    [
        member("../b.txt", size=1),
        member("a/../../b.txt", size=1),
        member("b", tarfile.SYMTYPE, "../../b.txt"),
        member("b", tarfile.SYMTYPE, "/etc/passwd"),
        member("b", tarfile.LNKTYPE, "../b.txt"),
        member("b", tarfile.FIFOTYPE),
        member("b", tarfile.CHRTYPE),
    ],
    ids=lambda one: f"{one.name} {one.type!r}",
)
def test_nothing_lands_elsewhere(odd: tarfile.TarInfo, tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("mine")
    (tmp_path / "in").mkdir()
    file = packed(tmp_path / "a.tar.gz", odd)
    with pytest.raises(ValueError, match=r"\S"):
        unpack(file, tmp_path / "in" / "out")
    assert (tmp_path / "b.txt").read_text() == "mine"
    assert list((tmp_path / "in").rglob("*")) in ([], [tmp_path / "in" / "out"])


@BOTH
@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_what_is_no_archive_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"no archive at all")
    with pytest.raises(ValueError, match=r"\S"):
        unpack(tmp_path / name, tmp_path / "out")


@BOTH
@pytest.mark.usefixtures("old")
def test_a_zip_comes_whole(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/b.txt", "b")
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert (tmp_path / "out/a/b.txt").read_text() == "b"


def test_the_name_says_what_is_packed() -> None:
    names = ["a.zip", "A.ZIP", "a.b.tar.gz", "a.tgz", "a.tar", "a.gz", "zip", "a"]
    assert [archive_suffix(Path(name)) for name in names] == [".zip", ".zip", ".tar.gz", ".tgz", ".tar", "", "", ""]
    assert [archive_stem(Path(name)) for name in names] == ["a", "A", "a.b", "a", "a", "a.gz", "zip", "a"]


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_what_is_packed_comes_out_as_it_was_and_its_bytes_are_counted(suffix: str, tmp_path: Path) -> None:
    folder, file = tmp_path / "setup", tmp_path / f"a{suffix}"
    (folder / "data").mkdir(parents=True)
    sizes = {"a.txt": 3000, "data/b.safetensors": 500, "data/c.txt": 20}
    for name, size in sizes.items():
        (folder / name).write_bytes(b"x" * size)
    counted: list[tuple[int, int]] = []
    pack(folder, file, "mine", suffix, lambda done, total: counted.append((done, total)))
    assert counted == [(0, 3520), (3000, 3520), (3500, 3520), (3520, 3520)]
    assert zipfile.is_zipfile(file) == (suffix == ".zip")
    assert (file.read_bytes()[:2] == b"\x1f\x8b") == (suffix == ".tar.gz")
    unpack(file, tmp_path / "out")
    found = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.relative_to(tmp_path / "out" / "mine").as_posix(): path.stat().st_size for path in found} == sizes
    if suffix == ".zip":
        with zipfile.ZipFile(file) as archive:
            smaller = {one.filename: one.compress_size < one.file_size for one in archive.infolist()}
        # What is packed already is put in as it is: packing it again takes minutes of a large model.
        assert smaller == {"mine/a.txt": True, "mine/data/b.safetensors": False, "mine/data/c.txt": True}
