"""The format ``adapter``: the adapter alone, in a folder as mlx-lm has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx

from app.core.language import tr
from app.core.model.adapter_file import ADAPTER_CONFIG, ADAPTER_FILE, is_peft
from app.core.model.template import lay_template
from app.core.problem import Problem
from app.worker.array import Arrays
from app.worker.export.plan import ExportPlan
from app.worker.export.tuned_model import TunedModel
from app.worker.model.adapter_switch import ADAPTER_LEAVES
from app.worker.process.progress import Phases

# Keys of a run's config that tell where things lay on the machine that trained, and mean nothing elsewhere.
LOCAL_KEYS = ("adapter_path", "resume_adapter_file", "data", "valid_data", "test_data", "reward_functions_file")


class AdapterWriter:
    """Copies mlx-lm's adapters, and puts PEFT's into mlx-lm's names."""

    def problems(self, plan: ExportPlan) -> list[Problem]:
        """A DoRA's strength is refused."""
        return scale_problems(plan)

    def write(self, plan: ExportPlan, tuned: TunedModel, folder: Path, progress: Phases) -> None:
        """``adapters.safetensors`` and ``adapter_config.json``."""
        report = progress(tr("Writing the adapter"))
        weights = _weights(tuned)
        config = _config(plan, tuned)
        report(0, 1)
        mx.save_safetensors(str(folder / ADAPTER_FILE), weights)
        (folder / ADAPTER_CONFIG).write_text(json.dumps(dict(sorted(config.items())), indent=4), encoding="utf-8")
        lay_template(plan.base, folder)
        report(1, 1)


def scale_problems(plan: ExportPlan) -> list[Problem]:
    """Why the adapter alone cannot be given the strength that is asked for."""
    if plan.scale == 1.0 or plan.kind != "dora":
        return []
    said = tr("The strength of a DoRA adapter cannot be changed: its magnitudes were trained with it.")
    return [Problem("scale", said, hint=tr("Leave it at 1."))]


def _weights(tuned: TunedModel) -> Arrays:
    parts = tuned.adapter.parts
    if tuned.adapter.kind == "full":
        return dict(parts)
    weights = {
        f"{path}.{leaf}": part[leaf] for path, part in parts.items() for leaf in ADAPTER_LEAVES if leaf in part
    }
    rank, scale = _shape(parts)
    for path, part in parts.items():
        if (rank, scale) != (_rank(part), part.scale):
            weights[f"{path}.lora_a"], weights[f"{path}.lora_b"] = _in_shape(part, rank, scale)
    return weights


def _rank(part: Any) -> int:
    """Experts keep (experts, rank, inputs) and (experts, outputs, rank), others (inputs, rank), (rank, outputs)."""
    return int(part.lora_b.shape[-1 if part.lora_b.ndim == 3 else 0])


def _shape(parts: dict[str, Any]) -> tuple[int, float]:
    """The one rank and scale that mlx-lm's layout has for all: the widest, and the first one's."""
    return max(map(_rank, parts.values())), float(next(iter(parts.values())).scale)


def _in_shape(part: Any, rank: int, scale: float) -> tuple[mx.array, mx.array]:
    """The matrices of a part of another rank or scale (PEFT's patterns): widened by nothing, scaled before."""
    more = rank - _rank(part)
    in_a, in_b = (1, 2) if part.lora_b.ndim == 3 else (1, 0)
    b = part.lora_b if part.scale == scale else (part.lora_b * (part.scale / scale)).astype(part.lora_b.dtype)
    pad_a = [(0, more if axis == in_a else 0) for axis in range(part.lora_a.ndim)]
    pad_b = [(0, more if axis == in_b else 0) for axis in range(b.ndim)]
    return mx.pad(part.lora_a, pad_a), mx.pad(b, pad_b)


def _config(plan: ExportPlan, tuned: TunedModel) -> dict[str, Any]:
    own = plan.adapter_config
    if is_peft(own):
        return _translated(plan, tuned)
    config = {key: value for key, value in own.items() if key not in LOCAL_KEYS} | {"fine_tune_type": plan.kind}
    if config.get("lora_parameters"):
        scale = float(config["lora_parameters"]["scale"]) * plan.scale
        config["lora_parameters"] = config["lora_parameters"] | {"scale": scale}
        config.pop("lora_alpha", None)
    return config


def _translated(plan: ExportPlan, tuned: TunedModel) -> dict[str, Any]:
    """mlx-lm's words for what a PEFT adapter adapts: every module by its own path."""
    parts = tuned.adapter.parts
    rank, scale = _shape(parts)
    parameters = {"rank": rank, "scale": scale, "dropout": 0.0, "keys": sorted(parts)}
    return {
        "model": plan.source.base,
        "fine_tune_type": tuned.adapter.kind,
        "num_layers": len(tuned.model.layers),
        "lora_parameters": parameters,
    }
