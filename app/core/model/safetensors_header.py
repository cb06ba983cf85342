"""The headers of safetensors files: names, shapes and dtypes of all tensors, without reading a weight."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.refusal import reason_of
from app.core.system.disk import is_companion

# Sizes by the format's dtype names, in bits (F4 and F6 types are packed).
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64,
    "F64": 64, "C64": 64,
}  # fmt: skip
_LARGEST_HEADER = 100_000_000  # bytes; the format's own limit
_START = 8  # bytes that hold the header's length
INDEX = "model.safetensors.index.json"
_NUMBERED = re.compile(r"^(?P<stem>.+-)(?P<number>\d+)-of-(?P<count>\d+)\.safetensors$")
_FILES_SHOWN = 3
_SAMPLE = 4096  # bytes at either end of a tensor by which two of one name are told apart


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as a header describes it; ``dtype`` in the format's own names (``F32``, ``BF16``, ``U32``)."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.size * _BITS.get(self.dtype, 32) // 8


def read_header(path: Path) -> list[Tensor]:
    """The tensors of one file (https://github.com/huggingface/safetensors#format).

    Raises `UnusableError` if it is no safetensors file or was cut off inside its header.
    """
    return _tensors(path, _read(path)[1])


def _read(path: Path) -> tuple[int, dict[str, Any]]:
    """Where the data of a file begin, and its header."""
    try:
        with path.open("rb") as file:
            start = file.read(_START)
            if start == b"version ":
                raise ValueError(tr("it is a pointer of Git LFS, which `git lfs pull` replaces by the weights"))
            length = struct.unpack("<Q", start)[0] if len(start) == _START else 0
            if not 2 <= length <= _LARGEST_HEADER:
                raise ValueError(tr("its first eight bytes are not the length of a header"))
            header = file.read(length)
        if len(header) < length:
            raise ValueError(tr("it ends inside its header"))
        try:
            tree = parsed_json(header)
        except ValueError as error:
            raise ValueError(tr("its header is not JSON")) from error
        if not isinstance(tree, dict):
            raise ValueError(tr("its header is not a JSON object"))
    except (OSError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else error
        raise _broken(path, f"{reason}") from error
    return _START + length, tree


def _tensors(path: Path, tree: dict[str, Any]) -> list[Tensor]:
    try:
        return [
            Tensor(name, str(entry["dtype"]), tuple(int(size) for size in entry["shape"]))
            for name, entry in tree.items()
            if name != "__metadata__"
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(path, tr("its header lacks the type or the shape of a tensor")) from error


def _broken(path: Path, reason: str) -> UnusableError:
    said = tr("This is not a whole safetensors file: {reason}.", reason=reason)
    return UnusableError([Problem("model", said, hint=tr("Copy or download it again."), file=str(path))])


def read_headers(folder: Path) -> list[Tensor]:
    """The tensors of all safetensors files in a folder; one that several files hold is listed once."""
    found: dict[str, Tensor] = {}
    for path in weight_files(folder):
        for tensor in read_header(path):
            found.setdefault(tensor.name, tensor)
    return list(found.values())


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder: those called ``model*``, or all if none is, without adapters."""
    found = (path for path in folder.glob("*.safetensors") if not is_companion(path.name))
    files = sorted(path for path in found if "adapter" not in path.name)
    return [path for path in files if path.name.startswith("model")] or files


def weight_faults(folder: Path) -> list[str]:
    """What is missing or cut off among the weight files of a model folder, a sentence each; empty if all is there.

    Files are expected by the index and by their own numbers (``…-00001-of-00003``), each must be as long as its
    header says, and no tensor may be in two files with other values. A folder without any weight file has no
    faults: there is nothing to be whole.
    """
    files = [file for file in weight_files(folder) if file.exists()]
    if not files:
        return []
    faults, names = [], set()
    for file in files:
        try:
            start, tree = _read(file)
            names |= {tensor.name for tensor in _tensors(file, tree)}
        except UnusableError as error:
            faults.append(f"{file.name}: {error.problems[0].message}")
            continue
        if fault := _length_fault(file, start, tree):
            faults.append(fault)
    placed = _index(folder)
    if missing := _missing_files(files, placed, names):
        return [missing, *faults]
    if not faults and (lost := [name for name in placed if name not in names]):
        return [
            tr(
                "The weight files lack {lost:,} of the tensors that {index} names, such as {lost2}.",
                lost=len(lost),
                index=INDEX,
                lost2=lost[0],
            )
        ]
    return faults or repeated_tensors(folder)


def repeated_tensors(folder: Path) -> list[str]:
    """A sentence for each two weight files that hold tensors of one name with other values: mlx-lm reads all files
    in whatever order the disk has them, and the one read last counts. Those that are alike do no harm."""
    first: dict[str, tuple[Path, int, dict[str, Any]]] = {}
    differing: dict[tuple[str, str], list[str]] = {}
    for path in dict.fromkeys(file.resolve() for file in weight_files(folder) if file.exists()):
        start, tree = _read(path)
        for name, entry in tree.items():
            if name == "__metadata__":
                continue
            other, others_start, others = first.setdefault(name, (path, start, entry))
            if other != path and _sample(other, others_start, others) != _sample(path, start, entry):
                differing.setdefault((other.name, path.name), []).append(name)
    return [
        tr(
            "{one} and {other} hold {count} of the same tensors with other values, such as {name}: which of them "
            "counts is chance until one of the files is taken away.",
            one=one,
            other=other,
            count=len(names),
            name=names[0],
        )
        for (one, other), names in differing.items()
    ]


def _sample(path: Path, start: int, entry: dict[str, Any]) -> tuple[Any, ...]:
    """What a tensor is known by: its type, shape, and the bytes at its beginning and end."""
    begin, end = (start + int(offset) for offset in entry["data_offsets"])
    with path.open("rb") as file:
        file.seek(begin)
        head = file.read(min(_SAMPLE, end - begin))
        file.seek(max(begin, end - _SAMPLE))
        return entry["dtype"], entry["shape"], head, file.read(end - file.tell())


def _length_fault(file: Path, start: int, tree: dict[str, Any]) -> str:
    try:
        ends = [int(entry["data_offsets"][1]) for name, entry in tree.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, IndexError):
        return tr("{name}: its header does not say where the tensors are.", name=file.name)
    expected, size = start + max(ends, default=0), file.stat().st_size
    if size >= expected:
        return ""
    return tr(
        "{name} is cut off: it has {size:,} of the {expected:,} bytes that its header describes.",
        name=file.name,
        size=size,
        expected=expected,
    )


def _missing_files(files: list[Path], placed: dict[str, str], names: set[str]) -> str:
    """One sentence with the files that are not there; empty if all are."""
    there = {file.name for file in files}
    # An index that is left over from other files does not count: their tensors are all here.
    wanted = dict.fromkeys(file for name, file in placed.items() if file not in there and name not in names)
    for file in there:
        if (found := _NUMBERED.match(file)) and not placed:
            width = len(found["number"])
            numbers = range(1, int(found["count"]) + 1)
            wanted |= {f"{found['stem']}{n:0{width}}-of-{found['count']}.safetensors": None for n in numbers}
    missing = sorted(set(wanted) - there)
    if not missing:
        return ""
    shown = ", ".join(missing[:_FILES_SHOWN])
    more = tr(" and {missing} more", missing=len(missing) - _FILES_SHOWN) if len(missing) > _FILES_SHOWN else ""
    return tr("Weight files are missing: {shown}{more}.", shown=shown, more=more)


def _index(folder: Path) -> dict[str, str]:
    """The file of each tensor, as the index has it; empty without one."""
    try:
        tree = parsed_json((folder / INDEX).read_text(encoding="utf-8-sig"))
        return {str(name): str(file) for name, file in tree["weight_map"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
