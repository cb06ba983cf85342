"""Counted steps of sampled answers: those that training computes when each answer is as long as it may be."""

from __future__ import annotations

from collections import Counter

import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.setup.memory_term import grown
from app.worker.batch.shape import Costs, Shape
from app.worker.batch.step_count import count_sampled_steps

CONFIG = TrainConfig().with_values(
    {"train_mode": "grpo", "batch_size": 2, "group_size": 8, "max_completion_length": 32, "max_seq_length": 700}
)
PROMPTS = np.array([512, 512, 512, 512, 690])  # the last leaves no room for an answer


def test_answers_share_a_row_where_the_model_lets_them() -> None:
    found = count_sampled_steps(PROMPTS, CONFIG, Costs(attention_span=2000, branches=True))
    assert found.uses == Counter({Shape(2, grown(512 + 8 * 31), grown(16 * 32)): 2})
    assert found.batches == 2


def test_else_each_has_its_own() -> None:
    found = count_sampled_steps(PROMPTS, CONFIG, Costs(attention_span=2000))
    assert found.uses == Counter({Shape(16, grown(512 + 31), grown(16 * 32)): 2})
