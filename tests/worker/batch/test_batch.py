"""Batches: every example once an epoch, little padding, few shapes, and the same again from any iteration on."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.config.train_config import Batching
from app.core.setup.memory_term import LARGEST_PIECE
from app.worker.batch.batch import Batch
from app.worker.batch.examples import Examples
from app.worker.batch.order import FileOrder, shuffled_order
from app.worker.batch.plan import BatchPlan, pack_rows
from app.worker.batch.shape import SHAPE_LIMIT, Costs, Shape, ShapeTable, plan_shapes, rounded
from app.worker.objective.validation import ValidationSet
from app.worker.token.token_set import Example, TokenSet

BATCHINGS: list[Batching] = ["bucket", "pack", "file_order"]


def token_set(lengths: list[int], prompt: int = 0) -> TokenSet:
    """Example i is made of the number i + 1, ``lengths[i]`` times; its first ``prompt`` tokens are not learned."""
    return TokenSet.from_examples([
        Example(np.full(length, i + 1, np.int32), np.arange(length) >= prompt) for i, length in enumerate(lengths)
    ])  # fmt: skip


def plan(lengths: list[int], size: int, batching: Batching = "bucket", *, seed: int = 0, **more: Any) -> BatchPlan:
    prompt = more.pop("prompt", 0)
    return BatchPlan(Examples.of(token_set(lengths, prompt), more.pop("cut", 512)), size, batching, seed, **more)


def seen(batch: Batch) -> Counter[int]:
    """How often each example's number is an input."""
    inputs = np.concatenate([np.array(part["inputs"]).reshape(-1) for part in batch.parts])
    return Counter(int(token) for token in inputs if token)


def dolly(count: int, seed: int = 0) -> list[int]:
    random = np.random.default_rng(seed)
    return np.clip(random.lognormal(4.6, 0.9, count), 12, 1000).astype(int).tolist()


lengths_of_examples = st.lists(st.integers(2, 120), min_size=1, max_size=60)


@given(lengths_of_examples, st.integers(1, 9), st.sampled_from(["bucket", "pack"]), st.integers(0, 3))
def test_every_example_once_an_epoch(lengths: list[int], size: int, batching: Batching, seed: int) -> None:
    batches = plan(lengths, size, batching, seed=seed)
    for epoch in range(2):
        first = epoch * batches.batches_per_epoch + 1
        made = [batches.batch(i) for i in range(first, first + batches.batches_per_epoch)]
        total = sum((seen(batch) for batch in made), Counter())
        assert total == {i + 1: length - 1 for i, length in enumerate(lengths)}
        assert sum(batch.examples for batch in made) == len(lengths)
        assert sum(batch.tokens for batch in made) == sum(lengths) - len(lengths)
        assert sum(batch.target_tokens for batch in made) == sum(lengths) - len(lengths)
        assert max(batch.examples for batch in made) <= size


@given(lengths_of_examples, st.integers(1, 6), st.integers(0, 30), st.sampled_from(BATCHINGS))
def test_targets_are_the_next_tokens_that_are_learned(
    lengths: list[int], size: int, prompt: int, batching: Batching
) -> None:
    tokens = TokenSet.from_examples([
        Example(np.arange(i * 200 + 1, i * 200 + 1 + n).astype(np.int32), np.arange(n) >= prompt)
        for i, n in enumerate(lengths)
    ])  # fmt: skip
    examples = Examples.of(tokens, 100)
    wanted = {int(t) for i in range(len(tokens)) for t in tokens[i].tokens[max(prompt, 1) : 100]}
    if not wanted:
        assert len(examples) == 0
        return
    if batching == "file_order":
        size = 1
    batches = BatchPlan(examples, size, batching, 0)
    learned: set[int] = set()
    for iteration in range(1, batches.batches_per_epoch + 1):
        for part in batches.batch(iteration).parts:
            arrays = {name: np.array(array) for name, array in part.items()}
            counts = arrays["weights"] > 0
            targets = arrays["targets"][counts]
            inputs = arrays["inputs"].reshape(-1)
            at = arrays["positions"][counts] if "positions" in arrays else np.flatnonzero(counts)
            assert (inputs[at] + 1 == targets).all()
            learned |= set(targets.tolist())
    assert learned == wanted


@given(lengths_of_examples, st.integers(1, 6), st.sampled_from(BATCHINGS), st.integers(1, 40))
def test_a_batch_follows_from_its_number(lengths: list[int], size: int, batching: Batching, number: int) -> None:
    """A fresh plan that begins in the middle, as after a resume, makes the same arrays."""
    through, fresh = plan(lengths, size, batching), plan(lengths, size, batching)
    for iteration in range(1, number):
        through.batch(iteration)
    first, second = through.batch(number), fresh.batch(number)
    assert first.shapes == second.shapes
    for one, two in zip(first.parts, second.parts, strict=True):
        assert one.keys() == two.keys()
        for name in one:
            assert np.array_equal(one[name], two[name])


def test_order_changes_with_epoch_and_seed() -> None:
    batches = plan(dolly(64), 4)
    orders = [batches.order(0), batches.order(1), plan(dolly(64), 4, seed=1).order(0)]
    flat = [np.concatenate(order).tolist() for order in orders]
    assert len({tuple(order) for order in flat}) == 3


@given(lengths_of_examples, st.integers(2, 9), st.integers(0, 30), st.integers(0, 3))
def test_a_cut_batch_is_the_random_one(lengths: list[int], size: int, prompt: int, seed: int) -> None:
    """Whatever the pieces are, a batch holds the examples that were drawn, and a piece the largest at most."""
    examples = Examples.of(token_set(lengths, prompt), 512)
    if not len(examples):
        return
    batches = BatchPlan(examples, size, "bucket", seed)
    for iteration in range(1, 2 * batches.batches_per_epoch + 1):
        epoch, place = divmod(iteration - 1, batches.batches_per_epoch)
        drawn = shuffled_order(examples, batches.size, seed, epoch)[place]
        batch = batches.batch(iteration)
        assert set(seen(batch)) == {int(examples.indices[number]) + 1 for number in drawn}
        assert batch.positions == sum(shape.positions for shape in batch.shapes)
        for part, shape in zip(batch.parts, batch.shapes, strict=True):
            assert part["inputs"].shape == (shape.rows, shape.width)
            assert shape.rows == 1 or shape.positions <= LARGEST_PIECE


def test_pieces_are_of_like_length() -> None:
    """Two lengths in a batch are not padded to the longer one; equal ones stay together up to the largest piece."""
    mixed = plan([16] * 8 + [300] * 8, 8, cut=512)
    assert {shape.width for i in range(1, 9) for shape in mixed.batch(i).shapes} <= {16, 304}
    assert plan([129] * 32, 8).batch(1).shapes == (Shape(8, 128, 1024),)
    assert plan([257] * 32, 8).batch(1).shapes == (Shape(4, 256, 1024),) * 2
    assert plan([2001] * 4, 2, cut=4000).batch(1).shapes == (Shape(1, 2000, 2000),) * 2


@pytest.mark.parametrize("batching, most", [("bucket", 0.18), ("pack", 0.12)])
def test_little_padding_in_few_shapes(batching: Batching, most: float) -> None:
    """Examples of Dolly's lengths at batch 8, where the order of the file leaves more than half padding."""
    batches = plan(dolly(2000), 8, batching, cut=1024, costs=Costs(0.3, 6000))
    made = [batches.batch(i) for i in range(1, 3 * batches.batches_per_epoch + 1)]
    padding = 1 - sum(b.tokens for b in made) / sum(b.positions for b in made)
    assert padding < most
    assert len({shape for batch in made for shape in batch.shapes}) <= SHAPE_LIMIT + (batching == "pack")
    as_in_file = plan(dolly(2000), 8, "file_order", cut=1024)
    made = [as_in_file.batch(i) for i in range(1, as_in_file.batches_per_epoch + 1)]
    assert 1 - sum(b.tokens for b in made) / sum(b.positions for b in made) > 0.5


def test_masked_positions_are_left_out() -> None:
    """With a head as dear as the body, four fifths prompt leave little for the head to do."""
    batches = plan([100] * 64, 8, prompt=80, costs=Costs(head=1.0))
    batch = batches.batch(1)
    assert batch.target_tokens == 8 * 20
    assert sum(shape.targets for shape in batch.shapes) <= 8 * 32
    assert all("positions" in part for part in batch.parts)


def test_few_examples_compile_few_shapes() -> None:
    """Some four uses a shape: of packed batches one each, of cut ones a few."""
    assert len(plan(dolly(32), 8, "pack").shapes) == 2
    assert len(plan(dolly(32), 8).shapes) <= 10
    assert len(plan(dolly(160), 8, "pack").shapes) <= 10
    assert len(plan(dolly(4), 2).shapes) <= 2


def test_fewer_examples_than_a_batch() -> None:
    batches = plan([10, 20, 30], 8)
    assert batches.size == 3
    assert batches.batches_per_epoch == 1
    assert batches.batch(5).examples == 3


def test_what_cannot_be_trained_is_counted() -> None:
    tokens = token_set([1, 5, 200, 8], prompt=6)
    examples = Examples.of(tokens, 100)
    assert examples.indices.tolist() == [2, 3]
    assert (examples.truncated, examples.skipped) == (1, 2)
    assert examples.targets.tolist() == [94, 2]
    assert examples.inputs.tolist() == [99, 7]


def test_file_order_is_that_of_stock() -> None:
    """One stream of random numbers serves training and validation in mlx-lm; the last rows are never used."""
    order = FileOrder(examples=11, size=2, seed=5, valid_batches=3, steps_per_eval=4)
    random = np.random.RandomState(5)
    first = random.permutation(5)
    random.permutation(3)  # the validation before the first iteration
    random.permutation(3)  # and the one at the fourth
    second = random.permutation(5)
    assert [pair.tolist() for pair in order(0)] == [[2 * i, 2 * i + 1] for i in first]
    assert [pair.tolist() for pair in order(1)] == [[2 * i, 2 * i + 1] for i in second]


def test_stock_learns_one_padding_token_a_row() -> None:
    lengths = [10, 20, 31, 32]
    exact, stock = plan(lengths, 4, "file_order"), plan(lengths, 4, "file_order", stock_padding=True)
    assert exact.batch(1).target_tokens == sum(lengths) - 4
    assert exact.batch(1).shape.width == 32
    assert stock.batch(1).target_tokens == sum(lengths)


@given(st.lists(st.integers(1, 64), min_size=1, max_size=40))
def test_rows_hold_what_fits(lengths: list[int]) -> None:
    rows = pack_rows(np.array(lengths), 64)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    assert all(sum(lengths[number] for number in row) <= 64 for row in rows)
    # First fit never leaves two rows that would fit into one.
    assert sum(sum(lengths[n] for n in row) <= 32 for row in rows) <= 1


@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(1, 400), st.integers(1, 3000)), min_size=1, max_size=80),
    st.integers(1, 20),
)
def test_planned_shapes_hold_their_needs(needs: list[tuple[int, int, int]], limit: int) -> None:
    shapes = [rounded(rows, width, min(targets, rows * width), 512) for rows, width, targets in needs]
    largest = Shape(8, 512, 8 * 512)
    table = plan_shapes(shapes, largest, Costs(head=0.5, attention_span=1000), limit)
    assert len(table.shapes) <= limit
    for need in shapes:
        found = table.fit(need)
        assert found in table.shapes
        assert all(have >= want for have, want in zip(found, need, strict=True))
        assert found.targets <= found.positions


def test_a_need_beyond_the_plan_is_met() -> None:
    largest = Shape(4, 128, 512)
    table = ShapeTable((Shape(4, 32, 64), Shape(4, 64, 256)), largest)
    assert table.fit(Shape(4, 96, 100)) == largest
    assert table.fit(Shape(4, 32, 65)) == Shape(4, 64, 256)


def test_validation_is_always_the_same() -> None:
    examples = Examples.of(token_set(dolly(100)), 512)
    batches = ValidationSet(examples, 4, 5)
    first, second = list(batches), list(batches)
    assert len(batches) == len(first) == 5
    assert sum(batch.examples for batch in first) == 20
    for one, two in zip(first, second, strict=True):
        assert np.array_equal(one.arrays["inputs"], two.arrays["inputs"])
    assert sum(batch.examples for batch in ValidationSet(examples, 8, -1)) == 100
    assert [batch.examples for batch in ValidationSet(Examples.of(token_set([9, 5]), 512), 8, 25)] == [2]


def test_validation_spreads_over_the_whole_set() -> None:
    """20 of 100, the first and the last among them, in even steps."""
    examples = Examples.of(token_set(list(range(10, 110))), 512)
    chosen = np.sort(np.concatenate(ValidationSet(examples, 4, 5).groups))
    wanted = [round(99 * number / 19) for number in range(20)]
    assert chosen.tolist() == wanted
    assert np.sort(np.concatenate(ValidationSet(examples, 4, -1).groups)).tolist() == list(range(100))
