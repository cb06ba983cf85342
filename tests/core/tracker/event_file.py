"""TensorBoard's event files read without what writes them: TFRecords of protocol buffers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every tag's (step, value) pairs, in the order of the files below a folder."""
    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(folder.rglob("*tfevents*")):
        for step, tag, value in _events(file.read_bytes()):
            found.setdefault(tag, []).append((step, value))
    return found


def _events(data: bytes) -> Iterator[tuple[int, str, float]]:
    """A record is its length, a checksum of that, the event, and a checksum of that."""
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = dict(_fields(data[12 : 12 + length]))
        data = data[12 + length + 4 :]
        if isinstance(summary := event.get(5), bytes):  # tensorflow/core/util/event.proto: 2 is step, 5 summary
            for number, value in _fields(summary):
                parts = dict(_fields(value)) if number == 1 and isinstance(value, bytes) else {}
                if 2 in parts:  # a value with simple_value, after 1 the tag
                    step, tag, packed = event.get(2, 0), parts[1], parts[2]
                    assert isinstance(step, int)
                    assert isinstance(tag, bytes)
                    assert isinstance(packed, bytes)
                    yield step, tag.decode(), struct.unpack("<f", packed)[0]


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    place = 0

    def varint() -> int:
        nonlocal place
        number = shift = 0
        while True:
            byte = data[place]
            place += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while place < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
            continue
        length = varint() if kind == 2 else {1: 8, 5: 4}[kind]
        yield key >> 3, data[place : place + length]
        place += length
