"""Likelihoods in batches are those of one sequence at a time, token by token."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm import load

from app.worker.benchmark.likelihood import _length_batches, likelihoods
from tests.worker.answering_model import make_model


def test_they_are_those_of_each_pair_alone(tmp_path: Path) -> None:
    model, _ = load(str(make_model(tmp_path / "base")))
    random = np.random.default_rng(0)
    pairs = [
        (random.integers(0, 250, int(c)).tolist(), random.integers(0, 250, int(n)).tolist())
        for c, n in zip(random.integers(1, 40, 40), random.integers(1, 9, 40), strict=True)
    ]
    # One that greedy decoding says.
    said = list(pairs[0][0])
    for _ in range(3):
        said.append(int(model(mx.array([said]))[0, -1].argmax().item()))
    pairs.append((pairs[0][0], said[len(pairs[0][0]) :]))
    found = likelihoods(model, pairs, 512, lambda *_: None)
    for (context, continuation), (total, greedy) in zip(pairs, found, strict=True):
        logits = np.array(model(mx.array([context + continuation]))[0].astype(mx.float32), np.float64)
        wanted, best = 0.0, True
        for place, token in enumerate(continuation, start=len(context) - 1):
            wanted += float(logits[place, token] - np.log(np.exp(logits[place]).sum()))
            best &= int(logits[place].argmax()) == token
        assert total == pytest.approx(wanted, abs=2e-3)
        assert greedy is best
    assert found[-1][1] is True
    assert not all(greedy for _, greedy in found)


def test_of_what_is_too_long_the_end_counts(tmp_path: Path) -> None:
    model, _ = load(str(make_model(tmp_path / "base")))
    context, continuation = list(range(5, 45)), [7, 8, 9]
    [cut] = likelihoods(model, [(context, continuation)], 12, lambda *_: None)
    [short] = likelihoods(model, [(context[-10:], continuation)], 512, lambda *_: None)
    assert cut[0] == pytest.approx(short[0], abs=1e-4)
    assert cut[1] == short[1]


def test_a_batch_is_bounded_in_rows_and_in_padded_tokens() -> None:
    """Lengths count as multiples of 32, and the longest of a batch as that of all."""

    def cut(lengths: list[int], size: int) -> list[list[int]]:
        return list(_length_batches(np.array(lengths), size))

    assert [len(batch) for batch in cut([5] * 70, 10**9)] == [32, 32, 6]
    assert cut([33, 1, 33, 1], 192) == [[0, 2, 1], [3]]
    assert cut([33, 1, 33, 1], 191) == [[0, 2], [1, 3]]
    assert cut([33, 1], 1) == [[0], [1]]
