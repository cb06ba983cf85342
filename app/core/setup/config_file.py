"""Config files: YAML read with the line of every fault, and written with mlx-lm's keys in a steady order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from app.core.config.spec import field_specs
from app.core.config.train_config import CONFIG_VERSION, TrainConfig
from app.core.problem import Problem, Severity, UnusableError
from app.core.setup.chosen_method import unwritten_paths, with_defaults
from app.core.system.atomic_file import write_text

RUN_CONFIG = "config.yaml"  # in a run's folder: exactly what ran
PATH_KEYS = ("model", "data", "valid_data", "test_data", "resume_adapter_file", "reward_functions_file",
             "reference_model_path", "judge")  # fmt: skip
# mlx-lm-lora's names for what mlx-lm calls otherwise.
FOREIGN_KEYS = {"train_type": "fine_tune_type", "gradient_accumulation_steps": "grad_accumulation_steps"}


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A config read from a file, with what a person should know about it (all warnings, no errors)."""

    config: TrainConfig
    problems: tuple[Problem, ...] = ()


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses duplicate keys: the second would silently win."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if isinstance(key, (list, dict)):
            raise yaml.constructor.ConstructorError(None, None, "a key must be a plain word", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} is given twice", key_node.start_mark
            )
        seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _migrate_0(tree: dict[str, Any]) -> dict[str, Any]:
    """Plain mlx-lm files: a count of iterations or explicit keys in the file win over Luthier's own defaults."""
    if "iters" in tree and "epochs" not in tree:
        tree["epochs"] = None
    parameters = tree.get("lora_parameters")
    if "targets" not in tree and isinstance(parameters, dict) and parameters.get("keys"):
        tree["targets"] = "keys"
    if tree.get("num_layers") == 0:  # mlx-lm slices layers[-0:], which is all of them
        tree["num_layers"] = -1
    if "schedule" not in tree and tree.get("lr_schedule"):
        tree["schedule"] = "custom"
    for foreign, own in FOREIGN_KEYS.items():
        if foreign in tree and own not in tree:
            tree[own] = tree.pop(foreign)
    if isinstance(judge := tree.get("judge_config"), dict):
        tree["judge_config"] = {key: value for key, value in judge.items() if value is not None}
    for key in ("reward_functions", "reward_weights"):  # mlx-lm-lora takes them as one text as well
        if isinstance(tree.get(key), str):
            tree[key] = [part.strip() for part in tree[key].strip("[] ").split(",")]
    return tree


# A migration takes the tree of version N to version N + 1; files of mlx-lm carry no version and start at 0.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {0: _migrate_0}


def parse_config(text: str, *, name: str = "config", base: Path | None = None) -> LoadedConfig:
    """Reads YAML text.

    Relative paths are taken from ``base`` (the file's folder) when something is there, else left as they are.
    Raises `UnusableError` with every fault, each with its field and ``name:line``.
    """
    try:
        node = yaml.compose(text, Loader=_Loader)
        tree = yaml.load(text, Loader=_Loader)  # a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UnusableError([Problem("", f"This is not valid YAML: {said}.", file=name, line=line)]) from error
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise UnusableError(
            [
                Problem(
                    "",
                    "A config is a list of `key: value` lines; this file is something else.",
                    file=name,
                    line=1,
                )
            ]
        )
    if bad := [key for key in tree if not isinstance(key, str)]:
        raise UnusableError([Problem("", f"{bad[0]!r} is not a word, and so cannot be a key.", file=name)])
    lines = _lines(node)
    version = tree.get("config_version", 0)
    if not isinstance(version, int) or version < 0:
        raise UnusableError([Problem("config_version", "is not a whole number.", file=name)])
    if version > CONFIG_VERSION:
        said = f"The file is of version {version}, this Luthier knows up to {CONFIG_VERSION}."
        raise UnusableError([Problem("config_version", said, hint="Update Luthier to open it.", file=name)])
    for step in range(version, CONFIG_VERSION):
        tree = MIGRATIONS[step](tree)
    tree["config_version"] = CONFIG_VERSION
    tree = {key: value for key, value in tree.items() if value is not None or _may_be_none(key)}
    try:
        config = TrainConfig.model_validate(tree)
    except ValidationError as error:
        raise UnusableError(validation_problems(error, name=name, lines=lines)) from error
    config = with_defaults(config, tree.keys())
    if base is not None:
        config = with_base(config, base)
    unknown = [
        Problem(key, "Luthier does not use this key; it is kept.", Severity.NOTE, file=name, line=lines.get(key))
        for key in config.unknown_keys
    ]
    return LoadedConfig(config, tuple(unknown))


def load_config(path: Path) -> LoadedConfig:
    """Reads a YAML file; raises `UnusableError` with all faults (also for a file that cannot be read)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnusableError([Problem("", "This is not a text file in UTF-8.", file=str(path))]) from error
    except OSError as error:
        said = f"The file cannot be read: {error.strerror or error}."
        raise UnusableError([Problem("", said, file=str(path))]) from error
    return parse_config(text, name=str(path), base=path.resolve().parent)


def with_base(config: TrainConfig, base: Path) -> TrainConfig:
    """The same config with relative paths made absolute where something lies at that place under ``base``."""
    found = {}
    for key in PATH_KEYS:
        value = config.value(key)
        if value and not Path(value).is_absolute() and (base / value).exists():
            found[key] = str((base / value).resolve())
    return config.with_values(found) if found else config


def dump_config(config: TrainConfig) -> str:
    """YAML text that both Luthier and ``mlx_lm.lora -c`` read; unknown keys come last, as they were."""
    tree = config.model_dump(mode="json")
    for key in ("valid_data", "test_data", "group_feature", "system_feature", "adapter_path"):
        if tree[key] == "":
            del tree[key]
    for key in ("resume_adapter_file", "lr_schedule"):
        if tree[key] is None:
            del tree[key]
    if tree["lora_parameters"]["keys"] is None:
        del tree["lora_parameters"]["keys"]
    if not tree["optimizer_config"]:
        del tree["optimizer_config"]
    for path in unwritten_paths(config):
        _drop(tree, path)
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=110)


def _drop(tree: dict[str, Any], path: str) -> None:
    """Takes the value at a dotted path out of the tree, and with it what it leaves empty."""
    name, _, rest = path.partition(".")
    if rest:
        _drop(tree[name], rest)
    if not rest or not tree[name]:
        del tree[name]


def save_config(config: TrainConfig, path: Path) -> None:
    """Writes the file completely or not at all."""
    write_text(path, dump_config(config))


def validation_problems(
    error: ValidationError, *, name: str = "", lines: Mapping[str, int] | None = None
) -> list[Problem]:
    """Every fault of a failed validation in words, tied to its field and, in a file, its line."""
    specs = field_specs()
    problems = []
    for fault in error.errors(include_url=False):
        path = ".".join(str(part) for part in fault["loc"])
        known = path if path in specs else next((p for p in specs if path.startswith(f"{p}.")), path)
        spec = specs.get(known)
        said = f"{_shown(fault['input'])} is not usable: {fault['msg'][0].lower()}{fault['msg'][1:]}."
        hint = ""
        if spec is not None and spec.range_text:
            hint = f"{spec.label} takes {spec.range_text}."
        elif spec is not None and spec.choices:
            hint = f"{spec.label} is one of {', '.join(str(value) for value, _ in spec.choices)}."
        line = (lines or {}).get(path) or (lines or {}).get(path.split(".")[0])
        message = f"`{path}`: {said}" if name else said
        problems.append(Problem(path, message, hint=hint, file=name, line=line))
    return problems


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _may_be_none(key: str) -> bool:
    """mlx-lm files write `null` for "not set"; only fields that can be None keep it, unknown keys always do."""
    spec = field_specs().get(key)
    return (spec is None and key not in TrainConfig.model_fields) or (spec is not None and spec.optional)


def _lines(node: yaml.Node | None, prefix: str = "") -> dict[str, int]:
    """The 1-based line of every key, by dotted path."""
    found: dict[str, int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = f"{prefix}{key.value}"
            found[path] = key.start_mark.line + 1
            found |= _lines(value, f"{path}.")
    return found
