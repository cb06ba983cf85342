"""What a path is for that was dropped or given on the command line, and what a config makes of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.model.adapter_file import ADAPTER_CONFIG, ADAPTER_FILE
from app.core.model.folder import MODEL_CONFIG
from app.core.protocol.job import EVENTS_FILE, JOB_FILE, RUN_CONFIG
from app.core.refusal import reason_of
from app.core.system.disk import is_companion

CONFIG_SUFFIXES = (".yaml", ".yml")
HUB_DATA = "datasets--"  # so begins a data set's folder in the Hugging Face cache, its files lie deep below
LARGEST_CONFIG = 64_000  # bytes of a JSON file that may be one
ENTRIES_LOOKED_AT = 2_000  # of a folder: a drop is decided while the pointer still moves


class PathKind(StrEnum):
    """What a path is for."""

    CONFIG = "config"
    MODEL = "model"
    RUN = "run"
    DATA = "data"
    VALID_DATA = "valid_data"
    TEST_DATA = "test_data"
    ADAPTER = "adapter"
    UNUSABLE = "unusable"


# What will happen to a path of that kind, shown while it hovers over the window.
INTENTS: dict[PathKind, str] = {
    PathKind.CONFIG: tr("Open this config"),
    PathKind.MODEL: tr("Use as the model"),
    PathKind.RUN: tr("Open this run"),
    PathKind.DATA: tr("Use as training data"),
    PathKind.VALID_DATA: tr("Use as validation data"),
    PathKind.TEST_DATA: tr("Use as test data"),
    PathKind.ADAPTER: tr("Compare this adapter with its base model"),
}


# Which value of a config a path of that kind is; the other kinds are no values.
FIELD_OF: dict[PathKind, str] = {
    PathKind.MODEL: "model",
    PathKind.DATA: "data",
    PathKind.VALID_DATA: "valid_data",
    PathKind.TEST_DATA: "test_data",
}
# Of what only one can be used, and how several of them are called.
ONLY_ONE: dict[PathKind, str] = {
    PathKind.CONFIG: tr("Several configs"),
    PathKind.MODEL: tr("Several models"),
    PathKind.RUN: tr("Several runs"),
    PathKind.ADAPTER: tr("Several adapters"),
}
DATA_KINDS = (PathKind.DATA, PathKind.VALID_DATA, PathKind.TEST_DATA)


@dataclass(frozen=True, slots=True)
class SortedPath:
    """What ``path`` is for (the folder of a dropped file where the folder is what counts), or why for nothing."""

    kind: PathKind
    path: Path
    reason: str = ""

    @property
    def intent(self) -> str:
        """What dropping it will do, in words."""
        return INTENTS.get(self.kind, self.reason)


def sort_path(path: Path) -> SortedPath:
    """Decides by names alone, or a file's first kilobytes: it must be quick enough for a moving pointer."""
    try:
        if path.is_dir():
            return _sort_folder(path)
        if path.is_file():
            return _sort_file(path)
    except OSError as error:
        return SortedPath(
            PathKind.UNUSABLE,
            path,
            tr("{name} cannot be read: {reason_of}.", name=path.name, reason_of=reason_of(error)),
        )
    return SortedPath(PathKind.UNUSABLE, path, tr("{path} does not exist.", path=path))


def sort_paths(paths: Sequence[Path]) -> list[SortedPath]:
    """All that was dropped together. Of what there can only be one, several are for nothing: nobody said which."""
    found = [sort_path(path) for path in paths]
    for kind, said in ONLY_ONE.items():
        names = [one.path.name for one in found if one.kind is kind]
        if len(names) > 1:
            reason = tr("{said} at once: {names}. Drop the one that is meant.", said=said, names=", ".join(names))
            found = [SortedPath(PathKind.UNUSABLE, one.path, reason) if one.kind is kind else one for one in found]
    return found


def config_values(found: Iterable[SortedPath]) -> dict[str, str]:
    """What a config says when it is to use the paths: several data files of one kind together, the last of several
    models; paths that are no values are left out. Raises `OSError` if files cannot be put together."""
    chosen: dict[str, list[Path]] = {}
    for one in found:
        if one.kind in FIELD_OF:
            chosen.setdefault(FIELD_OF[one.kind], []).append(one.path)
    model = FIELD_OF[PathKind.MODEL]
    from app.core.source.collection import collect  # not before: the window opens without

    return {field: str(paths[-1] if field == model else collect(paths)) for field, paths in chosen.items()}


def _sort_folder(path: Path) -> SortedPath:
    if _is_run(path):
        return SortedPath(PathKind.RUN, path)
    if (path / ADAPTER_CONFIG).is_file() and not (path / MODEL_CONFIG).is_file():
        return SortedPath(PathKind.ADAPTER, path)
    if (path / MODEL_CONFIG).is_file():
        return SortedPath(PathKind.MODEL, path)
    if path.name.startswith(HUB_DATA) or _holds_data(path):
        return SortedPath(PathKind.DATA, path)
    said = tr(
        "{name} holds neither a model (config.json), nor examples (.jsonl, .csv, …), nor a run.", name=path.name
    )
    return SortedPath(PathKind.UNUSABLE, path, said)


def _sort_file(path: Path) -> SortedPath:
    if is_companion(path.name):
        said = tr(
            "{name} only keeps what macOS knows of {name2}: drop that one.", name=path.name, name2=path.name[2:]
        )
        return SortedPath(PathKind.UNUSABLE, path, said)
    suffix, folder = path.suffix.lower(), path.parent
    if suffix in CONFIG_SUFFIXES or (suffix == ".json" and _is_config(path)):
        return SortedPath(PathKind.CONFIG, path)
    if suffix == ".safetensors" or path.name in (ADAPTER_CONFIG, MODEL_CONFIG):
        return _sort_weights(path)
    if path.name == EVENTS_FILE and _is_run(folder):
        return SortedPath(PathKind.RUN, folder)
    from app.core.source.archive import ARCHIVE_SUFFIXES  # here and below: the window opens without
    from app.core.source.data_file import split_of
    from app.core.source.source import TABLE_SUFFIXES, TEXT_SUFFIXES

    if _data_suffix(path) in (*TABLE_SUFFIXES, *TEXT_SUFFIXES, *ARCHIVE_SUFFIXES):
        split = split_of(path)
        kind = {"valid": PathKind.VALID_DATA, "test": PathKind.TEST_DATA}.get(split or "", PathKind.DATA)
        return SortedPath(kind, path)
    return SortedPath(PathKind.UNUSABLE, path, _refusal(path))


def _is_config(path: Path) -> bool:
    """Whether a JSON file is a config of another trainer, which some of them write; rows are in other files."""
    if path.stat().st_size > LARGEST_CONFIG:
        return False
    try:
        tree = parsed_json(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    from app.core.foreign.trainer import trainer_of

    return isinstance(tree, dict) and trainer_of(tree) is not None


def _sort_weights(path: Path) -> SortedPath:
    """A file of a model or an adapter stands for its folder; checkpoints lie beside the adapter's config."""
    folder = path.parent
    if path.name == ADAPTER_FILE and not (folder / ADAPTER_CONFIG).is_file():
        said = tr(
            "{name} lies without its {adapter_config}: put both into one folder.",
            name=path.name,
            adapter_config=ADAPTER_CONFIG,
        )
        return SortedPath(PathKind.UNUSABLE, path, said)
    if (folder / ADAPTER_CONFIG).is_file() and path.name != MODEL_CONFIG:
        return SortedPath(PathKind.ADAPTER, folder)
    if (folder / MODEL_CONFIG).is_file():
        return SortedPath(PathKind.MODEL, folder)
    said = tr(
        "{name} lies without its {model_config}: it cannot be loaded alone.",
        name=path.name,
        model_config=MODEL_CONFIG,
    )
    return SortedPath(PathKind.UNUSABLE, path, said)


def _refusal(path: Path) -> str:
    if path.suffix.lower() == ".gguf":
        return tr(
            "{name}: GGUF models are for inference. Drop the folder of the model's safetensors version.",
            name=path.name,
        )
    return tr("{name} is not a model, a config, a run or a data file that Luthier reads.", name=path.name)


def _is_run(path: Path) -> bool:
    return (path / RUN_CONFIG).is_file() and any((path / name).exists() for name in (EVENTS_FILE, JOB_FILE))


def _data_suffix(path: Path) -> str:
    from app.core.source.source import COMPRESSED_SUFFIXES

    suffixes = [s.lower() for s in path.suffixes if s.lower() not in COMPRESSED_SUFFIXES]
    return suffixes[-1] if suffixes else ""


def _holds_data(folder: Path) -> bool:
    """True if there is a data file in the folder or in one below it."""
    folders = [folder]
    with os.scandir(folder) as entries:
        for entry in islice(entries, ENTRIES_LOOKED_AT):
            if entry.is_dir() and not entry.name.startswith("."):
                folders.append(Path(entry.path))
            elif _is_data_name(entry.name):
                return True
    return any(_has_data_file(below) for below in folders[1:])


def _has_data_file(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(_is_data_name(entry.name) for entry in islice(entries, ENTRIES_LOOKED_AT))
    except OSError:
        return False  # a folder below that may not be read has nothing for us


def _is_data_name(name: str) -> bool:
    from app.core.document.document import DOCUMENT_SUFFIXES
    from app.core.source.archive import ARCHIVE_SUFFIXES
    from app.core.source.source import TABLE_SUFFIXES

    return not name.startswith(".") and _data_suffix(Path(name)) in (
        *TABLE_SUFFIXES,
        *DOCUMENT_SUFFIXES,
        *ARCHIVE_SUFFIXES,
        ".txt",
    )
