"""The supervised method: what stock mlx-lm trains."""

from __future__ import annotations

from app.core.method.method import Method

SUPERVISED = (
    Method(
        "sft", "Supervised", "Learns the answers of examples, in the attention matrices alone.",
        "The baseline to compare with.", "One model in memory; each step reads one answer.", "examples",
        "2106.09685", {"train_mode": "sft"}, targets="attention", is_stock=True,
    ),
)  # fmt: skip
