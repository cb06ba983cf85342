"""Bytes of files as streams: unpacked within limits, in the encoding that they hold, and where that ends."""

from __future__ import annotations

import gzip
import io
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
import zstandard

from app.core.data.check import check_files
from app.core.source import stream, workbook
from app.core.source.refusal import PackedNames
from app.core.source.stream import (
    ByteCount,
    Compression,
    Undecodable,
    compression_of,
    find_encoding,
    first_undecodable,
    open_bytes,
    open_seekable,
    open_text,
    read_block,
)
from app.core.source.workbook import SheetError, WorkbookError, cell_text, is_workbook, sheets_text

TEXT = b"".join(b"%d. The tide turns.\n" % number for number in range(300))
GERMAN = "Gr\u00f6\u00dfer, hei\u00dft es, ist sch\u00f6n f\u00fcr mich.".encode("cp1252")


def packed(path: Path, kind: Compression, data: bytes = TEXT) -> Path:
    if kind == "gzip":
        data = gzip.compress(data)
    elif kind == "zstd":
        data = zstandard.compress(data[:100]) + zstandard.compress(data[100:])  # of several frames
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", ["", "gzip", "zstd"])
def test_bytes_are_unpacked_and_counted_as_they_lie(kind: Compression, tmp_path: Path) -> None:
    path = packed(tmp_path / "a", kind)
    count = ByteCount()
    assert compression_of(path.read_bytes()[:4]) == kind
    with open_bytes(path, kind, count) as file:
        assert file.read() == TEXT
    assert count.done == path.stat().st_size
    with open_seekable(path, kind) as file:
        file.seek(3)
        assert file.read(8) == b"The tide"
        file.seek(0)
        assert file.read() == TEXT
    with open_text(path, kind, "utf-8") as text:
        assert sum(1 for _ in text) == 300


def test_before_damage_everything_is_handed_over(tmp_path: Path) -> None:
    path = packed(tmp_path / "a", "gzip", TEXT * 900)
    path.write_bytes(path.read_bytes()[:-20])
    with open_bytes(path, "gzip") as file:
        block = read_block(file, "gzip")
        assert (TEXT * 900).startswith(block)
        assert len(block) > 100
    path.write_bytes(path.read_bytes()[:8])
    with open_bytes(path, "gzip") as file, pytest.raises(stream.damaged_errors("gzip")):
        read_block(file, "gzip")


def test_a_file_of_zstd_that_is_cut_off_does_not_end_there(tmp_path: Path) -> None:
    """Its library says nothing: half of the rows would be trained on as if they were all."""
    passed_over = b"\x50\x2a\x4d\x18\x05\0\0\0notes"
    many = bytes(range(256)) * 2000
    frames = [zstandard.compress(TEXT), zstandard.ZstdCompressor(write_checksum=True).compress(many),
              zstandard.ZstdCompressor(write_content_size=False).compress(b"a" * 300_000)]  # fmt: skip
    path = tmp_path / "a.zst"
    for whole in (*frames, b"".join(frames), passed_over + frames[0], frames[0] + passed_over):
        path.write_bytes(whole)
        with open_bytes(path, "zstd") as file:
            assert file.read()
        for cut in (1, 2, 3, 4, 5, 9, len(whole) // 2):
            if 0 < len(whole) - cut not in (len(frames[0]), len(passed_over)):
                path.write_bytes(whole[:-cut])
                with open_bytes(path, "zstd") as file, pytest.raises(stream.damaged_errors("zstd")):
                    file.read()


def test_rows_before_the_end_of_a_cut_file_are_told_as_such(tmp_path: Path) -> None:
    rows = b"".join(b'{"prompt": "Lamp %d?", "completion": "Lit %d."}\n' % (n * 7919, n * n) for n in range(3000))
    path = tmp_path / "rows.jsonl.zst"
    path.write_bytes(zstandard.compress(rows)[:-5])  # in the second of two blocks
    report = check_files([path])
    assert (report.usable, 2000 < report.examples < 2500) == (False, True)
    assert report.errors[-1].kind == "damaged_file"
    assert report.errors[-1].reason == (
        "The compressed file is damaged or cut off here: Compressed file ended before the end-of-stream marker was "
        "reached."
    )


def test_what_is_too_large_when_unpacked_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a", "gzip")
    monkeypatch.setattr(stream, "BUFFER_BYTES", 100)
    monkeypatch.setattr(stream, "UNPACKED_LIMIT_BYTES", len(TEXT))
    open_seekable(path, "gzip").close()
    monkeypatch.setattr(stream, "UNPACKED_LIMIT_BYTES", len(TEXT) - 1)
    with pytest.raises(OSError, match=r"^it is larger than 0\u00a0GB when unpacked$"):
        open_seekable(path, "gzip")


@pytest.mark.parametrize("head", [4, 7, 1 << 20])
@pytest.mark.parametrize(
    ("data", "encoding", "found"),
    [
        (b"abc\n", "utf-8", None), ("a\u00e4\n\u6f6e".encode(), "utf-8", None), (b"", "utf-8", None),
        (b"\xff", "utf-8", Undecodable(1, 1, 0xFF)), (b"abcdefgh\xff", "utf-8", Undecodable(1, 9, 0xFF)),
        (b"abc\ndef\nx\xff", "utf-8", Undecodable(3, 2, 0xFF)), (b"abc\n\xff", "utf-8", Undecodable(2, 1, 0xFF)),
        ("\u00e4\u00e4\u00e4\u00e4".encode() + b"\xff", "utf-8", Undecodable(1, 5, 0xFF)),
        (b"abcdef\ngh\xc3", "utf-8", Undecodable(2, 3, 0xC3)), (b"ab\n\x81", "cp1252", Undecodable(2, 1, 0x81)),
    ],
)  # fmt: skip
def test_the_first_byte_that_an_encoding_has_no_character_for(
    data: bytes,
    encoding: str,
    found: Undecodable | None,
    head: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However much is read at once."""
    monkeypatch.setattr(stream, "HEAD_BYTES", head)
    (tmp_path / "a").write_bytes(data)
    assert first_undecodable(tmp_path / "a", "", encoding) == found


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"rain", "utf-8"), (b"", "utf-8"), ("\ufeffrain".encode(), "utf-8-sig"),
        ("rain".encode("utf-16"), "utf-16"), ("\ufeffrain".encode("utf-16-be"), "utf-16"),
        ("rain".encode("utf-32"), "utf-32"),
        ("\ufeffrain".encode("utf-32-be"), "utf-32"), ("rain".encode("utf-16-le"), "utf-16-le"),
        (b"rain\n" * 30 + "\u6e2f\u306e\u6f6e".encode("iso2022_jp"), "iso2022_jp"),
        (b"rain\n" * 30 + GERMAN, "cp1252"),
        (b"rain\n" * 30 + "sch\u00f6n".encode(), "utf-8"),
    ],
)  # fmt: skip
def test_the_encoding_is_that_of_the_first_stretch_outside_ascii(
    data: bytes, encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEAD_BYTES", 64)
    for kind in ("", "gzip"):
        path = packed(tmp_path / "a", kind, data)
        assert find_encoding(path, kind).encoding == encoding


def test_a_very_long_file_of_ascii_is_searched_up_to_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "a", "", b"rain\n" * 20 + GERMAN)
    monkeypatch.setattr(stream, "HEAD_BYTES", 10)
    monkeypatch.setattr(stream, "ENCODING_SEARCH_BYTES", 100)
    assert find_encoding(path, "").encoding == "utf-8"
    monkeypatch.setattr(stream, "ENCODING_SEARCH_BYTES", 111)
    assert find_encoding(path, "").encoding != "utf-8"


# -- workbooks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("a", "a"), (True, "true"), (False, "false"), (3, "3"), (3.0, "3"), (3.5, "3.5"), (-2.0, "-2"),
        (999999999999999.0, "999999999999999"), (1e15, "1000000000000000.0"), (date(2024, 1, 2), "2024-01-02"),
        (datetime(2024, 1, 2, 3, 4), "2024-01-02T03:04:00"), (time(3, 4), "03:04:00"),
        (timedelta(hours=30), "1 day, 6:00:00"),
    ],
)  # fmt: skip
def test_cells_are_texts(cell: workbook.SheetCell, text: str) -> None:
    assert cell_text(cell) == text


def test_what_is_told_of_sheets() -> None:
    assert sheets_text(("a",), "") == ""
    assert sheets_text(("a" * 41,), "x") == f"The sheet `{'a' * 40}` is read."
    names = tuple("abcdefgh")
    assert sheets_text(names[:7], "") == "The sheet `a` is read; not used: `b`, `c`, `d`, `e`, `f`, `g`."
    assert sheets_text(names, "") == "The sheet `a` is read; not used: `b`, `c`, `d`, `e`, `f`, `g` and 1 more."
    error = SheetError("x" * 41, names)
    assert str(error) == f"No sheet `{'x' * 40}` holds anything; there are `a`, `b`, `c`, `d`, `e`, `f`."
    assert error.names == names


def test_what_is_a_workbook() -> None:
    old, none = b"\xd0\xcf\x11\xe0", PackedNames((), "")
    assert [is_workbook(suffix, old, none) for suffix in (".xls", ".doc")] == [True, False]
    assert is_workbook("", b"PK", PackedNames(("a", "xl/workbook.xml"), ""))
    assert is_workbook("", b"PK", PackedNames((), "application/vnd.oasis.opendocument.spreadsheet"))
    assert not is_workbook(".xlsx", b"PK", none)


def test_a_workbook_may_be_so_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, said in ((9, "^it is larger than 0\u00a0GB when unpacked$"), (10, "^(?!it is larger)")):
        monkeypatch.setattr(workbook, "WORKBOOK_LIMIT_BYTES", limit)
        with pytest.raises(WorkbookError, match=said):
            list(workbook.sheet_records(io.BytesIO(b"0123456789")))
