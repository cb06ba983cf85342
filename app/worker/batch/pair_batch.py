"""Rated answers: tokenized pairs and labelled answers, which go together in a batch, what the reference says."""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from app.core.config.train_config import TrainConfig
from app.worker.array import Arrays, Ints, SingleFloats
from app.worker.batch.answer import answer_arrays, with_prefix
from app.worker.batch.batch import Batch
from app.worker.batch.order import OrderedPlan, length_order, shuffled_order
from app.worker.batch.plan import PLANNED_BATCHES
from app.worker.batch.shape import PLANNED_EPOCHS, WIDTH_STEP, Costs, Shape, plan_shapes, worthwhile
from app.worker.token.rated_answer import RatedAnswers
from app.worker.token.token_set import Example, TokenSet

TOKEN_STEP = 8
USES_OF_A_SHAPE = 25


# -- tokens -------------------------------------------------------------------------------------------------------


# -- batches ------------------------------------------------------------------------------------------------------


class PairPlan(OrderedPlan):
    """The batch of every iteration (from 1), like `app.worker.batch.plan.BatchPlan`; of pairs both answers are in
    it: the chosen ones in its first half, the rejected in its second."""

    is_ahead = True
    examples: RatedAnswers

    def __init__(
        self, pairs: RatedAnswers, references: References | None, config: TrainConfig, costs: Costs | None = None
    ) -> None:
        self.examples = pairs
        self.size = min(config.batch_size, len(pairs))
        self._references = references
        self._seed = config.seed
        self._in_order = config.batching == "file_order"
        needs = [self._needs(numbers) for numbers in self.order(0)[:PLANNED_BATCHES]]
        limit = worthwhile(PLANNED_EPOCHS * self.batches_per_epoch, each=USES_OF_A_SHAPE)
        self._tables = {
            prefix: plan_shapes(
                (need[prefix] for need in needs),
                largest_shape(part, pairs.each * self.size),
                costs or Costs(),
                limit,
            )
            for prefix, part in pairs.sets()
        }

    @property
    def batches_per_epoch(self) -> int:
        return -(-len(self.examples) // self.size)

    def order(self, epoch: int) -> list[Ints]:
        """The batches of an epoch (from 0) as numbers of rows."""
        make = shuffled_order if self._in_order else length_order
        return make(self.examples, self.size, self._seed, epoch)

    def batch(self, iteration: int) -> Batch:
        """The batch of iteration 1, 2, …"""
        numbers = self._numbers(iteration)
        needs = self._needs(numbers)
        shapes = {prefix: table.fit(needs[prefix]) for prefix, table in self._tables.items()}
        return pair_batch(self.examples, numbers, shapes, self._references)

    def _needs(self, numbers: Ints) -> dict[str, Shape]:
        # The last, smaller batch of an epoch is filled up with empty rows: one shape less to compile.
        return pair_shapes(self.examples, numbers, self.examples.each * self.size)


def pair_shapes(pairs: RatedAnswers, numbers: Ints, rows: int) -> dict[str, Shape]:
    """The shapes, by prefix, that hold the answers of these rows in ``rows`` rows."""
    places = pairs.places(numbers)
    return {prefix: pair_shape(part, places, rows) for prefix, part in pairs.sets()}


def largest_shape(part: TokenSet, rows: int) -> Shape:
    """A shape that holds every answer."""
    return pair_shape(part, np.arange(len(part)), rows)


def pair_shape(part: TokenSet, places: Ints, rows: int) -> Shape:
    width = max(len(part[int(place)].tokens) - 1 for place in places)
    tokens = max(int(part[int(place)].trained[1:].sum()) for place in places)
    return Shape(rows, WIDTH_STEP * -(-width // WIDTH_STEP), rows * TOKEN_STEP * -(-tokens // TOKEN_STEP))


def pair_batch(
    pairs: RatedAnswers, numbers: Ints, shapes: dict[str, Shape], references: References | None
) -> Batch:
    """Both answers of each pair, or labelled answers, as arrays.

    With them come ``counted`` float32 (pairs,), 1 where a pair is (of labelled answers an answer), ``desirable``
    bool (rows,) where answers are labelled, and where there is a reference ``reference`` float32 (rows,), its
    log-probability of each answer.
    """
    share = shapes[""].rows // pairs.each
    rows = [side * share + row for side in range(pairs.each) for row in range(len(numbers))]
    arrays: Arrays = {"counted": mx.array((np.arange(share) < len(numbers)).astype(np.float32))}
    arrays |= pairs.own_arrays(numbers, share)
    places = pairs.places(numbers)
    for prefix, part in pairs.sets():
        examples: list[Example | None] = [None] * shapes[prefix].rows
        for row, place in zip(rows, places, strict=True):
            examples[row] = part[int(place)]
        arrays |= with_prefix(answer_arrays(examples, shapes[prefix]), prefix)
        if references is not None:
            sums = np.zeros(shapes[prefix].rows, np.float32)
            sums[rows] = references.sums[prefix][places]
            arrays[f"{prefix}reference"] = mx.array(sums)
    taken = [pairs.answers[int(place)] for place in places]
    return Batch(
        (arrays,),
        tokens=sum(len(example.tokens) - 1 for example in taken),
        target_tokens=sum(int(example.trained[1:].sum()) for example in taken),
        examples=len(numbers),
        shapes=(shapes[""],),
    )


# -- the reference ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class References:
    """log π_ref of every answer, summed over its learned tokens, float32, by the prefix of its token set."""

    sums: dict[str, SingleFloats]
