"""The likelihood of continuations after their contexts, computed in batches of like length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from app.worker.compare.evaluate import batch_tokens, length_batches, padded_length
from app.worker.process.progress import Progress

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
    for indices in length_batches(lengths, batch_tokens(model)):
        width = padded_length(int(lengths[indices].max()))
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
