"""Quantities have one form each, wherever they stand: in every panel, table, chart, sentence and report."""

from __future__ import annotations

import ast
import math
import re
from functools import cache

import pytest

from app.core.language import choose_language
from app.core.quantity import (
    bytes_text,
    duration_text,
    loss_change_text,
    loss_text,
    memory_text,
    percent_text,
    rate_text,
    short_count,
    tick_texts,
    typed_number,
)
from tests import ROOT

# What compares two models is about differences of a ten-thousandth; a place names its GPUs as they are sold.
OTHERS = (
    "command", "ui/compare", "core/compare", "core/stock", "core/export/certificate.py", "core/bundle",
    "core/place",
)  # fmt: skip
LOSSES = "loss|val_loss|train_loss|best_val_loss|best_figure|forgot|learned|train|valid|smooth|reward"


@pytest.mark.parametrize(
    "value, text",
    [
        (10.18967, "10.190"), (2.3456, "2.346"), (0.0412, "0.041"), (0.004123, "0.00412"), (0.0, "0.000"),
        (1.32e-6, "0.000"), (-4e-7, "0.000"), (0.0001, "0.000100"), (0.0017, "0.00170"), (-0.000231, "−0.000231"),
        (-0.525, "−0.525"), (-12345.6, "−12,346"), (1234.5, "1,234"), (3.2e7, "3.2e+07"),
        (math.nan, "nan"), (math.inf, "inf"),
    ],
)  # fmt: skip
def test_a_loss_has_three_digits_behind_the_point(value: float, text: str) -> None:
    assert loss_text(value) == text


def test_a_change_has_its_sign() -> None:
    changes = (-1.2164, 0.31, 0.0, -2e-7)
    assert [loss_change_text(value) for value in changes] == ["−1.216", "+0.310", "0.000", "0.000"]


def test_no_line_breaks_between_a_number_and_its_unit() -> None:
    texts = [
        bytes_text(39.9e6), bytes_text(1.21e9), bytes_text(512), memory_text(0.0399), duration_text(45),
        duration_text(600), duration_text(7500), percent_text(3.56), percent_text(100), short_count(17.6e6),
    ]  # fmt: skip
    said = [
        "39.9 MB",
        "1.21 GB",
        "512 bytes",
        "39.9 MB",
        "45 s",
        "10 min",
        "2 h 5 min",
        "3.56 %",
        "100 %",
        "17.6 M",
    ]
    assert [text.replace("\u00a0", " ") for text in texts] == said
    assert [text for text in texts if re.search(r"\d \w+$|\d %", text)] == []


def test_a_speed_is_whole_where_it_can_be() -> None:
    assert [rate_text(value) for value in (1823.4, 10, 4.21)] == ["1,823", "10", "4.2"]


@pytest.mark.parametrize(
    "values, spacing, texts",
    [
        ([0, 500, 1000, 1500], 500, ["0", "500", "1,000", "1,500"]),
        ([0, 0.5, 1.0], 0.5, ["0.0", "0.5", "1.0"]),
        ([0, 500_000, 1_000_000], 500_000, ["0", "0.5\u00a0M", "1.0\u00a0M"]),
        ([0.00001, 0.00002], 0.00001, ["1e-05", "2e-05"]),
        ([0.1, 10, 100_000, 1e6], 0, ["0.1", "10", "100\u00a0k", "1\u00a0M"]),
    ],
)  # fmt: skip
def test_an_axis_has_the_numbers_of_everything_else(values: list[float], spacing: float, texts: list[str]) -> None:
    assert tick_texts(values, spacing) == texts


@cache
def texts_of_the_window() -> list[tuple[str, str]]:
    """Every text with places that the window, a run or what it is told in may show, as it is written."""
    found = []
    for path in sorted((ROOT / "app").rglob("*.py")):
        if path.relative_to(ROOT / "app").as_posix().startswith(OTHERS):
            continue
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.JoinedStr):
                found.append((f"{path.name}:{node.lineno}", ast.get_source_segment(source, node) or ""))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "{" in node.value:
                found.append((f"{path.name}:{node.lineno}", node.value))
    return found


def test_no_text_has_a_form_of_its_own_for_losses_iterations_and_memory() -> None:
    own_form = re.compile(
        rf"\{{[^{{}}]*\b(?:{LOSSES})[^{{}}\w]*:[^{{}}]*\.\d[fg]\}}"  # a loss with digits of its own
        r"|_gb[^{}\w]*:[^{}]*\}"  # memory in a unit of its own
        r"|[Ii]teration \{\w+\}"  # a count without its thousands apart
    )
    found = [f"{where}: {text}" for where, text in texts_of_the_window() if own_form.search(text)]
    assert found == []


def test_no_text_lets_a_line_break_before_a_unit() -> None:
    units = re.compile(r"\} (?:GB|MB|kB|GB/s|MB/s|tokens/s|ms|min|s|h|%)(?![\w/])")
    found = [f"{where}: {text}" for where, text in texts_of_the_window() if units.search(text)]
    assert found == []


def test_an_adapter_larger_than_its_model_is_told_as_such() -> None:
    """Rank 512 on 576 wide layers of a model with 135 million parameters trains more than these."""
    told = [percent_text(percent) for percent in (99.99, 99.996, 100.4, 115.6, 1234.5)]
    assert told == ["99.99\u00a0%", "100\u00a0%", "100\u00a0%", "116\u00a0%", "1,234\u00a0%"]


@pytest.mark.parametrize(
    ("text", "english", "german"),
    [
        ("1e-4", 1e-4, 1e-4), (" 2048 ", 2048, 2048), ("−2", -2, -2), (".5", 0.5, 0.5), ("4_0", 40, 40),
        ("4,096", 4096, 4.096), ("1,500", 1500, 1.5), ("12,345,678", 12_345_678, None),
        ("1,234.5", 1234.5, None), ("1 024", 1024, 1024), ("1\u202f024", 1024, 1024), ("1'024", 1024, 1024),
        ("0,0001", None, 1e-4), ("1,5", None, 1.5), ("0,500", None, 0.5), ("−2,5", None, -2.5),
        ("3,5e-4", None, 3.5e-4), ("1,2,3", None, None), ("1 02", None, None), ("1,024 000", None, None),
        ("1.234,5", None, None), ("inf", None, None), ("nan", None, None), ("1e999", None, None), ("", None, None),
        ("x", None, None), (",", None, None),
    ],
)  # fmt: skip
def test_a_typed_number_is_what_its_writer_means_or_none(
    text: str, english: float | None, german: float | None
) -> None:
    assert typed_number(text) == english
    choose_language("de")
    try:
        assert typed_number(text) == german
    finally:
        choose_language("en")
