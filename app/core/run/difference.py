"""What sets runs apart: the config values in which they differ, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.config.spec import field_specs
from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.quantity import count_text
from app.core.run.folder import RunDir
from app.core.setup.config_file import load_config

# What is different in every run, and is no choice.
RUNS_OWN = ("adapter_path", "adapter_name", "config_version", "train")
# A run's config names the prepared data; the setup it began as names the user's.
ASKED_FOR = ("model", "data", "valid_data", "test_data", "valid_fraction", "test_fraction")
NO_VALUE = "–"


@dataclass(frozen=True, slots=True)
class ConfigDifference:
    """One value that is not the same everywhere: the dotted key, its label, and the value of each config in turn.

    A value is None where a config does not have the key.
    """

    path: str
    label: str
    values: tuple[Any, ...]

    def texts(self) -> tuple[str, ...]:
        """The values as people read them."""
        return tuple(value_text(self.path, value) for value in self.values)


def config_differences(configs: Sequence[TrainConfig]) -> list[ConfigDifference]:
    """The values in which the configs differ, in the order of the form, unknown keys last."""
    flats = [_flat(config) for config in configs]
    specs = field_specs()
    paths = list(dict.fromkeys(path for flat in flats for path in flat))
    order = {path: place for place, path in enumerate(specs)}
    found = []
    for path in sorted(paths, key=lambda path: order.get(path, len(order))):
        values = tuple(flat.get(path) for flat in flats)
        if path not in RUNS_OWN and any(value != values[0] for value in values[1:]):
            found.append(ConfigDifference(path, specs[path].label if path in specs else path, values))
    return found


def asked_config(run: RunDir) -> TrainConfig | None:
    """What was asked for, before targets, schedule and length were worked out; None where it was not kept."""
    try:
        return load_config(run.setup).config
    except UnusableError:  # a run of an earlier version has none
        return None


def run_config(run: RunDir) -> TrainConfig:
    """What ran, with model and data as they were asked for. Raises `UnusableError` if the config cannot be read."""
    config = load_config(run.config).config
    setup = asked_config(run)
    return config if setup is None else config.with_values({key: setup.value(key) for key in ASKED_FOR})


def value_text(path: str, value: Any) -> str:
    """``1e-05``, ``on``, ``Packed``; lists in one line."""
    spec = field_specs().get(path)
    if value is None:
        return NO_VALUE
    if spec is not None and spec.choices:
        return next((text for choice, text in spec.choices if choice == value), str(value))
    if isinstance(value, bool):
        return tr("on") if value else tr("off")
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, int):
        return str(value) if path == "seed" else count_text(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(str(part) for part in value)
    return str(value) or NO_VALUE


def _flat(config: TrainConfig) -> dict[str, Any]:
    """Values by dotted key."""
    found: dict[str, Any] = {}

    def add(prefix: str, tree: Mapping[str, Any]) -> None:
        for key, value in tree.items():
            if isinstance(value, Mapping) and value:
                add(f"{prefix}{key}.", value)
            else:
                found[f"{prefix}{key}"] = value

    add("", config.model_dump(mode="json"))
    return found
