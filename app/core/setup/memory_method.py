"""Memory of the methods: what sampled answers, a judge and another reference model take beside a training step.

Sampling and training take turns, so a run's peak is that of the greedier of the two. What sampling holds follows
from shapes: the key-value cache of all answers that are sampled together, which mlx-lm grows by 256 tokens,
then either what reading the prompts computes or the logits of a token. How many of these arrays MLX keeps at the
same time was measured on the CPU build (`tests/worker/train/test_memory_method.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.model.answer_size import ANSWERS_AT_ONCE, CACHE_STEP
from app.core.model.folder import read_config
from app.core.model.inspection import Inspection
from app.core.model.module_group import Group
from app.core.problem import UnusableError
from app.core.setup.chosen_method import has_judge, locate_judge, method_of, needs_reference
from app.core.setup.memory_term import ITEM_BYTES, StepSize, answers_each, item_bytes
from app.core.system.disk import is_companion
from app.core.typed_path import typed_path

# Answers that are sampled together, and comparisons that a judge reads together (app.worker.rollout).
JUDGED_AT_ONCE = 8
# Arrays held at the peak: of attention's weights and of the MLP's first outputs while prompts are read, of logits
# while answers are sampled. A judge reads without a cache, which holds more of attention's weights.
SCORES, INNER, LOGITS, JUDGING_SCORES = 1.2, 2.8, 5.5, 2.4
QUESTION_TOKENS = 100  # of what a judge is asked, beside the prompt and the two answers


# Positions of a training step for each answer of the neutral set that is sampled beside others: what a step of so
# many holds is more than what the answer's cache and its logits take (app.worker.neutral).
NEUTRAL_POSITIONS = 128
# The longest row of that set: a question in its template, and an answer.
NEUTRAL_WIDTH = 96


@dataclass(frozen=True, slots=True)
class Sampling:
    """What sampling holds at its peak, in bytes: the key-value ``cache``, and what is ``computed`` beside it."""

    cache: int = 0
    computed: int = 0

    @property
    def total(self) -> int:
        return self.cache + self.computed


@dataclass(frozen=True, slots=True)
class SecondModels:
    """Bytes of what else is loaded: the weights of a judge and of another reference model, and what the judge
    computes while it reads."""

    judge: int = 0
    reference: int = 0
    judging: int = 0


def sampling(inspection: Inspection, config: TrainConfig, step: StepSize) -> Sampling:
    """What it takes to sample the answers of a step, or those of a validation; nothing for other methods."""
    if not method_of(config).is_sampled:
        return Sampling()
    rows = _answers(config, step)
    prompts = -(-rows // config.group_size)  # each is read once
    prompt = _prompt(config, step)
    whole, logits = answering(inspection, rows, prompt + config.max_completion_length)
    item = item_bytes(inspection)
    reading = (
        SCORES * prompts * inspection.num_heads * prompt**2 * 4
        + INNER * prompts * prompt * _inner(inspection) * item
    )
    reading_cache = prompts * _grown(prompt) * _cached_bytes(inspection)
    growing = whole / max(inspection.num_layers, 1) + logits
    if reading_cache + reading > whole + growing:
        return Sampling(reading_cache, round(reading))
    return Sampling(whole, round(growing))


def answering(inspection: Inspection, rows: int, width: int) -> tuple[int, float]:
    """Bytes of the cache of so many answers, up to ``width`` tokens with their prompts, and of a token's logits."""
    return rows * _grown(width) * _cached_bytes(inspection), LOGITS * rows * inspection.vocab_size * 4


def neutral_answers(positions: int) -> int:
    """How many answers of the neutral set are sampled together, by the positions of the run's largest step."""
    return min(max(positions // NEUTRAL_POSITIONS, 1), ANSWERS_AT_ONCE)


def kept_log_probabilities(config: TrainConfig, step: StepSize) -> int:
    """Bytes of the log-probabilities that a generation keeps for its iterations."""
    if not method_of(config).is_group_relative:
        return 0
    kinds = (config.updates_per_generation > 1) + (config.beta > 0)
    return kinds * step.rows * answers_each(config, step) * config.max_completion_length * 4


def second_models(config: TrainConfig, step: StepSize, own: str) -> SecondModels:
    """What other models take; the judge takes nothing where it is the base itself, whose folder is ``own``."""
    reference = 0
    if needs_reference(config) and config.reference_model_path:
        reference = _file_bytes(typed_path(config.reference_model_path))
    if not has_judge(config):
        return SecondModels(reference=reference)
    try:
        folder = locate_judge(config)
        facts = read_config(folder)
    except UnusableError:  # which a check of the config tells
        return SecondModels(reference=reference)
    is_base = own != "" and folder == Path(own).resolve() and not config.reference_model_path
    return SecondModels(0 if is_base else _file_bytes(folder), reference, _judging_bytes(facts, config, step))


def _answers(config: TrainConfig, step: StepSize) -> int:
    """Validations sample as well, and often more."""
    trained = step.rows * answers_each(config, step)
    measured = trained * config.val_batches if config.val_batches >= 0 else ANSWERS_AT_ONCE
    return min(max(trained, measured), ANSWERS_AT_ONCE)


def _prompt(config: TrainConfig, step: StepSize) -> int:
    """Tokens of the longest prompt of a step: its rows are the prompt and one or several answers."""
    return max(step.width - answers_each(config, step) * config.max_completion_length, 1)


def _grown(tokens: int) -> int:
    return CACHE_STEP * -(-tokens // CACHE_STEP)


def _cached_bytes(inspection: Inspection) -> int:
    """Of one token: key and value in every layer that attends."""
    attending = {m.layer for m in inspection.modules if m.group is Group.ATTENTION and m.layer is not None}
    return len(attending) * 2 * inspection.num_kv_heads * inspection.head_dim * item_bytes(inspection)


def _inner(inspection: Inspection) -> int:
    """Outputs of the first matrices of the widest MLP, all of one layer together."""
    widths: dict[int, int] = {}
    for module in inspection.modules:
        is_inner = module.group in (Group.MLP, Group.EXPERTS) and len(module.shape) >= 2
        if module.layer is not None and is_inner and module.shape[-1] == inspection.hidden_size:
            passes = min(module.shape[0], inspection.experts_per_token or 1) if len(module.shape) == 3 else 1
            widths[module.layer] = widths.get(module.layer, 0) + module.shape[-2] * passes
    return max(widths.values(), default=0)


def _judging_bytes(facts: dict[str, Any], config: TrainConfig, step: StepSize) -> int:
    text = facts.get("text_config", facts)
    inner, heads = 2 * int(text.get("intermediate_size") or 0), int(text.get("num_attention_heads") or 0)
    item = ITEM_BYTES.get(str(facts.get("torch_dtype") or facts.get("dtype")), 4)
    width = _prompt(config, step) + 2 * config.max_completion_length + QUESTION_TOKENS
    rows = min(JUDGED_AT_ONCE, step.rows * answers_each(config, step))
    return round(rows * (JUDGING_SCORES * heads * width**2 * 4 + INNER * width * inner * item))


def _file_bytes(folder: Path) -> int:
    files = [file for file in folder.glob("*.safetensors") if not is_companion(file.name)]
    return sum(file.stat().st_size for file in files)
