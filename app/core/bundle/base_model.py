"""The base model of a bundle, before any work: what it is called on the hub, and how large it is here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.core.export.model_card import base_license
from app.core.model.folder import locate_model, read_config
from app.core.model.hub import ModelId, parse_model_id
from app.core.model.safetensors_header import weight_files
from app.core.typed_path import typed_path

SPARE_BYTES = 10_000_000  # tokens of a small data set, scripts, tokenizer


@dataclass(frozen=True, slots=True)
class BaseModel:
    """The model in ``folder``: its name on the hub where that is known, the bytes of its weights, its licence;
    ``is_packed`` where MLX has quantized it, which transformers does not read."""

    folder: Path
    identity: ModelId | None
    weight_bytes: int
    licence: str
    is_packed: bool

    def needed_bytes(self, *, with_files: bool) -> int:
        """About what a bundle takes."""
        return SPARE_BYTES + (self.weight_bytes if with_files else 0)


def base_model(named: str) -> BaseModel:
    """What a config names as its model. Raises `UnusableError` if there is none."""
    folder = locate_model(named)
    return BaseModel(
        folder,
        hub_name(folder, named),
        sum(file.stat().st_size for file in weight_files(folder)),
        base_license(folder),
        bool(read_config(folder).get("quantization")),
    )


def hub_name(folder: Path, named: str) -> ModelId | None:
    """The name on the hub of a model in its cache, with the commit that is here; None for other folders."""
    cached = next((part for part in folder.parts if part.startswith("models--")), "")
    if cached and folder.parent.name == "snapshots":
        return ModelId(cached.removeprefix("models--").replace("--", "/", 1), folder.name)
    return None if typed_path(named).exists() else parse_model_id(named)
