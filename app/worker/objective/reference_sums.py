"""What the frozen reference thinks of each rated answer, computed once and kept beside the run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np

from app.worker.array import Arrays, SingleFloats
from app.worker.batch.answer import answer_arrays
from app.worker.batch.pair_batch import References, pair_shape
from app.worker.token.rated_answer import RatedAnswers

REFERENCE_BATCH = 8


def reference_sums(
    pairs: RatedAnswers,
    log_probabilities: Callable[[Arrays], mx.array],
    file: Path,
    progress: Callable[[int, int], None],
    key: str = "",
) -> References:
    """Measures every answer once, or reads it from ``file`` where that is of the same answers and ``key``.

    ``log_probabilities`` gives those of a batch's tokens; ``progress(done, total)`` counts answers.
    """
    name = hashlib.blake2b(pairs.fingerprint() + key.encode(), digest_size=16).hexdigest()
    if (known := _known(file, name)) is not None:
        return known
    total, done = sum(len(part) for _, part in pairs.sets()), 0
    sums: dict[str, SingleFloats] = {}
    for prefix, part in pairs.sets():
        sums[prefix] = np.zeros(len(part), np.float32)
        order = np.argsort(part.lengths, kind="stable")
        for start in range(0, len(order), REFERENCE_BATCH):
            places = order[start : start + REFERENCE_BATCH]
            arrays = answer_arrays([part[int(at)] for at in places], pair_shape(part, places, len(places)))
            sums[prefix][places] = np.array((log_probabilities(arrays) * arrays["mask"]).sum(axis=1))
            done += len(places)
            progress(done, total)
    _keep(file, name, sums)
    return References(sums)


def _known(file: Path, name: str) -> References | None:
    if not file.exists():
        return None
    arrays = mx.load(str(file))
    assert isinstance(arrays, dict)
    prefix = f"{name}."
    sums = {key.removeprefix(prefix): np.array(array) for key, array in arrays.items() if key.startswith(prefix)}
    return References(sums) if sums else None


def _keep(file: Path, name: str, sums: dict[str, SingleFloats]) -> None:
    """Adds to the file, which holds the splits of one run."""
    arrays = mx.load(str(file)) if file.exists() else {}
    assert isinstance(arrays, dict)
    mx.eval(arrays)
    arrays |= {f"{name}.{prefix}": mx.array(values) for prefix, values in sums.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(file), arrays)
