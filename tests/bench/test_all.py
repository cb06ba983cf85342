"""The table of all benchmarks: what is read of their texts, and what counts as fallen. Nothing is measured here."""

from __future__ import annotations

import json

import pytest

from tests import ROOT
from tests.bench.all import (
    BENCHMARKS,
    FIGURES,
    WITHOUT_RATIO,
    Benchmark,
    Figure,
    Found,
    better,
    change,
    has_fallen,
    lines_of,
    of_rows,
    of_text,
)

SCRIPTS = sorted(path.name for path in (ROOT / "tests" / "bench").glob("bench_*.py"))


def test_every_benchmark_is_in_the_table_or_said_to_have_no_ratio() -> None:
    assert sorted({one.script for one in BENCHMARKS} | set(WITHOUT_RATIO)) == SCRIPTS


def test_what_is_kept_is_what_the_table_can_measure() -> None:
    names = {figure.name for one in BENCHMARKS for figure in one.figures}
    names |= {f"{one.name}: its limits hold" for one in BENCHMARKS if one.limits}
    kept = json.loads(FIGURES.read_text(encoding="utf-8"))
    assert [name for name in kept if name not in names and ", against stock" not in name] == []
    assert all(isinstance(value, float) for value in kept.values())


def test_of_several_values_in_a_text_the_worst_counts() -> None:
    one = Benchmark("bench_a.py", (), (Figure("speed", r"([\d.]+) ×"), Figure("share", r"([\d.]+)%", less=True)))
    text = "first 2.5 × at 10%\nsecond 2.25 × at 12%"
    assert dict(of_text(one, text)) == {"speed": (2.25, False), "share": (12.0, True)}
    assert dict(of_text(one, "nothing")) == {}


def test_patterns_read_what_the_scripts_print() -> None:
    lines = {
        "30 prompts together": ("30 prompts: 0.13 s together, 0.78 s singly, 6.66 ×, the same answers", 6.66),
        "8 answers of 64 tokens": ("8 × 64 tokens: 0.200 s in one batch, 0.820 s singly, 4.1 ×", 4.1),
        "2 replicas, tokens a second": ("| 2 | 1,234 | 1.54 × | 2e-06 | 1.30 MB | 11% |", 1.54),
        "two switched adapters ÷ base, memory": (
            "base and two adapters, switched         510 MB   1.02×      700 MB   1.10×", 1.02,
        ),
        "gain kept, percent": ("  4.8bit    4.780 bits a weight    96.0% kept", 96.0),
        "data check, MB/s ÷ json.loads": ("ratio               0.65 (at least 0.5)", 0.65),
        "DPO against mlx-lm-lora, an epoch with its preparation": (
            "batch 8, against mlx-lm-lora: a step 2.78 ×, an epoch with its preparation 1.95 ×", 1.95,
        ),
        "GRPO against mlx-lm-lora, a step": (
            "against mlx-lm-lora: sampling 3.12 ×, training 5.33 ×, a step 3.89 ×, memory 0.97 ×", 3.89,
        ),
    }  # fmt: skip
    found = {}
    for one in BENCHMARKS:
        for figure in one.figures:
            if figure.name in lines:
                text, _ = lines[figure.name]
                found[figure.name] = dict(of_text(one, text))[figure.name][0]
    assert found == {name: value for name, (_, value) in lines.items()}


@pytest.mark.parametrize(
    ("value", "kept", "less", "by"),
    [(1.8, 2.0, False, -0.1), (2.2, 2.0, False, 0.1), (0.5, 0.4, True, -0.2), (0.4, 0.5, True, 0.25)],
)
def test_a_change_is_a_share_of_what_was_kept(value: float, kept: float, less: bool, by: float) -> None:
    assert change(value, kept, less=less) == pytest.approx(by)


def test_what_fell_by_more_than_a_tenth_is_marked_unless_a_second_run_is_better() -> None:
    kept = {"speed": 2.0, "memory": 0.5, "limits": 1.0}
    bad = Found({"speed": (1.7, False), "memory": (0.5, True), "limits": (1.0, False)})
    assert has_fallen(bad, kept)
    assert [line for line in lines_of(bad, kept) if "FELL" in line] == ["| speed | 1.70 | 2.00 | -15% | **FELL** |"]
    again = better(bad, Found({"speed": (1.9, False), "memory": (0.6, True), "limits": (1.0, False)}))
    assert again.figures == {"speed": (1.9, False), "memory": (0.5, True), "limits": (1.0, False)}
    assert not has_fallen(again, kept)
    assert has_fallen(Found({"limits": (0.0, False)}), kept)
    assert not has_fallen(Found({"a new one": (0.1, False)}), kept)


def test_a_speed_tables_rows_have_speed_and_memory() -> None:
    rows = [{"case": "Dolly, batch 8", "against": "stock mlx-lm", "speed": 4.0, "memory": 0.1}]
    assert dict(of_rows(rows)) == {
        "Dolly, batch 8, against stock mlx-lm: speed": (4.0, False),
        "Dolly, batch 8, against stock mlx-lm: memory": (0.1, True),
    }
