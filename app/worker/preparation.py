"""Preparation: from a run's config to everything that the training loop needs, with every problem found on the way.

Cheap checks come first: targets and data are settled before the model's weights are read. When it is done, the
run's ``config.yaml`` says exactly what runs, in words that stock ``mlx_lm.lora -c`` understands as well.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import mlx.nn as nn
import mlx.optimizers as optim

from app.core import event, plan
from app.core.check import check_config
from app.core.config import TrainConfig
from app.core.config_file import load_config, save_config
from app.core.dataset.prepare import CancelledError, PreparedData, prepare_data
from app.core.model_folder import locate_model
from app.core.problem import Problem, Severity, UnusableError, errors
from app.core.run import RunDir
from app.core.target import Selection, resolve
from app.worker import pack
from app.worker.batch import BatchPlan, Examples, FileOrder, Plan
from app.worker.channel import Channel
from app.worker.control import Control, StoppedError
from app.worker.head import Head, NoHead, find_head
from app.worker.inspect import inspect_model
from app.worker.material import Material, Parts, Surroundings, load_material
from app.worker.model import describe, grad_checkpoint, load_model, make_trainable, parameter_counts
from app.worker.objective import Objective, supervised
from app.worker.optimizer import build_optimizer, concrete_arguments, concrete_schedule
from app.worker.shape import Costs
from app.worker.token_set import TokenSet
from app.worker.tokenize import load_tokenizer, tokenize_file
from app.worker.validation import Validation, ValidationSet

PROGRESS_EVERY_S = 0.1
YARDSTICK_BATCHES = 4
STOCK_SCHEDULES = frozenset({"constant", "linear", "cosine"})


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the loop runs on. ``fingerprint`` names the tokenized data, for a resume to recognize.

    ``yardstick`` are a few training batches that tell what the untrained model can do where there is no validation.
    ``resources`` are closed when the run ends.
    """

    config: TrainConfig
    model: nn.Module
    optimizer: optim.Optimizer
    objective: Objective
    batches: Plan
    valid: Validation | None
    selection: Selection
    fingerprint: str
    yardstick: Validation | None
    vocabulary: int
    resources: ExitStack = field(default_factory=ExitStack)


def prepare(channel: Channel, control: Control, run: RunDir, job: dict[str, Any]) -> Prepared:
    """Does all that comes before the first iteration. Raises `UnusableError`, or `StoppedError` when asked to stop.

    ``job`` may hold ``extend_to`` (a new number of iterations) and ``stock_padding`` (see `BatchPlan`).
    """
    config = load_config(run.config).config
    channel.emit(event.Progressed(phase="Reading the model"))
    model_path = locate_model(config.model)
    inspection = inspect_model(model_path)
    selection = resolve(inspection, config)
    found = [*selection.problems, *check_config(config, inspection, selection=selection)]
    if problems := errors(dict.fromkeys(found)):
        raise UnusableError(problems)
    config = config.with_values({"model": str(model_path)} | _targets(config, selection))
    _build_check(config)
    control.raise_if_stopped()

    channel.emit(event.Progressed(phase="Checking the data"))
    try:
        data = prepare_data(config, run.data, _progress(channel, "Checking the data"), control.is_stopping)
    except CancelledError as error:
        raise StoppedError from error
    for problem in (*selection.problems, *data.problems):
        if problem.severity is Severity.WARNING:
            channel.emit(event.Warned(message=problem.sentence()))
    channel.emit(event.Progressed(phase="Tokenizing"))
    around = Surroundings(
        channel, control, run.path, job,
        lambda phase: _progress(channel, phase, control.raise_if_stopped), load_tokenizer(str(model_path)),
    )  # fmt: skip
    make = _Supervised if config.train_mode == "sft" else load_material
    material: Material = make(around, config, data)
    control.raise_if_stopped()
    config = _concrete(channel, config, data, len(material), job)
    save_config(config, run.config)

    channel.emit(event.Progressed(phase="Loading the weights"))
    model, _ = load_model(model_path)
    control.raise_if_stopped()
    make_trainable(model, config)
    print(describe(config, inspection.num_layers, selection.matrices), file=sys.stderr, flush=True)
    head = find_head(model)
    said = f"apart: {head.description}" if isinstance(head, Head) else f"in one piece, because {head.reason}"
    print(f"The loss takes the model {said}.", file=sys.stderr, flush=True)
    if config.batching == "pack":
        _check_packing(model, head)
    if config.grad_checkpoint:
        grad_checkpoint(model)
    parts = material.parts(model, head, config, _costs(model, head))
    return Prepared(
        config=config,
        model=model,
        optimizer=build_optimizer(config),
        objective=parts.objective,
        batches=parts.batches,
        valid=parts.valid,
        selection=selection,
        fingerprint=material.fingerprint(),
        yardstick=parts.yardstick,
        vocabulary=head.vocabulary if config.train_mode == "sft" else 0,
        resources=parts.resources,
    )


def _targets(config: TrainConfig, selection: Selection) -> dict[str, Any]:
    """The selection as mlx-lm's own keys."""
    keys = tuple(selection.keys) if config.fine_tune_type != "full" else None
    return {"num_layers": selection.num_layers, "lora_parameters.keys": keys}


def _build_check(config: TrainConfig) -> None:
    """Raises for optimizer or schedule settings that cannot be built, before anything slow begins."""
    build_optimizer(config)


class _Supervised:
    """Examples, for supervised training."""

    def __init__(self, around: Surroundings, config: TrainConfig, data: PreparedData) -> None:
        self._around = around
        progress = around.progress("Tokenizing")
        self._train = tokenize_file(data.train, around.tokenizer, config, progress)
        self._valid = tokenize_file(data.valid, around.tokenizer, config, progress) if data.valid else None
        self._examples = _examples(around.channel, config, self._train)

    def __len__(self) -> int:
        return len(self._examples)

    def fingerprint(self) -> str:
        return _fingerprint(self._train, self._valid)

    def parts(self, _model: nn.Module, head: Head | NoHead, config: TrainConfig, costs: Costs) -> Parts:
        stock_padding = bool(self._around.job.get("stock_padding"))
        return Parts(
            objective=supervised(head),
            batches=_batches(config, self._examples, self._valid, costs, stock_padding=stock_padding),
            valid=_validation(self._around.channel, config, self._valid),
            yardstick=ValidationSet(self._examples, config.batch_size, YARDSTICK_BATCHES),
        )


def _progress(channel: Channel, phase: str, check: Callable[[], None] = lambda: None) -> Callable[[int, int], None]:
    """A callback (done, total) that tells the parent, though not more than ten times a second."""
    last = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal last
        check()
        now = time.perf_counter()
        if now - last >= PROGRESS_EVERY_S or done == total:
            last = now
            channel.emit(event.Progressed(phase=phase, done=done, total=total))

    return progress


def _examples(channel: Channel, config: TrainConfig, train: TokenSet) -> Examples:
    examples = Examples.of(train, config.max_seq_length)
    if not len(examples):
        said = "No example has a token to learn."
        hint = "Raise the maximum length, or do not mask the prompt." if examples.truncated else ""
        raise UnusableError([Problem("data", said, hint=hint or "Check that the answers are not empty.")])
    if examples.truncated:
        longest = f"{config.max_seq_length:,} tokens"
        said = f"{examples.truncated:,} of {len(train):,} examples are longer than {longest}"
        channel.emit(
            event.Warned(message=f"{said} and are cut.", hint="Raise the maximum length to keep them whole.")
        )
    if examples.skipped:
        said = f"{examples.skipped:,} of {len(train):,} examples have no token to learn and are left out."
        channel.emit(event.Warned(message=said))
    if len(examples) < config.batch_size:
        said = f"There are fewer examples ({len(examples)}) than a batch holds ({config.batch_size})"
        channel.emit(event.Warned(message=f"{said}: the batches hold {len(examples)}."))
    return examples


def _concrete(
    channel: Channel, config: TrainConfig, data: PreparedData, examples: int, job: dict[str, Any]
) -> TrainConfig:
    """The config with every value that was left to be worked out; `extend_to` changes the number of iterations."""
    size = min(config.batch_size, examples)
    config = config.with_values(
        {
            "data": str(data.folder),
            "valid_data": "",
            "test_data": "",
            # The folder is split already; a run of this config must not set aside a second time.
            "valid_fraction": 0.0,
            "test_fraction": 0.0,
            "batch_size": size,
            # Text has no prompt to mask, and stock mlx-lm refuses a config that asks for it.
            "mask_prompt": config.mask_prompt and data.format != "text",
        }
    )
    is_stock = config.batching == "file_order" and config.train_mode == "sft"
    per_epoch = examples // size if is_stock else plan.iterations_per_epoch(config, examples)
    if "extend_to" in job:
        config = config.with_values({"iters": int(job["extend_to"]), "epochs": None})
    config = config.with_value("iters", plan.iterations(config, examples, per_epoch))
    if config.iters < config.grad_accumulation_steps:
        said = f"The run is shorter ({config.iters}) than one gradient accumulation: it makes a single step."
        channel.emit(event.Warned(message=said, hint="Lower the gradient accumulation, or train for longer."))
    arguments = {config.optimizer: concrete_arguments(config)}
    values: dict[str, Any] = {"optimizer_config": dict(config.optimizer_config) | arguments}
    if config.schedule in STOCK_SCHEDULES:
        values["lr_schedule"] = concrete_schedule(config)
    return config.with_values(values)


def _check_packing(model: nn.Module, head: Any) -> None:
    def logits(inputs: Any, cache: Any) -> Any:
        return head.body(inputs, cache=cache) if isinstance(head, Head) else model(inputs, cache=cache)

    model.eval()
    refused = pack.refusal(model, logits)
    model.train()
    if refused:
        said = f"This model ({type(model).__module__.rsplit('.', 1)[-1]}) cannot be trained packed: {refused}."
        raise UnusableError([Problem("batching", said, hint="Choose batches by length.")])


def _batches(
    config: TrainConfig,
    examples: Examples,
    valid: TokenSet | None,
    costs: Costs,
    *,
    stock_padding: bool,
) -> BatchPlan:
    measured = len(valid) if valid is not None else 0
    order = FileOrder(
        len(examples), config.batch_size, config.seed, measured // config.batch_size, config.steps_per_eval
    )
    return BatchPlan(
        examples,
        config.batch_size,
        config.batching,
        config.seed,
        costs=costs,
        file_order=order,
        stock_padding=stock_padding,
    )


def _costs(model: nn.Module, head: Any) -> Costs:
    """Estimates from sizes alone: multiplications a position, of a transformer of the usual proportions."""
    _, total = parameter_counts(model)
    if not isinstance(head, Head):
        return Costs()
    body_and_head = max(total, 2)
    in_head = min(head.vocabulary * head.hidden_size, body_and_head - 1)
    in_layers = max(body_and_head - in_head, 1)
    # Scores and mixing take 4 · width · hidden size a layer and position, the matrices 2 · their parameters.
    span = in_layers / (2 * head.hidden_size * max(len(model.layers), 1))
    return Costs(head=in_head / in_layers, attention_span=max(span, 1.0))


def _validation(channel: Channel, config: TrainConfig, valid: TokenSet | None) -> ValidationSet | None:
    if valid is None or not len(valid) or config.val_batches == 0:
        channel.emit(event.Warned(message="There is no validation data: no best adapter, no early stopping."))
        return None
    examples = Examples.of(valid, config.max_seq_length)
    if not len(examples):
        channel.emit(event.Warned(message="No validation example has a token to measure: there is no validation."))
        return None
    return ValidationSet(examples, config.batch_size, config.val_batches)


def _fingerprint(train: TokenSet, valid: TokenSet | None) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in (train, valid):
        if part is not None:
            for array in (part.tokens, part.trained, part.starts):
                digest.update(array.tobytes())
    return digest.hexdigest()
