"""What the frozen reference thinks of each rated answer, computed once and kept beside the run."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np

from app.core.system.atomic_file import write_with
from app.worker.array import Arrays, SingleFloats
from app.worker.batch.pair_batch import RatedRows, References
from app.worker.batch.shape import Costs
from app.worker.objective.log_probability import answer_sums
from app.worker.token.rated_answer import RatedAnswers


def reference_sums(
    pairs: RatedAnswers,
    log_probabilities: Callable[[Arrays], mx.array],
    file: Path,
    progress: Callable[[int, int], None],
    key: str = "",
    costs: Costs | None = None,
) -> References:
    """Measures every answer once, or reads it from ``file`` where that is of the same answers and ``key``.

    ``log_probabilities`` gives those of a piece's tokens; ``progress(done, total)`` counts answers. ``costs`` are
    those of the reference.
    """
    name = hashlib.blake2b(pairs.fingerprint() + key.encode(), digest_size=16).hexdigest()
    if (known := _known(file, name)) is not None:
        return known
    total, done = sum(len(part) for _, part in pairs.sets()), 0
    sums: dict[str, SingleFloats] = {}
    for prefix, part in pairs.sets():
        rows = RatedRows(part, pairs.each, costs or Costs())
        found = np.zeros((len(part) // pairs.each, pairs.each), np.float32)
        for piece in rows.sorted_pieces():
            arrays = rows.arrays(piece.numbers, piece.shape)
            each, _ = answer_sums(log_probabilities(arrays), arrays)
            found[piece.numbers] = np.array(each).reshape(pairs.each, -1)[:, : len(piece.numbers)].T
            done += pairs.each * len(piece.numbers)
            progress(done, total)
        sums[prefix] = found.reshape(-1)
    _keep(file, name, sums)
    return References(sums)


def _known(file: Path, name: str) -> References | None:
    arrays = _read(file)
    prefix = f"{name}."
    sums = {key.removeprefix(prefix): np.array(array) for key, array in arrays.items() if key.startswith(prefix)}
    return References(sums) if sums else None


def _read(file: Path) -> Arrays:
    """What the file holds; nothing where it is damaged: it is measured again, with the same result."""
    if not file.exists():
        return {}
    try:
        arrays = mx.load(str(file))
        assert isinstance(arrays, dict)
        mx.eval(arrays)
    except RuntimeError as error:
        print(f"{file.name} is damaged and made anew: {error}", file=sys.stderr, flush=True)
        return {}
    return arrays


def _keep(file: Path, name: str, sums: dict[str, SingleFloats]) -> None:
    """Adds to the file, which holds the splits of one run: whole, or as it was."""
    arrays = _read(file) | {f"{name}.{prefix}": mx.array(values) for prefix, values in sums.items()}
    write_with(file, lambda temporary: mx.save_safetensors(str(temporary), arrays))
