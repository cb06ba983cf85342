"""The likelihood of continuations after their contexts, computed in batches of like length."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import numpy.typing as npt

from app.worker.objective.example_loss import LOGITS_BYTES
from app.worker.process.progress import Progress

MAX_BATCH = 32
PADDED_TO = 32

TokenPair = tuple[list[int], list[int]]  # tokens of the context, and of what follows


def likelihoods(
    model: Any, pairs: Sequence[TokenPair], longest: int, progress: Progress
) -> list[tuple[float, bool]]:
    """For each pair log p(continuation | context) in nats (float32 softmax), and whether greedy decoding says it.

    Of what is longer than ``longest`` + 1 tokens the end counts, as in lm-eval's own model.
    """
    rows = [(context + continuation)[-(longest + 1) :] for context, continuation in pairs]
    counts = [min(len(continuation), len(row) - 1) for (_, continuation), row in zip(pairs, rows, strict=True)]
    found: list[tuple[float, bool]] = [(0.0, True)] * len(pairs)
    lengths = np.array([len(row) - 1 for row in rows], np.int64)
    done = 0
    for indices in _length_batches(lengths, _batch_tokens(model)):
        width = _padded_length(int(lengths[indices].max()))
        tokens = np.zeros((len(indices), width + 1), np.int32)
        counted = np.zeros((len(indices), width), bool)
        for place, index in enumerate(indices):
            row = rows[index]
            tokens[place, : len(row)] = row
            counted[place, len(row) - 1 - counts[index] : len(row) - 1] = True
        inputs, targets, mask = mx.array(tokens[:, :-1]), mx.array(tokens[:, 1:]), mx.array(counted)
        logits = model(inputs).astype(mx.float32)
        chosen = mx.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
        each = mx.where(mask, chosen - mx.logsumexp(logits, axis=-1), 0.0).sum(axis=1)
        greedy = mx.where(mask, logits.argmax(axis=-1) == targets, True).all(axis=1)
        for index, total, is_greedy in zip(indices, np.array(each), np.array(greedy), strict=True):
            found[index] = (float(total), bool(is_greedy))
        done += len(indices)
        progress(done, len(pairs))
    mx.clear_cache()
    return found


def _batch_tokens(model: nn.Module) -> int:
    """How many tokens a batch may hold so that its float32 logits stay within `LOGITS_BYTES`."""
    vocabulary = model(mx.zeros((1, 1), mx.int32)).shape[-1]  # lazy: only the shape is made
    return max(1, LOGITS_BYTES // (4 * int(vocabulary)))


def _length_batches(lengths: npt.NDArray[np.int64], size: int) -> Iterator[list[int]]:
    """Indices of examples of like length, longest first, so that too little memory shows at once."""
    batch: list[int] = []
    for index in np.argsort(-lengths, kind="stable").tolist():
        padded = _padded_length(int(lengths[batch[0] if batch else index]))
        if batch and (len(batch) >= MAX_BATCH or padded * (len(batch) + 1) > size):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _padded_length(length: int) -> int:
    return max(PADDED_TO, math.ceil(length / PADDED_TO) * PADDED_TO)
