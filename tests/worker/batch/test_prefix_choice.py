"""Examples that begin alike share that in their pieces: every learned token as often as before, at less cost."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.worker.batch.batch import Batch, assemble_behind_prefix
from app.worker.batch.examples import Examples
from app.worker.batch.plan import BatchPlan
from app.worker.batch.prefix_choice import Prefixes, prefix_lengths
from app.worker.batch.shape import Costs, Shape
from app.worker.token.token_set import Example, TokenSet

COSTS = Costs(0.3, 2000, branches=True)
PLAIN = Costs(0.3, 2000)


def chats(
    sizes: list[int], starts: list[int], *, seed: int = 0, learned: str = "answer", longest: int = 4000
) -> Examples:
    """Example i: a beginning of ``starts[i % …]`` tokens, which are those of the longest one, and then its own."""
    random = np.random.default_rng(seed)
    first = random.integers(1, 50, max(starts, default=0))
    rows = []
    for number, size in enumerate(sizes):
        begin = first[: starts[number % len(starts)]]
        tokens = np.concatenate([begin, [100 + number], random.integers(50, 90, size)]).astype(np.int32)
        trained = {
            "all": np.ones(len(tokens), np.bool_),
            "answer": np.arange(len(tokens)) >= len(tokens) - max(size // 2, 1),
            "some": random.random(len(tokens)) < 0.3,
        }[learned]
        rows.append(Example(tokens, trained))
    return Examples.of(TokenSet.from_examples(rows), longest)


def learned(batch: Batch) -> Counter[tuple[tuple[int, ...], int]]:
    """How often each token is learned, by all that comes before it."""
    found: Counter[tuple[tuple[int, ...], int]] = Counter()
    for part, shape in zip(batch.parts, batch.shapes, strict=True):
        inputs = np.array(part["inputs"])
        assert inputs.shape == (shape.rows, shape.width)
        first = np.array(part["prefix"])[0] if "prefix" in part else np.zeros(0, np.int32)
        assert len(first) == shape.shared
        weights, targets = np.array(part["weights"]), np.array(part["targets"])
        positions = np.array(part["positions"]) if "positions" in part else np.arange(shape.positions)
        assert len(weights) == len(targets) == len(positions) == shape.targets
        for weight, target, position in zip(weights, targets, positions, strict=True):
            row, at = divmod(int(position) - len(first), shape.width)
            before = first[: position + 1] if position < len(first) else [*first, *inputs[row, : at + 1]]
            if weight:
                found[tuple(int(token) for token in before), int(target)] += int(weight)
    return found


@settings(max_examples=60)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=40),
    st.lists(st.sampled_from([0, 3, 40, 41, 90, 200]), min_size=1, max_size=4),
    st.integers(2, 9),
    st.sampled_from(["all", "answer", "some"]),
    st.sampled_from([60, 4000]),
    st.integers(1, 2),
)
def test_every_learned_token_counts_as_often_as_in_rows_of_its_own(
    sizes: list[int], starts: list[int], size: int, which: str, longest: int, replicas: int
) -> None:
    examples = chats(sizes, starts, learned=which, longest=longest)
    if not len(examples):
        return
    sharing = BatchPlan(examples, size, "bucket", 0, costs=COSTS, replicas=replicas)
    plain = BatchPlan(examples, size, "bucket", 0, costs=PLAIN)
    for iteration in range(1, 2 * sharing.batches_per_epoch + 1):
        found, wanted = sharing.batch(iteration), plain.batch(iteration)
        assert learned(found) == learned(wanted)
        assert (found.tokens, found.target_tokens, found.examples) == (
            wanted.tokens, wanted.target_tokens, wanted.examples,
        )  # fmt: skip
        assert found.tokens - found.shared <= found.positions


def _cost(plan: BatchPlan) -> float:
    batches = [plan.batch(number) for number in range(1, plan.batches_per_epoch + 1)]
    return sum(COSTS.of(*shape) for batch in batches for shape in batch.shapes)


@pytest.mark.parametrize("size", [4, 8])
def test_a_system_prompt_is_computed_once_a_piece(size: int) -> None:
    random = np.random.default_rng(4)
    examples = chats(np.clip(random.lognormal(4.4, 0.6, 400), 8, 600).astype(int).tolist(), [300])
    sharing = BatchPlan(examples, size, "bucket", 0, costs=COSTS)
    plain = BatchPlan(examples, size, "bucket", 0, costs=PLAIN)
    assert sharing.is_sharing
    assert not plain.is_sharing
    assert _cost(sharing) < {4: 0.65, 8: 0.58}[size] * _cost(plain)


@pytest.mark.parametrize("starts", [[0], [3], [12]])
def test_batches_stay_as_they_are_where_little_is_shared(starts: list[int]) -> None:
    examples = chats([60, 80, 100, 300] * 20, starts)
    sharing, plain = (BatchPlan(examples, 4, "bucket", 0, costs=costs) for costs in (COSTS, PLAIN))
    assert sharing.shapes == plain.shapes
    assert sharing.batch(1).shapes == plain.batch(1).shapes


def test_several_beginnings_in_one_batch() -> None:
    """Nested ones, and examples with none, each in a piece with those that begin as it does."""
    examples = chats([30] * 160, [200, 400, 0, 400], learned="all")
    plan = BatchPlan(examples, 12, "bucket", 0, costs=COSTS)
    shapes = {shape for number in range(1, 14) for shape in plan.batch(number).shapes}
    assert {shape.shared for shape in shapes} == {0, 199, 399}
    assert all(shape.rows > 1 for shape in shapes if shape.shared)


def test_a_long_beginning_makes_no_piece_larger_than_the_longest_example() -> None:
    examples = chats([100, 100, 100, 900] * 10, [2000])
    plan = BatchPlan(examples, 4, "bucket", 0, costs=COSTS)
    assert plan.is_sharing
    largest = int(examples.inputs.max())
    for number in range(1, 11):
        assert all(shape.rows == 1 or shape.positions <= largest for shape in plan.batch(number).shapes)


def test_smaller_pieces_than_usual_are_smaller_here_too() -> None:
    examples = chats([100, 100, 100, 300] * 10, [200])
    plan = BatchPlan(examples, 4, "bucket", 0, costs=COSTS, most_positions=450)
    shapes = {shape for number in range(1, 11) for shape in plan.batch(number).shapes}
    assert any(shape.shared for shape in shapes)
    assert all(shape.rows == 1 or shape.positions <= 450 for shape in shapes)


def test_lengths_are_those_that_save_most() -> None:
    examples = chats([30] * 40, [200, 400])
    batches = [np.arange(start, start + 4) for start in range(0, 40, 4)]
    # The token behind what is alike differs, and it is what the last position would predict.
    assert prefix_lengths(examples, batches) == (199, 399)
    assert prefix_lengths(chats([30] * 40, [10]), batches) == ()
    # Both rows alike to the end: one input is left to each.
    row = Example(np.arange(50, dtype=np.int32), np.ones(50, np.bool_))
    twice = Examples.of(TokenSet.from_examples([row, row]), 4000)
    assert prefix_lengths(twice, [np.arange(2)]) == (48,)


def test_who_begins_alike() -> None:
    examples = chats([30, 20, 10, 5], [100, 0, 200, 200])
    by_length, together = Prefixes(examples, (50, 150)).orders(np.array([2, 3, 0, 1]))
    assert (by_length.numbers.tolist(), by_length.common) == ([2, 3, 0, 1], [0, 150, 50, 0])
    assert (together.numbers.tolist(), together.common) == ([1, 0, 2, 3], [0, 0, 50, 150])


def test_a_wrong_beginning_is_never_computed() -> None:
    examples = chats([30, 20], [100, 0])
    with pytest.raises(AssertionError, match="begin"):
        assemble_behind_prefix(examples, [0, 1], Shape(2, 112, 32, 20))
