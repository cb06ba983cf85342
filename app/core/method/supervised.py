"""The supervised method: what stock mlx-lm trains."""

from __future__ import annotations

from app.core.language import tr
from app.core.method.method import Method

SUPERVISED = (
    Method(
        "sft", tr("Supervised"), tr("Learns the answers of examples, in the attention matrices alone."),
        tr("The baseline to compare with."), tr("One model in memory; each step reads one answer."), "examples",
        "2106.09685", {"train_mode": "sft"}, targets="attention", is_stock=True,
    ),
)  # fmt: skip
