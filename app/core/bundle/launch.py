"""What launches a bundle elsewhere: files for accelerate (several GPUs), SkyPilot (clouds) and Kaggle's client."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.core.bundle.notebook import NOTEBOOK, write_notebook
from app.core.system.yaml_text import dumped_yaml

FSDP, SKYPILOT, KERNEL, KAGGLE_DATA = "fsdp2.yaml", "skypilot.yaml", "kernel-metadata.json", "dataset-metadata.json"
# NVIDIA's by their memory in gigabytes, as SkyPilot calls them.
ACCELERATORS = {"T4": 16, "L4": 24, "A10G": 24, "L40S": 48, "A100": 40, "A100-80GB": 80, "H100": 80, "H200": 141}
_BESIDE_WEIGHTS = 1.5  # what a training takes, as a multiple of the weights: a rule of thumb
_AT_LEAST_GB = 4.0


def write_launchers(folder: Path, recipe: Mapping[str, Any], kaggle_user: str = "") -> None:
    """Writes the notebook and the files of the launchers; Kaggle's where a user of it is named."""
    write_notebook(folder, recipe)
    fetched = "# from this folder; then rsync -a luthier:sky_workdir/run ."
    _write_yaml(folder / FSDP, fsdp_of(recipe), f"accelerate launch --config_file {FSDP} train.py")
    _write_yaml(folder / SKYPILOT, skypilot_of(recipe), f"sky launch -c luthier {SKYPILOT}\n{fetched}")
    if kaggle_user:
        for name, tree in zip((KERNEL, KAGGLE_DATA), kaggle_of(recipe, kaggle_user), strict=True):
            (folder / name).write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")


def fsdp_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """accelerate's config for FSDP2: the model's weights are divided among two GPUs."""
    precision = {"bfloat16": "bf16", "float16": "fp16"}.get(recipe["model"]["dtype"], "no")
    return {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "FSDP",
        "fsdp_config": {
            "fsdp_version": 2,
            "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_reshard_after_forward": True,
            "fsdp_offload_params": False,
            "fsdp_cpu_ram_efficient_loading": False,
            "fsdp_state_dict_type": "FULL_STATE_DICT",
        },
        "machine_rank": 0,
        "main_training_function": "main",
        "mixed_precision": precision,
        "num_machines": 1,
        "num_processes": 2,
        "use_cpu": False,
    }


def skypilot_of(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A SkyPilot task on one GPU, whichever of those with enough memory is cheapest."""
    need = memory_gb(recipe)
    enough = {name: 1 for name, size in ACCELERATORS.items() if size >= need} or {"H200": 1}
    disk = max(64, round(3 * recipe["model"]["bytes"] / 1e9) + 40)
    return {
        "name": _slug(recipe),
        "resources": {"accelerators": enough, "disk_size": disk},
        "workdir": ".",
        "setup": "pip install -r requirements.txt\n",
        "run": "python train.py --run run\n",
    }


def kaggle_of(recipe: Mapping[str, Any], user: str, slug: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """Kaggle's metadata: of the notebook, and of the data set that the bundle is there, by their name ``slug``."""
    slug = slug or _slug(recipe)
    data = f"{user}/{slug}-bundle"
    kernel = {
        "id": f"{user}/{slug}",
        "title": slug,
        "code_file": NOTEBOOK,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": True,
        "enable_internet": True,
        "dataset_sources": [data],
        "competition_sources": [],
        "kernel_sources": [],
    }
    return kernel, {"title": f"{slug}-bundle", "id": data, "licenses": [{"name": "other"}]}


def memory_gb(recipe: Mapping[str, Any]) -> float:
    """About what the training takes on a GPU."""
    weights: float = recipe["model"]["bytes"] * (0.3 if recipe["model"]["four_bit"] else 1.0)
    return max(_AT_LEAST_GB, weights * _BESIDE_WEIGHTS / 1e9)


def _slug(recipe: Mapping[str, Any]) -> str:
    """Small letters, digits and dashes: what Kaggle and clouds take; at least five."""
    word = re.sub(r"[^a-z0-9]+", "-", recipe["name"].lower()).strip("-")
    return f"luthier-{word}"[:50].strip("-")


def _write_yaml(path: Path, tree: dict[str, Any], how: str) -> None:
    text = dumped_yaml(tree)
    path.write_text(f"# {how}\n---\n{text}", encoding="utf-8")
