"""The choice of a method on a form: which values it sets, what they were without it, and what it starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.method.method import DataNeed, Method
from app.core.method.table import METHODS
from app.core.problem import Problem
from app.core.setup.chosen_method import method_of
from app.core.setup.trial import STARTER_DATA
from app.core.system import place
from app.ui.form.store import ConfigStore

COVERAGE = "attention"  # the baseline that the methods of this form are compared by
# Values that go with a method only until somebody sets them.
SOFT = ("learning_rate", "targets", "batch_size", "temperature")
# What only supervised runs read.
SUPERVISED_FIELDS = frozenset({"mask_prompt", "mask_turns"})


@dataclass(frozen=True, slots=True)
class Need:
    """What data a kind of method takes, in the words of the form, and the bundled data of that kind."""

    heading: str
    rows: str
    starter_text: str
    starter_tip: str
    starter_dir: Callable[[], Path]


NEEDS: dict[DataNeed, Need] = {
    "examples": Need(
        tr("From examples"),
        tr("Examples: chats, prompts with answers, or plain text"),
        tr("Use the starter data"),
        tr("Chats that teach a style"),
        STARTER_DATA["examples"],
    ),
    "pairs": Need(
        tr("From pairs of a better and a worse answer"),
        tr("Pairs: rows with prompt, chosen and rejected"),
        tr("Use the starter preference data"),
        tr("Short answers preferred to long ones"),
        STARTER_DATA["pairs"],
    ),
    "prompts": Need(
        tr("From sampled answers that are scored or judged"),
        tr("Prompts with reference answers: rows with prompt and answer"),
        tr("Use the starter reward data"),
        tr("Sums with their results"),
        STARTER_DATA["prompts"],
    ),
}


def defaults_of(method: Method) -> TrainConfig:
    """What the form of a method begins with."""
    return TrainConfig().with_values({"targets": COVERAGE, **method.settings})


def choose_method(store: ConfigStore, name: str) -> Problem | None:
    """Sets the method of a form. What belongs to the methods takes the new one's values; learning rate,
    targets, batch and temperature only if they are still those of the old one."""
    old, new = method_of(store.config), METHODS[name]
    before, after = defaults_of(old), defaults_of(new)
    values: dict[str, Any] = {path: after.value(path) for path in {*old.settings, *new.settings} - set(SOFT)}
    values |= {path: after.value(path) for path in SOFT if store.value(path) == before.value(path)}
    return store.set_many(values)


def baseline() -> TrainConfig:
    """What the Enhanced Setup form begins with: supervised, attention only."""
    return defaults_of(method_of(TrainConfig()))


def enhanced_store(parent: QObject | None = None) -> ConfigStore:
    """The store of the Enhanced Setup form, autosaved in the user's data directory."""
    return ConfigStore(parent, autosave=place.enhanced_path(), defaults=baseline())
