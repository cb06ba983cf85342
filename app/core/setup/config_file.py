"""Config files: YAML read with the line of every fault, and written with mlx-lm's keys in a steady order."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError
from yaml.constructor import ConstructorError

from app.core.config.fault import fault_reason
from app.core.config.spec import field_specs
from app.core.config.train_config import CONFIG_VERSION, WITH_CORRECTION, TrainConfig
from app.core.json_text import parsed_json
from app.core.language import code, joined, tr
from app.core.method.table import METHODS
from app.core.model.facts import layer_count
from app.core.model.folder import MODEL_CONFIG, locate_model
from app.core.problem import Problem, Severity, UnusableError, errors
from app.core.protocol.job import JOB_FILE, RUN_ADAPTERS, RUN_CONFIG, RUN_DATA
from app.core.refusal import reason_of
from app.core.setup.chosen_method import unwritten_paths, with_defaults
from app.core.setup.foreign_config import MEANT, Translation, origin_of, take_alpha, translate
from app.core.system.atomic_file import write_text
from app.core.system.yaml_text import BUILD_FAULTS, QUICK_LOADER, check_bounds, dumped_yaml
from app.core.target.pattern import EMPTY_PATTERN, patterns_text

if TYPE_CHECKING:
    from app.core.foreign.file import ForeignFile

PATH_KEYS = ("model", "data", "valid_data", "test_data", "resume_adapter_file", "reward_functions_file",
             "reference_model_path", "judge")  # fmt: skip
# What mlx-lm reads as a number where YAML 1.1 wants a point, such as 1e-5; inside lists and settings too.
FLOAT = re.compile(r"^[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?)$")


_HALVES = re.compile("[\ud800-\udbff][\udc00-\udfff]")
MERGE_TAG, TEXT_TAG = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"
UNUSED = tr("Luthier does not use this key; it is kept.")


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A config read from a file, with what a person should know about it (notes and warnings, no errors).

    ``trainer`` names the other trainer whose file it is; empty for Luthier's and mlx-lm's own. ``named`` are the
    keys that a file of Luthier's own has. ``says_nothing`` where no key of the file means anything here, and all of
    the config are defaults.
    """

    config: TrainConfig
    problems: tuple[Problem, ...] = ()
    trainer: str = ""
    named: frozenset[str] = frozenset()
    says_nothing: bool = False

    def told(self) -> str:
        """The same in a few sentences: keys that are kept unused in one of them.

        Of another trainer's file only what belongs to no field, and how much does.
        """
        if self.trainer:
            there = [one for one in self.problems if one.path and one.severity is not Severity.NOTE]
            count = (
                tr("1 of its settings is not taken over as it stands")
                if len(there) == 1
                else tr("{there} of its settings are not taken over as they stand", there=len(there))
            )
            listed = tr("{count}: see beside the fields.", count=count) if there else ""
            return " ".join([listed, *(one.message for one in self.problems if not one.path)]).strip()
        kept = [one.path for one in self.problems if one.message == UNUSED]
        said = [" ".join(filter(None, (one.message, one.hint))) for one in self.problems if one.message != UNUSED]
        if kept:
            said.append(tr("Keys that Luthier does not use are kept: {kept}.", kept=", ".join(kept)))
        return " ".join(said)


class _Strict:
    """Both loaders below refuse what cannot be what its tag says, at its line."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # PyYAML's form
        try:
            found = super().construct_object(node, deep=deep)  # type: ignore[misc]
            if isinstance(found, int):
                str(found)  # a number in hex may be longer than Python writes one, and could not be told or kept
            return found
        except BUILD_FAULTS as error:
            kind = str(node.tag).rpartition(":")[2]
            said = tr("this cannot be read as {kind}", kind=kind)
            raise ConstructorError(None, None, said, node.start_mark) from error

    def construct_scalar(self, node: yaml.ScalarNode) -> Any:  # PyYAML's form
        found = super().construct_scalar(node)  # type: ignore[misc]
        if "\0" in node.value:  # which no name, path or prompt can have
            raise ConstructorError(None, None, tr("a text has no NUL characters"), node.start_mark)
        return found


class _Loader(_Strict, yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML's own, that mlx-lm reads with."""


class _QuickLoader(_Strict, QUICK_LOADER):  # type: ignore[misc]
    """The same over libyaml's parser, ten times as fast."""


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    _refuse_twice(loader, node)
    loader.flatten_mapping(node)
    found: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return found


def _refuse_twice(loader: Any, node: yaml.MappingNode) -> None:
    """Raises PyYAML's error for a key that is given twice: the second would silently win."""
    seen: set[Any] = set()
    for key_node, value_node in node.value:
        if key_node.tag == MERGE_TAG:  # `<<: *base` gives what the mapping itself leaves out
            merged = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            for one in merged:
                if isinstance(one, yaml.MappingNode):
                    _refuse_twice(loader, one)
            continue
        key = loader.construct_object(key_node)
        if isinstance(key, (list, dict)):
            raise ConstructorError(None, None, tr("a key must be a plain word"), key_node.start_mark)
        if key in seen:
            raise ConstructorError(None, None, tr("the key {key!r} is given twice", key=key), key_node.start_mark)
        seen.add(key)


def _text(loader: Any, node: yaml.ScalarNode) -> str:
    """A text, with what JSON escapes as two halves of a character put together: JSON is YAML to people."""
    text: str = loader.construct_scalar(node)
    return _HALVES.sub(lambda found: found[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)


def _refuse_binary(_loader: Any, node: yaml.Node) -> None:
    raise ConstructorError(None, None, tr("a config has no binary values"), node.start_mark)


for _each in (_Loader, _QuickLoader):
    _each.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
    _each.add_constructor(TEXT_TAG, _text)
    _each.add_constructor("tag:yaml.org,2002:binary", _refuse_binary)  # they could not be written
    _each.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(f"^(?:{FLOAT.pattern})$"), list("-+0123456789.")
    )


# What libyaml takes otherwise than PyYAML, by many texts put together at random: mlx-lm reads with the latter.
_PARTED = re.compile(r"[\t\ufeff?!]|[|>][-+\d]*#")


def _read_yaml(text: str) -> tuple[yaml.Node | None, Any]:
    """The text's nodes, which know their lines, and what it says; raises what PyYAML raises, in its own words."""
    if not _PARTED.search(text):
        with suppress(yaml.YAMLError, RecursionError, *BUILD_FAULTS):
            return _read_with(_QuickLoader, text)
    return _read_with(_Loader, text)


def _read_with(kind: Any, text: str) -> tuple[yaml.Node | None, Any]:
    loader = kind(text)
    try:
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def parse_config(text: str, *, name: str = "config", base: Path | None = None) -> LoadedConfig:
    """Reads YAML text.

    Relative paths are taken from ``base`` (the file's folder) when something is there, else left as they are.
    Raises `UnusableError` with every fault, each with its field and ``name:line``.
    """
    try:
        check_bounds(text)
        node, tree = _read_yaml(text)
    except (yaml.YAMLError, RecursionError, *BUILD_FAULTS) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UnusableError(
            [Problem("", tr("This is not valid YAML: {said}.", said=said), file=name, line=line)]
        ) from error
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise UnusableError(
            [
                Problem(
                    "",
                    tr("A config is a list of `key: value` lines; this file is something else."),
                    file=name,
                    line=1,
                )
            ]
        )
    lines = _lines(node)
    if any(not isinstance(key, str) for key in tree):
        key, line = next(
            ((key.value, key.start_mark.line + 1) for key in _keys(node) if key.tag != TEXT_TAG), ("", 1)
        )
        said = tr("{key} is not a word, and so cannot be a key.", key=code(key))
        raise UnusableError([Problem("", said, file=name, line=line)])
    if "config_version" not in tree:
        from app.core.foreign.trainer import trainer_of  # not before: the window opens without

        if (trainer := trainer_of(tree)) is not None:
            return _taken_over(trainer.reading(tree, name, lines, base), base)
    version = tree.get("config_version", 0)
    line = lines.get("config_version")
    if type(version) is not int or version < 0:  # `true` is an int to Python
        said = joined(
            (code("config_version"), tr("{shown} is no version of a config.", shown=_shown(version))), ": "
        )
        raise UnusableError([Problem("config_version", said, file=name, line=line)])
    if version > CONFIG_VERSION:
        said = tr(
            "The file is of version {version}, this Luthier knows up to {config_version}.",
            version=version,
            config_version=CONFIG_VERSION,
        )
        hint = tr("Update Luthier to open it.")
        raise UnusableError([Problem("config_version", said, hint=hint, file=name, line=line)])
    is_new = version == 0 and "optimizer" not in tree and origin_of(tree) is None
    given = tree.keys()
    read = (translate if version == 0 else take_alpha)(tree, file=name, lines=lines)
    tree = read.tree | {"config_version": CONFIG_VERSION}
    if "iters" in tree and "epochs" not in tree:  # else the default's epochs would decide over what was asked for
        tree["epochs"] = None
    tree = {key: value for key, value in tree.items() if value is not None or _may_be_none(key)}
    _take_correction(tree, new=is_new)
    if "targets" in tree:
        tree["targets"] = _targets_text(tree["targets"])
    told = {problem.path for problem in read.problems}
    unknown = [_unknown(key, name, lines) for key in _unknown_keys(tree) if key not in told]
    doubts = [problem for problem in unknown if problem.severity is Severity.WARNING]
    try:
        config = TrainConfig.model_validate(tree)
    except ValidationError as error:
        faults = validation_problems(error, name=name, lines=lines)
        raise UnusableError([*errors(read.problems), *faults, *doubts]) from error
    if refused := errors(read.problems):
        raise UnusableError([*refused, *doubts])
    config = with_defaults(config, tree.keys())
    if base is not None:
        config = with_base(config, base)
        if read.left_layers:
            config = _fit_layers(config, read)
    says_nothing = given <= {problem.path for problem in unknown if problem.severity is Severity.NOTE}
    problems = (
        *read.problems, *unknown, *_unused_schedule(config, name, lines), *_unknown_optimizers(config, name, lines)
    )  # fmt: skip
    return LoadedConfig(config, problems, named=frozenset(tree), says_nothing=says_nothing)


def _unknown_optimizers(config: TrainConfig, name: str, lines: Mapping[str, int]) -> Iterator[Problem]:
    """Settings of optimizers that there are not, such as those of ``AdamW``: mlx-lm passes them over as well."""
    spec = field_specs()["optimizer"]
    known = [str(value) for value, _ in spec.choices]
    for key in config.optimizer_config:
        if key not in known:
            path, near = f"optimizer_config.{key}", difflib.get_close_matches(key.lower(), known, 1, 0.6)
            said = tr("There is no optimizer `{key}`: its settings are kept, and train nothing.", key=key)
            hint = tr("Is `{meant}` meant?", meant=near[0]) if near else ""
            yield Problem(path, said, Severity.WARNING, hint, name, lines.get(path))


def _unused_schedule(config: TrainConfig, name: str, lines: Mapping[str, int]) -> Iterator[Problem]:
    """An ``lr_schedule`` beside another ``schedule``, unless it is what that one comes to, as a run writes it."""
    given = config.lr_schedule
    if not given or config.schedule == "custom":
        return
    arguments = given.get("arguments")
    first = arguments[0] if isinstance(arguments, list) and arguments else None
    form = "cosine_decay" if config.schedule == "cosine" else "linear_schedule"
    if given.get("name") == form and first == config.learning_rate:
        return
    said = tr(
        "`lr_schedule` is not used: `schedule: {schedule}` says how the rate changes.", schedule=config.schedule
    )
    hint = tr("Write `schedule: custom` for the one in lr_schedule, or leave it out.")
    yield Problem("lr_schedule", said, Severity.WARNING, hint, name, lines.get("lr_schedule"))


def _taken_over(read: ForeignFile, base: Path | None) -> LoadedConfig:
    """The config that another trainer's file comes to; raises `UnusableError` with all that is refused."""
    try:
        config = TrainConfig.model_validate(read.tree)
    except ValidationError as error:
        faults = validation_problems(error, name=read.file, lines=read.own_lines)
        raise UnusableError([*read.problems, *faults]) from error
    if errors(read.problems):
        raise UnusableError([one for one in read.problems if one.severity is not Severity.NOTE])
    config = with_defaults(config, read.tree.keys())
    return LoadedConfig(with_base(config, base) if base else config, tuple(read.problems), read.trainer)


def _take_correction(tree: dict[str, Any], *, new: bool) -> None:
    """Whether Adam's bias is corrected, which a file says in ``optimizer_config``, as mlx-lm reads it.

    A file that says nothing of it is not corrected, unless it is a ``new`` one that leaves the optimizer to
    Luthier: earlier versions wrote no such key, and ``optimizer: adam`` is mlx-lm's.
    """
    given, name = tree.get("optimizer_config"), tree.get("optimizer", TrainConfig.model_fields["optimizer"].default)
    if isinstance(given, dict):
        # A name may stand there with all its settings commented out.
        settings = {key: dict(value) if isinstance(value, dict) else value or {} for key, value in given.items()}
        of_it = settings.get(name) if name in WITH_CORRECTION else None
        if isinstance(of_it, dict) and "bias_correction" in of_it:
            tree["bias_correction"] = of_it.pop("bias_correction")
        tree["optimizer_config"] = {key: value for key, value in settings.items() if value != {}}
    tree.setdefault("bias_correction", new)


def _targets_text(value: Any) -> Any:
    """Targets may be a list, as PEFT's ``target_modules`` are; empty text is the pattern in every path."""
    if isinstance(value, list) and value and all(isinstance(pattern, str) for pattern in value):
        return patterns_text(value)
    return value if value != "" else EMPTY_PATTERN


def _unknown_keys(tree: Mapping[str, Any]) -> Iterator[str]:
    """The dotted paths of a file that name nothing of a config."""
    parts = {path.partition(".")[0] for path in field_specs() if "." in path}
    for key, value in tree.items():
        if key not in TrainConfig.model_fields:
            yield key
        elif key in parts and isinstance(value, dict):
            yield from (path for name in value if (path := f"{key}.{name}") not in field_specs())


def _unknown(key: str, name: str, lines: Mapping[str, int]) -> Problem:
    """A key that is not Luthier's: only a note, unless it looks like one that was mistyped."""
    _, _, last = key.rpartition(".")
    known = {path.rpartition(".")[2]: path for path in field_specs()}
    meant = [MEANT[key]] if key in MEANT else []
    meant = meant or [known[close] for close in difflib.get_close_matches(last, known, 1, 0.8)]
    if not meant:
        return Problem(key, UNUSED, Severity.NOTE, file=name, line=lines.get(key))
    said = tr("Luthier has no key `{key}`; it is kept, and trains nothing.", key=key)
    if key in field_specs():  # its path, as it is told
        group, _, inner = key.rpartition(".")
        hint = tr("Write it as {inner} within {group}.", inner=code(inner), group=code(group))
        return Problem(key, said, Severity.WARNING, hint, name, lines.get(key))
    return Problem(key, said, Severity.WARNING, tr("Is `{meant}` meant?", meant=meant[0]), name, lines.get(key))


def load_config(path: Path) -> LoadedConfig:
    """Reads a YAML file; raises `UnusableError` with all faults (also for a file that cannot be read)."""
    # A single row of JSON is YAML too, and so is a model's config: with keys that nothing is known of.
    if (_is_named_as_data(path) or path.name == MODEL_CONFIG) and (other := _other_than_config(path)):
        raise other
    if path.exists() and not path.is_file():
        said = tr("This is no file: a folder, a pipe or a device.")
        raise _other_than_config(path) or UnusableError([Problem("", said, file=str(path))])
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        said = tr("This is not a text file in UTF-8.")
        raise _other_than_config(path) or UnusableError([Problem("", said, file=str(path))]) from error
    except OSError as error:
        said = tr("The file cannot be read: {reason_of}.", reason_of=reason_of(error))
        raise UnusableError([Problem("", said, file=str(path))]) from error
    try:
        return _at_home(parse_config(text, name=str(path), base=path.resolve().parent), path)
    except UnusableError as error:
        raise _other_than_config(path) or error from error


def _at_home(loaded: LoadedConfig, path: Path) -> LoadedConfig:
    """A run's config names its own folders where they were made: of a run that was moved or copied since, those are
    gone, or another's."""
    if path.name != RUN_CONFIG or not (path.parent / JOB_FILE).is_file() or not loaded.config.adapter_path:
        return loaded
    home, was = path.resolve().parent, Path(loaded.config.adapter_path).parent
    if home == was or not (home / RUN_ADAPTERS).is_dir():
        return loaded
    values = {"adapter_path": str(home / RUN_ADAPTERS)}
    if loaded.config.data == str(was / RUN_DATA) and (home / RUN_DATA).is_dir():
        values["data"] = str(home / RUN_DATA)
    return replace(loaded, config=loaded.config.with_values(values))


def _is_named_as_data(path: Path) -> bool:
    from app.core.source.source import TABLE_SUFFIXES

    return path.suffix.lower() in TABLE_SUFFIXES and path.suffix.lower() != ".json"


def _is_of_no_model(path: Path) -> bool:
    """True for a file that has the name of a model's config, and is none."""
    with suppress(OSError):
        return path.name == MODEL_CONFIG and b'"model_type"' not in path.read_bytes()
    return False


def _other_than_config(path: Path) -> UnusableError | None:
    """What is said of a model, data or a run that are given in place of a config; None for all that may be one."""
    from app.core.setup.path_kind import DATA_KINDS, PathKind, sort_path  # which knows of configs

    kind = sort_path(path).kind
    if kind in DATA_KINDS and (path.is_dir() or _is_named_as_data(path)):
        said, hint = tr("This is data, not a config."), tr("A config names it as its `data`.")
    elif kind is PathKind.MODEL and not _is_of_no_model(path):
        said, hint = tr("This is a model, not a config."), tr("A config names it as its `model`.")
    elif kind is PathKind.RUN:
        said, hint = tr("This is a run, not a config."), tr("Its config is {name} in it.", name=RUN_CONFIG)
    else:
        return None
    return UnusableError([Problem("", said, hint=hint, file=str(path))])


def with_base(config: TrainConfig, base: Path) -> TrainConfig:
    """The same config with relative paths made absolute where something lies at that place under ``base``."""
    found = {}
    for key in PATH_KEYS:
        value = config.value(key)
        with suppress(OSError):  # a name that is too long
            if value and not Path(value).is_absolute() and (base / value).exists():
                found[key] = str((base / value).resolve())
    return config.with_values(found) if found else config


def _fit_layers(config: TrainConfig, read: Translation) -> TrainConfig:
    """All layers, where a file leaves mlx-lm's number out and the model has fewer; mlx-lm itself refuses."""
    try:
        found = parsed_json((locate_model(config.model) / MODEL_CONFIG).read_text(encoding="utf-8"))
    except (UnusableError, OSError, ValueError):
        return config  # what is wrong with the model is told when it is inspected
    layers = layer_count(found) if isinstance(found, dict) else 0
    if not 0 < layers < config.num_layers:
        return config
    read.tell(
        "num_layers",
        tr(
            "The model has {layers} layers, fewer than mlx-lm's {num_layers}: all are trained.",
            layers=layers,
            num_layers=config.num_layers,
        ),
    )
    return config.with_value("num_layers", -1)


def dump_config(config: TrainConfig, leave_out: Collection[str] = ()) -> str:
    """YAML text that both Luthier and ``mlx_lm.lora -c`` read; unknown keys come last, as they were.

    ``leave_out`` are keys that are not written: whoever reads the file decides about them.
    """
    tree = config.model_dump(mode="json")
    for key in leave_out:
        del tree[key]
    for key in ("valid_data", "test_data", "group_feature", "system_feature", "sheet", "answers_by",
                "encoding", "adapter_path", "report_to", "project_name"):  # fmt: skip
        if tree[key] == "":
            del tree[key]
    for key in ("resume_adapter_file", "lr_schedule"):
        if tree[key] is None:
            del tree[key]
    if tree["lora_parameters"]["keys"] is None:
        del tree["lora_parameters"]["keys"]
    if arguments := config.optimizer_arguments():
        tree["optimizer_config"][config.optimizer] = arguments
    if not tree["optimizer_config"]:
        del tree["optimizer_config"]
    for path in unwritten_paths(config):
        _drop(tree, path)
    return dumped_yaml(tree, width=110)


def _drop(tree: dict[str, Any], path: str) -> None:
    """Takes the value at a dotted path out of the tree, and with it what it leaves empty."""
    name, _, rest = path.partition(".")
    if rest:
        _drop(tree[name], rest)
    if not rest or not tree[name]:
        del tree[name]


def save_config(config: TrainConfig, path: Path, leave_out: Collection[str] = ()) -> None:
    """Writes the file completely or not at all, without the keys that are to be left out."""
    write_text(path, dump_config(config, leave_out))


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
        said = tr("{shown} is not usable: {reason}.", shown=_shown(fault["input"]), reason=fault_reason(fault))
        hint = ""
        if spec is not None and spec.range_text:
            hint = tr("{label} takes {range_text}.", label=spec.label, range_text=spec.range_text)
        elif path == "train_mode" and (meant := METHODS.get(str(fault["input"]).strip().lower())):
            keys = ", ".join(f"`{key}: {meant.settings[key]}`" for key in ("train_mode", *meant.told_by))
            hint = tr("{label} is {keys}.", label=meant.label, keys=keys)
        elif spec is not None and spec.choices:
            hint = tr(
                "{label} is one of {names}.",
                label=spec.label,
                names=", ".join((str(value) for value, _ in spec.choices)),
            )
        elif name and fault["type"] == "string_type" and isinstance(fault["input"], (int, float, date)):
            hint = tr("In quotes it is a text.")
        line = (lines or {}).get(path) or (lines or {}).get(path.split(".")[0])
        message = joined((code(path), said), ": ") if name else said
        problems.append(Problem(path, message, hint=hint, file=name, line=line))
    return problems


def _shown(value: Any) -> str:
    text = _as_yaml(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _as_yaml(value: Any) -> str:
    """As YAML has it on one line; what Python reads differs in `null`, `true` and `false` alone."""
    if isinstance(value, list):
        return f"[{', '.join(map(_as_yaml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_as_yaml(key)}: {_as_yaml(inner)}' for key, inner in value.items())}}}"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value) if isinstance(value, date) else repr(value)


def _may_be_none(key: str) -> bool:
    """mlx-lm files write `null` for "not set"; only fields that can be None keep it, unknown keys always do."""
    spec = field_specs().get(key)
    return (spec is None and key not in TrainConfig.model_fields) or (spec is not None and spec.optional)


def _keys(node: yaml.Node | None) -> list[yaml.ScalarNode]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return [key for key, _ in pairs if isinstance(key, yaml.ScalarNode) and key.tag != MERGE_TAG]


def _lines(node: yaml.Node | None, prefix: str = "") -> dict[str, int]:
    """The 1-based line of every key, by dotted path."""
    found: dict[str, int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = f"{prefix}{key.value}"
            found[path] = key.start_mark.line + 1
            found |= _lines(value, f"{path}.")
    return found
