"""Names of runs: made of the base model, the data and what is special, and no two the same."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from app.core.config.train_config import DEFAULT_TARGETS, TrainConfig
from app.core.setup.chosen_method import method_of
from app.core.system.title import path_title

LONGEST_NAME = 80  # letters, as `adapter_name` takes them
_LONGEST_PART = 32
RUN_FOLDER = re.compile(r"^\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_(.+)$")
BETWEEN = " · "
_NUMBER = re.compile(rf"{BETWEEN}\d+$")


def run_name(config: TrainConfig) -> str:
    """``qwen2.5-0.5b · support-faq · r32``; the adapter's name as it is where neither model nor data are chosen.

    Special are the method (where it is not plain supervised training), the kind of adapter with its rank, targets
    other than all, and a learning rate that is not the method's own.
    """
    titles = [path_title(path).casefold()[:_LONGEST_PART].strip() for path in (config.model, config.data)]
    what = list(dict.fromkeys(filter(None, titles)))  # the starter's model and data say the same
    if not what:
        return config.adapter_name
    method, rate = method_of(config), config.highest_rate
    special = [] if method.is_stock else [method.name]
    if config.fine_tune_type == "full":
        special.append("full")
    else:
        kind = "" if config.fine_tune_type == "lora" else f"{config.fine_tune_type} "
        special.append(f"{kind}r{config.lora_parameters.rank}")
    if config.targets not in (DEFAULT_TARGETS, "keys") and "," not in config.targets:
        special.append(config.targets)
    usual = method.settings.get("learning_rate", TrainConfig.model_fields["learning_rate"].default)
    if rate != usual:
        special.append(f"lr {rate:g}")
    return BETWEEN.join([*what, *special])[:LONGEST_NAME].strip(" ·")


def with_name(config: TrainConfig, given: Collection[str]) -> TrainConfig:
    """The config with a name made for it, where a file with the ``given`` keys has none."""
    unnamed = TrainConfig.model_fields["adapter_name"].default
    if "adapter_name" in given or config.adapter_name != unnamed:
        return config
    return config.with_value("adapter_name", run_name(config))


def folder_word(name: str, instead: str = "run") -> str:
    """A name as a folder on any disk can have it: letters, digits, ``_``, ``-`` and ``.``; ``instead`` if none is
    left."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or instead


def unique_name(name: str, taken: Collection[str]) -> str:
    """The name, with ``· 2``, ``· 3`` and so on where its folder word is among those that are ``taken``."""
    found, number = name, 1
    unnumbered = _NUMBER.sub("", name)  # a duplicate of the second is the third
    while folder_word(found).casefold() in taken:
        number += 1
        ending = f"{BETWEEN}{number}"
        found = f"{unnumbered[: LONGEST_NAME - len(ending)]}{ending}"
    return found


def taken_words(parent: Path) -> set[str]:
    """The folder words of all runs in ``parent``, in small letters; none where it cannot be read."""
    try:
        names = [path.name for path in parent.iterdir()]
    except OSError:
        return set()
    return {found[1].casefold() for name in names if (found := RUN_FOLDER.match(name))}
