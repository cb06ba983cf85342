"""Rated answers: tokenized pairs and labelled answers, which go together in a batch, what the reference says.

A batch is computed in pieces, as `app.worker.batch.piece` tells; both answers of a pair are in the same one,
because the loss compares them. Where the model lets them (`app.worker.batch.branch`), both stand in one row with
their prompt once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import mlx.core as mx
import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.setup.memory_term import LARGEST_PIECE
from app.worker.array import Arrays, Ints, SingleFloats
from app.worker.batch.batch import Batch, joined_batches
from app.worker.batch.branch import BranchRow, Tokens, branch_arrays, branch_row, shared_length
from app.worker.batch.examples import target_counts
from app.worker.batch.order import OrderedPlan, length_order, shuffled_order
from app.worker.batch.piece import PLANNED_OF_EPOCH, Cutter, Piece
from app.worker.batch.shape import PLANNED_EPOCHS, Costs, Shape, rounded
from app.worker.token.rated_answer import RatedAnswers
from app.worker.token.token_set import Example, TokenSet


class RatedRows:
    """The rows of one token set by their sizes: how they are computed, and their arrays.

    A row has ``each`` answers. ``is_branched`` says that they are in one row of the arrays, the ``shared`` tokens
    that they begin with once; else each is in its own. ``inputs`` is the width of a row of the arrays, ``targets``
    are the learned tokens of all its answers, ``first_targets`` those of the first. ``costs`` decide which of the
    two it is.
    """

    def __init__(self, part: TokenSet, each: int, costs: Costs) -> None:
        self.part, self.each = part, each
        lengths = (part.lengths - 1).reshape(-1, each)
        targets = target_counts(part, part.lengths).reshape(-1, each)
        self.targets: Ints = targets.sum(axis=1)
        self.first_targets: Ints = targets[:, 0]
        self.inputs: Ints = lengths.max(axis=1)
        self.shared: Ints = np.zeros(len(lengths), np.int64)
        self.is_branched = False
        if each == 1 or not costs.branches:
            return
        shared = np.array([shared_length(self._inputs(number)) for number in range(len(lengths))], np.int64)
        together: Ints = lengths.sum(axis=1) - (each - 1) * shared
        if costs.of(1, together, self.targets).sum() < costs.of(each, self.inputs, self.targets).sum():
            self.is_branched, self.shared, self.inputs = True, shared, together

    @property
    def arrays_each(self) -> int:
        """How many rows of the arrays a row takes."""
        return 1 if self.is_branched else self.each

    def cutter(self, batches: Sequence[Ints], costs: Costs, most: int = 0) -> Cutter:
        """Cuts batches of these rows; the shapes are planned from ``batches``. ``most`` positions, 0: as usual."""
        widest, most = int(self.inputs.max()), min(most or LARGEST_PIECE, LARGEST_PIECE)
        return Cutter(self.inputs, self.targets, widest, costs, batches, most, self.arrays_each)

    def sorted_pieces(self) -> list[Piece]:
        """All rows in pieces of like lengths, the longest first: for what depends on no batch."""
        order = np.argsort(-self.inputs, kind="stable")
        found: list[Piece] = []
        start = 0
        while start < len(order):
            width = int(self.inputs[order[start]])
            numbers = order[start : start + max(LARGEST_PIECE // (self.arrays_each * width), 1)]
            need = rounded(self.arrays_each * len(numbers), width, int(self.targets[numbers].sum()), width)
            found.append(Piece(need, numbers))
            start += len(numbers)
        return found

    def slots(self, shape: Shape) -> int:
        """How many rows a shape has room for."""
        return shape.rows // self.arrays_each

    def examples(self, number: int) -> list[Example]:
        """The answers of a row."""
        return [self.part[self.each * number + side] for side in range(self.each)]

    def arrays(self, numbers: Ints, shape: Shape) -> Arrays:
        """The answers of these rows, with ``n`` slots for them: answer s of row i is number s · n + i.

        ``inputs`` int32 (rows, width), with ``branches`` and ``places`` where several answers are in one row; of
        the learned tokens, each (k,): ``positions`` in the flattened inputs where it is predicted, the ``targets``,
        the ``owners`` (whose answer it is in), and ``weights`` float32, 0 where there is none. ``lengths`` float32
        (answers,) count each answer's; ``counted`` float32 (n,) is 1 where there is a row.
        """
        slots = self.slots(shape)
        found = _Places(slots, self.each, shape)
        branched: list[BranchRow] = []
        inputs = np.zeros((shape.rows, shape.width), np.int32)
        for slot, number in enumerate(numbers.tolist()):
            examples = self.examples(number)
            if self.is_branched:
                row = branch_row([one.tokens[:-1] for one in examples], int(self.shared[number]))
                branched.append(row)
                for side, (one, at) in enumerate(zip(examples, row.at, strict=True)):
                    found.add(side, slot, one, slot * shape.width + at)
            else:
                for side, one in enumerate(examples):
                    place, length = side * slots + slot, len(one.tokens) - 1
                    inputs[place, :length] = one.tokens[:-1]
                    found.add(side, slot, one, place * shape.width + np.arange(length))
        own = branch_arrays(branched, *inputs.shape) if self.is_branched else {"inputs": mx.array(inputs)}
        counted = (np.arange(slots) < len(numbers)).astype(np.float32)
        return own | found.arrays() | {"counted": mx.array(counted)}

    def _inputs(self, number: int) -> list[Tokens]:
        return [one.tokens[:-1] for one in self.examples(number)]


class _Places:
    """Collects the learned tokens of answers."""

    def __init__(self, slots: int, each: int, shape: Shape) -> None:
        self._slots = slots
        self._lengths = np.zeros(each * slots, np.float32)
        self._columns = {name: np.zeros(shape.targets, np.int32) for name in ("positions", "targets", "owners")}
        self._end = 0

    def add(self, side: int, slot: int, example: Example, at: Ints) -> None:
        """``at`` says where each of the example's inputs is."""
        learned = np.flatnonzero(example.trained[1:])
        part = slice(self._end, self._end + len(learned))
        owner = side * self._slots + slot
        for name, values in (
            ("positions", at[learned]),
            ("targets", example.tokens[1:][learned]),
            ("owners", owner),
        ):
            self._columns[name][part] = values
        self._lengths[owner] = len(learned)
        self._end = part.stop

    def arrays(self) -> Arrays:
        weights = (np.arange(len(self._columns["owners"])) < self._end).astype(np.float32)
        return {name: mx.array(values) for name, values in self._columns.items()} | {
            "weights": mx.array(weights), "lengths": mx.array(self._lengths),
        }  # fmt: skip


class PairPieces:
    """Batches of rated answers, cut into pieces of few shapes; planned from ``batches`` (numbers of rows)."""

    def __init__(
        self,
        pairs: RatedAnswers,
        references: References | None,
        batches: Sequence[Ints],
        costs: Costs | None = None,
        most_positions: int = 0,
    ) -> None:
        self._pairs, self._references = pairs, references
        costs = costs or Costs()
        self._rows = {prefix: RatedRows(part, pairs.each, costs) for prefix, part in pairs.sets()}
        self._cutters = {prefix: rows.cutter(batches, costs, most_positions) for prefix, rows in self._rows.items()}

    @property
    def computed(self) -> Ints:
        """The positions of each row's answers, without padding between rows."""
        rows = self._rows[""]
        return rows.arrays_each * rows.inputs

    def batch(self, numbers: Ints) -> Batch:
        """Both answers of each pair, or labelled answers, as arrays.

        With those of `RatedRows.arrays` come the batch's ``pairs`` and ``chosen_tokens``, float32 scalars, of all
        parts together; ``desirable`` bool (n,) where answers are labelled; and where there is a reference
        ``reference`` float32 (answers,), its log-probability of each. What is ``beside`` are the mismatched ones.
        """
        pieces = self._cutters[""].cut(numbers)
        totals = {
            "pairs": mx.array(float(len(numbers))),
            "chosen_tokens": mx.array(float(self._rows[""].first_targets[numbers].sum())),
        }
        parts = [self._part("", piece) for piece in pieces]
        found = joined_batches([replace(part, parts=(part.arrays | totals,)) for part in parts])
        beside = [
            self._part(prefix, piece).arrays
            for prefix, cutter in self._cutters.items()
            if prefix
            for piece in cutter.cut(numbers)
        ]
        return replace(found, beside=tuple(beside))

    def _part(self, prefix: str, piece: Piece) -> Batch:
        rows, numbers = self._rows[prefix], piece.numbers
        slots = rows.slots(piece.shape)
        arrays = rows.arrays(numbers, piece.shape) | self._pairs.own_arrays(numbers, slots)
        if self._references is not None:
            sums = np.zeros((rows.each, slots), np.float32)
            sums[:, : len(numbers)] = self._references.sums[prefix].reshape(-1, rows.each)[numbers].T
            arrays["reference"] = mx.array(sums.reshape(-1))
        taken = [one for number in numbers.tolist() for one in rows.examples(number)]
        return Batch(
            (arrays,),
            tokens=sum(len(one.tokens) - 1 for one in taken),
            target_tokens=int(rows.targets[numbers].sum()),
            examples=len(numbers),
            shapes=(piece.shape,),
            shared=int((rows.each - 1) * rows.shared[numbers].sum()),
        )


class PairPlan(OrderedPlan):
    """The batch of every iteration (from 1), like `app.worker.batch.plan.BatchPlan`; of pairs both answers are in
    it."""

    is_ahead = True
    examples: RatedAnswers

    def __init__(
        self,
        pairs: RatedAnswers,
        references: References | None,
        config: TrainConfig,
        costs: Costs | None = None,
        most_positions: int = 0,
    ) -> None:
        self.examples = pairs
        self.size = min(config.batch_size, len(pairs))
        self._seed = config.seed
        self._in_order = config.batching == "file_order"
        planned = [numbers for epoch in range(PLANNED_EPOCHS) for numbers in self.order(epoch)[:PLANNED_OF_EPOCH]]
        self._pieces = PairPieces(pairs, references, planned, costs, most_positions)

    @property
    def is_cut(self) -> bool:
        """Whether batches come in pieces."""
        return self.size > 1

    @property
    def computed(self) -> Ints:
        """The positions of each row; what its answers share counts once."""
        return self._pieces.computed

    @property
    def batches_per_epoch(self) -> int:
        return -(-len(self.examples) // self.size)

    def order(self, epoch: int) -> list[Ints]:
        """The batches of an epoch (from 0) as numbers of rows."""
        make = shuffled_order if self._in_order else length_order
        return make(self.examples, self.size, self._seed, epoch)

    def batch(self, iteration: int) -> Batch:
        """The batch of iteration 1, 2, …"""
        return self._pieces.batch(self._numbers(iteration))


# -- the reference ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class References:
    """log π_ref of every answer, summed over its learned tokens, float32, by the prefix of its token set."""

    sums: dict[str, SingleFloats]
