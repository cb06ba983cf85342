"""The inspect task: a model's modules, exact parameter counts and adapter costs, from mlx-lm's own classes.

The model is built lazily from ``config.json``: nothing is allocated and no weight is read. Adapter costs are
measured by letting mlx-lm convert one module of each kind, so they hold for whatever it does, also in versions
to come.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import ValidationError

from app.core.installation import package_version
from app.core.language import tr
from app.core.model.bound import check_layers
from app.core.model.folder import MODEL_CONFIG, has_chat_template, has_tokenizer, locate_model, read_config
from app.core.model.header_inspection import inspect_headers
from app.core.model.inspection import INSPECTION_FORMAT, Inspection
from app.core.model.safetensors_header import weight_faults, weight_files
from app.core.model.vocabulary import tokens_beyond
from app.core.problem import Problem, UnusableError
from app.core.protocol import event
from app.core.protocol.job import InspectJob
from app.core.system.atomic_file import write_text
from app.core.system.place import cache_dir
from app.worker.process.channel import Channel


def inspect(channel: Channel, job_dir: Path, job: InspectJob) -> None:  # noqa: ARG001  # as every task
    """Inspects the job's model and emits what it found."""
    inspection = inspect_model(locate_model(job.model))
    channel.emit(event.Inspected(inspection=inspection.model_dump(mode="json")))
    channel.emit(event.Finished())


def inspect_model(path: Path) -> Inspection:
    """What the model in a folder is made of. Needs ``config.json`` only; weight files are read by their headers.

    Raises `UnusableError` if neither mlx-lm knows the model nor the headers of its files tell anything.
    """
    cached = _cache_file(path)
    if cached is not None and (known := _read_cache(cached)) is not None:
        return _of_folder(known, path)
    inspection = _inspect(path)
    if cached is not None:
        write_text(cached, inspection.model_dump_json())
    return _of_folder(inspection, path)


def _inspect(path: Path) -> Inspection:
    config = read_config(path)
    check_layers(path, config)
    if not isinstance(config.get("model_type", ""), str):
        said = tr("The model type in config.json is no word.")
        raise UnusableError([Problem("model", said, hint=tr("Copy or download it again."), file=str(path))])
    if not config.get("model_type"):
        return inspect_headers(path, config, tr("config.json names no model type that mlx-lm could build."))
    # mlx-lm takes a second to import, and an answer that is kept needs none of it.
    from app.worker.model.inspection import UnknownModelError, inspect_built

    try:
        return inspect_built(path, config)
    except UnknownModelError as error:
        if weight_files(path):
            return inspect_headers(path, config, str(error))
        hint = tr("Choose a model of a type that mlx-lm has; see its list of models.")
        raise UnusableError([Problem("model", str(error), hint=hint)]) from error


def _of_folder(inspection: Inspection, path: Path) -> Inspection:
    """The same with what depends on the folder and not on the config."""
    files = weight_files(path)
    return inspection.model_copy(
        update={
            "path": str(path),
            "has_weights": bool(files),
            "weight_faults": tuple(weight_faults(path)),
            "file_bytes": sum(file.stat().st_size for file in files if file.exists()),
            "has_tokenizer": has_tokenizer(path),
            "has_chat_template": has_chat_template(path),
            "tokens_beyond": tokens_beyond(path),
        }
    )


def _cache_file(path: Path) -> Path | None:
    """Where the inspection of this config (and these weight files) is kept; None without a config."""
    config = path / MODEL_CONFIG
    if not config.is_file():
        return None
    digest = hashlib.sha256(config.read_bytes())
    for extra in (path / "hf_quant_config.json", path / "model.safetensors.index.json"):
        if extra.is_file():
            digest.update(extra.read_bytes())
    for file in weight_files(path):
        if file.exists():
            digest.update(f"{file.name} {file.stat().st_size}".encode())
    digest.update(f"{INSPECTION_FORMAT} {package_version('mlx-lm')}".encode())
    return cache_dir() / "inspection" / f"{digest.hexdigest()[:32]}.json"


def _read_cache(path: Path) -> Inspection | None:
    try:
        return Inspection.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
