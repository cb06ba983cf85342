"""The format ``fused``: one model for MLX, the adapter in its matrices, as floats or quantized anew."""

from __future__ import annotations

from pathlib import Path

import mlx.nn as nn
from mlx_lm.utils import quantize_model

from app.core.model.conversion import QUANTIZATIONS
from app.core.problem import Problem
from app.worker.export.fusing import fuse, parameters
from app.worker.export.model_folder import bring_files, plain_config, write_config, write_weights
from app.worker.export.plan import ExportPlan
from app.worker.export.tuned_model import TunedModel
from app.worker.export.writer import Phases

FUSING, WRITING_WEIGHTS = "Fusing", "Writing the weights"


class FusedWriter:
    """A model folder of mlx-lm."""

    def problems(self, plan: ExportPlan) -> list[Problem]:
        """What `unfusable` says."""
        return unfusable(plan)

    def write(self, plan: ExportPlan, tuned: TunedModel, folder: Path, progress: Phases) -> None:
        """Weights, config and the base's tokenizer files."""
        model = fuse(tuned, progress(FUSING))
        config = plain_config(plan.base_config)
        way = QUANTIZATIONS.get(str(plan.values["bits"]))
        if way is not None:
            model, config = quantize_model(model, config, way.group_size, way.bits, way.mode)
            config["quantization_config"] = config["quantization"]
        tensors = list(parameters(model).items())
        tuned.release()
        del model
        write_weights(folder, tensors, progress(WRITING_WEIGHTS))
        write_config(folder, config)
        bring_files(plan.base, folder)


def unfusable(plan: ExportPlan) -> list[Problem]:
    """Models that are stored in a way that is not undone here."""
    strange = sorted(
        {type(module).__name__ for _, module in plan.architecture.named_modules() if _is_strange(module)}
    )
    if not strange:
        return []
    said = f"The base model is stored in a way that cannot be fused here ({', '.join(strange)})."
    return [Problem("format", said, hint="Export the adapter alone.")]


def _is_strange(module: nn.Module) -> bool:
    return type(module).__name__ in ("BitLinear", "QQLinear", "FusedQuantizedLinear", "FusedLinear")
