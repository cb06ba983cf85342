"""Model folders: where a model is, by path or by the name of a cached Hugging Face model, and which there are."""

from __future__ import annotations

import difflib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.model.adapter_file import ADAPTER_CONFIG
from app.core.model.bound import odd_file
from app.core.model.safetensors_header import weight_files
from app.core.problem import Problem, UnusableError
from app.core.system.disk import is_companion
from app.core.system.leftover import temporary_prefix
from app.core.system.plain_text import holds_no_text
from app.core.typed_path import typed_path

MODEL_CONFIG = "config.json"
_HUB_ID = re.compile(r"^[\w.-]+(/[\w.-]+)?(@[\w./-]+)?$")
_WILDCARD = re.compile(r"[*?\[]")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_DEPTH = 2  # LM Studio keeps models as publisher/name


def files_stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """The files of a model's folder with their times and sizes, by which it is known whether it is still the same;
    empty where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    except OSError:
        return ()
    return tuple(sorted((name, state.st_mtime_ns, state.st_size) for name, state in found))


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model on this machine. ``size_bytes`` counts its weight files; ``cached`` if in the hub's cache."""

    name: str
    path: Path
    size_bytes: int
    model_type: str
    cached: bool = False


def hub_cache() -> Path:
    """Where huggingface_hub keeps models: ``HF_HUB_CACHE``, else ``HF_HOME/hub``, else the user's cache.

    Read here because importing huggingface_hub costs more than a window may wait.
    """
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if place := os.environ.get(variable):
            return typed_path(place)
    if home := os.environ.get("HF_HOME"):
        return typed_path(home) / "hub"
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return typed_path(base) / "huggingface" / "hub"


def locate_model(name: str) -> Path:
    """The folder of a model: ``name`` is a folder, a file in one, or the (cached) hub id ``org/model[@revision]``.

    Raises `UnusableError` (path "model") that says what is wrong with it and what to do.
    """
    text = name.strip()
    if not text:
        raise _unusable(
            tr("No model is chosen."), tr("Choose a model folder, or a model from the Hugging Face cache.")
        )
    path = typed_path(text)
    if path.is_file():
        path = path.parent
    if path.is_dir():
        return _usable_folder(path.resolve())
    snapshot = _snapshot(text) if _HUB_ID.match(text) else None
    if snapshot is not None:
        return _usable_folder(snapshot)
    raise _missing(text)


@contextmanager
def plain_path(folder: Path) -> Iterator[Path]:
    """The folder by a path without wildcards: mlx-lm looks for weights with ``glob`` and takes ``[a]`` for one.

    That is the folder itself, or a link to it that is there only inside the ``with``.
    """
    if not _WILDCARD.search(str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix=temporary_prefix("model")) as place:
        link = Path(place) / "model"
        link.symlink_to(folder.resolve(), target_is_directory=True)
        yield link


def read_config(folder: Path) -> dict[str, Any]:
    """The model's ``config.json`` as it is; empty if there is none. Raises `UnusableError` if it cannot be read."""
    path = folder / MODEL_CONFIG
    if not path.is_file():
        return {}
    try:
        tree = parsed_json(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        said = tr("config.json cannot be read: {error}.", error=error)
        raise UnusableError(
            [Problem("model", said, hint=tr("Copy or download it again."), file=str(path))]
        ) from error
    if not isinstance(tree, dict):
        raise UnusableError([Problem("model", tr("config.json is not a JSON object."), file=str(path))])
    return tree


def unreadable_name(path: Path) -> Problem | None:
    """What keeps MLX from reading at a path whose bytes are no text: it fails there without a word."""
    if not holds_no_text(path.resolve()):
        return None
    said = tr("MLX cannot read where a name holds bytes that are no UTF-8: {path}.", path=path)
    return Problem("model", said, hint=tr("Rename the folder or file."))


def find_models(extra_folders: Iterable[Path] = ()) -> list[ModelEntry]:
    """The models in the Hugging Face cache and in further folders (two levels deep), by name; each place once."""
    found: dict[Path, ModelEntry] = {}
    for repository in _repositories():
        snapshot = _newest(repository)
        if snapshot is not None and _is_language_model(snapshot):
            found.setdefault(snapshot, _entry(_repository_name(repository), snapshot, cached=True))
    for folder in (typed_path(one) for one in extra_folders):
        for path in _folders(folder, _DEPTH):
            resolved = path.resolve()
            if resolved not in found:
                name = path.name if path.parent == folder else f"{path.parent.name}/{path.name}"
                found[resolved] = _entry(name, resolved)
    return sorted(found.values(), key=lambda entry: entry.name.lower())


def has_tokenizer(folder: Path) -> bool:
    """Whether a tokenizer lies in the folder."""
    return any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json"))


def has_chat_template(folder: Path) -> bool:
    """Whether the tokenizer brings a chat template, in a file of its own or in its config."""
    if any((folder / name).is_file() for name in ("chat_template.jinja", "chat_template.json")):
        return True
    try:
        tree = parsed_json((folder / "tokenizer_config.json").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return False
    return isinstance(tree, dict) and bool(tree.get("chat_template"))


def _usable_folder(folder: Path) -> Path:
    if (problem := unreadable_name(folder)) is not None:
        raise UnusableError([problem])
    if (odd := odd_file(folder)) is not None:
        raise _unusable(
            tr("{odd} is no file: a folder, a pipe or a device.", odd=odd), tr("Copy or download the model again.")
        )
    if (folder / MODEL_CONFIG).is_file() or weight_files(folder):
        return folder
    if (folder / ADAPTER_CONFIG).is_file():
        raise _unusable(
            tr("{folder} holds an adapter, not a model.", folder=folder),
            tr("Choose its base model; the adapter is chosen elsewhere."),
        )
    files = [path for path in folder.iterdir() if path.is_file() and not is_companion(path.name)]
    if any(path.suffix in _PICKLES for path in files):
        raise _unusable(
            tr(
                "{folder} has its weights in pickle files only, which can run any code when opened; they are not.",
                folder=folder,
            ),
            tr("Save the model as safetensors (transformers: save_pretrained) and choose that folder."),
        )
    if any(path.suffix == ".gguf" for path in files):
        raise _unusable(
            tr("{folder} holds a GGUF file, which cannot be trained.", folder=folder),
            tr("Choose the model it was made from."),
        )
    raise _unusable(
        tr("There is no model in {folder}: neither config.json nor safetensors files.", folder=folder),
        tr("Choose the folder that directly holds config.json."),
    )


def _missing(name: str) -> UnusableError:
    cached = [_repository_name(repository) for repository in _repositories()]
    lowered = {other.lower(): other for other in cached}
    near = [lowered[other] for other in difflib.get_close_matches(name.lower(), list(lowered), 3, 0.6)]
    if near:
        return _unusable(
            tr("There is no model {name} here.", name=name), tr("Did you mean {near}?", near=tr(" or ").join(near))
        )
    if _HUB_ID.match(name) and "/" in name and not name.startswith((".", "/", "~")):
        return _unusable(
            tr("The model {name} is not on this machine.", name=name),
            tr("Download it first, or choose a model folder."),
        )
    return _unusable(tr("There is no folder {name}.", name=name), tr("Check the path, or choose the folder again."))


def _unusable(message: str, hint: str) -> UnusableError:
    return UnusableError([Problem("model", message, hint=hint)])


def _repositories() -> list[Path]:
    cache = hub_cache()
    return sorted(path for path in cache.glob("models--*") if path.is_dir()) if cache.is_dir() else []


def _repository_name(repository: Path) -> str:
    return repository.name.removeprefix("models--").replace("--", "/", 1)


def _snapshot(name: str) -> Path | None:
    """The cached snapshot of ``org/model`` or ``org/model@revision``."""
    identity, _, revision = name.partition("@")
    repository = hub_cache() / f"models--{identity.replace('/', '--')}"
    if not repository.is_dir():
        return None
    return _revision(repository, revision) if revision else _newest(repository)


def _revision(repository: Path, revision: str) -> Path | None:
    reference = repository / "refs" / revision
    commit = reference.read_text(encoding="utf-8").strip() if reference.is_file() else revision
    snapshot = repository / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def _newest(repository: Path) -> Path | None:
    """The snapshot of ``main``, else the one written last."""
    main = _revision(repository, "main")
    if main is not None:
        return main
    snapshots = [path for path in (repository / "snapshots").glob("*") if path.is_dir()]
    return max(snapshots, key=lambda path: path.stat().st_mtime, default=None)


def _is_language_model(folder: Path) -> bool:
    """Cached repositories are of all kinds; those without a config or with nothing but a tokenizer are left out."""
    return (folder / MODEL_CONFIG).is_file()


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    """The model folders in a folder (itself included)."""
    if not folder.is_dir():
        return
    if (folder / MODEL_CONFIG).is_file():
        yield folder
        return
    if depth > 0:
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.name.startswith("."):
                yield from _folders(path, depth - 1)


def _entry(name: str, path: Path, *, cached: bool = False) -> ModelEntry:
    size = 0
    for file in weight_files(path):
        try:
            size += file.stat().st_size
        except OSError:  # a link of the cache whose blob is gone
            continue
    try:
        model_type = str(read_config(path).get("model_type", ""))
    except UnusableError:
        model_type = ""
    return ModelEntry(name, path, size, model_type, cached)
