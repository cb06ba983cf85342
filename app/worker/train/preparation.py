"""Preparation: from a run's config to everything that the training loop needs, with every problem found on the way.

Cheap checks come first: targets and data are settled before the model's weights are read. When it is done, the
run's ``config.yaml`` says exactly what runs, in words that stock ``mlx_lm.lora -c`` understands as well.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import mlx.nn as nn
import mlx.optimizers as optim

from app.core.config.train_config import SAMPLING_MODES, TrainConfig
from app.core.data.prepare import CancelledError, PreparedData, prepare_data
from app.core.model.folder import locate_model
from app.core.problem import Problem, Severity, UnusableError, errors
from app.core.protocol import event
from app.core.run.folder import RunDir
from app.core.setup import plan
from app.core.setup.check import check_config
from app.core.setup.config_file import load_config, save_config
from app.core.target.selection import Selection, resolve
from app.worker.batch import pack
from app.worker.batch.batch import Plan
from app.worker.batch.shape import Costs
from app.worker.model.head import Head, find_head
from app.worker.model.inspect import inspect_model
from app.worker.model.loading import describe, grad_checkpoint, load_model, make_trainable, parameter_counts
from app.worker.objective.objective import Objective
from app.worker.objective.validation import Validation
from app.worker.process.channel import Channel
from app.worker.process.control import Control, StoppedError
from app.worker.process.progress import _progress
from app.worker.token.tokenize import load_tokenizer
from app.worker.train.material import Material, Surroundings
from app.worker.train.optimizer import build_optimizer, concrete_arguments, concrete_schedule
from app.worker.train.preferred import _Preferred
from app.worker.train.rewarded import _Rewarded
from app.worker.train.supervised import _Supervised

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


def load_material(around: Surroundings, config: TrainConfig, data: PreparedData) -> Material:
    """The material of a config whose method is not the supervised one. Raises `UnusableError`."""
    kind = _Rewarded if config.train_mode in SAMPLING_MODES else _Preferred
    return kind(around, config, data)
