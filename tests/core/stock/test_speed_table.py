"""The speed table against ratios worked out by hand."""

from __future__ import annotations

import json
import math

import pytest

from app.core.stock.speed_table import Alternation, Measured, SpeedTable, speed_rows

SLOW = Measured(wall_s=(9.0, 4.0, 6.0), processor_s=(8.0, 3.0, 5.0), peak_gb=4.0, tokens=0)
FAST = Measured(wall_s=(3.0, 2.0, 2.0), processor_s=(2.0, 1.0, 1.0), peak_gb=1.0, tokens=1000)


def alternation(stock: float, own: float, measured: dict[str, Measured] | None = None) -> Alternation:
    return Alternation(measured or {"luthier": FAST, "stock": SLOW}, 5.0, {"luthier": own, "stock": stock})


def test_ratios_are_of_epochs_after_the_first_which_stands_apart() -> None:
    (row,) = speed_rows("a case", [alternation(3.0, 3.5)])
    assert (row.speed, row.speed_by_clock) == (4.0, 2.5)
    assert (row.first_epoch, row.first_epoch_by_clock) == (4.0, 3.0)
    assert (row.memory, row.other_tokens_per_second, row.other_peak_gb) == (0.25, 200.0, 4.0)
    assert (row.loss_before, row.loss_other, row.loss_luthier, row.behind) == (5.0, 3.0, 3.5, 0.25)
    assert row.cells()[2:6] == ["4.00 ×", "2.50 ×", "4.00 ×", "3.00 ×"]
    assert row.cells()[8] == "+25.0 %"


def test_each_figure_is_the_median_of_its_ratios_and_losses_are_means() -> None:
    slower = Measured((9.0, 8.0), (8.0, 20.0), 4.0, 0)
    others = [{"luthier": FAST, "stock": slower}, {"luthier": FAST, "stock": SLOW}, None]
    (row,) = speed_rows("a case", [alternation(3.0, 3.5, one) for one in others])
    assert (row.speed, row.alternations) == (4.0, 3)
    (row,) = speed_rows("a case", [alternation(3.0, 3.5), alternation(4.0, 3.0)])
    assert row.behind == pytest.approx((0.25 - 1.0) / 2)


def test_a_trainer_that_failed_once_has_its_other_figures() -> None:
    alone = Alternation({"luthier": FAST}, 5.0, {"luthier": 3.5})
    assert [row.alternations for row in speed_rows("a case", [alone, alternation(3.0, 3.5)])] == [1]
    assert speed_rows("a case", [alone]) == speed_rows("a case", []) == []


def test_where_stock_improves_nothing_it_is_not_said_how_far_behind_luthier_is() -> None:
    (row,) = speed_rows("a case", [alternation(5.5, 3.0)])
    assert math.isnan(row.behind)
    assert row.cells()[8] == "–"
    table = SpeedTable("a Mac", True, {"mlx": "1"}, "a model", "rows", (row,), ("Batch 8 is left out.",))
    assert json.loads(json.dumps(table.as_dict(), allow_nan=False))["rows"][0]["behind"] is None


def test_the_text_has_a_line_a_row_and_says_what_ratios_of_a_cpu_are_worth() -> None:
    rows = tuple(speed_rows("a case", [alternation(3.0, 3.5)]))
    on_cpu, on_gpu = (SpeedTable("it", gpu, {}, "a model", "rows", rows).markdown() for gpu in (False, True))
    for text in (on_cpu, on_gpu):
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert len(lines) == 3
        assert len({line.count("|") for line in lines}) == 1
    assert "need not carry over" in on_cpu
    assert "need not carry over" not in on_gpu
