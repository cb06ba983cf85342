"""`--selftest` from source: the same that the frozen app is tested with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.protocol.program import own_command
from app.core.system.starter import in_style


@pytest.mark.slow
def test_this_copy_works_and_says_so_in_a_report(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "TMPDIR": str(tmp_path), "LUTHIER_HOME": "/nowhere"}
    # Where torch is installed it is imported by transformers, and makes a folder.
    environment["TORCHINDUCTOR_CACHE_DIR"] = str(tmp_path_factory.mktemp("torch"))
    report = tmp_path / "report.json"
    done = subprocess.run(
        [*own_command(), "--selftest", str(report)], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    said = json.loads(report.read_text(encoding="utf-8"))
    assert said["passed"] is True
    assert said["frozen"] is False
    assert min(said["window"]["size"]) > 500
    assert said["training"]["iterations"] == 40
    assert 0 < said["training"]["loss_after"] < said["training"]["loss_before"] / 2
    assert said["training"]["tokens_per_second"] > 0
    assert in_style(said["answer"]["tuned"])
    assert not in_style(said["answer"]["base"])
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_worker_that_does_not_start_fails_it_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from app.command.health import selftest as module
    from app.core.protocol import program

    before = os.environ.get("LUTHIER_HOME")
    monkeypatch.setattr(module, "_window", lambda _home: {})
    monkeypatch.setattr(
        program, "worker_command", lambda _job: [sys.executable, "-c", "raise SystemExit('no MLX')"]
    )
    assert module.selftest() == 1
    printed = capsys.readouterr()
    said = json.loads(printed.out)
    assert said["passed"] is False
    assert "no MLX" in said["error"]
    assert "The selftest failed" in printed.err
    assert os.environ.get("LUTHIER_HOME") == before
