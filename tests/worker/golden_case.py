"""Golden cases as `packaging/golden/make_golden.py` writes them, read back as MLX arrays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

FOLDER = Path(__file__).parent / "golden"
TOLERANCE = 2e-6


def cases(file: str, name: str) -> list[Any]:
    """The cases called ``name`` in a file."""
    found = [case for case in json.loads((FOLDER / f"{file}.json").read_text())["cases"] if case["name"] == name]
    assert found
    return found


def named(case: dict[str, Any]) -> str:
    """The options of a case, as the name of its test."""
    return ",".join(str(value) for value in case["options"].values())


def check(case: dict[str, Any], loss: Callable[[mx.array], mx.array]) -> None:
    """Asserts that ``loss`` of the case's log-probabilities, and its gradient, are what TRL computed."""
    value, gradient = mx.value_and_grad(loss)(mx.array(case["policy"]))
    np.testing.assert_allclose(value.item(), case["loss"], rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(np.array(gradient), case["gradient"], rtol=2e-5, atol=TOLERANCE)
