"""Archives of data files are read in place, and what must not be unpacked is refused."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.edit import Edits, read_window, save_edited
from app.core.data.prepare import prepare_data
from app.core.problem import UnusableError
from app.core.setup.path_kind import PathKind, sort_path
from app.core.source import archive
from app.core.source.archive import (
    ArchiveError,
    archive_files,
    archive_kind,
    file_size,
    is_file_in_archive,
    left_out,
    open_file,
    outer_file,
)
from tests.core.data.corpus import lines, pair, parquet_of
from tests.core.data.written import told
from tests.core.document.written import paragraph, pdf, word
from tests.core.source.test_workbook import workbook

ROWS = lines(*(pair(number) for number in range(4)))


def packed(path: Path, **files: bytes | str) -> Path:
    """A ZIP archive; ``__`` in a name is a slash, ``_dot_`` a dot."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return path


def tarred(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def refusal(path: Path) -> tuple[str, str]:
    report = check_files([path])
    assert (report.usable, report.examples) == (False, 0)
    (error,) = report.errors
    return error.kind, error.reason


def test_the_rows_of_a_packed_file_are_read_in_place(tmp_path: Path) -> None:
    path = packed(tmp_path / "boats.zip", data__rows_dot_jsonl=ROWS + b"{broken\n")
    report = check_files([path])
    assert (report.examples, report.rows) == (4, 5)
    inner = path / "data" / "rows.jsonl"
    assert [(error.file, error.line) for error in report.errors] == [(str(inner), 5)]
    assert read_window(inner, 2, 1) == [(2, pair(1))]
    edits = Edits()
    edits.drop(5)
    assert save_edited(inner, edits, tmp_path / "good.jsonl").rows == 4
    config = TrainConfig(data=str(path), skip_bad_rows=True, valid_fraction=0, test_fraction=0)
    assert len(prepare_data(config, tmp_path / "out").train.read_text().splitlines()) == 4
    assert sort_path(path).kind is PathKind.DATA


def test_every_kind_of_file_is_read_from_an_archive(tmp_path: Path) -> None:
    parquet_of([pair(1), pair(2)])(tmp_path / "a.parquet")
    workbook(tmp_path / "a.xlsx", {"Tides": [["prompt", "completion"], ["High?", "At six."]]})
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.parquet", "a.xlsx"):
            archive.write(tmp_path / name, f"data/{name}")
        archive.writestr("data/a.csv", "prompt,completion\nLow?,At noon.\n")
    report = check_files([path])
    assert (report.usable, report.examples, report.target) == (True, 4, "completion")
    for name in ("a.docx", "a.pdf"):
        made = (
            word(tmp_path / name, paragraph("Tides."))
            if name == "a.docx"
            else pdf(tmp_path / name, [["Boats of the sea"]])
        )
        inside = packed(tmp_path / f"{name}.zip", **{name.replace(".", "_dot_"): made.read_bytes()})
        assert (check_files([inside]).target, check_files([inside]).examples) == ("text", 1)


def test_files_are_divided_by_their_names(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "boats.zip", d__train_dot_jsonl=ROWS, d__test_dot_jsonl=lines(pair(9)), d__photo_dot_jpg=b"x"
    )
    report = check_files([path])
    assert {split: part.examples for split, part in report.splits.items()} == {"train": 4, "test": 1}
    assert ("ignored_file", "Not used: `photo.jpg`.") in told(report)


def test_names_that_lead_out_and_hidden_files_are_harmless(tmp_path: Path) -> None:
    path = tmp_path / "boats.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../outside.jsonl", ROWS)
        archive.writestr("/etc/passwd.jsonl", lines(pair(7)))
        archive.writestr(zipfile.ZipInfo(""), b"no name")
        archive.writestr("__MACOSX/._rows.jsonl", b"\0\5\x16\7")
        archive.writestr(".hidden/rows.jsonl", b"{")
    report = check_files([path])
    assert (report.usable, report.examples) == (True, 5)
    assert set(report.splits["train"].files) == {str(path / "outside.jsonl"), str(path / "etc" / "passwd.jsonl")}
    assert not (tmp_path.parent / "outside.jsonl").exists()


@pytest.mark.parametrize("name", ["boats.tar", "boats.tar.gz", "boats.tgz"])
def test_tar_archives(name: str, tmp_path: Path) -> None:
    path = tarred(tmp_path / name, {"../up.jsonl": ROWS, "data/._up.jsonl": b"x", "data/notes.txt": b"x"})
    report = check_files([path])
    assert (report.usable, report.examples) == (True, 4)
    assert ("ignored_file", "Not used: `notes.txt`.") in told(report)
    assert read_window(path / "up.jsonl", 1, 1) == [(1, pair(0))]
    assert sort_path(path).kind is PathKind.DATA


def test_bombs_are_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.jsonl", "w") as file:
        for _ in range(300):
            file.write(bytes(1 << 20))
    kind, said = refusal(path)
    assert (kind, "times its size" in said) == ("unsupported_file", True)
    many = packed(tmp_path / "many.zip", **{f"{number}_dot_jsonl": b"" for number in range(10_001)})
    assert "more than 10,000 files" in refusal(many)[1]


def test_an_encrypted_archive_says_so(tmp_path: Path) -> None:
    path = packed(tmp_path / "boats.zip", rows_dot_jsonl=ROWS)
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    path.write_bytes(data)
    assert refusal(path)[1] == "The archive is encrypted. Unpack it with its password first."


def test_archives_in_archives_are_named_and_not_opened(tmp_path: Path) -> None:
    inner = packed(tmp_path / "inner.zip", rows_dot_jsonl=ROWS).read_bytes()
    path = packed(tmp_path / "outer.zip", rows_dot_jsonl=ROWS, inner_dot_zip=inner)
    report = check_files([path])
    assert (report.usable, report.examples) == (True, 4)
    assert ("ignored_file", "Not used: `inner.zip`.") in told(report)
    assert refusal(packed(tmp_path / "only.zip", inner_dot_zip=inner)) == (
        "no_examples",
        "The archive holds no data file; there are `inner.zip`.",
    )


def test_a_damaged_archive_says_where(tmp_path: Path) -> None:
    path = packed(tmp_path / "boats.zip", rows_dot_jsonl=lines(*(pair(number) for number in range(500))))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    report = check_files([path])
    assert not report.usable
    (tmp_path / "torn.zip").write_bytes(bytes(data[: len(data) - 30]))
    assert refusal(tmp_path / "torn.zip")[0] == "damaged_file"
    with pytest.raises(UnusableError):
        read_window(tmp_path / "torn.zip", 1, 1)
    assert report.errors[-1].kind in ("damaged_file", "unreadable_file")
    cut = tarred(tmp_path / "boats.tar.gz", {"rows.jsonl": ROWS * 100})
    cut.write_bytes(cut.read_bytes()[:200])
    assert refusal(cut)[0] == "damaged_file"


def test_the_archives_that_chat_programs_write(tmp_path: Path) -> None:
    chats = [{"uuid": "1", "chat_messages": [{"uuid": "2", "sender": "human", "text": "Free?"},
                                             {"uuid": "3", "sender": "assistant", "text": "Yes."}]}]  # fmt: skip
    path = packed(tmp_path / "claude.zip", conversations_dot_json=json.dumps(chats), users_dot_json="[{}]")
    report = check_files([path])
    assert (report.usable, report.examples) == (True, 1)
    assert ("ignored_file", "Not used: `users.json`.") in told(report)
    said = [{"type": "message", "user": user, "text": "Free?", "ts": f"{at}.0"} for at, user in enumerate("AB")]
    slack = packed(tmp_path / "slack.zip", users_dot_json="[]", **{"pier__2024-01-01_dot_json": json.dumps(said)})
    report = check_files([slack], config=TrainConfig(answers_by="B"))
    assert (report.usable, report.examples, report.speakers) == (True, 1, {"A": 1, "B": 1})
    phone = packed(tmp_path / "phone.zip", _chat_dot_txt="31.12.23, 22:15 - A: Free?\n31.12.23, 22:16 - B: Yes.\n")
    assert check_files([phone], config=TrainConfig(answers_by="B")).examples == 1


def test_archives_of_a_folder_are_data_where_there_is_nothing_else(tmp_path: Path) -> None:
    packed(tmp_path / "boats.zip", rows_dot_jsonl=ROWS)
    assert check_files([tmp_path]).examples == 4
    (tmp_path / "other.jsonl").write_bytes(lines(pair(1)))
    report = check_files([tmp_path])
    assert report.examples == 1
    assert ("ignored_file", "Not used: `boats.zip`.") in told(report)


@pytest.mark.parametrize("name", ["boats.zip", "boats.tar"])
def test_files_of_an_archive_are_found_by_their_names(name: str, tmp_path: Path) -> None:
    """Names are put right, and what is hidden is not there; of two of a name the later counts, and that is told."""
    files = {"./d//b.jsonl": b"twice", "C:\\d\\b.jsonl": b"abc", "a/__pycache__/x": b"x", "a.jsonl": b"", ".b": b""}
    path = tmp_path / name
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w") as made:
            for inner, content in files.items():
                made.writestr(inner, content)
            link = zipfile.ZipInfo("link.jsonl")
            link.external_attr = 0o120777 << 16
            made.writestr(link, "/etc/passwd")
            made.mkdir("folder")
    else:
        tarred(path, files)
        with tarfile.open(path, "a") as tar:
            (tmp_path / "link.jsonl").symlink_to("/etc/passwd")
            tar.add(tmp_path / "link.jsonl", "link.jsonl")
    assert archive_kind(path) == name[-3:]
    assert left_out(path) == (["link.jsonl"], ["./d//b.jsonl"])
    assert archive_files(path) == [path / "a.jsonl", path / "d" / "b.jsonl"]
    assert [file_size(one) for one in archive_files(path)] == [0, 3]
    with open_file(path / "d" / "b.jsonl") as file:
        assert file.read() == b"abc"
    assert [is_file_in_archive(path / one) for one in ("a.jsonl", "c.jsonl", "d")] == [True, False, False]
    assert not is_file_in_archive(path)
    assert outer_file(path / "a.jsonl") == outer_file(path) == path
    assert outer_file(tmp_path / "none") == tmp_path / "none"
    for ask in (file_size, open_file):
        with pytest.raises(FileNotFoundError, match=r"^there is no `c\.jsonl` in the archive$"):
            ask(path / "c.jsonl")


def test_how_much_an_archive_may_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "FILE_LIMIT", 2)
    many = "^The archive holds more than 2 files. Unpack it and choose what is data.$"
    for count in (2, 3):
        files = {f"{number}.jsonl": b"x" * 500 for number in range(count)}
        for path in (
            packed(tmp_path / f"{count}.zip", **{name.replace(".", "_dot_"): one for name, one in files.items()}),
            tarred(tmp_path / f"{count}.tar", files),
        ):
            if count == 2:
                assert len(archive_files(path)) == 2
            else:
                with pytest.raises(ArchiveError, match=many):
                    archive_files(path)
    gigabyte = r"^The archive is 0\u00a0GB when unpacked, more than 0. Unpack it first.$"
    for name, limit, free, is_read in (
        ("a", 1000, 9000, True), ("b", 999, 9000, False), ("c", 9000, 2001, True), ("d", 9000, 1999, False)
    ):  # fmt: skip
        monkeypatch.setattr(archive, "TAR_LIMIT_BYTES", limit)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: type("Disk", (), {"free": free}))
        path = tarred(tmp_path / f"{name}.tar", {"1.jsonl": b"x" * 500, "2.jsonl": b"y" * 500})
        if is_read:
            assert len(archive_files(path)) == 2
        else:
            with pytest.raises(ArchiveError, match=gigabyte):
                archive_files(path)


def test_how_far_an_archive_may_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "RATIO_FROM_BYTES", 20_000)

    def made(name: str) -> Path:
        return packed(tmp_path / f"{name}.zip", a_dot_jsonl=bytes(20_001))

    size = made("0").stat().st_size
    times = 20_001 // size
    monkeypatch.setattr(archive, "RATIO_LIMIT", times)
    with pytest.raises(ArchiveError) as caught:
        archive_files(made("1"))
    said = f"The archive would grow to {times} times its size, as no data does; it is not opened."
    assert (caught.value.kind, str(caught.value)) == ("unsupported_file", said)
    monkeypatch.setattr(archive, "RATIO_LIMIT", times + 1)
    assert len(archive_files(made("2"))) == 1
    monkeypatch.setattr(archive, "RATIO_LIMIT", 1)
    monkeypatch.setattr(archive, "RATIO_FROM_BYTES", 20_001)
    assert len(archive_files(made("3"))) == 1


@pytest.mark.parametrize("name", ["boats.zip", "boats.tar"])
@pytest.mark.parametrize("inside", [True, False])
def test_of_a_file_that_was_put_in_twice_the_newer_one_trains(name: str, inside: bool, tmp_path: Path) -> None:
    """As `tar -r` and `zip` from a program do; whoever unpacks the archive gets the newer one, too."""
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / name
    old, new = lines(pair(1), pair(2)), lines(pair(3))
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w") as made:
            made.writestr("rows.jsonl", old)
            with pytest.warns(UserWarning, match="Duplicate name"):
                made.writestr("rows.jsonl", new)
    else:
        tarred(path, {"rows.jsonl": old})
        with tarfile.open(path, "a") as tar:
            newer = tarfile.TarInfo("rows.jsonl")
            newer.size = len(new)
            tar.addfile(newer, io.BytesIO(new))
    report = check_files([path.parent if inside else path])
    assert list(report.preview) == [json.loads(new)]
    assert ("ignored_file", "The archive holds `rows.jsonl` more than once; the last one is read.") in told(report)


def test_links_in_an_archive_are_named(tmp_path: Path) -> None:
    path = tarred(tmp_path / "boats.tar", {"rows.jsonl": ROWS})
    (tmp_path / "one.jsonl").write_bytes(lines(pair(9)))
    (tmp_path / "more.jsonl").hardlink_to(tmp_path / "one.jsonl")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "sub").mkdir()
    with tarfile.open(path, "a") as made:
        for name in ("one.jsonl", "more.jsonl", "pipe", "sub"):
            made.add(tmp_path / name, name)
    report = check_files([path])
    assert report.examples == 5
    assert ("ignored_file", "Not used, being no files: `more.jsonl`, `pipe`.") in told(report)
