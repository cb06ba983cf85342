"""The start of a bundle's adapter: what a run begins with here, in PEFT's form, for the same run there."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx

from app.core.config.train_config import TrainConfig
from app.core.model.adapter_file import PEFT_FILE
from app.core.model.folder import read_config
from app.core.protocol.job import ExportJob
from app.core.typed_path import typed_path
from app.worker.array import Arrays
from app.worker.export.naming import NAMINGS
from app.worker.export.peft import PeftWriter
from app.worker.export.task import plan_of
from app.worker.export.tuned_model import TunedModel
from app.worker.model.build import build_model
from app.worker.model.loading import make_trainable
from app.worker.model.peft import PEFT_PREFIX
from app.worker.process.progress import Phases


def write_given_start(config: TrainConfig, folder: Path, progress: Phases) -> None:
    """The adapter that the config names to begin with."""
    assert config.resume_adapter_file is not None
    source = typed_path(config.resume_adapter_file)
    plan = plan_of(ExportJob(source=source, model=config.model, format="peft", out=folder))
    folder.mkdir()
    PeftWriter().write(plan, TunedModel.of(plan), folder, progress)


def write_first_values(config: TrainConfig, folder: Path) -> None:
    """The random matrices that the config's seed draws; the others begin with 0 in PEFT as well.

    No weight of the base is read: they follow from shapes and seed alone. A magnitude of DoRA's is left to PEFT,
    which takes it from the base as mlx-lm does.
    """
    base = Path(config.model)
    naming = NAMINGS[str(read_config(base)["model_type"])]
    model, _ = build_model(base)
    make_trainable(model, config)
    tensors: Arrays = {
        f"{PEFT_PREFIX}{naming.module(path)}.lora_A.weight": mx.contiguous(module["lora_a"].T)
        for path, module in model.named_modules()
        if "lora_a" in module
    }
    folder.mkdir()
    mx.save_safetensors(str(folder / PEFT_FILE), tensors, {"format": "pt"})
