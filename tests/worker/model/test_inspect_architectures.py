"""Every architecture: what Luthier says would be trained is what mlx-lm then trains, number for number."""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

import pytest

from tests import ROOT
from tests.worker.architectures import EXTRAS, all_names

SCRIPT = ROOT / "packaging" / "architecture_table.py"

# What must not be empty: each architecture has something for Full, and Minimal is never more than Attention.
SEVEN = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "ministral3", "mixtral")
EXPECTED_FULL = dict.fromkeys(SEVEN, 7 * 4) | {"phi": 6 * 4, "gpt2": 4 * 4, "mamba2": 2 * 4}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    os.environ["MLX_DISABLE_COMPILE"] = "1"
    return list(_script().measure(all_names()))


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("architecture_table", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_counts_equal_what_mlx_lm_trains(rows: list[dict[str, Any]]) -> None:
    script = _script()
    wrong = [script._line(row) for row in rows if not script.is_equal(row)]
    assert wrong == []


def test_at_least_fifty_architectures_are_covered(rows: list[dict[str, Any]]) -> None:
    assert len(EXTRAS) >= 50
    assert {row["architecture"] for row in rows} == set(all_names())


def test_every_architecture_trains_something_at_every_preset(rows: list[dict[str, Any]]) -> None:
    # State-space models without an MLP of their own have nothing under "MLP only".
    empty = [row for row in rows if not row["parameters"] and row["targets"] != "lora mlp -1"]
    allowed = {row["architecture"] for row in empty if row["targets"].startswith("dora")}
    assert [row for row in empty if row["architecture"] not in allowed] == []


def test_full_takes_the_modules_people_expect(rows: list[dict[str, Any]]) -> None:
    full = {row["architecture"]: row["modules"] for row in rows if row["targets"] == "lora full -1"}
    assert {name: full[name] for name in EXPECTED_FULL} == EXPECTED_FULL


def test_minimal_is_the_smallest_choice(rows: list[dict[str, Any]]) -> None:
    by_case = {(row["architecture"], row["targets"]): row["parameters"] for row in rows}
    for name in all_names():
        minimal, attention, full, linear = (
            by_case[name, f"lora {preset} -1"] for preset in ("minimal", "attention", "full", "linear")
        )
        assert 0 < minimal <= attention <= full <= linear, name
