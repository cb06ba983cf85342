"""``luthier evaluate --tasks`` through a real worker, and what it says where lm-eval is not installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.command.main import run_command
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.benchmark.own_task import write_tasks


@pytest.mark.torch
def test_tasks_are_measured_of_base_and_adapter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, tuned = make_model(tmp_path / "base"), make_adapter(tmp_path / "base", tmp_path / "tuned")
    tasks = write_tasks(tmp_path / "tasks")
    asked = ["evaluate", "--model", str(base), "--adapter-path", str(tuned), "--tasks", "own_choices"]
    assert run_command([*asked, "--include-path", str(tasks), "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert [column["adapter"] for column in tree["columns"]] == [None, str(tuned)]
    assert set(tree["columns"][0]["results"]["own_choices"]["acc"]) == {"value", "stderr"}


def test_without_lm_eval_or_data_it_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_model(tmp_path / "base")
    assert run_command(["evaluate", "--model", str(base)]) == 2
    assert "--data or --tasks" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert run_command(["evaluate", "--model", str(base), "--tasks", "arc_easy"]) == 2
    assert "pip install 'lm_eval" in capsys.readouterr().err
