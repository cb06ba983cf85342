"""A byte stream over a data file: decompressed, decoded, and counted as it is read, in constant memory."""

from __future__ import annotations

import codecs
import gzip
import io
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from app.core.language import tr
from app.core.source.archive import file_size, open_file, through_archive
from app.core.source.encoding import Judgement, japanese_mail, judge_encoding, wide_encoding

Compression = Literal["", "gzip", "zstd"]

BUFFER_BYTES = 1 << 20
HEAD_BYTES = 1 << 20
FIELD_LIMIT_CHARACTERS = 16 << 20  # of a table's field, and of a line of text
SPOOLED_BYTES = 32 << 20  # more lies on the disk
UNPACKED_LIMIT_BYTES = 1 << 30
_FRAME_HEAD_BYTES = 18  # of zstd: no longer ones are there
# How far a file is searched for its first byte outside ASCII, on which its encoding is decided.
ENCODING_SEARCH_BYTES = 1 << 32
ENCODING_SEARCH_COMPRESSED_BYTES = 1 << 26

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What a damaged or cut compressed file raises while it is read (zstandard's own error is a plain Exception class).
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile)


class ByteCount:
    """How many bytes of all files were read so far; shared by the readers of one check.

    ``is_plain`` tells of the row that was read last that none of its texts holds a control character.
    """

    def __init__(self) -> None:
        self.done = 0
        self.is_plain = False


class _CountedFile(io.RawIOBase):
    """A raw file that adds what is read from it to a `ByteCount`."""

    def __init__(self, path: Path, count: ByteCount) -> None:
        super().__init__()
        self._file: Any = open_file(path)
        self._count = count

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read = self._file.readinto(buffer) or 0
        self._count.done += read
        return read

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _Decompressed(io.RawIOBase):
    """A decompressing stream that hands over what it has: before damage, everything that came before it. At the
    end ``is_whole`` is asked by a library that takes a file that is cut off for one that ends."""

    def __init__(self, stream: Any, is_whole: Callable[[], bool] = lambda: True) -> None:
        super().__init__()
        self._stream = stream
        self._is_whole = is_whole

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read1(len(buffer))
        if not data and not self._is_whole():
            raise EOFError("Compressed file ended before the end-of-stream marker was reached")  # as gzip says it
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def open_bytes(path: Path, compression: Compression = "", count: ByteCount | None = None) -> IO[bytes]:
    """A buffered stream of the decompressed bytes. Reading it may raise `damaged_errors`."""
    raw = io.BufferedReader(_CountedFile(path, count or ByteCount()), BUFFER_BYTES)
    if compression == "gzip":
        return io.BufferedReader(_Decompressed(gzip.GzipFile(fileobj=raw)), BUFFER_BYTES)
    if compression == "zstd":
        import zstandard

        reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return io.BufferedReader(_Decompressed(reader, lambda: _has_whole_frames(path)), BUFFER_BYTES)
    return raw


def _has_whole_frames(path: Path) -> bool:
    """Whether a file of zstd ends where a frame does (RFC 8878, 3.1): from block to block, of which each tells its
    size. What is no frame is told by who unpacks it."""
    import zstandard

    size, at = file_size(path), 0
    with open_file(path) as file:

        def bytes_at(place: int, count: int) -> bytes:
            file.seek(place)
            return file.read(count)

        while at < size:
            head = bytes_at(at, _FRAME_HEAD_BYTES)
            if head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5:  # something else, to be passed over
                at += 8 + int.from_bytes(head[4:8], "little")
                continue
            try:
                frame = zstandard.get_frame_parameters(head)
                at += zstandard.frame_header_size(head)
            except zstandard.ZstdError:
                return len(head) == _FRAME_HEAD_BYTES
            is_last = False
            while not is_last and at < size:
                block = int.from_bytes(bytes_at(at, 3), "little")
                is_last, is_one_byte = bool(block & 1), (block >> 1) & 3 == 1
                at += 3 + (1 if is_one_byte else block >> 3)
            if not is_last:
                return False
            at += 4 if frame.has_checksum else 0
    return at == size


def open_seekable(path: Path, compression: Compression = "") -> IO[bytes]:
    """The decompressed bytes as a file that can be read in any order; what is compressed is unpacked beside. Raises
    `OSError` for what is too large."""
    if not compression and through_archive(path) is None:
        return path.open("rb")
    unpacked: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOLED_BYTES)  # noqa: SIM115 — its reader closes it
    done = 0
    with open_bytes(path, compression) as stream:
        while block := stream.read(BUFFER_BYTES):
            done += len(block)
            if done > UNPACKED_LIMIT_BYTES:
                unpacked.close()
                raise OSError(
                    tr(
                        "it is larger than {unpacked_limit_bytes}\u00a0GB when unpacked",
                        unpacked_limit_bytes=UNPACKED_LIMIT_BYTES >> 30,
                    )
                )
            unpacked.write(block)
    unpacked.seek(0)
    return unpacked


def read_block(stream: Any, compression: Compression) -> bytes:
    """Up to `HEAD_BYTES`; less before the end of the file or before damage. Raises only for damage at its start."""
    block = b""
    while len(block) < HEAD_BYTES:
        try:
            more = stream.read1(HEAD_BYTES - len(block))
        except damaged_errors(compression):
            if block:
                return block
            raise
        if not more:
            return block
        block += more
    return block


def damaged_errors(compression: Compression) -> tuple[type[Exception], ...]:
    """What reading a damaged file of this compression raises."""
    if compression == "zstd":
        import zstandard

        return (*DAMAGED, zstandard.ZstdError)
    return DAMAGED


def open_text(
    path: Path, compression: Compression, encoding: str, count: ByteCount | None = None, newline: str | None = "\n"
) -> io.TextIOWrapper:
    """A stream of text. Bytes that the encoding has no character for become U+FFFD, which the check reports."""
    stream = open_bytes(path, compression, count)
    name = "utf-8-sig" if encoding == "utf-8" else encoding
    return io.TextIOWrapper(stream, name, errors="replace", newline=newline)


def compression_of(head: bytes) -> Compression:
    """The compression that a file's first bytes tell."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    return "zstd" if head.startswith(b"\x28\xb5\x2f\xfd") else ""


def find_encoding(path: Path, compression: Compression) -> Judgement:
    """The encoding: by byte order mark, by the zeros of UTF-16 and UTF-32, else by the first stretch outside ASCII.

    ``utf-8`` for plain ASCII; ``utf-8-sig`` when it starts with a mark.
    """
    with open_bytes(path, compression) as stream:
        block = read_block(stream, compression)
        for mark, name in BYTE_ORDER_MARKS:
            if block.startswith(mark):
                return Judgement(name)
        if wide := wide_encoding(block[:4096]):
            return Judgement(wide)
        limit = ENCODING_SEARCH_COMPRESSED_BYTES if compression else ENCODING_SEARCH_BYTES
        searched = len(block)
        while block.isascii() and block and searched < limit:
            if japanese_mail(block):
                return Judgement("iso2022_jp")
            try:
                block = read_block(stream, compression)
            except damaged_errors(compression):
                break
            searched += len(block)
    return Judgement("utf-8") if block.isascii() else judge_encoding(block, is_cut=len(block) >= HEAD_BYTES)


class Undecodable(NamedTuple):
    """The first bytes that an encoding has no character for: their line and their place in it (from 1)."""

    line: int
    position: int
    byte: int


def first_undecodable(path: Path, compression: Compression, encoding: str) -> Undecodable | None:
    """Where a file cannot be read in an encoding; None if all of it can. The file is read once, in blocks."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line, position = 1, 1
    with open_bytes(path, compression) as stream:
        while True:
            try:
                block = read_block(stream, compression)
            except damaged_errors(compression):
                return None  # told by the reader
            try:
                text = decoder.decode(block, not block)
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(encoding, "replace")
                line += before.count("\n")
                after = len(before) - before.rfind("\n") - 1
                position = after + 1 if "\n" in before else position + after
                return Undecodable(line, position, error.object[error.start])
            line += text.count("\n")
            position = len(text) - text.rfind("\n") if "\n" in text else position + len(text)
            if not block:
                return None
