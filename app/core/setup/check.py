"""The checks before Start: everything about a config, its model and its data that a person should know, at once.

The window shows the result beside the fields, the command line and the worker print it: one function, one truth.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from app.core.config.train_config import TrainConfig
from app.core.data.label import imbalance
from app.core.data.report import DataReport
from app.core.language import joined, tr
from app.core.method.reward import reward_doubts
from app.core.model.inspection import Inspection
from app.core.problem import Problem, Severity
from app.core.quantity import plural
from app.core.setup import plan
from app.core.setup.chosen_method import method_of
from app.core.setup.method_check import check_method
from app.core.setup.recommendation import check_scale, starts_too_hot
from app.core.setup.target_check import check_targets
from app.core.source.finding import KINDS
from app.core.target.selection import Selection
from app.core.tracker.tracker import tracker_problems
from app.core.typed_path import typed_path

_W, _N = Severity.WARNING, Severity.NOTE
# What is rendered by the template; prompts and answers of supervised rows become turns as well.
TEMPLATED = ("chat", "preference", "labelled", "prompt")
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


def check_config(
    config: TrainConfig,
    inspection: Inspection | None = None,
    data: DataReport | None = None,
    selection: Selection | None = None,
) -> list[Problem]:
    """Every problem, errors first; what is not known yet (no inspection, no report) is not judged.

    ``selection`` is the config resolved on the inspection, for callers that have it already.
    """
    found = [*_inputs(config), *_data(config, data), *_run(config, data), *_optimizer(config), *_files(config)]
    found += [*_balance(config), *_answers(config), *tracker_problems(config)]
    found += check_method(config)
    found += _recomputed(config, inspection)
    if inspection is not None:
        found += [*_model(inspection, data), *check_targets(inspection, config, selection)]
    else:
        found += check_scale(config)
    return sorted(dict.fromkeys(found), key=lambda p: _ORDER[p.severity])


def _inputs(config: TrainConfig) -> Iterator[Problem]:
    if not config.model.strip():
        yield Problem(
            "model", tr("No model is chosen."), hint=tr("Drop a model folder here, or use the starter model.")
        )
    if not config.data.strip():
        yield Problem(
            "data", tr("No training data is chosen."), hint=tr("Drop a file here, or use the starter data.")
        )


def _recomputed(config: TrainConfig, inspection: Inspection | None) -> Iterator[Problem]:
    """Recomputed layers of which there are fewer, or none."""
    count = config.checkpoint_layers
    if count and not config.grad_checkpoint:
        said = tr("`checkpoint_layers` counts for nothing: gradient checkpointing is off.")
        yield Problem("checkpoint_layers", said, _W, tr("Turn gradient checkpointing on, or set 0."))
    elif inspection is not None and count > inspection.num_layers > 0:
        said = tr(
            "The model has {layers}: all of them are recomputed.", layers=plural(inspection.num_layers, "layer")
        )
        yield Problem("checkpoint_layers", said, _W, tr("Set 0 for all, or fewer."))


def _model(inspection: Inspection, data: DataReport | None) -> Iterator[Problem]:
    if inspection.source == "mlx-lm" and not inspection.has_tokenizer:
        yield Problem(
            "model", tr("The folder holds no tokenizer."), hint=tr("Copy the model's tokenizer files into it.")
        )
    elif data is not None and data.target in TEMPLATED and not inspection.has_chat_template:
        yield Problem(
            "data",
            tr("The data need a chat template, and the model has none."),
            hint=tr("Give it one in the card Model, or choose an instruct model, or data in the text format."),
        )


def _data(config: TrainConfig, data: DataReport | None) -> Iterator[Problem]:
    if data is None or data.cancelled:
        return
    if not data.usable:
        first = data.errors[0] if data.errors else None
        yield Problem(
            "data",
            tr("The data cannot be used yet: {errors}.", errors=plural(data.error_count, "error")),
            hint=joined((tr("The first: {reason}", reason=first.reason), first.hint)) if first else "",
            file=first.file if first else "",
            line=first.line if first else None,
        )
        return
    if data.target == "prompt":
        for doubt in reward_doubts(config.reward_functions, data.references):
            yield Problem("reward_functions", doubt, _W, KINDS["reward_doubt"].hint)
    if uneven := imbalance(data.labels, config.desirable_weight, config.undesirable_weight):
        yield Problem(uneven.weight, uneven.reason, _W, KINDS["unbalanced_labels"].hint)
    if config.mask_prompt and data.target == "text":
        yield Problem(
            "mask_prompt",
            tr("The data are plain text, without prompts to leave out: all of it is trained."),
            _W,
            hint=tr("Turn it off, or choose data with prompts and answers."),
        )
    elif not config.mask_prompt and data.target in ("chat", "completion"):
        yield Problem(
            "mask_prompt", tr("Prompts are learned too."), _N, hint=tr("Usually only the answers should be.")
        )


def _run(config: TrainConfig, data: DataReport | None) -> Iterator[Problem]:
    parts = plan.parts(config, data)
    train, valid = (parts.train, parts.valid) if parts else (None, None)
    if train is not None and train < config.batch_size:
        yield Problem(
            "batch_size",
            tr(
                "There are only {examples} to train on: the batches will hold {train}.",
                examples=plural(train, "example"),
                train=train,
            ),
            _W,
            hint=tr("Use a batch size of at most {train}.", train=train),
        )
    elif valid is not None and 0 < valid < config.batch_size:
        said = tr("There are only {examples} for validation.", examples=plural(valid, "example"))
        hint = tr("Stock mlx-lm needs a batch of them; Luthier measures with fewer.")
        yield Problem("batch_size", said, _N, hint=hint)
    if valid == 0 and config.early_stopping.enabled:
        yield Problem(
            "early_stopping.enabled",
            tr("Without validation data it cannot act."),
            _W,
            hint=tr("Give validation data or a validation share."),
        )
    elif not config.val_batches and (config.early_stopping.enabled or config.final_adapter == "best"):
        said = tr("Nothing is measured: no weights are known to be the best, and no run is stopped early.")
        yield Problem("val_batches", said, _W, hint=tr("Set −1 for all batches, or 25."))
    iterations = plan.iterations(config, train)
    for path, what in (
        ("steps_per_report", tr("report")),
        ("steps_per_eval", tr("validation")),
        ("save_every", tr("checkpoint")),
    ):
        if config.value(path) > iterations:
            said = tr(
                "The run has {iterations}: the only {what} comes at its end.",
                iterations=plural(iterations, "iteration"),
                what=what,
            )
            yield Problem(path, said, _N)
    if 1 <= config.warmup >= iterations and config.schedule != "custom":
        yield Problem(
            "warmup",
            tr("The run has only {iterations}.", iterations=plural(iterations, "iteration")),
            _W,
            hint=tr("Use a share: 0.05."),
        )


def _balance(config: TrainConfig) -> Iterator[Problem]:
    """What keeps the checkpoints from being balanced."""
    if config.final_adapter != "balanced":
        return
    method, hint = method_of(config), tr("Keep the best or the last weights.")
    if method.data != "examples":
        said = tr(
            "The loss of {label} is not in nats a token: it cannot be weighed against what is forgotten.",
            label=method.label,
        )
        yield Problem("final_adapter", said, hint=hint)
    elif not config.neutral_tokens:
        said = tr("Without neutral tokens nobody knows what is forgotten.")
        yield Problem(
            "final_adapter", said, hint=tr("Give some neutral tokens, 512 for instance. {hint}", hint=hint)
        )
    elif not config.val_batches:
        said = tr("Without validation batches nobody knows what is learned.")
        yield Problem("final_adapter", said, hint=tr("Give some validation batches. {hint}", hint=hint))


def _answers(config: TrainConfig) -> Iterator[Problem]:
    if config.sampled_prompts and method_of(config).is_sampled:
        said = tr("{label} samples answers all the time: those are shown.", label=method_of(config).label)
        yield Problem("sampled_prompts", said, _N)


def _optimizer(config: TrainConfig) -> Iterator[Problem]:
    if config.optimizer == "adam" and config.weight_decay > 0:
        yield Problem("weight_decay", tr("Adam does not use it."), _W, hint=tr("Choose AdamW, or set it to 0."))
    if starts_too_hot(config):
        said = tr("Without it some hundred steps of Adam are 3 to 6 times as large as the learning rate says.")
        yield Problem("bias_correction", said, _N, hint=tr("Turn it on, or let the rate warm up."))
    if config.has_own_steps:
        said = tr(
            "mlx's Adafactor works out by itself how far it goes: the learning rate and its schedule do not count."
        )
        hint = tr(
            "Write `optimizer_config: {settings}` into the file; in the window, choose another optimizer and then "
            "Adafactor again.",
            settings="{adafactor: {relative_step: false, scale_parameter: false}}",
        )
        yield Problem("learning_rate", said, _W, hint=hint)


def _files(config: TrainConfig) -> Iterator[Problem]:
    if config.schedule == "custom" and not config.lr_schedule:
        yield Problem(
            "schedule", tr("The config has no lr_schedule of its own."), hint=tr("Choose another schedule.")
        )
    start = config.resume_adapter_file
    if start and not os.path.isfile(typed_path(start)):  # noqa: PTH113  # nor any error, of a name too long
        yield Problem(
            "resume_adapter_file",
            tr("There is no file {start}.", start=start),
            hint=tr("Choose an adapters.safetensors."),
        )
