"""What a worker imports: an answer waits for nothing that only other jobs need."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from app.core.protocol.program import OFFLINE_VARIABLES
from tests import ROOT

LOADED = """
import json, os, sys
os.environ |= dict.fromkeys({offline!r}, "1")
import app.worker.process.main
import {module}
print(json.dumps(sorted(sys.modules)))
"""
# The form's config, the preparation of data, a run's folder; the trainer of mlx-lm and what draws its tables.
ONLY_OTHERS = (
    "app.core.config.train_config", "app.core.data.prepare", "app.core.run.folder", "app.core.export.format",
    "app.worker.process.failure", "mlx_lm.tuner", "rich",
)  # fmt: skip


def loaded(module: str) -> set[str]:
    """The modules of a process that has the worker's start and a task's module."""
    program = LOADED.format(offline=OFFLINE_VARIABLES, module=module)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_an_answer_waits_for_nothing_that_only_other_jobs_need() -> None:
    found = loaded("app.worker.compare.generate")
    assert "mlx_lm.generate" in found
    assert not found.intersection(ONLY_OTHERS)


@pytest.mark.parametrize("module", ["mlx.core", "transformers", "numpy", "app.core.config.train_config"])
def test_what_starts_a_worker_is_light(module: str) -> None:
    assert module not in loaded("app.worker.process.main")
