"""Shares of a batch: together they are the batch that one process would train, and about alike in work."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.config.train_config import Batching
from app.worker.batch.batch import Batch
from tests.worker.batch.test_batch import BATCHINGS, dolly, lengths_of_examples, plan, seen


def share(batch: Batch, number: int) -> list[Counter[int]]:
    """What one replica sees, a part each."""
    ends = np.cumsum((0, *batch.split))
    parts = batch.parts[ends[number] : ends[number + 1]]
    return [Counter(int(token) for token in np.array(part["inputs"]).reshape(-1) if token) for part in parts]


@given(lengths_of_examples, st.integers(1, 9), st.sampled_from(BATCHINGS), st.integers(2, 4))
def test_together_they_are_the_batch(lengths: list[int], size: int, batching: Batching, replicas: int) -> None:
    size = min(size, len(lengths))
    alone, together = (plan(lengths, size, batching, prompt=1, replicas=count) for count in (1, replicas))
    assert alone.batches_per_epoch == together.batches_per_epoch
    for iteration in range(1, 2 * alone.batches_per_epoch + 1):
        one, many = alone.batch(iteration), together.batch(iteration)
        assert seen(one) == seen(many)
        assert (one.tokens, one.target_tokens, one.examples) == (many.tokens, many.target_tokens, many.examples)
        assert len(many.split) == replicas
        assert sum(many.split) == len(many.parts)


@pytest.mark.parametrize("batching", BATCHINGS)
def test_the_work_is_dealt_out_evenly(batching: Batching) -> None:
    batches = plan(dolly(64), 16, batching, replicas=4)
    for iteration in range(1, batches.batches_per_epoch + 1):
        work = [sum(sum(part.values()) for part in share(batches.batch(iteration), number)) for number in range(4)]
        longest = max(max(part.values()) for number in range(4) for part in share(batches.batch(iteration), number))
        assert max(work) <= max(1.35 * sum(work) / 4, longest)
