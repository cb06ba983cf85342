"""Which examples form which batch of an epoch, cut into pieces or packed into rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.core.config.train_config import Batching
from app.core.setup.memory_term import LARGEST_PIECE
from app.worker.array import Ints
from app.worker.batch.batch import Batch, assemble, assemble_behind_prefix, joined_batches, shared
from app.worker.batch.examples import Examples
from app.worker.batch.order import FileOrder, OrderedPlan, shuffled_order
from app.worker.batch.piece import PLANNED_OF_EPOCH, Cutter, Piece
from app.worker.batch.prefix_choice import Prefixes, prefix_lengths
from app.worker.batch.shape import (
    PLANNED_EPOCHS,
    WIDTH_STEP,
    Costs,
    Shape,
    ShapeTable,
    plan_shapes,
    rounded,
    worthwhile,
)

# Batches of one epoch that the shapes are planned from; more tell nothing new.
PLANNED_BATCHES = 5_000
# Examples of batches that shared prefixes are planned from.
PLANNED_EXAMPLES = 1_600
# Of the cost of batches whose examples each compute all of their own: what shares must cost less.
WORTHWHILE_COST = 0.95
_NO_BATCH = Batch((), 0, 0, 0, ())  # the share of a replica that a short batch leaves nothing for


class BatchPlan(OrderedPlan):
    """The batch of every iteration of a run (iterations count from 1).

    By length ("bucket") a batch is drawn at random and cut into pieces of like lengths.
    ``costs`` decide what is worth padding, and whether what examples of a batch begin with alike is computed once.
    ``stock_padding`` reproduces mlx-lm to the token: its widths, and the padding target that it learns in every
    padded row. It exists to prove that the two trainers agree.
    Of several ``replicas`` each computes a share of every batch, of about as many positions as the others'.
    ``most_positions`` bounds a piece of several examples, 0 as usual.
    """

    is_ahead = True
    examples: Examples

    def __init__(
        self,
        examples: Examples,
        batch_size: int,
        batching: Batching,
        seed: int,
        *,
        costs: Costs | None = None,
        file_order: FileOrder | None = None,
        stock_padding: bool = False,
        replicas: int = 1,
        most_positions: int = 0,
    ) -> None:
        self.examples = examples
        self.size = min(batch_size, len(examples))
        self._replicas = replicas
        self._batching = batching
        self._seed = seed
        self._file_order = file_order or FileOrder(len(examples), self.size, seed, 0, 1)
        self._stock_padding = stock_padding
        self.costs = costs or Costs()
        self._table: ShapeTable | None = None
        self._cutter: Cutter | None = None
        if self.is_cut:
            widest = examples.max_length - 1
            epochs = map(self.order, range(PLANNED_EPOCHS))
            batches = [
                one for order in epochs for numbers in order[:PLANNED_OF_EPOCH] for one in self._shares(numbers)
            ]
            most = min(most_positions or LARGEST_PIECE, LARGEST_PIECE)
            self._cutter = _cutter(examples, widest, self.costs, batches, most)
        elif batching != "file_order":
            largest = rounded(self._rows, int(examples.inputs.max()), 0, examples.max_length - 1)
            largest = largest._replace(targets=largest.positions)
            shares = [one for numbers in self.order(0)[:PLANNED_BATCHES] for one in self._shares(numbers)]
            needs = map(self._need, shares)
            self._table = plan_shapes(
                needs, largest, self.costs, worthwhile(PLANNED_EPOCHS * self.batches_per_epoch)
            )

    @property
    def batches_per_epoch(self) -> int:
        if self._batching == "file_order":
            return self._file_order.batches
        return -(-len(self.examples) // self.size)

    @property
    def is_cut(self) -> bool:
        """Whether batches come in pieces."""
        return self._batching == "bucket" and self.size > 1

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The planned shapes; empty for mlx-lm's own order, whose widths follow each batch."""
        table = self._cutter or self._table
        return table.shapes if table else ()

    @property
    def is_sharing(self) -> bool:
        """Whether what examples begin with alike is computed once."""
        return any(shape.shared for shape in self.shapes)

    def order(self, epoch: int) -> list[Ints]:
        """The batches of an epoch (from 0) as numbers of examples."""
        if self._batching == "file_order":
            return self._file_order(epoch)
        return shuffled_order(self.examples, self.size, self._seed, epoch)

    def batch(self, iteration: int) -> Batch:
        """The batch of iteration 1, 2, …"""
        numbers = self._numbers(iteration)
        if self._replicas == 1:
            return self._assemble(numbers)
        shares = [self._assemble(one) if len(one) else _NO_BATCH for one in self._dealt(numbers)]
        return shared(shares)

    @property
    def _rows(self) -> int:
        """The most examples of a batch that are computed together, where it is not cut."""
        return -(-self.size // self._replicas)

    def _shares(self, numbers: Ints) -> list[Ints]:
        """Those that hold examples."""
        return [one for one in self._dealt(numbers) if len(one)]

    def _dealt(self, numbers: Ints) -> list[Ints]:
        """A batch dealt out to the replicas: the longest first, each to the one that has least to do so far."""
        if self._replicas == 1:
            return [numbers]
        hands: list[list[int]] = [[] for _ in range(self._replicas)]
        work = [0] * self._replicas
        most = len(numbers) if self.is_cut else self._rows  # else a share's rows would not fit the shapes
        for place in np.argsort(-self.examples.inputs[numbers], kind="stable"):
            room = [i for i in range(self._replicas) if len(hands[i]) < most]
            least = min(room, key=lambda i: (work[i], i))
            hands[least].append(int(numbers[place]))
            work[least] += int(self.examples.inputs[numbers[place]])
        return [np.array(hand, np.int64) for hand in hands]

    def _need(self, numbers: Ints) -> Shape:
        inputs, targets = self.examples.inputs[numbers], int(self.examples.targets[numbers].sum())
        widest = self.examples.max_length - 1
        if self._batching == "pack":
            return rounded(*best_rows(inputs, self.costs), targets)
        return rounded(self._rows, int(inputs.max()), targets, widest)

    def _assemble(self, numbers: Ints) -> Batch:
        if self._cutter is not None:
            return joined_batches([self._piece(piece) for piece in self._cutter.cut(numbers)])
        if self._table is None:
            return assemble(self.examples, [[n] for n in numbers], self._stock_shape(numbers), self._stock_padding)
        if self._batching == "pack":
            return self._packed(self._table, numbers)
        shape = self._table.fit(self._need(numbers))
        return assemble(self.examples, [[n] for n in numbers], shape)

    def _piece(self, piece: Piece) -> Batch:
        numbers = piece.numbers.tolist()
        if piece.shape.shared:
            return assemble_behind_prefix(self.examples, numbers, piece.shape)
        return assemble(self.examples, [[number] for number in numbers], piece.shape)

    def _packed(self, table: ShapeTable, numbers: Ints) -> Batch:
        inputs, targets = self.examples.inputs[numbers], int(self.examples.targets[numbers].sum())
        longest = int(inputs.max())

        def holds(shape: Shape) -> bool:
            is_large = shape.width >= longest and shape.targets >= targets
            return is_large and len(pack_rows(inputs, shape.width)) <= shape.rows

        shape = table.cheapest(holds)
        rows = [[int(numbers[i]) for i in row] for row in pack_rows(inputs, shape.width)]
        return assemble(self.examples, rows, shape, packed=True)

    def _stock_shape(self, numbers: Ints) -> Shape:
        """mlx-lm pads to one more than the next multiple of 32 tokens, and at most to the maximum length."""
        tokens = int(self.examples.inputs[numbers].max()) + 1
        width = min(32 * -(-tokens // 32), self.examples.max_length - 1)
        return Shape(len(numbers), width, len(numbers) * width)


def _cutter(examples: Examples, widest: int, costs: Costs, batches: Sequence[Ints], most: int) -> Cutter:
    """What cuts these batches, and all others, at the least cost: with what they begin with alike computed once
    where that saves enough, for every shape of a piece that it is used in is one more to compile."""
    plain = Cutter(examples.inputs, examples.targets, widest, costs, batches, most)
    # Large batches take long to cut in all these ways, and a few of them tell as much.
    some = batches[:: -(-sum(map(len, batches)) // PLANNED_EXAMPLES)]
    lengths = prefix_lengths(examples, some) if costs.branches else ()
    if not lengths:
        return plain
    prefixes = Prefixes(examples, lengths)
    sharing = Cutter(examples.inputs, examples.targets, widest, costs, some, most, prefixes=prefixes)
    return sharing if sharing.cost(some) < WORTHWHILE_COST * plain.cost(some) else plain


def pack_rows(lengths: Ints, width: int) -> list[list[int]]:
    """Puts pieces into rows of ``width``, longest first, each into the first row that has room (first fit)."""
    rows: list[list[int]] = []
    room: list[int] = []
    for number in np.argsort(-lengths, kind="stable"):
        need = int(lengths[number])
        row = next((i for i, left in enumerate(room) if left >= need), None)
        if row is None:
            rows.append([])
            room.append(width)
            row = len(rows) - 1
        rows[row].append(int(number))
        room[row] -= need
    return rows


def best_rows(lengths: Ints, costs: Costs) -> tuple[int, int]:
    """(rows, width) in which pieces are packed at the least cost: few wide rows waste no room but attention."""
    longest, total = int(lengths.max()), int(lengths.sum())
    found: dict[tuple[int, int], float] = {}
    rows = 1
    while rows <= len(lengths):
        width = -(-max(longest, -(-total // rows)) // WIDTH_STEP) * WIDTH_STEP
        while len(pack_rows(lengths, width)) > rows:
            width += WIDTH_STEP
        found[rows, width] = costs.of(rows, width, 0)
        if width - WIDTH_STEP < longest:
            break  # more rows cannot be narrower
        rows += 1
    return min(found, key=lambda shape: found[shape])
