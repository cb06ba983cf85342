"""Good defaults of a new setup: what follows from its data and its length, and what the starter brings with it."""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any

from app.core.config.spec import field_specs
from app.core.config.train_config import TrainConfig
from app.core.data.report import DataReport
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.setup import plan
from app.core.setup.chosen_method import method_of
from app.core.setup.config_file import load_config
from app.core.system import starter
from app.core.typed_path import typed_path

# What a new setup works out until somebody sets it.
FOLLOWING = frozenset({"mask_prompt", "steps_per_eval", "save_every", "adapter_name"})
MASKED_TARGETS = ("chat", "completion")
_A_RUN = 14  # measurements and checkpoints of a run; rounded, they are 10 to 20
_ROUND = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)

# What suits the starter's model, and what its data; of both the values of its own config are taken.
_OF_MODEL = (
    "learning_rate", "batch_size", "grad_accumulation_steps", "optimizer", "bias_correction", "max_seq_length",
    "grad_checkpoint", "num_layers", "lora_parameters.rank", "lora_parameters.scale", "lora_parameters.dropout",
)  # fmt: skip
_OF_DATA = (
    "epochs", "iters", "mask_prompt", "mask_turns", "steps_per_report", "steps_per_eval", "save_every",
    "val_batches", "final_adapter",
)  # fmt: skip
_SCALE = "lora_parameters.scale"
# What a default of all setups says nothing of.
_OF_ONE_RUN = re.compile(
    r"(?:model|data|valid_data|test_data|sheet|encoding|answers_by|\w+_feature|data_format|adapter_name|adapter_path"
    r"|resume_adapter_file)$"
)


def spacing(iterations: int) -> int:
    """Iterations between two of the 10 to 20 measurements of a run, a round number; 1 for runs of less than 10."""
    wanted = max(iterations / _A_RUN, 1.0)
    size = 10.0 ** math.floor(math.log10(wanted))
    steps = {round(one * size) for one in _ROUND} - {0}
    fitting = [step for step in steps if 10 <= iterations // step <= 20] or [1]
    return min(fitting, key=lambda step: abs(math.log(step / wanted)))


def following_values(config: TrainConfig, report: DataReport | None) -> dict[str, Any]:
    """What follows from the data (None while they are not known) and the length: the paths that can be told now."""
    values: dict[str, Any] = {}
    known = report is not None and report.usable
    if report is not None and known and report.target in (*MASKED_TARGETS, "text"):
        values["mask_prompt"] = report.target in MASKED_TARGETS
    examples = plan.train_examples(config, report)
    if config.epochs is None or examples:
        step = spacing(plan.iterations(config, examples))
        values |= {"steps_per_eval": step, "save_every": step}
    return values


def new_setup(path: str) -> tuple[TrainConfig, frozenset[str]]:
    """What a new setup begins as, and which of its values follow, by the settings' ``default_setup``.

    What belongs to one run alone (model, data and how they are read, names) is left out of the chosen config.
    Raises `UnusableError` for a file that is no config of supervised training.
    """
    if not path:
        return TrainConfig(), FOLLOWING
    file = typed_path(path)
    loaded = load_config(file)
    if not method_of(loaded.config).is_stock:
        said = tr(
            "{name} trains by {label}, and the Setup form trains on examples.",
            name=file.name,
            label=method_of(loaded.config).label,
        )
        raise UnusableError([Problem("", said, hint=tr("Choose a config of supervised training."), file=str(file))])
    values = {name: loaded.config.value(name) for name in field_specs() if not _OF_ONE_RUN.match(name)}
    return TrainConfig().with_values(values), FOLLOWING - loaded.named


def decay_values(optimizer: str, settings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A weight decay among the optimizer's settings of a file as the value of its own field, and the settings
    without it; empty where there is none.

    Those settings win over the field: it would show another decay, and editing it would change nothing.
    """
    given = settings.get(optimizer, {})
    decay = given.get("weight_decay")
    if optimizer == "adam" or isinstance(decay, bool) or not isinstance(decay, int | float):
        return {}
    left = {name: value for name, value in given.items() if name != "weight_decay"}
    others = {name: its for name, its in (settings | {optimizer: left}).items() if its}
    return {"weight_decay": decay, "optimizer_config": others}


def new_setup_problems(path: str) -> tuple[Problem, ...]:
    """Why new setups cannot begin as a config; empty where they do."""
    try:
        new_setup(path)
    except UnusableError as error:
        return tuple(error.problems)
    return ()


def starter_values(part: str, config: TrainConfig) -> dict[str, Any]:
    """The settings that go with the starter's ``model`` or ``data``, from its own config; ``part`` says which.

    A method other than supervised training has settings of its own: there it is the adapter's scale alone. Raises
    `UnusableError` or `FileNotFoundError` without a readable starter.
    """
    if not method_of(config).is_stock:
        return {_SCALE: _starter_config().value(_SCALE)} if part == "model" else {}
    return {path: _starter_config().value(path) for path in (_OF_MODEL if part == "model" else _OF_DATA)}


def is_starters(part: str, path: str) -> bool:
    """Whether the path that is chosen as ``model`` or ``data`` (``part``) is the starter's own."""
    folders = {"model": starter.model_dir, "data": starter.examples_dir}
    if not path or part not in folders:
        return False
    try:
        return typed_path(path).resolve() == folders[part]().resolve()
    except (OSError, RuntimeError):  # no starter, or a path that cannot be followed
        return False


@cache
def _starter_config() -> TrainConfig:
    return load_config(starter.demo_config()).config
