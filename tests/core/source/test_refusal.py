"""Files that hold no rows are refused with one error each that says what they are and what to do."""

from __future__ import annotations

import gzip
import json
import math
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.core.data.check import check_files
from tests.core.data.written import told

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"7f" * 32 + b"\nsize 480213\n"


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "json", "csv", "tsv", "txt", "arrow", "md"])
def test_a_pointer_is_told_whatever_its_name(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{suffix}"
    path.write_bytes(LFS)
    report = check_files([path])
    assert (report.usable, report.examples) == (False, 0)
    ((kind, said),) = told(report)
    assert kind == "pointer"
    assert "git lfs pull" in said


def test_each_pointer_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(LFS)
    (tmp_path / "valid.jsonl").write_bytes(LFS)
    report = check_files([tmp_path])
    assert [finding.kind for finding in report.errors] == ["pointer", "pointer"]


def test_a_git_annex_pointer_is_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("/annex/objects/SHA256E-s1048--77ab.csv\n")
    ((kind, said),) = told(check_files([path]))
    assert (kind, "git annex get" in said) == ("pointer", True)


def test_a_text_about_pointers_is_a_text(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"How it begins:\n" + LFS)
    assert told(check_files([path])) == []


@pytest.mark.parametrize(
    "inside, expected",
    [
        ("ppt/presentation.xml", "This is a presentation. Save its text as a .txt file."),
    ],
)
def test_what_an_archive_is_is_told_by_what_it_holds(inside: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "given.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(inside, "x")
    assert told(check_files([path])) == [("unsupported_file", expected)]


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "given.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "x")
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 6] = 209  # the version that is needed to unpack it
    path.write_bytes(data)
    assert told(check_files([path])) == [("damaged_file", "The archive is damaged: zip file version 20.9.")]


@pytest.mark.parametrize(
    "text, expected",
    [
        ('<?xml version="1.0"?><book>Tides</book>', "XML document"),
    ],
)
def test_marks_that_would_be_trained_are_warned_of(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt.gz"
    path.write_bytes(gzip.compress(text.encode()))
    ((kind, said),) = told(check_files([path]))
    assert (kind, expected in said) == ("markup", True)


def test_a_database_is_told_with_how_to_export(tmp_path: Path) -> None:
    path = tmp_path / "tides.db"
    path.write_bytes(b"SQLite format 3\0" + bytes(200))
    ((kind, said),) = told(check_files([path]))
    assert (kind, "sqlite3 -header -csv" in said) == ("unsupported_file", True)


@pytest.mark.parametrize("indent", [None, 2])
def test_an_object_of_several_lists_is_told_with_their_names(indent: int | None, tmp_path: Path) -> None:
    path = tmp_path / "shop.json"
    path.write_text(json.dumps({"users": [{"a": 1}] * 3, "orders": [{"b": 1}], "version": 1}, indent=indent))
    ((kind, said),) = told(check_files([path]))
    assert kind == "unsupported_file"
    assert "`users` (3 rows), `orders` (1 row)" in said


SOUND = b"".join(struct.pack("<h", int(9000 * math.sin(number / 9))) for number in range(20_000))
NUMBERS = np.random.default_rng(1).standard_normal(20_000).astype(np.float32).tobytes()
NOISE = np.random.default_rng(2).bytes(60_000)  # as a film or an archive of an unknown kind is


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("noise", NOISE, "This is a binary file, not rows of text."),
        ("film.mp4", b"\0\0\0\x20ftypisom" + NOISE, "This is a binary file, not rows of text."),
        ("packed.gz", gzip.compress(NOISE), "This is a binary file, not rows of text."),
        ("sound.raw", SOUND, "This is a binary file, not rows of text."),
        ("numbers.bin", NUMBERS, "This is a binary file, not rows of text."),
        ("counts", np.arange(40_000, dtype="<u4").tobytes(), "This is a binary file, not rows of text."),
        ("plain.bmp", b"BM" + bytes(52) + b"\xfa\x78\x1e" * 9_000, "This is a binary file, not rows of text."),
        ("rows.jsonl", NOISE, "This is a binary file, not rows of text."),
        ("wide", b"\xff\xfe" + NOISE, "This is a binary file, not rows of text."),
        ("old.gif", b"GIF89a" + NOISE, "This is a picture."),
        ("scan.tif", b"II*\0" + NOISE, "This is a picture."),
        ("scan2.tif", b"MM\0*" + NOISE, "This is a picture."),
        ("tool", b"\xcf\xfa\xed\xfe" + NOISE, "This is a program."),
        ("tools", b"\xca\xfe\xba\xbe" + NOISE, "This is a program."),
        ("model.safetensors", struct.pack("<Q", 12) + b'{"a": [1, 2]' + NUMBERS, "This is a model, not data."),
        ("none", struct.pack("<Q", 5) + b"{}   ", "This is a model, not data."),
        ("w", struct.pack("<Q", 90) + b'{ "__metadata__": {"format": "pt"}' + NOISE, "This is a model, not data."),
    ],
)
def test_what_was_never_a_text_is_refused(name: str, data: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert told(check_files([path])) == [("unsupported_file", expected)]


TEXT = "Die Gezeiten kommen und gehen, täglich zweimal, fünfzig Minuten später als am Tag zuvor.\n" * 40
JAPANESE = "潮は一日に二回満ちて、二回引きます。月の引力がその原因です。\n" * 40


@pytest.mark.parametrize(
    "data",
    [
        "".join(f"\x1b[32mINFO\x1b[0m line {number}\n" for number in range(500)).encode(),
        ("\f" + TEXT).encode("cp1252"),
        (TEXT + "\0\0\0\x01\x02").encode(),
        (TEXT + "\x01\x02\x03").encode("cp1252"),
        (TEXT + "\uf8ff \ue000").encode("utf-16"),  # Apple's sign, and one of nobody
        TEXT.encode("utf-16-le"),
        "\ue000\ue001 ".encode() * 900,  # writing that has no code of its own stands where everybody may define it
        JAPANESE.encode("shift_jis"),
        JAPANESE.encode("euc_jp") + b"\xff\n",
        TEXT.encode("mac_roman"),
        "\U0001fae9\U0001cc00 ja, \U0001fae9\n".encode("utf-16") * 90,  # emojis that are newer than this Python
    ],
    ids=[
        "coloured",
        "pages",
        "nulls",
        "controls",
        "private",
        "wide",
        "own script",
        "sjis",
        "broken",
        "mac",
        "emojis",
    ],
)
def test_a_text_with_some_odd_characters_is_a_text(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_bytes(data)
    report = check_files([path])
    assert (report.usable, report.errors) == (True, [])
