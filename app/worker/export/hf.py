"""The format ``hf``: the fused model under Hugging Face's names, for transformers, vLLM, llama.cpp's converter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx

from app.core.problem import Problem
from app.worker.export.fused import FUSING, WRITING_WEIGHTS, unfusable
from app.worker.export.fusing import fuse, parameters
from app.worker.export.model_folder import bring_files, plain_config, write_config, write_weights
from app.worker.export.naming import NAMINGS, unknown_naming
from app.worker.export.plan import ExportPlan
from app.worker.export.tuned_model import TunedModel
from app.worker.process.progress import Phases, Progress

_DTYPES = {mx.bfloat16: "bfloat16", mx.float16: "float16", mx.float32: "float32"}


class HfWriter:
    """A folder as ``save_pretrained`` of transformers writes it."""

    def problems(self, plan: ExportPlan) -> list[Problem]:
        """Architectures whose names in transformers are not known."""
        return unknown_naming(plan.model_type) or unfusable(plan)

    def write(self, plan: ExportPlan, tuned: TunedModel, folder: Path, progress: Phases) -> None:
        """Weights, config and the base's tokenizer files."""
        tensors = hf_tensors(plan.model_type, tuned, progress(FUSING))
        dtype = next(_DTYPES.get(array.dtype, "") for _, array in tensors)
        write_weights(folder, tensors, progress(WRITING_WEIGHTS, in_bytes=True), "pt")
        write_config(folder, hf_config(plan, dtype))
        bring_files(plan.base, folder)


def hf_tensors(model_type: str, tuned: TunedModel, progress: Progress) -> list[tuple[str, mx.array]]:
    """The fused model's tensors (lazy, floats) under Hugging Face's names. Fuses ``tuned`` in place."""
    naming = NAMINGS[model_type]
    fused = parameters(fuse(tuned, progress))
    tuned.release()
    return [tensor for name, array in fused.items() for tensor in naming.tensors(name, array)]


def hf_config(plan: ExportPlan, dtype: str) -> dict[str, Any]:
    """The base's config for floats of ``dtype``, with the class that transformers builds of it."""
    config = plain_config(plan.base_config)
    named = {"dtype": dtype} | ({"torch_dtype": dtype} if "torch_dtype" in config else {})
    return {"architectures": [NAMINGS[plan.model_type].class_name]} | config | (named if dtype else {})
