"""What weighs a model against its export keeps all digits of float32, also where GPUs take fewer unless told."""

from __future__ import annotations

import io
import os
import queue
from pathlib import Path

import pytest

from app.core.protocol.job import AnyJob, ExportJob, InspectJob
from app.worker.process import main
from app.worker.process.channel import Channel


def variable_in_task(job: AnyJob, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """MLX_ENABLE_TF32 as the task of a job finds it."""
    seen: list[str | None] = []

    def task(_channel: Channel, _job_dir: Path, _job: AnyJob) -> None:
        seen.append(os.environ.get("MLX_ENABLE_TF32"))

    monkeypatch.setitem(main.TASKS, job.task, "tests.worker.process.test_exact_arithmetic:task")
    monkeypatch.setitem(globals(), "task", task)
    for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(variable, "1")  # which the worker sets, and would leave behind
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert main._run(Channel(io.StringIO(), queue.Queue()), Path(), job, None) == 0
    return seen[0]


def test_exports_and_what_is_packed_in_them_are_weighed_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLX_ENABLE_TF32")
    job = ExportJob(source=Path("run"), format="gguf", out=Path("out"))
    assert variable_in_task(job, monkeypatch) == "0"


def test_other_work_takes_what_is_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLX_ENABLE_TF32")
    assert variable_in_task(InspectJob(model=""), monkeypatch) is None


def test_these_tests_compute_exactly() -> None:
    assert os.environ["MLX_ENABLE_TF32"] == "0"
