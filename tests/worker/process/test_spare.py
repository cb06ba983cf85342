"""A spare, as a process: what it imports before it has a job, and that it then does this one as any worker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.core.protocol.job import HubSearchJob, InspectJob, Job, write_job
from app.core.protocol.program import WORKER_VARIABLE, worker_environment
from app.core.protocol.spare import SPARE_TASKS, Handover, spare_command
from app.core.system.starter import model_dir
from app.worker.process.main import HUB_TASKS, TASKS
from tests import ROOT

# What one knows of a process after the imports.
IMPORTED = """
import json, sys, threading
from app.worker.process.main import cut_off_from_hub
from app.worker.process.spare import import_ahead
cut_off_from_hub()
import_ahead()
import huggingface_hub.constants
import mlx.core as mx
print(json.dumps({
    "modules": sorted(sys.modules), "peak": mx.get_peak_memory(), "threads": threading.active_count(),
    "offline": huggingface_hub.constants.HF_HUB_OFFLINE,
}))
"""

PRINTING = """
import os, pathlib, sys
from app.worker.process.spare import _complain_to
_complain_to(pathlib.Path(sys.argv[1]))
os.write(2, b"of C\\n")
os.write(1, b"of C too\\n")
print("of Python", file=sys.stderr)
"""


def spare(told: bytes) -> tuple[list[dict[str, Any]], str, int]:
    """What a spare says that is told these lines, what it prints, and its exit code."""
    done = subprocess.run(
        spare_command(), input=told, capture_output=True, env=worker_environment(), check=False, timeout=120
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode(), done.returncode


def given(folder: Path, job: Job, log: Path | None = None) -> bytes:
    write_job(folder, job)
    return Handover(folder, log).to_line()


def test_it_imports_much_and_makes_no_array() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, cwd=ROOT, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["peak"] == 0, "nothing was asked of the GPU's memory"
    assert found["threads"] == 1
    assert found["offline"] is True
    assert {"mlx.core", "mlx.nn", "transformers", "numpy", "app.core.config.train_config"} <= set(found["modules"])
    assert "mlx_lm" not in found["modules"]


def test_nobody_who_has_a_job_is_an_end_without_a_word() -> None:
    assert spare(b"") == ([], "", 0)


def test_it_does_one_job_and_ends(tmp_path: Path) -> None:
    said, _, code = spare(given(tmp_path / "job", InspectJob(model=str(model_dir()))))
    assert [one["type"] for one in said] == ["hello", "inspected", "finished"]
    assert said[0]["task"] == "inspect"
    assert code == 0


def test_what_it_prints_goes_to_the_log_that_it_is_given(tmp_path: Path) -> None:
    """Also through the descriptor, as a library in C prints; what was there stays."""
    log = tmp_path / "log.txt"
    log.write_text("before\n")
    said, printed, code = spare(given(tmp_path / "job", InspectJob(model=str(tmp_path)), log))
    assert (said[-1]["type"], code) == ("failed", 2)
    assert printed == ""
    subprocess.run([sys.executable, "-c", PRINTING, str(log)], cwd=ROOT, check=True, capture_output=True)
    assert log.read_text() == "before\nof C\nof C too\nof Python\n"


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    said, _, code = spare(given(tmp_path / "job", InspectJob(model=""), tmp_path / "nowhere" / "log.txt"))
    assert [one["type"] for one in said] == ["failed"]
    assert "no job that it can do" in said[0]["message"]
    assert code == 1


def test_what_may_ask_the_hub_is_refused_and_so_is_half_a_line(tmp_path: Path) -> None:
    """It was cut off when it imported what reads that only once."""
    said, _, code = spare(given(tmp_path / "job", HubSearchJob(query="any")))
    assert [one["type"] for one in said] == ["failed"]
    assert "hub_search" in said[0]["message"]
    assert code == 2
    said, _, code = spare(b'{"job_dir": \n')
    assert ([one["type"] for one in said], code) == (["failed"], 1)
    for line in ("{}", "[]", '{"job_dir": 7}'):
        with pytest.raises(ValueError, match=re.escape(line)):
            Handover.of_line(line)


def test_tasks_are_tasks_and_none_asks_the_hub() -> None:
    assert set(TASKS) >= SPARE_TASKS
    assert not SPARE_TASKS & HUB_TASKS


def test_a_path_of_any_bytes_arrives(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9 \n \xf0")
    assert Handover.of_line(Handover(odd, odd / "log").to_line().decode()) == Handover(odd, odd / "log")
    assert Handover.of_line(Handover(odd).to_line().decode()).log is None


def test_it_is_a_worker_and_opens_no_window() -> None:
    assert worker_environment()[WORKER_VARIABLE] == "1"
    assert spare_command()[-2:] == ["--worker", "--spare"]
