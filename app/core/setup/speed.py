"""Speeds: the paces of earlier runs on this machine, kept by kind of run, for a guess before any is measured."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.json_text import parsed_json
from app.core.model.inspection import Inspection
from app.core.setup.chosen_method import method_of
from app.core.setup.duration import Pace
from app.core.system.atomic_file import write_text
from app.core.system.place import data_dir

KEPT_SPEEDS = 200  # the oldest go


def speeds_path() -> Path:
    """Where they are kept."""
    return data_dir() / "speeds.json"


def speed_key(inspection: Inspection, config: TrainConfig, *, compiled: bool) -> str:
    """What a pace depends on: the model's sizes and precision, method, kind of training, what is recomputed or
    packed, and whether kernels are compiled. Rank, targets, batch and lengths are not in it: they change it little,
    or are in what is counted."""
    again = f"again{config.checkpoint_layers or ''}"
    parts = (
        inspection.model_type, f"{inspection.num_layers}x{inspection.hidden_size}", f"v{inspection.vocab_size}",
        f"p{inspection.total_parameters}", inspection.dtype, inspection.quantization, method_of(config).name,
        config.fine_tune_type, f"top{config.num_layers}", again if config.grad_checkpoint else "kept",
        "packed" if config.batching == "pack" else "apart", "compiled" if compiled else "plain",
    )  # fmt: skip
    return "/".join(str(part) for part in parts)


def kept_pace(key: str, file: Path | None = None) -> Pace | None:
    """The pace of the last run of this kind; None if there was none."""
    tree = _read(file or speeds_path()).get(key)
    if not isinstance(tree, dict):
        return None
    try:
        return Pace.from_dict(tree)
    except ValueError:
        return None


def keep_pace(key: str, pace: Pace, file: Path | None = None) -> None:
    """Keeps it in the place of an older one. A disk that cannot be written costs the next guess, nothing else."""
    path = file or speeds_path()
    known = _read(path)
    known.pop(key, None)
    known[key] = pace.as_dict()
    kept = dict(list(known.items())[-KEPT_SPEEDS:])
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(kept, indent=1))


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = parsed_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}
