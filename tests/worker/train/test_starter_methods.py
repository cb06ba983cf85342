"""On the starter each preference method raises its margin, in a short run."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from app.core.method.table import METHODS
from app.core.protocol.event import TrainReported
from app.core.run.folder import RunDir
from tests import ROOT
from tests.worker.training import go_on


@cache
def script() -> ModuleType:
    """`packaging/method_table.py`, which measures the methods on rows that no run has seen."""
    path = ROOT / "packaging" / "method_table.py"
    spec = importlib.util.spec_from_file_location("method_table", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["method_table"] = module
    spec.loader.exec_module(module)
    return module


def train_here(run: RunDir) -> float:
    """Trains without a process of its own, which takes longer to start than the run; the peak of memory in GB."""
    return max(report.peak_memory_gb for report in go_on(run).of(TrainReported))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.data == "pairs"])
def test_the_margin_rises(name: str, tmp_path: Path) -> None:
    row = script().run_method(METHODS[name], tmp_path / "run", train=train_here, iters=20)
    assert row.after > row.before + 0.1


@pytest.mark.slow
def test_the_baseline_learns(tmp_path: Path) -> None:
    row = script().run_method(METHODS["sft"], tmp_path / "run")
    assert row.after < row.before - 1
