"""Memory terms: the arrays of a training step in bytes, from the model's real shapes, before they are weighed.

What a step holds is a sum of few kinds of arrays. Their sizes follow from shapes, batch and length; how many of
each kind MLX keeps at the peak does not, and was measured (see `app.core.setup.memory`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

from app.core.config.train_config import TrainConfig
from app.core.model.inspection import Inspection, Module
from app.core.model.module_group import Group
from app.core.setup.chosen_method import method_of
from app.core.target.key import top_layers
from app.core.target.selection import Selection

ITEM_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
# Logits of a piece (app.worker.objective.cross_entropy): 2²³ float32 are 34 MB, and MLX, which schedules ahead,
# holds some ten such arrays at a time. Larger pieces cost memory; they gain nothing. Their rows are a multiple of
# the step.
PIECE_ELEMENTS, ROW_STEP = 2**23, 16
# Positions of a piece of several examples (app.worker.batch.piece): matrix products gain nothing from more, and
# what a step holds grows with them.
LARGEST_PIECE = 1024
# Sizes that follow no plan grow by this factor, in steps: few shapes to compile, little padding.
GROWTH, LENGTH_STEP = 1.19, 16
_COPIED = ("k_proj", "v_proj")
_MIXERS = {Group.ATTENTION, Group.STATE_SPACE, Group.OTHER, Group.ROUTER}


@dataclass(frozen=True, slots=True)
class StepSize:
    """The size of one step: ``rows`` × ``width`` positions, behind ``shared`` ones that all rows begin with, of
    which ``targets`` go through head and loss."""

    rows: int
    width: int
    targets: int
    shared: int = 0

    @property
    def positions(self) -> int:
        return self.rows * self.width + self.shared

    @property
    def attended(self) -> int:
        """Pairs of a position and one that it may look at, or that is masked for it."""
        return self.rows * self.width * (self.width + self.shared) + self.shared**2

    @property
    def whole(self) -> StepSize:
        """The same rows, each with all of its own."""
        width = self.width + self.shared
        is_dense = self.targets == self.positions
        return StepSize(self.rows, width, self.rows * width if is_dense else self.targets)


@dataclass(frozen=True, slots=True)
class Terms:
    """Bytes of each kind of array, of one layer or summed over several.

    ``hidden``: a state of every position; ``norms``: one for each norm that a layer has. ``mixer``: outputs of
    attention's (or a state space's) matrices; ``fused``: those of one matrix for queries, keys and values, which
    are taken apart; ``normed``: queries and keys that are normed. ``inner``: outputs of the first matrices of an
    MLP with a gate, or of the experts that a token passes; ``plain``: of one without a gate; ``routed``: the states
    that go to experts. ``scores``: attention weights, rows × heads × width²; ``masked``: the same where rows are
    packed, which takes a mask; ``wide_scores``: the same in a model of 16 bit. ``low_rank``: x A of each adapter;
    ``outs``: their outputs, ``dora_outs``: those of DoRA, in float32. ``cast``: adapter inputs in float32 where the
    model is in 16 bit; ``kept_cast``: the same where ``adapter_dtype`` is float32, which keeps them for the
    backward pass. ``weight``: the matrices of adapted modules, which DoRA computes anew; ``wide_weight``: the same
    where they are 16 bit and DoRA widens them. ``own``: the largest matrix of a layer that is trained itself;
    ``packed``: of one that is quantized.
    """

    hidden: float = 0.0
    norms: float = 0.0
    mixer: float = 0.0
    fused: float = 0.0
    normed: float = 0.0
    inner: float = 0.0
    plain: float = 0.0
    routed: float = 0.0
    scores: float = 0.0
    masked: float = 0.0
    wide_scores: float = 0.0
    low_rank: float = 0.0
    outs: float = 0.0
    dora_outs: float = 0.0
    cast: float = 0.0
    kept_cast: float = 0.0
    weight: float = 0.0
    wide_weight: float = 0.0
    own: float = 0.0
    packed: float = 0.0

    def __add__(self, other: Terms) -> Terms:
        return Terms(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Terms)))

    def weighed(self, weights: Terms) -> float:
        """The sum of all kinds, each times its weight."""
        return float(sum(getattr(self, f.name) * getattr(weights, f.name) for f in fields(Terms)))


def step_of(
    config: TrainConfig, longest: int | None = None, target_share: float = 1.0, *, labelled: bool = False
) -> StepSize:
    """The largest step of a config: its batch at the longest example (tokens), or at the maximum length if unknown;
    of a batch that is cut the largest piece.

    Widths are padded to the next multiple of 32, as batches are; the last token of an example is no input. Of pairs
    both answers are in the batch (one, where answers are ``labelled`` each by itself), of a prompt the answers that
    are sampled to it: ``longest`` is a prompt then.
    """
    sampled = method_of(config).is_sampled
    if longest is not None and sampled:
        longest += config.max_completion_length
    tokens = config.max_seq_length if longest is None else min(longest, config.max_seq_length)
    width = min(math.ceil(max(tokens - 1, 1) / 32) * 32, max(config.max_seq_length - 1, 1))
    rows = config.batch_size * rows_each(config, labelled)
    if is_cut(config):
        rows = min(rows, max(LARGEST_PIECE // width, rows_each(config, labelled)))
    targets = rows * min(config.max_completion_length, width) if sampled else rows * width * target_share
    return StepSize(rows, width, max(1, round(targets)))


def is_cut(config: TrainConfig) -> bool:
    """Whether batches are computed in pieces of like length, one after the other; pairs always are."""
    data = method_of(config).data
    return config.batch_size > 1 and (data == "pairs" or (data == "examples" and config.batching == "bucket"))


def rows_each(config: TrainConfig, labelled: bool = False) -> int:
    """Rows that an example has in its batch."""
    return method_of(config).rows_each(config.group_size, labelled=labelled)


def item_bytes(inspection: Inspection) -> int:
    """Bytes of one activation: models compute in the type of their unpacked weights."""
    return ITEM_BYTES.get(inspection.dtype, 4)


def layer_terms(inspection: Inspection, config: TrainConfig, selection: Selection, step: StepSize) -> list[Terms]:
    """The terms of every layer that the gradient passes through: from the lowest trained one to the top."""
    bottom = lowest_layer(inspection, config, selection)
    adapted: dict[int, list[Module]] = {}
    for module in selection.modules:
        if module.layer is not None:
            adapted.setdefault(module.layer, []).append(module)
    inside: dict[int, list[Module]] = {}
    for module in inspection.modules:
        if module.layer is not None and module.layer >= bottom:
            inside.setdefault(module.layer, []).append(module)
    trained = {} if selection.kind == "full" else adapted
    return [
        _layer(inspection, config, step, inside.get(index, ()), trained.get(index, ()))
        for index in range(bottom, inspection.num_layers)
    ]


def lowest_layer(inspection: Inspection, config: TrainConfig, selection: Selection) -> int:
    """Where the gradient ends: below the lowest trained layer nothing is kept. An adapted embedding is at 0."""
    if selection.kind == "full":
        return inspection.num_layers - top_layers(inspection, config.num_layers)
    places = [_place(module, inspection.num_layers) for module in selection.modules]
    return min(places, default=inspection.num_layers)


def recomputed_layers(config: TrainConfig, passed: int) -> int:
    """How many of the layers that the gradient passes recompute what they computed: the lowest of them."""
    if not config.grad_checkpoint:
        return 0
    return min(config.checkpoint_layers or passed, passed)


def _place(module: Module, count: int) -> int:
    if module.layer is not None:
        return module.layer
    return count if module.group is Group.HEAD else 0


def _layer(
    inspection: Inspection, config: TrainConfig, step: StepSize, inside: Iterable[Module], adapted: Iterable[Module]
) -> Terms:
    item, positions = item_bytes(inspection), step.positions
    hidden = inspection.hidden_size
    matrices = [m for m in inside if len(m.shape) >= 2 and m.group is not Group.EMBEDDINGS]
    mixing = [m for m in matrices if m.group in _MIXERS]
    attending = [m for m in mixing if m.group is Group.ATTENTION and m.shape[-1] == hidden]
    mixer = sum(m.shape[-2] for m in mixing if len(m.shape) == 2)
    first = [m for m in matrices if m.group not in _MIXERS and m.shape[-1] == hidden]
    inner = sum(m.shape[-2] * _passes(inspection, m) for m in first)
    last = [m for m in matrices if m.group not in _MIXERS and m.shape[-2] == hidden and m.shape[-1] != hidden]
    has_gate = inner >= 2 * sum(m.shape[-1] * _passes(inspection, m) for m in last) or not last
    routed = max((_passes(inspection, m) for m in first if len(m.shape) == 3), default=0)
    is_normed = any(name.endswith("q_norm") for name in inspection.other_names)
    is_dora = config.fine_tune_type == "dora"
    low_rank = cast = weight = outs = 0.0
    for module in adapted:
        passes = _passes(inspection, module)
        low_rank += config.lora_parameters.rank * passes
        outs += module.shape[-2] * passes
        cast += module.shape[-1] * passes if item < 4 else 0
        weight += math.prod(module.shape) if is_dora else 0
    # Keys and values of what rows share are put before each row's own.
    copied = 0 if not step.shared else sum(m.shape[-2] for m in attending if m.path.endswith(_COPIED))
    scores = inspection.num_heads * step.attended * item if attending else 0.0
    largest = max((math.prod(m.shape) for m in matrices), default=0)
    return Terms(
        hidden=positions * hidden * item,
        norms=positions * hidden * item * _norms(inspection),
        mixer=(positions * mixer + step.rows * (step.width + step.shared) * copied) * item,
        fused=positions * attending[0].shape[-2] * item if len(attending) == 1 else 0.0,
        normed=positions * sum(m.shape[-2] for m in attending) * item if is_normed else 0.0,
        inner=positions * inner * item if has_gate else 0.0,
        plain=0.0 if has_gate else positions * inner * item,
        routed=positions * hidden * item * routed,
        scores=scores,
        masked=scores if config.batching == "pack" or _is_branched(inspection, config, step) else 0.0,
        wide_scores=scores if item < 4 else 0.0,
        low_rank=positions * low_rank * 4,
        outs=0.0 if is_dora else positions * outs * item,
        dora_outs=positions * outs * 4 if is_dora else 0.0,
        cast=positions * cast * 4,
        kept_cast=positions * cast * 4 if _keeps_casts(config) else 0.0,
        weight=weight * 4 if item == 4 else 0.0,
        wide_weight=weight * 4 if item < 4 else 0.0,
        own=largest * item if config.fine_tune_type == "full" else 0.0,
        packed=largest * item if any(m.bits for m in matrices) else 0.0,
    )


def _norms(inspection: Inspection) -> int:
    """Norms of a layer that stand on its states."""
    last = [name.rsplit(".", 1)[-1] for name in inspection.other_names if not name.startswith("model")]
    return sum("norm" in name or name.startswith("ln") for name in last if name not in ("q_norm", "k_norm"))


def answers_each(config: TrainConfig, step: StepSize) -> int:
    """How many of the answers that are sampled to a prompt stand in one row of a step."""
    return max(1, config.batch_size * config.group_size // step.rows) if method_of(config).is_sampled else 1


def grown(size: int) -> int:
    """The smallest size on the grid that is at least ``size``: multiples of 16, each some 1.19 × the one before."""
    found = LENGTH_STEP
    while found < size:
        found = max(found + LENGTH_STEP, LENGTH_STEP * math.ceil(found * GROWTH / LENGTH_STEP))
    return found


def cheapest_in_row(shared: int, own: int, groups: int, each: int, work: Callable[[int, int], float]) -> int:
    """How many of the ``each`` answers to a prompt go into one row, for the least ``work`` (of rows, width):
    more share what they begin with, ``shared`` tokens, but attend over a wider row. ``own`` are the longest's."""
    counts = (count for count in range(1, each + 1) if each % count == 0)
    return min(counts, key=lambda count: work(groups * each // count, grown(shared + count * own)))


def _is_branched(inspection: Inspection, config: TrainConfig, step: StepSize) -> bool:
    """Whether both answers of a pair, or several to a prompt, stand in one row, which takes a mask."""
    return inspection.branches and (method_of(config).data == "pairs" or answers_each(config, step) > 1)


def _keeps_casts(config: TrainConfig) -> bool:
    return config.fine_tune_type == "lora" and config.adapter_dtype == "float32"


def _passes(inspection: Inspection, module: Module) -> int:
    """How many of a module's matrices a token passes through."""
    if module.group is not Group.EXPERTS or len(module.shape) != 3:
        return 1
    return min(module.shape[0], inspection.experts_per_token or 1)


def logits_bytes(inspection: Inspection, step: StepSize) -> tuple[int, int]:
    """Bytes of all logits of a step in float32, and of those that the loss computes at a time."""
    vocabulary = max(inspection.vocab_size, 1)
    rows = max(ROW_STEP, PIECE_ELEMENTS // vocabulary // ROW_STEP * ROW_STEP)
    return 4 * vocabulary * step.targets, 4 * vocabulary * min(step.targets, rows)


def optimizer_items(config: TrainConfig, selection: Selection) -> int:
    """Numbers that the optimizer keeps: two for each parameter (Adam), one (Lion, Muon, SGD), or few."""
    count = selection.trainable_parameters
    if config.optimizer in ("adam", "adamw"):
        return 2 * count
    if config.optimizer in ("lion", "muon", "sgd"):  # mlx's SGD keeps a velocity even without momentum
        return count
    return _factored(config, selection)


def _factored(config: TrainConfig, selection: Selection) -> int:
    """Adafactor keeps a row and a column for each matrix instead of a number for each element."""
    rank = config.lora_parameters.rank
    total = 0
    for module in selection.modules:
        if selection.kind == "full":
            total += sum(module.shape[-2:]) * math.prod(module.shape[:-2])
        else:
            total += sum(module.shape) + 2 * rank
    return total
