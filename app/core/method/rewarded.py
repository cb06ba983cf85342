"""Methods that sample answers and learn from what reward functions or a judge say of them."""

from __future__ import annotations

from typing import Any

from app.core.language import tr
from app.core.method.method import SLOW, Method

_SAMPLED = tr("One model in memory; most of the time goes into sampling a group of answers to every prompt.")
_JUDGED = tr(
    "One model in memory, and the judge where it is another model; most of the time goes into sampling answers."
)
_SAMPLING = (
    "reward_functions", "reward_weights", "reward_functions_file", "reward_timeout_s", "group_size",
    "max_completion_length", "temperature", "updates_per_generation",
)  # fmt: skip
_GROUP = (*_SAMPLING, "epsilon", "epsilon_high", "beta", "reference_model_path")
_TOLD_BY = ("grpo_loss_type", "importance_sampling_level")
# The tie to the reference of GRPO's paper. TRL's default is 0 for all of them.
_TIE = 0.04
_WARM: dict[str, Any] = {"temperature": 1.0}  # answers as likely as the model holds them to be


def _group(
    name: str,
    label: str,
    what: str,
    when: str,
    paper: str,
    kind: str,
    level: str = "token",
    beta: float = _TIE,
    **more: Any,
) -> Method:
    """One of the kin of GRPO; ``beta`` is its paper's."""
    settings: dict[str, Any] = {"train_mode": "grpo", "grpo_loss_type": kind, "importance_sampling_level": level}
    settings |= {"beta": beta, "group_size": 8} | _WARM | SLOW
    return Method(
        name, label, what, when, _SAMPLED, "prompts", paper, settings, _GROUP, "reward", reference="beta", **more
    )


REWARDED = (
    _group(
        "grpo",
        "GRPO",
        tr("Samples a group of answers, scores them, and learns from how they differ."),
        tr("A program can tell how good an answer is."),
        "2402.03300",
        "grpo",
    ),
    _group(
        "bnpo",
        "BNPO",
        tr("GRPO whose tokens all weigh the same within a batch."),
        tr("Answers of very different lengths."),
        "",
        "bnpo",
        told_by=_TOLD_BY,
    ),
    _group(
        "gspo",
        "GSPO",
        tr("GRPO with one importance ratio for the whole answer: steadier over several updates."),
        tr("Long answers, or mixture-of-experts models."),
        "2507.18071",
        "grpo",
        "sequence",
        told_by=("importance_sampling_level",),
        epsilon=(3e-4, 4e-4),
    ),
    _group(
        "dr_grpo",
        tr("Dr. GRPO"),
        tr("GRPO that divides neither by an answer's length nor by the spread of rewards."),
        tr("GRPO makes wrong answers longer and longer."),
        "2503.20783",
        "dr_grpo",
        beta=0.0,
        told_by=_TOLD_BY,
    ),
    _group(
        "dapo",
        "DAPO",
        tr("GRPO by token, with more room upwards, so that rare words can become likely."),
        tr("GRPO's answers become all alike."),
        "2503.14476",
        "dapo",
        beta=0.0,
        told_by=_TOLD_BY,
        epsilon=(0.2, 0.28),
    ),
    Method(
        "online_dpo",
        tr("Online DPO"),
        tr("Samples two answers, lets a judge choose, and learns from that as DPO does."),
        tr("Another model, or a program, can tell which of two answers is better."),
        _JUDGED,
        "prompts",
        "2402.04792",
        {"train_mode": "online_dpo", "dpo_cpo_loss_type": "sigmoid", "beta": 0.1, "group_size": 2} | _WARM | SLOW,
        ("judge", "judge_config.system_prompt", *_SAMPLING, "beta", "dpo_cpo_loss_type", "reference_model_path"),
        "reward",
        reference="always",
        is_judged=True,
    ),
)
