"""Golden numbers: losses and gradients of TRL's own trainers on fixed log-probabilities, for the tests of ours.

    pip install torch trl        # into an environment of its own; the tests need neither
    python packaging/golden/make_golden.py

writes `tests/worker/golden/{preference,group_relative}.json`. TRL's loss code runs as it is: the methods
`DPOTrainer._compute_loss`, `KTOTrainer._compute_loss`, `CPOTrainer.cpo_loss`, `ORPOTrainer.odds_ratio_loss` and
`GRPOTrainer._compute_loss` are called on a trainer without a model, whose "model" hands out the given
log-probabilities. What TRL does outside of these methods (the mean, the likelihood term of CPO and ORPO, the
advantages) is repeated here in torch, line by line as in its sources.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import torch
import trl
from trl.experimental.cpo.cpo_trainer import CPOTrainer
from trl.experimental.orpo.orpo_trainer import ORPOTrainer
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.kto_trainer import KTOTrainer

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "worker" / "golden"
PAIRS, TOKENS, BETAS = 3, 5, (0.1, 0.7)


def main() -> None:
    """Writes both files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    source = random.Random(7)
    write("preference", [*dpo_cases(source), *cpo_cases(source), *orpo_cases(source), *kto_cases(source)])
    write("group_relative", [*group_cases(source), *advantage_cases(source)])


def write(name: str, cases: list[dict[str, Any]]) -> None:
    """One case a line, numbers to nine digits: what float32 holds."""
    lines = ",\n".join(json.dumps(rounded(case)) for case in cases)
    (FOLDER / f"{name}.json").write_text(f'{{"trl": "{trl.__version__}", "cases": [\n{lines}\n]}}\n')


def rounded(value: Any) -> Any:
    """The same tree with its floats cut."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


# -- inputs --------------------------------------------------------------------------------------------------------


def matrix(source: random.Random, rows: int, mean: float = -1.2, spread: float = 0.8) -> torch.Tensor:
    """Log-probabilities of tokens, all below zero."""
    return torch.tensor([[min(source.gauss(mean, spread), -0.01) for _ in range(TOKENS)] for _ in range(rows)])


def masks(source: random.Random, rows: int) -> torch.Tensor:
    """1 for the tokens of answers of different lengths, one token at least."""
    lengths = [source.randint(1, TOKENS) for _ in range(rows)]
    return torch.tensor([[float(at < length) for at in range(TOKENS)] for length in lengths])


def trainer(**attributes: Any) -> Any:
    """A trainer without a model: its metrics go nowhere, gathering is the identity."""
    found = MagicMock()
    found.model.training = True
    found.accelerator.device = torch.device("cpu")
    found.accelerator.num_processes = 1
    for name in ("gather", "gather_for_metrics", "reduce"):
        getattr(found.accelerator, name).side_effect = lambda value, **_: value
    for name, value in attributes.items():
        setattr(found, name, value)
    return found


def outputs(log_probs: torch.Tensor) -> SimpleNamespace:
    """What TRL's fused head gives; only the log-probabilities count for the loss."""
    nothing = torch.zeros_like(log_probs)
    return SimpleNamespace(
        log_probs=log_probs, entropy=nothing, mean_logits=nothing, is_top1=nothing.bool(), log_sum_sq_probs=nothing
    )


def token_inputs(mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """Ids and masks in front of whose answers stands a prompt of one token."""
    whole = torch.cat([torch.zeros(len(mask), 1), mask], dim=1).long()
    return {"input_ids": torch.ones_like(whole), "attention_mask": torch.ones_like(whole), "completion_mask": whole}


def case(name: str, loss: torch.Tensor, given: dict[str, Any], by: torch.Tensor, **options: Any) -> dict[str, Any]:
    """The case as JSON, with the gradient of the loss by the policy's log-probabilities."""
    loss.backward()
    lists = {key: value.detach().tolist() for key, value in given.items()}
    assert by.grad is not None
    return {"name": name, "options": options, "loss": loss.item(), "gradient": by.grad.tolist()} | lists


# -- preference ----------------------------------------------------------------------------------------------------


def dpo_cases(source: random.Random) -> list[dict[str, Any]]:
    """Chosen rows first, rejected rows second, as TRL stacks them."""
    found = []
    for kind in ("sigmoid", "hinge", "ipo"):
        for beta in BETAS:
            policy, reference, mask = matrix(source, 2 * PAIRS), matrix(source, 2 * PAIRS), masks(source, 2 * PAIRS)
            policy.requires_grad_()
            sums = (reference * mask).sum(1).chunk(2)
            settings = trainer(
                beta=beta, loss_types=[kind], loss_weights=[1.0], ld_alpha=None, f_divergence_type="reverse_kl",
                use_weighting=False, aux_loss_enabled=False, precompute_ref_logps=True, _tp_size=1,
                _total_train_tokens=0,
            )  # fmt: skip
            inputs = token_inputs(mask) | {"ref_chosen_logps": sums[0], "ref_rejected_logps": sums[1]}
            answer = outputs(policy * mask)
            loss = DPOTrainer._compute_loss(settings, lambda answer=answer, **_: answer, inputs, False)
            given = {"policy": policy, "reference": reference, "mask": mask}
            found.append(case("dpo", loss, given, policy, kind=kind, beta=beta))
    return found


def cpo_cases(source: random.Random) -> list[dict[str, Any]]:
    """`cpo_loss`, its mean, and alpha times the likelihood of the chosen answers (`get_batch_loss_metrics`)."""
    found = []
    for kind in ("sigmoid", "hinge", "ipo", "simpo"):
        for beta, gamma, alpha in ((0.1, 0.5, 1.0), (2.0, 1.2, 0.0)):
            policy, mask = matrix(source, 2 * PAIRS), masks(source, 2 * PAIRS)
            policy.requires_grad_()
            settings = trainer(beta=beta, loss_type=kind, simpo_gamma=gamma, label_smoothing=0.0, alpha=0.0)
            sums = (policy * mask).sum(1)
            logps = sums / mask.sum(1) if kind in ("ipo", "simpo") else sums
            losses, _, _ = CPOTrainer.cpo_loss(settings, *logps.chunk(2))
            loss = losses.mean() + alpha * likelihood(policy[:PAIRS], mask[:PAIRS])
            given = {"policy": policy, "mask": mask}
            found.append(case("cpo", loss, given, policy, kind=kind, beta=beta, gamma=gamma, alpha=alpha))
    return found


def orpo_cases(source: random.Random) -> list[dict[str, Any]]:
    """`odds_ratio_loss` is beta · log σ; the whole is the likelihood minus its mean."""
    found = []
    for beta in BETAS:
        policy, mask = matrix(source, 2 * PAIRS), masks(source, 2 * PAIRS)
        policy.requires_grad_()
        logps = (policy * mask).sum(1) / mask.sum(1)
        losses = ORPOTrainer.odds_ratio_loss(trainer(beta=beta), *logps.chunk(2))[0]
        loss = likelihood(policy[:PAIRS], mask[:PAIRS]) - losses.mean()
        found.append(case("orpo", loss, {"policy": policy, "mask": mask}, policy, beta=beta))
    return found


def likelihood(log_probs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over the answers' tokens."""
    return -(log_probs * mask).sum() / mask.sum()


def kto_cases(source: random.Random) -> list[dict[str, Any]]:
    """Desirable and undesirable answers, with the mismatched ones that the reference point comes from."""
    found = []
    for beta, wanted, unwanted, shift in ((0.1, 1.0, 1.0, 0.4), (0.7, 1.0, 1.3, 0.4), (0.5, 1.0, 1.0, -0.4)):
        rows = 2 * PAIRS
        policy, reference, mask = matrix(source, rows), matrix(source, rows), masks(source, rows)
        mismatched = torch.tensor([source.gauss(-6 + shift, 0.3) for _ in range(rows)])
        mismatched_reference = torch.tensor([source.gauss(-6, 0.3) for _ in range(rows)])
        labels = torch.tensor([True, False, True, True, False, False])
        policy.requires_grad_()
        settings = trainer(
            beta=beta, desirable_weight=wanted, undesirable_weight=unwanted, loss_type="kto", calculate_KL=True,
            aux_loss_enabled=False, precompute_ref_logps=True, _tp_size=1, _total_train_tokens=0,
        )  # fmt: skip
        settings._compute_kl_logps.side_effect = lambda *_, found=mismatched: found
        sums = {"ref_logps": (reference * mask).sum(1), "ref_KL_logps": mismatched_reference, "label": labels}
        answer = outputs(policy * mask)
        inputs = token_inputs(mask) | sums
        loss = KTOTrainer._compute_loss(settings, lambda answer=answer, **_: answer, inputs, False)
        given = {"policy": policy, "reference": reference, "mask": mask, "labels": labels,
                 "mismatched": mismatched, "mismatched_reference": mismatched_reference}  # fmt: skip
        weights = {"desirable_weight": wanted, "undesirable_weight": unwanted}
        found.append(case("kto", loss, given, policy, beta=beta, **weights))
    return found


# -- group-relative ------------------------------------------------------------------------------------------------


def group_cases(source: random.Random) -> list[dict[str, Any]]:
    """Each way of averaging at each level, on policy (no old log-probabilities) and off it."""
    found = []
    for kind in ("grpo", "bnpo", "dr_grpo", "dapo"):
        for level in ("token", "sequence"):
            for low, high, beta, is_on_policy in (
                (0.2, 0.2, 0.0, True), (0.2, 0.28, 0.0, False), (3e-4, 4e-4, 0.1, False),
            ):  # fmt: skip
                found.append(group_case(source, kind, level, low, high, beta, is_on_policy))
    return found


def group_case(
    source: random.Random, kind: str, level: str, low: float, high: float, beta: float, is_on_policy: bool
) -> dict[str, Any]:
    """One call of `GRPOTrainer._compute_loss`."""
    policy, reference, mask = matrix(source, 4), matrix(source, 4), masks(source, 4)
    old = policy + torch.tensor([[source.gauss(0, 0.25) for _ in range(TOKENS)] for _ in range(4)])
    advantages = torch.tensor([source.gauss(0, 1) for _ in range(4)])
    policy.requires_grad_()
    settings = trainer(
        beta=beta, epsilon_low=low, epsilon_high=high, importance_sampling_level=level, loss_type=kind,
        max_completion_length=TOKENS + 2, top_entropy_quantile=1.0, off_policy_mask_threshold=None, use_vllm=False,
        aux_loss_enabled=False, current_gradient_accumulation_steps=1, _entropy_bonus_enabled=False,
    )  # fmt: skip
    settings.args = SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1)
    settings._get_per_token_logps_and_entropies.return_value = (policy, torch.zeros(4, TOKENS), None)
    ids = torch.ones_like(mask).long()
    inputs = {
        "prompt_ids": ids, "prompt_mask": ids, "completion_ids": ids, "completion_mask": mask,
        "advantages": advantages, "num_items_in_batch": mask.sum(), "ref_per_token_logps": reference,
    }  # fmt: skip
    given = {"policy": policy, "mask": mask, "advantages": advantages, "reference": reference}
    if not is_on_policy:
        inputs["old_per_token_logps"] = given["old"] = old
    loss = GRPOTrainer._compute_loss(settings, None, inputs)
    options = {"epsilon": low, "epsilon_high": high, "beta": beta, "max_length": TOKENS + 2}
    return case("group", loss, given, policy, kind=kind, level=level, **options)


def advantage_cases(source: random.Random) -> list[dict[str, Any]]:
    """The lines of `GRPOTrainer._generate_and_score_completions` that turn rewards into advantages."""
    found = []
    for scaling in ("group", "none"):
        rewards = torch.tensor([*(source.gauss(0.5, 1) for _ in range(4)), 1.0, 1.0, 1.0, 1.0])
        groups = rewards.view(-1, 4)
        advantages = rewards - groups.mean(dim=1).repeat_interleave(4, dim=0)
        if scaling == "group":
            advantages = advantages / (groups.std(dim=1).repeat_interleave(4, dim=0) + 1e-4)
        found.append({"name": "advantages", "options": {"scaling": scaling}, "rewards": rewards.tolist(),
                      "advantages": advantages.tolist()})  # fmt: skip
    return found


if __name__ == "__main__":
    main()
