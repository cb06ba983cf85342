"""Readers of columnar files, Parquet and Arrow: their rows one by one, in constant memory."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from app.core.json_text import read_number
from app.core.language import tr
from app.core.source.archive import through_archive
from app.core.source.container import translated
from app.core.source.finding import NumberedRow, RowFault, repeated_name_fault
from app.core.source.json_stream import without_padding
from app.core.source.source import Source
from app.core.source.stream import ByteCount, open_seekable

BATCH_ROWS = 256
# Columns whose numbers Python has with more digits than they have, or not at all: `double` has them as they are.
_ROUNDED = re.compile(r"\b(?:float|halffloat|decimal\d*)\b")


def read_parquet(source: Source, count: ByteCount) -> Iterator[NumberedRow]:
    """The rows of a Parquet file; a damaged one ends with a fault."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with _arrow_data(source) as data, parquet.ParquetFile(data, memory_map=True) as file:
            total = max(file.metadata.num_rows, 1)
            yield from _batches(file.iter_batches(batch_size=BATCH_ROWS), source, count, total)
    except (pa.ArrowException, ValueError, OSError) as error:
        yield (
            1,
            RowFault(
                "damaged_file",
                tr("This is not a readable Parquet file: {first_line}.", first_line=_first_line(error)),
            ),
        )


def read_arrow(source: Source, count: ByteCount) -> Iterator[NumberedRow]:
    """The rows of an Arrow file or stream; a damaged one ends with a fault."""
    import pyarrow as pa

    try:
        with _arrow_data(source) as mapped:
            is_file = mapped.read(6) == b"ARROW1"
            mapped.seek(0)
            if is_file:
                reader = pa.ipc.open_file(mapped)
                batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
            else:  # what `datasets` writes
                batches = iter(pa.ipc.open_stream(mapped))
            yield from _batches(map(_validated, batches), source, count, 0)
    except (pa.ArrowException, ValueError, OSError) as error:
        yield (
            1,
            RowFault(
                "damaged_file",
                tr("This is not a readable Arrow file: {first_line}.", first_line=_first_line(error)),
            ),
        )


@contextmanager
def _arrow_data(source: Source) -> Iterator[Any]:
    """A file for Arrow's readers: mapped, or unpacked where it is in an archive."""
    import pyarrow as pa

    if through_archive(source.path) is None:
        with pa.memory_map(str(source.path)) as mapped:
            yield mapped
    else:
        with open_seekable(source.path) as file, pa.PythonFile(file, "r") as unpacked:
            yield unpacked


def _validated(batch: Any) -> Any:
    """The batch, whose offsets and texts are as they should be: nothing else checks them in an Arrow file."""
    batch.validate(full=True)
    return batch


def _class_names(schema: Any) -> dict[str, list[str]]:
    """The names of the classes that columns hold the numbers of, as `datasets` writes them beside the columns."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {
            column: [str(name) for name in feature["names"]]
            for column, feature in features.items()
            if column in schema.names and feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _named(number: Any, names: list[str]) -> Any:
    """The name of a class in place of its number."""
    return names[number] if type(number) is int and 0 <= number < len(names) else number


def _batches(batches: Any, source: Source, count: ByteCount, total: int) -> Iterator[NumberedRow]:
    """Rows of record batches, a few hundred at a time. Progress is by rows where their number is known."""
    row = 0
    start = count.done
    for batch in batches:
        if not row and (twice := [name for name, times in Counter(batch.schema.names).items() if times > 1]):
            yield 1, repeated_name_fault(twice)
        size = batch.nbytes
        classes = _class_names(batch.schema)
        nested = [field.name for field in batch.schema if field.type.num_fields]
        rounded = {field.name: field.type for field in batch.schema if _ROUNDED.search(str(field.type))}
        has_translation = "translation" in nested
        for first in range(0, batch.num_rows, BATCH_ROWS):
            for value in batch.slice(first, BATCH_ROWS).to_pylist():
                row += 1
                for name in nested:
                    value[name] = without_padding(value[name])
                for name, kind in rounded.items():
                    value[name] = _as_written(value[name], kind)
                for name, its in classes.items():
                    value[name] = _named(value[name], its)
                is_pair = has_translation and isinstance(value["translation"], dict) and value["translation"]
                yield row, translated(value) if is_pair else value
        done = source.size * row // total if total else count.done - start + size
        count.done = start + min(done, source.size)
    count.done = start + source.size


def _as_written(value: Any, kind: Any) -> Any:
    """Numbers of few bits in as few digits as tell them apart (0.1, not 0.10000000149011612), decimal ones with all
    of theirs (1.10)."""
    import numpy as np
    import pyarrow as pa

    if isinstance(value, Decimal):
        return read_number(format(value, "f"))
    if isinstance(value, float):
        narrow = np.float16 if pa.types.is_float16(kind) else np.float32
        return float(str(narrow(value))) if not pa.types.is_float64(kind) else value
    if isinstance(value, list) and pa.types.is_nested(kind) and not pa.types.is_map(kind):
        return [_as_written(item, kind.value_type) for item in value]
    if isinstance(value, dict) and pa.types.is_struct(kind):
        return {name: _as_written(item, kind.field(name).type) for name, item in value.items()}
    return value


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [tr("no reason given")])[0][:200].rstrip(".")
