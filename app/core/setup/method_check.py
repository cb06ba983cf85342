"""Checks of a config against its method: what the method cannot use, and what it lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.method.preferred import KTO_BATCH
from app.core.method.reward import BUILT_IN, declared_in
from app.core.model.folder import MODEL_CONFIG
from app.core.problem import Problem, Severity, UnusableError
from app.core.quantity import plural
from app.core.refusal import reason_of
from app.core.setup.chosen_method import has_judge, locate_judge, method_of, needs_reference, uses_rewards
from app.core.typed_path import typed_path

# mlx-lm-lora's word for a person who is asked at the terminal.
HUMAN_JUDGE = "human"


def check_method(config: TrainConfig) -> Iterator[Problem]:
    """What in the config does not fit its method."""
    method = method_of(config)
    if config.batching == "pack" and method.data != "examples":
        yield Problem(
            "batching", tr("Only supervised examples can be packed."), hint=tr("Choose batches by length.")
        )
    if method.is_sampled:
        yield from _check_sampling(config)
    if method.is_judged:
        yield from _check_online(config)
    if method.is_mismatched and config.batch_size < KTO_BATCH:
        said = tr(
            "KTO compares answers with a mean over the batch; over {batch_size} that is mostly noise.",
            batch_size=config.batch_size,
        )
        yield Problem(
            "batch_size", said, Severity.WARNING, tr("Use a batch of at least {kto_batch}.", kto_batch=KTO_BATCH)
        )
    if "beta" in method.parameters and method.reference != "beta" and config.beta == 0:
        yield Problem("beta", tr("At 0 there is no preference to learn."), hint=tr("0.1 is usual."))
    elif config.dpo_cpo_loss_type == "simpo" and "dpo_cpo_loss_type" in method.parameters:
        yield Problem("dpo_cpo_loss_type", tr("SimPO has no reference: it goes with CPO."), hint=tr("Choose CPO."))
    is_adapted = bool(config.resume_adapter_file) and config.fine_tune_type != "full"
    if needs_reference(config) and is_adapted and not config.reference_model_path:
        said = tr("Answers are compared with the base alone, not with the adapter that the run starts from.")
        hint = tr("To stay near to that, export it as one model with its base, and choose that as the reference.")
        yield Problem("reference_model_path", said, Severity.WARNING, hint)
    if needs_reference(config) and config.reference_model_path:
        path = typed_path(config.reference_model_path)
        if not (path / MODEL_CONFIG).is_file():
            said = tr(
                "There is no model in {reference_model_path}.", reference_model_path=config.reference_model_path
            )
            yield Problem("reference_model_path", said, hint=tr("Choose a model's folder, or leave it empty."))


def _check_sampling(config: TrainConfig) -> Iterator[Problem]:
    if config.max_completion_length >= config.max_seq_length:
        yield Problem(
            "max_completion_length",
            tr(
                "Answers of {max_completion_length:,} tokens leave no room for a prompt.",
                max_completion_length=config.max_completion_length,
            ),
            hint=tr(
                "The maximum length is {max_seq_length:,} tokens for both together.",
                max_seq_length=config.max_seq_length,
            ),
        )
    if uses_rewards(config):
        yield from check_rewards(config)


def _check_online(config: TrainConfig) -> Iterator[Problem]:
    if config.group_size % 2:
        said = tr(
            "Answers are compared two by two: of {group_size} one would be left over.", group_size=config.group_size
        )
        yield Problem(
            "group_size",
            said,
            hint=tr(
                "Sample {group_size} or {group_size2}.",
                group_size=config.group_size - 1,
                group_size2=config.group_size + 1,
            ),
        )
    if config.judge.strip() == HUMAN_JUDGE:
        said = tr("Nobody can be asked while a run goes on: the judge is a model, or the reward functions.")
        yield Problem("judge", said, hint=tr("Choose a model's folder, or leave it empty."))
    elif has_judge(config):
        try:
            locate_judge(config)
        except UnusableError as error:
            yield from error.problems


def check_rewards(config: TrainConfig) -> Iterator[Problem]:
    """What is wrong with the reward functions, without running any of the user's code."""
    if not config.reward_functions:
        yield Problem(
            "reward_functions",
            tr("No reward function is chosen."),
            hint=tr("There are {built_in}.", built_in=", ".join(BUILT_IN)),
        )
    for name, count in Counter(config.reward_functions).items():
        if count > 1:
            said = tr("The reward function {name} is named {count} times: it counts once.", name=name, count=count)
            yield Problem("reward_functions", said, hint=tr("Name it once, with a weight."))
    weights = config.reward_weights
    if weights and len(weights) != len(config.reward_functions):
        said = tr(
            "Not one weight for each: {weights}, and {reward_functions}.",
            weights=plural(len(weights), "weight"),
            reward_functions=plural(len(config.reward_functions), "reward function"),
        )
        yield Problem("reward_weights", said, hint=tr("Give one for each, or none."))
    elif weights and not any(weights):
        yield Problem("reward_weights", tr("All weights are 0: no answer would earn anything."))
    known = list(BUILT_IN)
    if own := config.reward_functions_file:
        try:
            known += [function.name for function in declared_in(Path(own))]
        except OSError as error:
            said = tr("{own} cannot be read: {reason_of}.", own=own, reason_of=reason_of(error))
            yield Problem("reward_functions_file", said, hint=tr("Choose a Python file."))
            return
        except (SyntaxError, UnicodeDecodeError) as error:
            line = getattr(error, "lineno", None)
            yield Problem(
                "reward_functions_file", tr("This is not Python: {error}.", error=error), file=own, line=line
            )
            return
    for name in config.reward_functions:
        if name not in known:
            said = tr("There is no reward function {name}.", name=name)
            yield Problem("reward_functions", said, hint=tr("There are {known}.", known=", ".join(known)))
