"""The cache of tokenized files: flat arrays on disk, found again by what went into them, bounded in size."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from app.core.config.train_config import TrainConfig
from app.core.installation import package_version
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.model.adapter_file import ADAPTER_CONFIG
from app.core.system import place
from app.worker.token.encode import Encoded
from app.worker.token.row_file import KeptFault
from app.worker.token.token_set import TokenSet

CACHE_VERSION = 5
LIMIT_BYTES = 2_000_000_000
STALE_S = 24 * 3600.0
TOKENIZER_SUFFIXES = (".json", ".model", ".jinja", ".txt", ".tiktoken", ".py")
CONFIG_KEYS = ("prompt_feature", "completion_feature", "chat_feature", "text_feature", "mask_prompt", "mask_turns")
CACHED_ARRAYS = {"tokens": np.dtype(np.int32), "trained": np.dtype(np.bool_), "starts": np.dtype(np.int64),
          "lines": np.dtype(np.int64)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tokenized:
    """A tokenized file: its examples, the line of each in the file, and what is to be said of its rows.

    ``faults`` are (kind, line, reason), refused rows among them; ``counts`` of them by kind is complete where the
    list is cut. ``target`` is chat, completion or text.
    """

    token_set: TokenSet
    lines: npt.NDArray[np.int64]
    faults: list[KeptFault]
    counts: dict[str, int]
    target: str


def cache_folder() -> Path:
    """Where tokenized files are kept."""
    return place.cache_dir() / "tokens"


def cache_key(path: Path, tokenizer: Any, config: TrainConfig, goal: str = "") -> str:
    """What the tokens depend on: the file, the tokenizer and its template, the columns and the mask.

    ``goal`` is what the rows are trained for where that is not supervised: the same file has other tokens then.
    """
    with path.open("rb") as file:
        content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).hexdigest()
    parts = [
        CACHE_VERSION, content, tokenizer_key(tokenizer), [config.value(key) for key in CONFIG_KEYS],
        [package_version(name) for name in ("mlx-lm", "transformers", "tokenizers")],
        *([goal] if goal else []),
    ]  # fmt: skip
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=20).hexdigest()


def tokenizer_key(tokenizer: Any) -> str:
    """A hash of the tokenizer's files and its template."""
    digest = hashlib.blake2b(digest_size=32)
    inner = getattr(tokenizer, "_tokenizer", tokenizer)
    folder = Path(str(getattr(inner, "name_or_path", "") or "."))
    files = sorted(f for f in folder.iterdir() if f.suffix in TOKENIZER_SUFFIXES) if folder.is_dir() else []
    names = [file for file in files if "index" not in file.name and file.name != ADAPTER_CONFIG]
    for file in names:
        if file.is_file():
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    if not any(file.name.startswith("tokenizer") for file in names):
        digest.update(json.dumps(sorted(inner.get_vocab().items())).encode())
    template = json.dumps(getattr(inner, "chat_template", None), sort_keys=True, default=str)
    digest.update(template.encode())
    if "strftime_now(" in template:  # the template writes the day into every row
        digest.update(date.today().isoformat().encode())
    return digest.hexdigest()


def load(key: str) -> Tokenized | None:
    """The entry of a key, memory-mapped; None if there is none (or none that can be read)."""
    folder = cache_folder() / key
    try:
        meta = parsed_json((folder / "meta.json").read_text(encoding="utf-8"))
        arrays = {name: _map(folder / f"{name}.npy") for name in CACHED_ARRAYS}
        # What a power cut or a bad disk left of an entry would train on other tokens, without a word.
        if any(zlib.crc32(array.data) != meta["sums"][name] for name, array in arrays.items()):
            return None
        faults = [(str(kind), int(line), str(reason)) for kind, line, reason in meta["faults"]]
        counts = {str(kind): int(count) for kind, count in meta["counts"].items()}
        token_set = TokenSet(arrays["tokens"], arrays["trained"], arrays["starts"])
        os.utime(folder)  # the oldest use is evicted first
        return Tokenized(token_set, arrays["lines"], faults, counts, str(meta["target"]))
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _map(path: Path) -> npt.NDArray[Any]:
    # A plain array over the mapping: slices of np.memmap cost several times as much.
    return np.asarray(np.load(path, mmap_mode="r")).view(np.ndarray)


class CacheWriter:
    """Collects examples into files of a temporary folder, which becomes the entry in one step."""

    def __init__(self, key: str) -> None:
        self._folder = cache_folder()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._key = key
        self._temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=self._folder))
        self._files: dict[str, BinaryIO] = {name: self._open(name) for name in CACHED_ARRAYS}
        self._sizes = dict.fromkeys(CACHED_ARRAYS, 0)
        self._sums = dict.fromkeys(CACHED_ARRAYS, 0)
        self._end = 0
        self._put("starts", np.zeros(1, np.int64))

    def _open(self, name: str) -> BinaryIO:
        file = (self._temporary / f"{name}.npy").open("wb")
        _write_header(file, CACHED_ARRAYS[name], 0)
        return file

    def _put(self, name: str, values: npt.NDArray[Any]) -> None:
        content = np.ascontiguousarray(values, CACHED_ARRAYS[name]).tobytes()
        self._files[name].write(content)
        self._sums[name] = zlib.crc32(content, self._sums[name])
        self._sizes[name] += len(values)

    def add(self, encoded: Iterable[Encoded], lines: Iterable[int]) -> None:
        """Adds the rows that became examples."""
        pairs = [
            (item.example, line) for item, line in zip(encoded, lines, strict=True) if item.example is not None
        ]
        if not pairs:
            return
        lengths = np.array([len(example.tokens) for example, _ in pairs], np.int64)
        self._put("tokens", np.concatenate([example.tokens for example, _ in pairs]))
        self._put("trained", np.concatenate([example.trained for example, _ in pairs]))
        self._put("starts", self._end + np.cumsum(lengths))
        self._put("lines", np.array([line for _, line in pairs], np.int64))
        self._end += int(lengths.sum())

    def finish(self, target: str, faults: list[KeptFault], counts: dict[str, int]) -> Tokenized:
        """Puts the entry in its place, removes the oldest beyond the limit, and gives it back as `load` would."""
        for name, file in self._files.items():
            file.seek(0)
            _write_header(file, CACHED_ARRAYS[name], self._sizes[name])
            file.close()
        meta = {"faults": faults, "counts": counts, "target": target, "sums": self._sums}
        (self._temporary / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        if load(self._key) is None:  # what is there cannot be read
            shutil.rmtree(self._folder / self._key, ignore_errors=True)
        try:
            self._temporary.rename(self._folder / self._key)
        except OSError:  # another process was faster
            shutil.rmtree(self._temporary, ignore_errors=True)
        entry = load(self._key)
        if entry is None:
            raise OSError(
                tr("The tokens were written to {folder} but cannot be read back.", folder=self._folder / self._key)
            )
        evict(keep=self._key)
        return entry

    def discard(self) -> None:
        """Leaves nothing behind."""
        for file in self._files.values():
            file.close()
        shutil.rmtree(self._temporary, ignore_errors=True)


def _write_header(file: BinaryIO, dtype: np.dtype[Any], length: int) -> None:
    """The .npy header of a flat array, always 128 bytes, so that the length can be filled in at the end."""
    text = f"{{'descr': {np.lib.format.dtype_to_descr(dtype)!r}, 'fortran_order': False, 'shape': ({length},), }}"
    header = text.ljust(128 - 10 - 1).encode("latin-1") + b"\n"
    file.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


def evict(keep: str, limit_bytes: int = LIMIT_BYTES) -> None:
    """Removes the entries not used for longest until the rest fits, and what crashed writers left."""
    entries: list[tuple[float, Path, int]] = []
    for folder in cache_folder().iterdir():
        try:
            used = folder.stat().st_mtime
            size = sum(file.stat().st_size for file in folder.iterdir())
        except OSError:  # removed by another process meanwhile
            continue
        if folder.name.startswith(".writing-"):
            if time.time() - used > STALE_S:
                shutil.rmtree(folder, ignore_errors=True)
        else:
            entries.append((used, folder, size))
    total = sum(size for _, _, size in entries)
    for _, folder, size in sorted(entries):
        if total <= limit_bytes:
            return
        if folder.name != keep:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size
