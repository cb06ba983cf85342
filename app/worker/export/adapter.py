"""The format ``adapter``: the adapter alone, in a folder as mlx-lm has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from app.core.model.adapter_file import ADAPTER_CONFIG, ADAPTER_FILE
from app.core.problem import Problem
from app.worker.array import Arrays
from app.worker.export.plan import ExportPlan
from app.worker.export.tuned_model import TunedModel
from app.worker.export.writer import Phases
from app.worker.model.adapter_switch import ADAPTER_LEAVES
from app.worker.model.peft import is_peft

# Keys of a run's config that tell where things lay on the machine that trained, and mean nothing elsewhere.
LOCAL_KEYS = ("adapter_path", "resume_adapter_file", "data", "valid_data", "test_data", "reward_functions_file")


class AdapterWriter:
    """Copies mlx-lm's adapters, and puts PEFT's into mlx-lm's names."""

    def problems(self, plan: ExportPlan) -> list[Problem]:
        """A DoRA's strength, and PEFT adapters whose modules have different ranks, are refused."""
        found = scale_problems(plan)
        config = plan.adapter_config
        if is_peft(config) and (config.get("rank_pattern") or config.get("alpha_pattern")):
            said = "This PEFT adapter has other ranks or alphas in some modules; mlx-lm's layout has one for all."
            found.append(Problem("format", said, hint="Export it fused, or as peft."))
        return found

    def write(self, plan: ExportPlan, tuned: TunedModel, folder: Path, progress: Phases) -> None:
        """``adapters.safetensors`` and ``adapter_config.json``."""
        report = progress("Writing the adapter")
        weights = _weights(tuned)
        config = _config(plan, tuned)
        report(0, 1)
        mx.save_safetensors(str(folder / ADAPTER_FILE), weights)
        (folder / ADAPTER_CONFIG).write_text(json.dumps(dict(sorted(config.items())), indent=4), encoding="utf-8")
        report(1, 1)


def scale_problems(plan: ExportPlan) -> list[Problem]:
    """Why the adapter alone cannot be given the strength that is asked for."""
    if plan.scale == 1.0 or plan.kind != "dora":
        return []
    said = "The strength of a DoRA adapter cannot be changed: its magnitudes were trained with it."
    return [Problem("scale", said, hint="Leave it at 1.")]


def _weights(tuned: TunedModel) -> Arrays:
    parts = tuned.adapter.parts
    if tuned.adapter.kind == "full":
        return dict(parts)
    return {f"{path}.{leaf}": part[leaf] for path, part in parts.items() for leaf in ADAPTER_LEAVES if leaf in part}


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
    first = next(iter(parts.values()))
    rank = dict(tree_flatten(first.parameters()))["lora_a"].shape[-1]
    parameters = {"rank": rank, "scale": first.scale, "dropout": 0.0, "keys": sorted(parts)}
    return {
        "model": plan.source.base,
        "fine_tune_type": tuned.adapter.kind,
        "num_layers": len(tuned.model.layers),
        "lora_parameters": parameters,
    }
