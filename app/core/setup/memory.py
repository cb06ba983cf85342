"""The memory estimate: what a training run will take at its peak, term by term, before anything is loaded.

Weights, adapter and optimizer follow exactly from shapes and types. Of the arrays that a step computes the sizes
follow exactly as well (`app.core.setup.memory_term`), for the very steps that the data make
(`app.core.setup.step_plan`); how many of each kind MLX holds at once was measured (`app.core.setup.memory_weight`).
A probe of the real run replaces that part by what it measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import reduce
from operator import add
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.model.inspection import Inspection
from app.core.setup.chosen_method import method_of
from app.core.setup.duration import work_costs
from app.core.setup.memory_method import (
    NEUTRAL_WIDTH,
    answering,
    kept_log_probabilities,
    neutral_answers,
    sampling,
    second_models,
)
from app.core.setup.memory_term import (
    ITEM_BYTES,
    StepSize,
    Terms,
    cheapest_in_row,
    grown,
    is_cut,
    item_bytes,
    layer_terms,
    logits_bytes,
    optimizer_items,
    recomputed_layers,
)
from app.core.setup.memory_weight import PEAK_WEIGHTS, PeakWeights
from app.core.setup.step_plan import StepPlan
from app.core.target.key import top_layers
from app.core.target.selection import Selection, resolve

# Beyond this share of the limit a run fits, but other programs may push it into swap.
COMFORTABLE_SHARE = 0.85
# Of the cache of answers: it is copied where it grows (measured).
GROWING_CACHE = 2.0
RECOMPUTING = 0.6  # of a step's time, where all layers compute anew
MOST_ACCUMULATED = 1024  # that `grad_accumulation_steps` may be


class MemoryFit(StrEnum):
    """How the estimate compares with the machine; unknown where its memory is."""

    FITS = "fits"
    TIGHT = "tight"
    WONT_FIT = "wont_fit"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Remedy:
    """Config values with which the run would fit: what the button says, what it sets, and the peak it leads to."""

    text: str
    values: dict[str, Any]
    total_bytes: int


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """The peak of a run in bytes; the parts add up to ``total``.

    ``activations`` are what forward and backward pass hold at the peak, ``logits`` the vocabulary's share of it:
    0 where the peak comes after the loss, in a layer's gradient. When the optimizer's update is the peak (large
    trained parts, short examples) both are 0 and ``gradients`` has what the update holds. Where answers are
    sampled, and that is the peak, ``cache`` and ``sampling`` have it and those are 0; where it is not, ``apart``
    says what it takes while nothing is trained. ``judge`` and ``reference`` are the weights of other models.
    ``limit`` is what MLX should stay within, 0 if unknown; ``calibrated`` if a probe counts.
    """

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    judge: int = 0
    reference: int = 0
    log_probabilities: int = 0
    cache: int = 0
    sampling: int = 0
    apart: int = 0
    limit: int = 0
    verdict: MemoryFit = MemoryFit.UNKNOWN
    remedies: tuple[Remedy, ...] = ()
    calibrated: bool = False

    @property
    def is_too_large(self) -> bool:
        """True where the run will not fit."""
        return self.verdict is MemoryFit.WONT_FIT

    @property
    def total(self) -> int:
        """The peak in bytes."""
        return self.fixed + self.dynamic

    @property
    def fixed(self) -> int:
        """What is there all the time: the weights of all models, adapter and optimizer."""
        return self.weights + self.judge + self.reference + self.adapter + self.optimizer

    @property
    def parts(self) -> dict[str, int]:
        """Bytes by name."""
        names = (
            "weights", "judge", "reference", "adapter", "optimizer", "gradients", "activations", "logits",
            "log_probabilities", "cache", "sampling",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}

    @property
    def dynamic(self) -> int:
        """What a step adds at its peak."""
        return self.gradients + self.activations + self.logits + self.log_probabilities + self.cache + self.sampling


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a probe taught of one config: ``factor`` is measured over estimated bytes of what a step adds, by the
    steps of ``plan``."""

    factor: float
    plan: StepPlan


def calibrate(
    inspection: Inspection,
    config: TrainConfig,
    selection: Selection,
    peak_bytes: int,
    steps: StepPlan,
    *,
    probed: StepSize | None = None,
    compiled: bool = True,
) -> Calibration:
    """The calibration from MLX's peak over the heaviest of the ``steps`` of this config.

    ``probed`` is the step that was measured. Where answers are sampled it counts: theirs may have ended before they
    were as long as they may become.
    """
    was_shorter = probed is not None and method_of(config).is_sampled
    tried = StepPlan(config, ((probed, 1),), 1, labelled=steps.labelled) if probed and was_shorter else steps
    estimated = _peak(inspection, config, selection, tried, 1.0, compiled)
    measured = max(peak_bytes - estimated.fixed, 0)
    return Calibration(measured / estimated.dynamic if estimated.dynamic else 1.0, steps)


def estimate(
    inspection: Inspection,
    config: TrainConfig,
    selection: Selection,
    *,
    machine_memory_gb: float = 0.0,
    working_set_gb: float = 0.0,
    steps: StepPlan | None = None,
    calibration: Calibration | None = None,
    compiled: bool = True,
    with_remedies: bool = True,
) -> MemoryEstimate:
    """The peak memory of training, with the cheapest changes that would make it fit if it does not.

    Those take some 20 estimates; a caller that must answer at once leaves them out with ``with_remedies``.

    ``steps`` are those that the data make (rows at the maximum length where they are not known), ``compiled`` false
    where MLX compiles no kernels. The limit is MLX's recommended working set, or 90 % of the machine's memory if
    only that is known.
    """
    limit = round(1e9 * (working_set_gb or machine_memory_gb * 0.9))

    known = steps or (calibration.plan if calibration is not None else StepPlan(config))
    factor = calibration.factor if calibration is not None else 1.0

    def peak(edited: TrainConfig, chosen: Selection) -> MemoryEstimate:
        return _peak(inspection, edited, chosen, known, factor, compiled)

    found = peak(config, selection)
    verdict = _verdict(found.total, limit)
    remedies: tuple[Remedy, ...] = ()
    if with_remedies and verdict is MemoryFit.WONT_FIT:
        remedies = _remedies(inspection, config, limit, lambda edited: peak(edited, resolve(inspection, edited)))
    return replace(found, limit=limit, verdict=verdict, remedies=remedies, calibrated=calibration is not None)


def _peak(
    inspection: Inspection,
    config: TrainConfig,
    selection: Selection,
    steps: StepPlan,
    factor: float,
    compiled: bool,
) -> MemoryEstimate:
    """That of the greediest step."""
    sizes = steps.largest(config)
    if not steps.steps and method_of(config).is_sampled and inspection.branches:
        sizes = tuple(_shared(inspection, config, size) for size in sizes)
    found = [_estimate(inspection, config, selection, size, factor, compiled) for size in sizes]
    return max(found, key=lambda one: one.total)


def _shared(inspection: Inspection, config: TrainConfig, step: StepSize) -> StepSize:
    """A step whose answers are in rows of their own, as it is computed where they share their prompt's."""
    costs, own = work_costs(inspection), config.max_completion_length
    prompt = max(step.width - own, 1)
    count = cheapest_in_row(
        prompt, own, config.batch_size, config.group_size, lambda rows, width: costs.of(StepSize(rows, width, 0))
    )
    return StepSize(step.rows // count, grown(prompt + count * (own - 1)), step.targets)


def _estimate(
    inspection: Inspection,
    config: TrainConfig,
    selection: Selection,
    step: StepSize,
    factor: float,
    compiled: bool,
) -> MemoryEstimate:
    item = item_bytes(inspection) if selection.kind == "full" else ITEM_BYTES["float32"]
    trained = selection.trainable_parameters * item
    weights = PEAK_WEIGHTS[compiled]
    layers = layer_terms(inspection, config, selection, step)
    again = recomputed_layers(config, len(layers))
    saved_again = weights.kept * sum(layer.hidden for layer in layers[:again])
    saved = saved_again + reduce(add, layers[again:], Terms()).weighed(weights.layer)
    # Layers that recompute are the lowest: when it is their turn, those above have given back what they kept.
    beside = max((layer.weighed(weights.top) for layer in layers[again:]), default=0.0)
    beside_again = max((layer.weighed(weights.again) for layer in layers[:again]), default=0.0)
    in_layer = max(saved + beside if again < len(layers) else 0.0, saved_again + beside_again if again else 0.0)
    # The trainer holds on to an earlier state of an adapter, and to the gradients of an accumulation or of pieces.
    adds_up = config.grad_accumulation_steps > 1 or is_cut(config)
    update = (weights.summed_update if adds_up else weights.update)[config.optimizer]
    states = step.positions * inspection.hidden_size * item_bytes(inspection)
    of_all, of_piece = logits_bytes(inspection, step)
    is_half = item_bytes(inspection) < ITEM_BYTES["float32"]
    if method_of(config).data == "examples":
        logits = min(weights.logits[is_half] * of_all, weights.pieces * of_piece)
    else:
        logits = min(weights.rated_logits[is_half] * of_all, weights.rated_pieces * of_piece)
    # The peak is where the loss is, in the layer that takes most, in the update, which needs no activations, or
    # where examples are measured.
    phases = (
        (saved + weights.state * states, logits, 0.0),
        (in_layer, 0.0, weights.gradient * trained),
        (0.0, 0.0, update * trained),
        (*_measuring(inspection, config, selection, step, weights), 0.0),
        (*_neutral(inspection, config, selection, step, weights), 0.0),
    )
    activations, logits, gradients = max(phases, key=sum)
    kept = trained * ((selection.kind != "full") + adds_up * (1 + weights.sums))
    others = second_models(config, step, inspection.path)
    answers = sampling(inspection, config, step)
    apart = round(weights.sampled * max(answers.total, others.judging))
    cache = computed = 0
    if apart > gradients + activations + logits:
        gradients = activations = logits = 0.0
        cache = min(answers.cache, apart) if answers.total >= others.judging else 0
        computed, apart = apart - cache, 0
    return MemoryEstimate(
        weights=inspection.weight_bytes,
        adapter=0 if selection.kind == "full" else trained,
        gradients=round((gradients + kept) * factor),
        optimizer=optimizer_items(config, selection) * item,
        activations=round(activations * factor),
        logits=round(logits * factor),
        judge=others.judge,
        reference=others.reference,
        log_probabilities=kept_log_probabilities(config, step),
        cache=round(cache * factor),
        sampling=round(computed * factor),
        apart=apart,
    )


def _measuring(
    inspection: Inspection, config: TrainConfig, selection: Selection, step: StepSize, weights: PeakWeights
) -> tuple[float, float]:
    """Activations and logits where held-out examples are measured, a whole batch at a time, without a gradient.

    Only a batch that is cut or packed can be smaller in training than it is there; pairs are cut there too."""
    if method_of(config).data != "examples":
        return 0.0, 0.0
    step = step.whole
    width = step.width if config.batching != "pack" else min(step.width, max(config.max_seq_length - 1, 1))
    rows = config.batch_size
    targets = max(1, round(step.targets / step.positions * rows * width))
    return _reading(inspection, config, selection, StepSize(rows, width, targets), weights)


def _neutral(
    inspection: Inspection, config: TrainConfig, selection: Selection, step: StepSize, weights: PeakWeights
) -> tuple[float, float]:
    """Activations and logits where the neutral set is sampled, and read without a gradient."""
    if not config.neutral_tokens:
        return 0.0, 0.0
    rows = max(step.positions // NEUTRAL_WIDTH, 1)
    read = _reading(
        inspection, config, selection, StepSize(rows, NEUTRAL_WIDTH, rows * NEUTRAL_WIDTH // 2), weights
    )
    cache, logits = answering(inspection, neutral_answers(step.positions), NEUTRAL_WIDTH)
    return max(read, (GROWING_CACHE * cache, logits), key=sum)


def _reading(
    inspection: Inspection, config: TrainConfig, selection: Selection, step: StepSize, weights: PeakWeights
) -> tuple[float, float]:
    layers = layer_terms(inspection, config.with_value("batching", "bucket"), selection, step)
    of_all, of_piece = logits_bytes(inspection, step)
    held = max((layer.weighed(weights.read) for layer in layers), default=0.0)
    return held, min(weights.read_logits * of_all, weights.read_pieces * of_piece)


def _verdict(total: int, limit: int) -> MemoryFit:
    if not limit:
        return MemoryFit.UNKNOWN
    if total <= COMFORTABLE_SHARE * limit:
        return MemoryFit.FITS
    return MemoryFit.TIGHT if total <= limit else MemoryFit.WONT_FIT


def _remedies(
    inspection: Inspection, config: TrainConfig, limit: int, peak: Callable[[TrainConfig], MemoryEstimate]
) -> tuple[Remedy, ...]:
    """Single changes that suffice, cheapest first; if none does, as many of the strongest as are needed."""
    steps = list(_changes(inspection, config))
    alone = []
    for text, values in steps:
        total = peak(config.with_values(values)).total
        if total <= limit:
            alone.append(Remedy(text, values, total))
    if alone:
        return tuple(_cheapest_of_each_kind(alone))
    last: dict[str, tuple[str, dict[str, Any]]] = {}
    for text, values in steps:  # later steps of one kind go further than earlier ones
        last[next(iter(values))] = (text, values)

    def total_of(changes: list[tuple[str, dict[str, Any]]]) -> int:
        return peak(config.with_values(_joined(changes))).total

    together: list[tuple[str, dict[str, Any]]] = []
    for change in last.values():
        together.append(change)
        if total_of(together) <= limit:
            break
    else:
        return ()
    for change in together[:-1]:  # where batches are cut into pieces, a smaller one need not help
        if total_of(fewer := [other for other in together if other is not change]) <= limit:
            together = fewer
    return (Remedy("; ".join(text for text, _ in together), _joined(together), total_of(together)),)


def _checkpointing(inspection: Inspection, config: TrainConfig) -> Iterator[tuple[str, dict[str, Any]]]:
    """Recomputing a quarter of the layers, a half, three quarters, all."""
    depth = top_layers(inspection, config.num_layers)
    now = recomputed_layers(config, depth)
    for count in dict.fromkeys(depth * quarters // 4 for quarters in (1, 2, 3)):
        if now < count < depth:
            text = tr(
                "Gradient checkpointing of {count} of {depth} layers ({factor} × the time)",
                count=count, depth=depth, factor=f"{1 + RECOMPUTING * count / depth:.2g}",
            )  # fmt: skip
            yield text, {"grad_checkpoint": True, "checkpoint_layers": count}
    if now < depth:
        values = {"grad_checkpoint": True} | ({"checkpoint_layers": 0} if config.checkpoint_layers else {})
        yield tr("Gradient checkpointing (1.6 × the time)"), values


def _joined(changes: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    return {path: value for _, values in changes for path, value in values.items()}


def _cheapest_of_each_kind(remedies: list[Remedy]) -> Iterator[Remedy]:
    seen = set()
    for remedy in remedies:
        kind = next(iter(remedy.values))
        if kind not in seen:
            seen.add(kind)
            yield remedy


def _changes(inspection: Inspection, config: TrainConfig) -> Iterator[tuple[str, dict[str, Any]]]:
    """Changes from the one that costs least (time) to those that cost quality; within a kind the smallest first."""
    if config.fine_tune_type == "full":
        yield tr("Train an adapter (LoRA) instead"), {"fine_tune_type": "lora", "learning_rate": 1e-4}
    if method_of(config).is_sampled and config.group_size > 2:
        yield tr("Groups of 2 answers"), {"group_size": 2}
    if config.adapter_dtype == "float32" and config.fine_tune_type == "lora" and item_bytes(inspection) < 4:
        yield tr("Compute the adapter in the model's precision"), {"adapter_dtype": "base"}
    size, steps = config.batch_size, config.grad_accumulation_steps
    for smaller in range(size // 2, 0, -1):
        accumulated = size * steps // smaller
        if size % smaller or accumulated > MOST_ACCUMULATED:
            continue  # only what keeps the product has the same effect
        text = tr(
            "Batch of {smaller} with {accumulated} accumulated (the same effect, slower)",
            smaller=smaller,
            accumulated=accumulated,
        )
        yield text, {"batch_size": smaller, "grad_accumulation_steps": accumulated}
    yield from _checkpointing(inspection, config)
    length = config.max_seq_length
    while length > 256:
        length //= 2
        yield tr("Cut examples at {length:,} tokens", length=length), {"max_seq_length": length}
    depth = top_layers(inspection, config.num_layers)
    for layers in (24, 16, 8, 4):
        if layers < depth:
            yield tr("Train the top {layers} layers only", layers=layers), {"num_layers": layers}
    if config.targets in ("full", "linear", "mlp") and config.fine_tune_type != "full":
        yield tr("Adapt attention only"), {"targets": "attention"}
        yield tr("Adapt query and value only"), {"targets": "minimal"}
    if config.lora_parameters.rank > 8:
        yield tr("Rank 8"), {"lora_parameters.rank": 8}
