"""What a setup's figures and words are for many setups, so that no term of them changes unseen.

That they are right is tested elsewhere, against measured runs and sums by hand; `figure_sheet.txt` holds what they
are. After an intended change ``LUTHIER_SHEET=1`` before this test writes it anew: its difference is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS
from app.core.model.inspection import Inspection
from app.core.setup.check import check_config
from app.core.setup.disk import run_bytes
from app.core.setup.duration import Pace, duration, extent_of, work_costs
from app.core.setup.memory import calibrate, estimate
from app.core.setup.recommendation import check_scale, suggest
from app.core.setup.step_plan import StepPlan
from app.core.setup.target_check import check_targets
from app.core.setup.trial import trial_config
from app.core.target.selection import resolve
from tests.core.inspections import hybrid, llama, mixture
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


def test_figures_and_words_are_what_they_were() -> None:
    lines: list[str] = []
    for kind, inspection in models().items():
        for name, config in setups(kind):
            lines += lines_of(f"{kind} {name}", inspection, config)
    compare(lines, SHEET)
