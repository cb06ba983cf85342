"""What fits into the time and the memory of a machine."""

from __future__ import annotations

import pytest

from app.core.model.inspection import Inspection, Layer
from app.core.stock.speed_plan import (
    LEAST_ROWS,
    MOST_ROWS,
    Pilot,
    data_words,
    model_words,
    rows_for,
    stock_bytes,
    too_large,
)
from app.core.stock.speed_table import Measured

LAYER = Layer(path="l", parameters=1, bytes=1, unfrozen_parameters=1, unfrozen_bytes=1)
MODEL = Inspection(
    path="/Users/anna/secret", model_type="qwen2", hidden_size=100, vocab_size=1000, layers=(LAYER, LAYER),
    total_parameters=494_000_000, weight_bytes=5_000_000, quantization="4 bits",
)  # fmt: skip
PILOT = Pilot(Measured((3.0, 1.0), (3.0, 1.0), 1.0, 800), elapsed_s=6.0, rows=8)  # 100 tokens a row, 800 a second


@pytest.mark.parametrize(
    ("seconds", "rows"),
    [
        (300, 48),  # (300 ÷ 4 − 4 · 2) · 800 ÷ 11 = 4,872 tokens, 48 rows of 100
        (1, LEAST_ROWS),
        (3000, MOST_ROWS),
    ],
)
def test_rows_fill_the_time_in_multiples_of_the_largest_batch(seconds: float, rows: int) -> None:
    assert rows_for(PILOT, seconds, 4) == rows


def test_stock_holds_its_logits_and_layers_at_the_longest_row() -> None:
    assert stock_bytes(MODEL, 4, 10) == 5_000_000 + 40 * (3 * 4 * 1000 + 70 * 100 * 2)
    assert too_large(MODEL, 4, 10, 6_040_000) == ""
    assert too_large(MODEL, 4, 10, 6_039_999) == (
        "Batch 4 is left out: stock mlx-lm would need about 6.04\u00a0MB for it, and this machine has 6.04\u00a0MB "
        "for MLX."
    )
    assert stock_bytes(Inspection(hidden_size=10), 1, 1) == 700  # a model whose layers are not known has one
    assert data_words("a file", 3, 4567) == "a file: 3 of 4,567 tokens in all"


def test_a_model_is_told_by_its_sizes_alone() -> None:
    said = model_words(MODEL)
    assert said == "qwen2, 494\u00a0M parameters, 4 bits, 2 layers, 100 wide, vocabulary of 1,000"
    assert model_words(Inspection()).startswith("unknown, 0 parameters, float, 0 layers, 0 wide")
    assert ", bfloat16, " in model_words(Inspection(dtype="bfloat16"))
    quick = Pilot(Measured((3.0, 0.0), (3.0, 1.0), 1.0, 800), elapsed_s=1.0, rows=8)
    assert (PILOT.tokens_per_second, PILOT.around_s) == (800, 2.0)
    assert (quick.tokens_per_second, quick.around_s) == (8e8, 0.0)
