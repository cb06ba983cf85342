"""What a setup's figures and words are for many setups, so that no term of them changes unseen.

That they are right is tested elsewhere, against measured runs and sums by hand; `figure_sheet.txt` holds what they
are. After an intended change ``LUTHIER_SHEET=1`` before this test writes it anew: its difference is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS
from app.core.model.inspection import Inspection
from app.core.setup.check import check_config
from app.core.setup.disk import run_bytes
from app.core.setup.duration import Pace, duration, extent_of, work_costs
from app.core.setup.memory import calibrate, estimate
from app.core.setup.memory_term import StepSize, Terms, layer_terms
from app.core.setup.memory_weight import PEAK_WEIGHTS
from app.core.setup.recommendation import check_scale, suggest
from app.core.setup.step_plan import StepPlan
from app.core.setup.target_check import check_targets
from app.core.setup.trial import trial_config
from app.core.target.selection import resolve
from tests.core.inspections import Shapes, hybrid, llama, mixture, model
from tests.sheet import compare

SHEET = Path(__file__).with_name("figure_sheet.txt")
PACE = Pace(piece_s=0.01, unit_s=1e-5, shape_s=0.5, start_s=3.0, reference_s=0.02, measure_unit_s=3e-6,
            measure_s=0.1, save_s=0.3, token_s=0.004, answers=4)  # fmt: skip
COUNTED = ((4, 64, 120, 30), (2, 128, 200, 15), (1, 256, 200, 5))
CHANGES: tuple[dict[str, Any], ...] = (
    {}, {"batch_size": 1}, {"batch_size": 7, "grad_accumulation_steps": 3}, {"max_seq_length": 64},
    {"max_seq_length": 2048}, {"grad_checkpoint": True}, {"num_layers": 1}, {"targets": "minimal"},
    {"targets": "q_proj, v_prj"}, {"lora_parameters.rank": 128}, {"fine_tune_type": "dora"},
    {"fine_tune_type": "full"}, {"optimizer": "adafactor"}, {"optimizer": "sgd"}, {"optimizer": "muon"},
    {"optimizer": "lion", "learning_rate": 1e-3}, {"batching": "pack"}, {"batching": "pack", "batch_size": 2},
    {"adapter_dtype": "base"}, {"learning_rate": 1e-2}, {"learning_rate": 1e-7}, {"lora_parameters.scale": 0.5},
    {"lora_parameters.scale": 20.0}, {"lora_parameters.dropout": 0.5}, {"warmup": 500}, {"iters": 40},
    {"save_every": 1}, {"steps_per_eval": 3, "val_batches": -1}, {"val_batches": 0}, {"mask_prompt": True},
    {"early_stopping.enabled": False}, {"train_mode": "dpo", "reference_model_path": "/none"},
    {"neutral_tokens": 0}, {"sampled_prompts": 3}, {"weight_decay": 0.3}, {"seed": 3},
)  # fmt: skip


def models() -> dict[str, Inspection]:
    small = llama()
    return {
        "llama": small, "hybrid": hybrid(), "mixture": mixture(),
        "half": small.model_copy(update={"dtype": "bfloat16", "weight_bytes": small.weight_bytes // 2}),
        "branching": small.model_copy(update={"branches": True}),
    }  # fmt: skip


def setups(kind: str) -> Iterator[tuple[str, TrainConfig]]:
    """All of them on one model; on each of the others those that its kind may make a difference to."""
    for changed in CHANGES if kind == "llama" else CHANGES[:12:3]:
        yield str(changed), TrainConfig().with_values({"max_seq_length": 512} | changed)
    for method in METHODS.values():
        if kind == "llama" or method.is_sampled:
            yield method.name, trial_config(method).with_values({"batch_size": 3})


def lines_of(name: str, inspection: Inspection, config: TrainConfig) -> Iterator[str]:
    selection = resolve(inspection, config)
    counted = StepPlan.counted(TrainConfig(max_seq_length=512), COUNTED, 25, 256)
    for plan in (StepPlan(config), counted):
        limit = 0.02 if name.startswith("llama {") else 0.0
        found = estimate(inspection, config, selection, steps=plan, working_set_gb=limit)
        parts = " ".join(f"{part}={size}" for part, size in found.parts.items() if size)
        yield f"{name}: {found.verdict.name} {parts}"
        if plan.steps:
            yield f"  sizes {plan.sizes(config)} {plan.most_positions(config)}"
            continue
        yield from (f"  remedy {remedy}" for remedy in found.remedies)
        plain = estimate(inspection, config, selection, compiled=False, with_remedies=False)
        yield f"  without kernels {plain.total}"
        factor = calibrate(inspection, config, selection, 10_000_000, plan).factor
        yield f"  factor {factor:.6g}, disk {run_bytes(config, selection, inspection, 250, 12_345)}"
        costs, extent = work_costs(inspection), extent_of(config, 250, 640, 64)
        took = duration(config, PACE, costs, plan, extent)
        yield f"  {costs.head:.4g} {costs.attention_span:.4g} takes {took.total:.5g} " + " ".join(
            f"{part}={seconds:.4g}" for part, seconds in took.parts.items()
        )
    for one in suggest(config, examples=640, trained_tokens=80_000, selection=selection, inspection=inspection):
        yield f"  suggest {one}"
    for problem in (*check_targets(inspection, config, selection), *check_scale(config, inspection),
                    *check_config(config)):  # fmt: skip
        yield f"  {problem.severity.name} {problem.path}: {problem.message} {problem.hint}"


def odd_models() -> dict[str, Inspection]:
    """Models that have what others lack: one matrix for queries, keys and values, norms of them, an MLP without a
    gate, packed weights, experts of which a token passes several, a vocabulary of usual size."""
    plain: Shapes = {
        "attn.qkv_proj": (288, 64), "attn.out_proj": (64, 96), "mlp.fc1": (256, 64), "mlp.fc2": (64, 256),
    }  # fmt: skip
    normed = llama()
    packed = tuple(module.model_copy(update={"bits": 4}) for module in normed.modules)
    names = ("self_attn.q_norm", "self_attn.k_norm", "input_layernorm", "post_attention_layernorm", "model.norm")
    return {
        "plain": model([plain] * 3, other_names=("ln_1", "ln_2", "attn"), branches=True),
        "normed": normed.model_copy(update={"modules": packed, "dtype": "bfloat16", "other_names": names}),
        "routed": mixture().model_copy(update={"experts_per_token": 2, "dtype": "float16"}),
        "worded": llama().model_copy(update={"vocab_size": 150_000, "branches": True}),
        "half worded": llama().model_copy(update={"vocab_size": 150_000, "dtype": "bfloat16"}),
    }


ARRAYS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("adapter", {}), ("DoRA", {"fine_tune_type": "dora"}), ("full", {"fine_tune_type": "full", "num_layers": 2}),
    ("top", {"num_layers": 1, "adapter_dtype": "float32"}), ("pairs", {"train_mode": "dpo"}),
    ("packed", {"batching": "pack"}), ("answers", {"train_mode": "grpo", "group_size": 4}),
    ("few", {"targets": "minimal", "lora_parameters.rank": 2}),
)  # fmt: skip


def arrays_of(name: str, inspection: Inspection) -> Iterator[str]:
    """What a step holds by kind, and what that comes to in each phase, with and without compiled kernels."""
    for what, values in ARRAYS:
        config = TrainConfig().with_values({"batch_size": 2, "max_completion_length": 16} | values)
        selection = resolve(inspection, config)
        for step in (StepSize(4, 32, 100), StepSize(2, 16, 20, 48)):
            layers = layer_terms(inspection, config, selection, step)
            kinds = " ".join(f"{kind}={size:.9g}" for kind, size in asdict(sum(layers, Terms())).items() if size)
            yield f"{name} {what} {step.shared}: {len(layers)} layers {kinds}"
            if step.shared or what not in ("adapter", "DoRA", "full", "top", "packed"):
                continue
            for compiled, weights in PEAK_WEIGHTS.items():
                phases = (weights.layer, weights.top, weights.again, weights.read)
                yield f"  {compiled} " + " ".join(f"{layers[0].weighed(phase):.9g}" for phase in phases)


# Each kind of peak: of the update, the loss, the gradient of a layer, what is computed anew, and a measurement.
PEAKS: tuple[dict[str, Any], ...] = (
    *({"max_seq_length": 8, "lora_parameters.rank": 512, "optimizer": name, "batching": how}
      for name in ("adam", "adamw", "lion", "sgd", "adafactor", "muon") for how in ("bucket", "pack")),
    {"max_seq_length": 17, "batching": "pack"}, {"max_seq_length": 1024, "batching": "pack"},
    {"max_seq_length": 17, "train_mode": "dpo"}, {"max_seq_length": 1024, "train_mode": "dpo"},
    {"max_seq_length": 512, "batch_size": 64}, {"max_seq_length": 40, "batch_size": 64, "targets": "minimal"},
    {"max_seq_length": 512, "grad_checkpoint": True},
    {"max_seq_length": 512, "grad_checkpoint": True, "checkpoint_layers": 2},
    {"max_seq_length": 512, "lora_parameters.rank": 512, "num_layers": 1},
    {"max_seq_length": 16, "neutral_tokens": 0, "grad_accumulation_steps": 2, "num_layers": 1},
    {"max_seq_length": 300, "train_mode": "grpo", "group_size": 8, "max_completion_length": 200, "val_batches": 0},
    {"max_seq_length": 300, "train_mode": "online_dpo", "group_size": 2, "max_completion_length": 20},
)  # fmt: skip


def peaks_of(name: str, inspection: Inspection) -> Iterator[str]:
    for values in PEAKS:
        config = TrainConfig().with_values({"batch_size": 4} | values)
        for compiled in (True, False):
            found = estimate(inspection, config, resolve(inspection, config), compiled=compiled)
            parts = " ".join(f"{part}={size}" for part, size in found.parts.items() if size)
            yield f"{name} {values} {compiled}: {parts} {found.apart}"


def test_figures_and_words_are_what_they_were() -> None:
    lines: list[str] = []
    for kind, inspection in models().items():
        for name, config in setups(kind):
            lines += lines_of(f"{kind} {name}", inspection, config)
    for kind, inspection in odd_models().items():
        lines += arrays_of(kind, inspection)
        lines += peaks_of(kind, inspection) if kind != "routed" else ()
    compare(lines, SHEET)
