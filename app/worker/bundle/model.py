"""The base model of a bundle: its name on the hub, or its files as transformers reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx

from app.core.bundle.base_model import base_model
from app.core.bundle.recipe import BundledModel
from app.core.language import tr
from app.core.model.folder import read_config
from app.core.model.hub import parse_model_id
from app.core.model.inspection import Inspection
from app.core.model.safetensors_header import weight_files
from app.core.problem import Problem, UnusableError
from app.worker.export.model_folder import bring_files, write_config, write_weights
from app.worker.export.naming import NAMINGS
from app.worker.process.progress import Progress

MODEL_FOLDER = "model"


def bundled_model(
    named: str, inspection: Inspection, *, with_files: bool, instead: str, four_bit: bool
) -> BundledModel:
    """How the model that the config names ``named`` gets to the other machine.

    ``with_files`` brings its files; else it is loaded from the hub, as ``instead`` where that is given. Raises
    `UnusableError` if neither can be.
    """
    base = base_model(named)
    if with_files and instead:
        said = tr("Either the model's files come along, or it is named on the hub; not both.")
        raise UnusableError([Problem("with_model", said, hint=tr("Leave one of them out."))])
    identity = parse_model_id(instead) if instead else base.identity
    if instead and identity is None:
        said = tr("“{instead}” is no name of a model on the hub.", instead=instead)
        raise UnusableError([Problem("torch_model", said, hint=tr("A name reads organization/model."))])
    if base.is_packed and not instead:
        said = tr(
            "The model is quantized by MLX ({quantization}), which transformers does not read.",
            quantization=inspection.quantization,
        )
        hint = tr(
            "Name the model that it was made from: --torch-model organization/model, with --four-bit if need be."
        )
        raise UnusableError([Problem("torch_model", said, hint=hint)])
    if not with_files and identity is None:
        said = tr(
            "{named} is a folder on this machine: another one does not know where to get the model.", named=named
        )
        hint = tr("Take its files along (--with-model), or name it on the hub (--torch-model organization/model).")
        raise UnusableError([Problem("with_model", said, hint=hint)])
    dtype = inspection.dtype if inspection.dtype in ("float32", "float16", "bfloat16") else "bfloat16"
    return BundledModel(
        id="" if with_files or identity is None else identity.id,
        revision="" if with_files or identity is None else identity.revision,
        folder=MODEL_FOLDER if with_files else "",
        dtype="bfloat16" if base.is_packed else dtype,
        bytes=0 if base.is_packed else base.weight_bytes,
        licence=base.licence,
        four_bit=four_bit,
    )


def bring_model(folder: Path, out: Path, progress: Progress) -> None:
    """Writes the model of ``folder`` into ``out`` under transformers' names, whichever program saved it."""
    out.mkdir()
    config = read_config(folder)
    naming = NAMINGS[str(config["model_type"])]
    tensors: list[tuple[str, mx.array]] = []
    for file in weight_files(folder):
        arrays, metadata = _opened(file)
        is_mlx = metadata.get("format") == "mlx"
        for name, array in arrays.items():
            tensors += naming.tensors(name, array) if is_mlx else [(name, array)]
    write_weights(out, tensors, progress, "pt")
    write_config(out, {"architectures": [naming.class_name]} | config)
    bring_files(folder, out)


def _opened(file: Path) -> tuple[dict[str, mx.array], dict[str, Any]]:
    loaded = mx.load(str(file), return_metadata=True)
    assert isinstance(loaded, tuple)
    arrays, metadata = loaded
    assert isinstance(arrays, dict)
    return arrays, dict(metadata)
