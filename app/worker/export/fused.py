"""The format ``fused``: one model for MLX, the adapter in its matrices, as floats or quantized anew."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.utils import quantize_model

from app.core.export.certificate import LEAST_GAIN, LEAST_KEPT
from app.core.export.format import FLOAT_BITS, KEPT_BITS, LOSSY
from app.core.export.size import KEPT_AVERAGE
from app.core.language import tr
from app.core.model.conversion import QUANTIZATIONS
from app.core.problem import Problem, TaskError
from app.core.quantity import share_text
from app.worker.export.fusing import fuse, parameters
from app.worker.export.model_folder import bring_files, plain_config, write_config, write_weights
from app.worker.export.plan import ExportPlan
from app.worker.export.tuned_model import TunedModel
from app.worker.packing.few_bits import RATE, ROUNDS, FewBits
from app.worker.packing.gain import HeldOutGain, RunExamples, run_examples
from app.worker.process.progress import Phases, Progress

FUSING, WRITING_WEIGHTS = tr("Fusing"), tr("Writing the weights")
MEASURING, CHOOSING, TUNING = tr("Measuring what was learned"), tr("Choosing bits"), tr("Tuning scales")


class FusedWriter:
    """A model folder of mlx-lm."""

    def problems(self, plan: ExportPlan) -> list[Problem]:
        """What `unfusable` says; and no run, where its examples are needed."""
        problems = unfusable(plan)
        if str(plan.values["bits"]) == KEPT_BITS.value and plan.source.run is None:
            said = tr("What was learned is kept by the examples of a run, and this adapter is of none.")
            problems.append(Problem("bits", said, hint=tr("Choose other weights.")))
        return problems

    def write(self, plan: ExportPlan, tuned: TunedModel, folder: Path, progress: Phases) -> None:
        """Weights, config and the base's tokenizer files."""
        few_bits = str(plan.values["bits"]) != FLOAT_BITS.value
        examples = run_examples(plan.source.run, tuned.tokenizer, progress) if few_bits else None
        gain = _gain(examples, tuned, progress(MEASURING)) if examples is not None else None
        model = fuse(tuned, progress(FUSING))
        config = plain_config(plan.base_config)
        way = QUANTIZATIONS.get(str(plan.values["bits"]))
        if way is not None:
            model, config = quantize_model(model, config, way.group_size, way.bits, way.mode)
            config["quantization_config"] = config["quantization"]
        elif few_bits:
            config["quantization"] = _keep(model, examples, progress)
            config["quantization_config"] = config["quantization"]
        if examples is not None and gain is not None:
            _weigh(gain.kept(examples.loss(model, progress(MEASURING))), plan, progress)
        tensors = list(parameters(model).items())
        tuned.release()
        del model
        write_weights(folder, tensors, progress(WRITING_WEIGHTS, in_bytes=True))
        write_config(folder, config)
        bring_files(plan.base, folder)


def _gain(examples: RunExamples, tuned: TunedModel, progress: Progress) -> HeldOutGain | None:
    """What training gained on examples that it did not see; None if hardly anything. Leaves the model tuned."""
    base = examples.loss(tuned.use_base(), progress)
    gain = HeldOutGain(base, examples.loss(tuned.use_tuned(), progress))
    return gain if gain.base - gain.tuned >= LEAST_GAIN else None


def _keep(model: nn.Module, examples: RunExamples | None, progress: Phases) -> dict[str, Any]:
    """Packs the model so that what was learned stays: what its config says of it. Raises `TaskError`."""
    if examples is None:
        said = tr("The run's examples are not there any more, or of a kind that cannot be used.")
        raise TaskError(said, tr("Choose other weights."))
    few_bits = FewBits(model, examples.trained, examples.max_length)
    few_bits.choose(KEPT_AVERAGE, progress(CHOOSING))
    few_bits.tune(ROUNDS, RATE, progress(TUNING))
    few_bits.use_packed()
    if any(array.dtype == mx.float32 for _, array in tree_flatten(model.parameters())):
        model.set_dtype(mx.bfloat16)  # scales of 32 bits would double what they take
    return few_bits.quantization()


def _weigh(share: float, plan: ExportPlan, progress: Phases) -> None:
    """Before anything is written. Raises `TaskError` if much of the gain would go, unless that is wanted."""
    if share >= LEAST_KEPT:
        return
    said = tr(
        "Only {share} of what was learned stays in weights of {bits}",
        share=share_text(max(share, 0.0)),
        bits=plan.values["bits"],
    )
    if not plan.values.get("lossy"):
        other = (
            "16-bit"
            if str(plan.values["bits"]) == KEPT_BITS.value
            else tr("16-bit, or {label}", label=KEPT_BITS.label)
        )
        hint = tr(
            "Choose {other}, or “{label}” (--set {name}=yes) to have it all the same.",
            other=other,
            label=LOSSY.label,
            name=LOSSY.name,
        )
        raise TaskError(tr("{said}; nothing was written.", said=said), hint)
    print(said, file=sys.stderr)
    progress(said)(0, 1)


def unfusable(plan: ExportPlan) -> list[Problem]:
    """Models that are stored in a way that is not undone here."""
    strange = sorted(
        {type(module).__name__ for _, module in plan.architecture.named_modules() if _is_strange(module)}
    )
    if not strange:
        return []
    said = tr(
        "The base model is stored in a way that cannot be fused here ({strange}).", strange=", ".join(strange)
    )
    return [Problem("format", said, hint=tr("Export the adapter alone."))]


def _is_strange(module: nn.Module) -> bool:
    return type(module).__name__ in ("BitLinear", "QQLinear", "FusedQuantizedLinear", "FusedLinear")
