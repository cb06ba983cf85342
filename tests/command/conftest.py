"""What tests of the command line share: the real program in a process of its own, and what it works on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT

Luthier = Callable[..., subprocess.CompletedProcess[str]]
PROGRAM = [sys.executable, str(ROOT / "app" / "__main__.py")]

CONFIG: dict[str, Any] = {
    "model": "model",
    "data": "data",
    "targets": "full",
    "iters": 20,
    "learning_rate": 1e-3,
    "lora_parameters": {"rank": 4, "scale": 4.0, "dropout": 0.0},
    "max_seq_length": 64,
    "steps_per_report": 5,
    "steps_per_eval": 10,
    "save_every": 10,
}


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``model``, ``data`` and ``config.yaml``; tests write elsewhere."""
    from tests.worker.answering_model import make_adapter, make_model
    from tests.worker.tiny_model import write_data

    root = tmp_path_factory.mktemp("place")
    make_adapter(make_model(root / "model"), root / "adapter")
    write_data(root / "data")
    (root / "config.yaml").write_text(json.dumps(CONFIG))
    return root


@pytest.fixture
def luthier(tmp_path: Path) -> Luthier:
    """Runs the real program; its output is text, its standard input empty unless given."""

    def run(*arguments: object, stdin: str = "", code: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*PROGRAM, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=120, cwd=tmp_path
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        if code is not None:
            assert done.returncode == code, done.stdout + done.stderr
        return done

    return run
