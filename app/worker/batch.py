"""Batches: which examples of a token set go together, in which order, padded to which size.

Everything follows from the data, the config and the number of the iteration, so a resumed run gets the batches that
an undisturbed one would have got, to the last token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from app.core.config import Batching
from app.worker.piece import PLANNED_OF_EPOCH, Cutter
from app.worker.shape import PLANNED_EPOCHS, WIDTH_STEP, Costs, Shape, ShapeTable, plan_shapes, rounded, worthwhile
from app.worker.token_set import TokenSet

Ints = npt.NDArray[np.int64]
# Batches of one epoch that the shapes are planned from; more tell nothing new.
PLANNED_BATCHES = 5_000


@dataclass(frozen=True, slots=True)
class Batch:
    """What one iteration computes: one part, or several one after the other, each of its shape.

    A part's arrays go to the objective: ``inputs`` int32 (rows, width); ``targets`` int32 and ``weights`` float32,
    both (rows · width,) or, where only some positions count, (k,) with ``positions`` int32 (k,) into the flattened
    inputs; ``segments`` int32 (rows, width) for packed rows (0 is padding).
    ``tokens`` are the real ones among the inputs, ``target_tokens`` those that are learned. What came up when the
    batch was made is in ``figures`` (means) and ``samples`` (newly sampled answers).
    """

    parts: tuple[dict[str, mx.array], ...]
    tokens: int
    target_tokens: int
    examples: int
    shapes: tuple[Shape, ...]
    figures: dict[str, float] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def positions(self) -> int:
        """How many are computed, with padding."""
        return sum(shape.positions for shape in self.shapes)

    @property
    def arrays(self) -> dict[str, mx.array]:
        """Those of a batch in one part."""
        (only,) = self.parts
        return only

    @property
    def shape(self) -> Shape:
        """That of a batch in one part."""
        (only,) = self.shapes
        return only


class Countable(Protocol):
    """What an order is made of: so many things, each of so many input positions."""

    def __len__(self) -> int: ...

    @property
    def inputs(self) -> Ints: ...


class Plan(Protocol):
    """The batch of every iteration of a run.

    ``is_ahead`` if a batch can be put together before the iteration ahead of it has ended, ``is_cut`` if batches
    may come in several parts.
    """

    @property
    def is_ahead(self) -> bool: ...

    @property
    def is_cut(self) -> bool: ...

    @property
    def examples(self) -> Countable: ...

    @property
    def batches_per_epoch(self) -> int: ...

    def batch(self, iteration: int) -> Batch: ...


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of a token set that can be trained, cut to the maximum length.

    ``indices`` into the set; ``inputs`` and ``targets`` count each one's input positions and learned tokens.
    ``truncated`` are longer than the maximum, ``skipped`` have no token to learn (after the cut).
    """

    token_set: TokenSet
    max_length: int
    indices: Ints
    inputs: Ints
    targets: Ints
    truncated: int
    skipped: int

    @classmethod
    def of(cls, token_set: TokenSet, max_length: int) -> Examples:
        """Counts and cuts, without reading more than the flags."""
        lengths = np.minimum(token_set.lengths, max_length)
        targets = _target_counts(token_set, lengths)
        usable = np.flatnonzero(targets)
        return cls(
            token_set,
            max_length,
            usable,
            lengths[usable] - 1,
            targets[usable],
            int(np.count_nonzero(token_set.lengths > max_length)),
            len(token_set) - len(usable),
        )

    def __len__(self) -> int:
        return len(self.indices)

    def row(self, number: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """Tokens (cut) of one example, and which of them are learned; the first never is."""
        tokens, trained = self.token_set[int(self.indices[number])]
        return tokens[: self.max_length], trained[: self.max_length]


def _target_counts(token_set: TokenSet, lengths: Ints) -> Ints:
    """Learned tokens of each example when cut to ``lengths``; the first token of an example is never one."""
    counts = np.zeros(len(token_set), np.int64)
    some = np.flatnonzero(lengths >= 2)
    if len(some):
        starts = token_set.starts[:-1][some]
        # reduceat sums from each even border to the next odd one; a border at the very end needs an element there.
        borders = np.stack([starts + 1, starts + lengths[some]], axis=1).reshape(-1)
        flags = token_set.trained if borders[-1] < len(token_set.trained) else np.append(token_set.trained, False)
        counts[some] = np.add.reduceat(flags, borders, dtype=np.int64)[::2]
    return counts


# -- the order ----------------------------------------------------------------------------------------------------


def shuffled_order(examples: Countable, size: int, seed: int, epoch: int) -> list[Ints]:
    """Batches of examples in random order, every example once."""
    order = np.random.default_rng([seed, epoch]).permutation(len(examples))
    return _cut(order, size)


def length_order(examples: Countable, size: int, seed: int, epoch: int) -> list[Ints]:
    """Batches of examples of like length, in random order, every example once.

    Ties are broken at random and the borders between batches move from epoch to epoch, so that the same examples
    do not always meet.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(examples))
    order = order[np.argsort(examples.inputs[order], kind="stable")]
    # The one batch that is not full lies anywhere in the order of lengths, else always at the longest examples.
    rest = len(order) % size
    head = int(random.integers(0, len(order) // size + 1)) * size if rest else 0
    batches = _cut(order[:head], size) + ([order[head : head + rest]] if rest else [])
    batches += _cut(order[head + rest :], size)
    return [batches[i] for i in random.permutation(len(batches))]


def _cut(order: Ints, size: int) -> list[Ints]:
    return [order[start : start + size] for start in range(0, len(order), size)]


@dataclass(slots=True)
class FileOrder:
    """mlx-lm's own order: neighbours in the file, batches permuted, the last ``n % size`` examples never used.

    mlx-lm draws the permutations of training and of validation from one stream; ``valid_batches`` (drawn at the
    first iteration and every ``steps_per_eval``) keeps this one in step with it. Source: mlx_lm.tuner.trainer 0.32.
    """

    examples: int
    size: int
    seed: int
    valid_batches: int
    steps_per_eval: int
    _epochs: list[Ints] = field(default_factory=list)
    _random: np.random.RandomState | None = None

    @property
    def batches(self) -> int:
        return self.examples // self.size

    def __call__(self, epoch: int) -> list[Ints]:
        if self._random is None:
            self._random = np.random.RandomState(self.seed)
        while len(self._epochs) <= epoch:
            first = len(self._epochs) * self.batches + 1
            self._epochs.append(self._random.permutation(self.batches))
            for iteration in range(first, first + self.batches):
                if self.valid_batches and (iteration == 1 or iteration % self.steps_per_eval == 0):
                    self._random.permutation(self.valid_batches)
        return [np.arange(i * self.size, (i + 1) * self.size) for i in self._epochs[epoch]]


# -- the plan -----------------------------------------------------------------------------------------------------


class BatchPlan:
    """The batch of every iteration of a run (iterations count from 1).

    By length ("bucket") a batch is drawn at random and cut into pieces of like lengths.
    ``costs`` decide what is worth padding.
    ``stock_padding`` reproduces mlx-lm to the token: its widths, and the padding target that it learns in every
    padded row. It exists to prove that the two trainers agree.
    """

    is_ahead = True

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
    ) -> None:
        self.examples = examples
        self.size = min(batch_size, len(examples))
        self._batching = batching
        self._seed = seed
        self._file_order = file_order or FileOrder(len(examples), self.size, seed, 0, 1)
        self._stock_padding = stock_padding
        self._costs = costs or Costs()
        self._epoch: tuple[int, list[Ints]] = (-1, [])
        self._table: ShapeTable | None = None
        self._cutter: Cutter | None = None
        if self.is_cut:
            widest = examples.max_length - 1
            epochs = map(self.order, range(PLANNED_EPOCHS))
            batches = [numbers for order in epochs for numbers in order[:PLANNED_OF_EPOCH]]
            self._cutter = Cutter(examples.inputs, examples.targets, widest, self._costs, batches)
        elif batching != "file_order":
            largest = rounded(self.size, int(examples.inputs.max()), 0, examples.max_length - 1)
            largest = largest._replace(targets=largest.positions)
            needs = map(self._need, self.order(0)[:PLANNED_BATCHES])
            self._table = plan_shapes(
                needs, largest, self._costs, worthwhile(PLANNED_EPOCHS * self.batches_per_epoch)
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

    def order(self, epoch: int) -> list[Ints]:
        """The batches of an epoch (from 0) as numbers of examples."""
        if self._batching == "file_order":
            return self._file_order(epoch)
        return shuffled_order(self.examples, self.size, self._seed, epoch)

    def batch(self, iteration: int) -> Batch:
        """The batch of iteration 1, 2, …"""
        epoch, place = divmod(iteration - 1, self.batches_per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self.order(epoch))
        return self._assemble(self._epoch[1][place])

    def _need(self, numbers: Ints) -> Shape:
        inputs, targets = self.examples.inputs[numbers], int(self.examples.targets[numbers].sum())
        widest = self.examples.max_length - 1
        if self._batching == "pack":
            return rounded(*best_rows(inputs, self._costs), targets)
        return rounded(self.size, int(inputs.max()), targets, widest)

    def _assemble(self, numbers: Ints) -> Batch:
        if self._cutter is not None:
            pieces = self._cutter.cut(numbers)
            return _joined([assemble(self.examples, [[n] for n in piece.numbers], piece.shape) for piece in pieces])
        if self._table is None:
            return assemble(self.examples, [[n] for n in numbers], self._stock_shape(numbers), self._stock_padding)
        if self._batching == "pack":
            return self._packed(self._table, numbers)
        shape = self._table.fit(self._need(numbers))
        return assemble(self.examples, [[n] for n in numbers], shape)

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


def assemble(
    examples: Examples,
    rows: Sequence[Sequence[int]],
    shape: Shape,
    stock_padding: bool = False,
    packed: bool = False,
) -> Batch:
    """Puts the examples of each row end to end into arrays of ``shape``; rows beyond the given ones stay empty."""
    inputs = np.zeros((shape.rows, shape.width), np.int32)
    targets = np.zeros_like(inputs)
    learned = np.zeros(inputs.shape, np.bool_)
    segments = np.zeros_like(inputs)
    real = 0
    for row, numbers in enumerate(rows):
        at = 0
        for segment, number in enumerate(numbers, start=1):
            tokens, trained = examples.row(number)
            end = at + len(tokens) - 1
            inputs[row, at:end], targets[row, at:end] = tokens[:-1], tokens[1:]
            learned[row, at:end] = trained[1:]
            segments[row, at:end] = segment
            if stock_padding and end < shape.width:
                inputs[row, end], learned[row, end] = tokens[-1], True
            real += end - at
            at = end
    arrays = {"inputs": mx.array(inputs)} | _loss_arrays(targets, learned, shape)
    if packed:
        arrays["segments"] = mx.array(segments)
    return Batch((arrays,), real, int(learned.sum()), sum(map(len, rows)), (shape,))


def _joined(pieces: Sequence[Batch]) -> Batch:
    return Batch(
        tuple(part for piece in pieces for part in piece.parts),
        sum(piece.tokens for piece in pieces),
        sum(piece.target_tokens for piece in pieces),
        sum(piece.examples for piece in pieces),
        tuple(shape for piece in pieces for shape in piece.shapes),
    )


def _loss_arrays(
    targets: npt.NDArray[np.int32], learned: npt.NDArray[np.bool_], shape: Shape
) -> dict[str, mx.array]:
    flat = learned.reshape(-1)
    if shape.is_dense:
        return {"targets": mx.array(targets.reshape(-1)), "weights": mx.array(flat.astype(np.float32))}
    positions = np.zeros(shape.targets, np.int32)
    found = np.flatnonzero(flat)
    positions[: len(found)] = found
    weights = (np.arange(shape.targets) < len(found)).astype(np.float32)
    return {
        "positions": mx.array(positions),
        "targets": mx.array(targets.reshape(-1)[positions]),
        "weights": mx.array(weights),
    }
