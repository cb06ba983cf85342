"""Preparation: from a run's config to everything that the training loop needs, with every problem found on the way.

Cheap checks come first: targets and data are settled before the model's weights are read. When it is done, the
run's ``config.yaml`` says exactly what runs, in words that stock ``mlx_lm.lora -c`` understands as well.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.nn as nn
import mlx.optimizers as optim

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import CancelledError, PreparedData, prepare_data
from app.core.language import joined, tr
from app.core.method.method import DataNeed
from app.core.model.folder import locate_model
from app.core.model.inspection import Inspection
from app.core.problem import Problem, Severity, UnusableError, errors
from app.core.protocol import event
from app.core.protocol.job import TrainJob
from app.core.protocol.program import compiles_kernels
from app.core.replica.hostfile import RUN_HOSTS, Hostfile, read_hostfile
from app.core.replica.problem import replica_problems
from app.core.run.folder import RunDir
from app.core.setup.check import check_config
from app.core.setup.chosen_method import method_of
from app.core.setup.config_file import load_config, save_config
from app.core.setup.duration import Extent, duration, extent_of, measured_work, work_costs
from app.core.setup.memory import estimate
from app.core.setup.memory_term import rows_each
from app.core.setup.speed import kept_pace, speed_key
from app.core.setup.step_plan import StepPlan
from app.core.target.selection import Selection, resolve
from app.worker.batch import pack
from app.worker.batch.shape import Costs
from app.worker.batch.step_count import planned_costs
from app.worker.exchange.team import Team
from app.worker.model.head import Head, NoHead, find_head
from app.worker.model.inspect import inspect_model
from app.worker.model.loading import describe, grad_checkpoint, load_model, make_trainable, parameter_counts
from app.worker.model.rotation import is_plainly_causal
from app.worker.process.channel import Channel
from app.worker.process.control import Control, StoppedError
from app.worker.process.gauge import memory_sizes
from app.worker.process.progress import reported_progress
from app.worker.token.tokenizer import held_day, load_tokenizer
from app.worker.train.concrete_config import as_concrete, with_targets
from app.worker.train.optimizer import build_optimizer
from app.worker.train.pace_meter import PaceMeter
from app.worker.train.preferred import PreferredData
from app.worker.train.rewarded import RewardedData
from app.worker.train.supervised import SupervisedData
from app.worker.train.training_data import LoopParts, Surroundings, TrainingData

# What trains on each kind of data that methods need.
TRAINING_DATA: dict[DataNeed, Callable[[Surroundings, TrainConfig, PreparedData], TrainingData]] = {
    "examples": SupervisedData,
    "pairs": PreferredData,
    "prompts": RewardedData,
}

# What the process did before the preparation began is its imports; a process that did other things does not count.
IMPORTS_AT_MOST_S = 5.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the loop runs on. ``fingerprint`` names the tokenized data, for a resume to recognize; ``steps`` and
    ``extent`` are what the run does, of a model that is an ``inspection``; ``team`` are the replicas of a run that
    several train."""

    config: TrainConfig
    model: nn.Module
    head: Head | NoHead
    tokenizer: Any
    optimizer: optim.Optimizer
    selection: Selection
    fingerprint: str
    parts: LoopParts
    inspection: Inspection
    steps: StepPlan
    extent: Extent
    prepared_s: float
    team: Team | None = None

    def meter(self) -> PaceMeter:
        """Measures the run's pace, beginning with what the preparation took."""
        costs, read = work_costs(self.inspection), self.parts.reference_s
        work = measured_work(costs, self.steps.sizes(self.config))
        each = rows_each(self.config, self.steps.labelled)
        return PaceMeter(
            costs, work / max(self.config.batch_size, 1), self.extent.measured,
            max(self.prepared_s - read * each * (self.extent.train + self.extent.valid), 0.0), read,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PreparedRows:
    """Everything of a run that is settled before its model's weights are read; ``config`` is concrete. The
    ``hostfile`` is there where several replicas train."""

    config: TrainConfig
    inspection: Inspection
    selection: Selection
    rows: TrainingData
    tokenizer: Any
    hostfile: Hostfile | None = None


def prepare_rows(channel: Channel, control: Control, run: RunDir, job: TrainJob) -> PreparedRows:
    """Targets, data and tokens, and the run's ``config.yaml`` in words that say exactly what runs.

    Raises `UnusableError`, or `StoppedError` when asked to stop.
    """
    config = load_config(run.config).config
    hostfile = read_hostfile(run.path / RUN_HOSTS) if (run.path / RUN_HOSTS).exists() else None
    replicas = len(hostfile) if hostfile is not None else 1
    if found := _replica_refusals(config, job, replicas):
        raise UnusableError(found)
    channel.emit(event.Progressed(phase=tr("Reading the model")))
    model_path = locate_model(config.model)
    inspection = inspect_model(model_path)
    selection = _checked_selection(config, inspection)
    asked = config
    config = with_targets(config, selection).with_value("model", str(model_path))
    build_optimizer(config)  # raises for what cannot be built, before anything slow begins
    control.raise_if_stopped()

    data = _checked_data(channel, control, run, config)
    found = check_config(asked, inspection, data.report, selection)
    _warn(channel, [*found, *selection.problems, *data.problems])
    channel.emit(event.Progressed(phase=tr("Tokenizing")))
    tokenizer = load_tokenizer(str(model_path), config.template_date)
    config = config.with_value("template_date", held_day(tokenizer))
    around = Surroundings(
        channel, control, run.path, job,
        lambda phase: reported_progress(channel, phase, control.raise_if_stopped), tokenizer, replicas,
    )  # fmt: skip
    rows = TRAINING_DATA[method_of(config).data](around, config, data)
    control.raise_if_stopped()
    config = as_concrete(config, data, rows, job.extend_to)
    if config.iters < config.grad_accumulation_steps:
        said = tr(
            "The run is shorter ({iters:,}) than one gradient accumulation: it makes a single step.",
            iters=config.iters,
        )
        around.warn(said, tr("Lower the gradient accumulation, or train for longer."))
    save_config(config, run.config)
    return PreparedRows(config, inspection, selection, rows, tokenizer, hostfile)


def _replica_refusals(config: TrainConfig, job: TrainJob, replicas: int) -> list[Problem]:
    """What they cannot train; mlx-lm's padding depends on which rows stand together."""
    found = replica_problems(config, replicas)
    if replicas > 1 and job.stock_padding:
        found.append(Problem("", tr("mlx-lm's own padding is for one process.")))
    return found


def prepare(channel: Channel, control: Control, run: RunDir, job: TrainJob) -> Prepared:
    """Does all that comes before the first iteration.

    Raises `UnusableError`, or `StoppedError` when asked to stop.
    """
    began = time.perf_counter() - min(time.process_time(), IMPORTS_AT_MOST_S)
    found = prepare_rows(channel, control, run, job)
    config, inspection, selection, rows = found.config, found.inspection, found.selection, found.rows
    steps = _planned_steps(rows, config, inspection)
    extent = extent_of(config, config.iters, len(rows), rows.valid_examples())
    said = _estimated(inspection, config, selection, steps, extent)
    if found.hostfile is not None:  # what is known of this kind of run is one machine's pace
        said = said.model_copy(update={"seconds": None, "time_parts": {}, "is_most": False})
    channel.emit(said)
    team = Team(channel, found.hostfile, Path(config.model), config) if found.hostfile is not None else None
    try:
        return _loaded(channel, control, found, steps, extent, team, began)
    except BaseException:
        if team is not None:
            team.close()
        raise


def _loaded(
    channel: Channel, control: Control, found: PreparedRows, steps: StepPlan, extent: Extent, team: Team | None,
    began: float,
) -> Prepared:  # fmt: skip
    """The rest of it, with the weights."""
    config, inspection, selection, rows = found.config, found.inspection, found.selection, found.rows
    channel.emit(event.Progressed(phase=tr("Loading the weights")))
    model, _ = load_model(Path(config.model))
    control.raise_if_stopped()
    make_trainable(model, config)
    print(describe(config, inspection.num_layers, selection.matrices), file=sys.stderr, flush=True)
    if config.fine_tune_type != "full":
        print(selection.names_line, file=sys.stderr, flush=True)
    head = training_head(model, config)
    parts = rows.parts(model, head, config, _costs(model, head))
    optimizer = build_optimizer(config)
    if team is not None:
        parts.resources.callback(team.close)
    return Prepared(
        config, model, head, found.tokenizer, optimizer, selection, rows.fingerprint(), parts, inspection, steps,
        extent, time.perf_counter() - began, team,
    )  # fmt: skip


def _planned_steps(rows: TrainingData, config: TrainConfig, inspection: Inspection) -> StepPlan:
    counted = rows.steps(config, planned_costs(inspection))
    return StepPlan.counted(config, counted.rows, counted.batches, labelled=rows.is_labelled)


def _estimated(
    inspection: Inspection, config: TrainConfig, selection: Selection, steps: StepPlan, extent: Extent
) -> event.Estimated:
    memory, working_set = memory_sizes()
    compiled = compiles_kernels()
    found = estimate(
        inspection, config, selection, machine_memory_gb=memory / 1e9, working_set_gb=working_set / 1e9,
        steps=steps, compiled=compiled, with_remedies=False,
    )  # fmt: skip
    said = event.Estimated(
        memory_bytes=found.total, limit_bytes=found.limit, memory_parts={k: v for k, v in found.parts.items() if v}
    )
    pace = kept_pace(speed_key(inspection, config, compiled=compiled))
    if pace is None:
        return said
    long = duration(config, pace, work_costs(inspection), steps, extent)
    return said.model_copy(
        update={"seconds": long.total, "time_parts": {k: v for k, v in long.parts.items() if v},
                "is_most": long.is_most}
    )  # fmt: skip


def _checked_selection(config: TrainConfig, inspection: Inspection) -> Selection:
    selection = resolve(inspection, config)
    found = [*selection.problems, *check_config(config, inspection, selection=selection)]
    if problems := errors(dict.fromkeys(found)):
        raise UnusableError(problems)
    return selection


def _checked_data(channel: Channel, control: Control, run: RunDir, config: TrainConfig) -> PreparedData:
    """The prepared files; raises for what keeps them from being used."""
    channel.emit(event.Progressed(phase=tr("Checking the data")))
    try:
        return prepare_data(
            config, run.data, reported_progress(channel, tr("Checking the data")), control.is_stopping
        )
    except CancelledError as error:
        raise StoppedError from error


def _warn(channel: Channel, problems: Iterable[Problem]) -> None:
    """Tells each warning once: the same that the window shows before Start."""
    told = ((joined((one.file and one.where, one.message), ": "), one.hint) for one in problems if _is_warning(one))
    for message, hint in dict.fromkeys(told):
        channel.emit(event.Warned(message=message, hint=hint))


def _is_warning(problem: Problem) -> bool:
    return problem.severity is Severity.WARNING


def training_head(model: nn.Module, config: TrainConfig) -> Head | NoHead:
    """How the loss takes the model, which computes as the config wants from here on."""
    head = find_head(model)
    said = (
        tr("The loss is computed apart from the model, in pieces ({what}).", what=head.description)
        if isinstance(head, Head)
        else tr("The loss is computed with the model as a whole, because {reason}.", reason=head.reason)
    )
    print(said, file=sys.stderr, flush=True)
    if config.batching == "pack":
        _check_packing(model, head)
    if config.grad_checkpoint:
        grad_checkpoint(model, config.checkpoint_layers)
    return head


def _check_packing(model: nn.Module, head: Head | NoHead) -> None:
    def logits(inputs: Any, cache: Any) -> Any:
        return head.body(inputs, cache=cache) if isinstance(head, Head) else model(inputs, cache=cache)

    model.eval()
    refused = pack.packing_refusal(model, logits)
    model.train()
    if refused:
        said = tr(
            "This model ({rsplit}) cannot be trained packed: {refused}.",
            rsplit=type(model).__module__.rsplit(".", 1)[-1],
            refused=refused,
        )
        raise UnusableError([Problem("batching", said, hint=tr("Choose batches by length."))])


def _costs(model: nn.Module, head: Head | NoHead) -> Costs:
    """Estimates from sizes alone: multiplications a position, of a transformer of the usual proportions."""
    _, total = parameter_counts(model)
    if not isinstance(head, Head):
        return Costs(branches=is_plainly_causal(model))
    body_and_head = max(total, 2)
    in_head = min(head.vocabulary * head.hidden_size, body_and_head - 1)
    in_layers = max(body_and_head - in_head, 1)
    # Scores and mixing take 4 · width · hidden size a layer and position, the matrices 2 · their parameters.
    span = in_layers / (2 * head.hidden_size * max(len(model.layers), 1))
    return Costs(in_head / in_layers, max(span, 1.0), is_plainly_causal(model))
