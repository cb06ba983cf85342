"""A fuzz of every reader in `tests.faults.reader`: good files bent, broken, spliced and with flipped bits.

    nice python -m tests.faults.fuzz --minutes 10 [--seed 1] [--only NAME] [--keep FOLDER]
    nice PYTHON tests/faults/fuzz.py --atheris --minutes 10 …    guided by coverage, where atheris is installed

Minutes are of the processor. What is not told in words is told here with its traceback, and its input kept; each
becomes a test. Exit code 1 if there was any.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

if "--atheris" in sys.argv:  # what is imported from here on tells which of its branches were taken
    import atheris

    with atheris.instrument_imports(include=["app", "yaml", "json"]):
        from tests.faults.reader import READERS, Place, Reader, fault_of, make_place, seeds_of
else:
    from tests.faults.reader import READERS, Place, Reader, fault_of, make_place, seeds_of

from tests.core.data.fuzz import bent, broken

SLOW_S = 10.0  # of the processor: more for a file of a few kilobytes is a hang
WORDS = (
    b"null", b"true", b"NaN", b"Infinity", b"-1", b"1e999", b"0", b"[]", b"{}", b'""', b'"a"', b"\xff", b"\0",
    b"9" * 5000, b"[" * 3000, b'{"a":' * 3000, b"&a [*a]", b"!!python/object:os.system", b"<<: *a", b"2020-13-45",
    b"1:2:3", b"\xef\xbb\xbf", b"---\n", b"- ", b": ", b"\xed\xa0\xbd", b'"\\ud83d"', b"{{ 1/0 }}", b"{% for",
    b"\x1b[31m", b"9223372036854775808", b"-9223372036854775809", b"1e-5", b"....", b"\r", b"\xe2\x80\xa8",
)  # fmt: skip


def flipped(content: bytes, chance: random.Random, bits: int = 1) -> bytes:
    """The content with some of its bits the other way round."""
    data = bytearray(content)
    for _ in range(bits if data else 0):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def changed(content: bytes, chance: random.Random) -> bytes:
    """A content in which something is other than it was."""
    match chance.randrange(8):
        case 0:
            return flipped(content, chance, chance.choice((1, 1, 2, 8)))
        case 1 | 2 if (found := _bent_json(content, chance)) is not None:
            return found
        case 3:
            at = chance.randrange(len(content) + 1)
            return content[:at] + chance.choice(WORDS) + content[at + chance.choice((0, 1, 4)) :]
        case 4 if found := _bent_header(content, chance):
            return found
        case 5:
            lines = content.splitlines(keepends=True)
            chance.shuffle(lines)
            return b"".join(lines[: chance.randint(0, len(lines))])
        case 6:
            at = content.find(b":", chance.randrange(len(content) + 1))
            return content[: at + 1] + b" " + chance.choice(WORDS) + content[at + 1 + chance.choice((0, 5)) :]
        case _:
            return broken(content, chance)


def _bent_json(content: bytes, chance: random.Random) -> bytes | None:
    """JSON, or lines of it, with a few values and names changed."""
    try:
        rows = [json.loads(content)]
    except (ValueError, RecursionError):
        try:
            rows = [json.loads(line) for line in content.splitlines()]
        except (ValueError, RecursionError):
            return None
    try:
        return b"\n".join(json.dumps(row).encode() for row in bent(rows, chance))
    except (RecursionError, ValueError):
        return None


def _bent_header(content: bytes, chance: random.Random) -> bytes | None:
    """A file of tensors with another header, of the right length."""
    if len(content) < 10 or content[8:9] != b"{":
        return None
    (length,) = struct.unpack("<Q", content[:8])
    header = _bent_json(content[8 : 8 + length], chance)
    return None if header is None else struct.pack("<Q", len(header)) + header + content[8 + length :]


class Finds:
    """What was found: one of each place in the code is told and kept."""

    def __init__(self, keep: Path | None) -> None:
        self.seen: Counter[str] = Counter()
        self._keep = keep

    def add(self, reader: Reader, content: bytes, error: Exception) -> None:
        """Takes one."""
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "/app/" in frame.filename] or frames[-1:]
        place = f"{own[-1].filename.rpartition('/app/')[2]}:{own[-1].lineno}" if own else "?"
        where = f"{reader.name}: {type(error).__name__} in {place}"
        self.seen[where] += 1
        if self.seen[where] > 1:
            return
        print(f"{where}: {error!s:.200}", flush=True)
        print("".join(traceback.format_exception(error)[-6:]), flush=True)
        if self._keep is not None:
            self._keep.mkdir(parents=True, exist_ok=True)
            (self._keep / f"{len(self.seen):03d}-{reader.name.replace('/', '-')}").write_bytes(content)


def one_round(reader: Reader, place: Place, content: bytes, finds: Finds) -> None:
    """Reads one content, and tells what is wrong with how it went."""
    began = time.process_time()
    error = fault_of(reader, place, content)
    if error is None and time.process_time() - began > SLOW_S:
        error = TimeoutError(f"It took {time.process_time() - began:.0f} s of the processor.")
    if error is not None:
        finds.add(reader, content, error)


def fuzz(readers: list[Reader], place: Place, seed: str, minutes: float, finds: Finds) -> int:
    """Rounds until the time is up; returns how many."""
    start, number = time.process_time(), 0
    seeds = {reader.file: seeds_of(reader, place) for reader in readers}
    while time.process_time() - start < 60 * minutes:
        chance = random.Random(f"{seed}-{number}")
        reader = readers[number % len(readers)]
        content = chance.choice(seeds[reader.file])
        for _ in range(chance.choice((1, 1, 2, 4))):
            content = changed(content, chance)
        one_round(reader, place, content, finds)
        number += 1
    return number


def guided(readers: list[Reader], place: Place, seed: int, minutes: float, finds: Finds, corpus: Path) -> None:
    """The same by atheris: libFuzzer keeps what takes new branches. The first byte says which reader.

    It ends the process.
    """
    start, number = time.process_time(), 0
    corpus.mkdir(parents=True, exist_ok=True)
    for index, reader in enumerate(readers):
        for count, content in enumerate(seeds_of(reader, place)):
            (corpus / f"{index}-{count}").write_bytes(bytes([index]) + content)

    def once(data: bytes) -> None:
        nonlocal number
        number += 1
        if data:
            one_round(readers[data[0] % len(readers)], place, data[1:], finds)
        if time.process_time() - start > 60 * minutes:
            tell(finds, seed, number, (time.process_time() - start) / 60)
            sys.stdout.flush()
            os._exit(bool(finds.seen))

    def mutated(data: bytes, most: int, _seed: int) -> bytes:
        chance = random.Random(_seed)
        if len(data) < 2 or chance.random() < 0.4:
            return bytes(atheris.Mutate(data, most))
        return (data[:1] + changed(data[1:], chance))[:most]

    options = [
        sys.argv[0],
        str(corpus),
        f"-seed={seed or 1}",
        "-max_len=20000",
        "-timeout=120",
        "-rss_limit_mb=4096",
    ]
    atheris.Setup(options, once, custom_mutator=mutated)
    atheris.Fuzz()


def tell(finds: Finds, seed: object, rounds: int, minutes: float) -> None:
    """The last lines."""
    for where, count in finds.seen.most_common():
        print(f"{count:,} x {where}")
    print(f"seed {seed}: {rounds:,} rounds, {minutes:.1f} minutes, {finds.seen.total():,} failures")


def main() -> int:
    """Fuzzes until the time is up; 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="of the processor")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="readers whose file's name contains this")
    parser.add_argument("--keep", type=Path, help="where inputs that fail are kept")
    parser.add_argument("--atheris", action="store_true", help="guided by coverage")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    vars(os)["fsync"] = lambda _descriptor: None  # nothing here must outlive a power cut, and a disk is slow
    finds = Finds(arguments.keep)
    readers = [reader for reader in READERS if arguments.only in reader.file]
    with tempfile.TemporaryDirectory() as folder:
        place = make_place(Path(folder) / "place")
        if arguments.atheris:
            guided(readers, place, arguments.seed, arguments.minutes, finds, Path(folder) / "corpus")
        start = time.process_time()
        rounds = fuzz(readers, place, str(arguments.seed), arguments.minutes, finds)
        tell(finds, arguments.seed, rounds, (time.process_time() - start) / 60)
    return bool(finds.seen)


if __name__ == "__main__":
    sys.exit(main())
