"""What tests of the command line share: the program, in a process of its own or without, and what it works on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from app.command.main import run_command
from tests import ROOT
from tests.command.spoken import SpokenWorker

Done = subprocess.CompletedProcess[str]
Luthier = Callable[..., Done]
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
    "neutral_tokens": 0,  # answers sampled for it take longer than the run
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


def _checked(done: Done, code: int | None) -> Done:
    said = done.stdout + done.stderr
    assert "Traceback" not in said, done.stderr
    assert "in a way that it does not know" not in said, done.stderr
    if code is not None:
        assert done.returncode == code, said
    return done


@pytest.fixture
def program(tmp_path: Path) -> Luthier:
    """Runs the real program in a process of its own; its output is text, its standard input empty unless given."""

    def run(*arguments: object, stdin: str = "", code: int | None = 0) -> Done:
        words = [*PROGRAM, *map(str, arguments)]
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=120, cwd=tmp_path)
        return _checked(done, code)

    return run


@pytest.fixture
def luthier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Luthier:
    """As `program`, in the test's own process, which has imported everything already; its workers are real ones."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, stdin: str = "", code: int | None = 0) -> Done:
        words = [str(word) for word in arguments]
        with ExitStack() as files:
            given, out, err = (files.enter_context(TemporaryFile("w+", encoding="utf-8")) for _ in range(3))
            given.write(stdin)
            given.seek(0)
            with monkeypatch.context() as patched, redirect_stdout(out), redirect_stderr(err):
                patched.setattr(sys, "stdin", given)
                found = run_command(words)
            said = []
            for file in (out, err):
                file.seek(0)
                said.append(file.read())
        return _checked(subprocess.CompletedProcess(words, found, *said), code)

    return run


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpokenWorker:
    """Every job that is no run is given to this one."""
    found = SpokenWorker(tmp_path / "log.txt")
    for place in ("app.command.worker", "app.core.protocol.client"):  # the first imports from the second
        monkeypatch.setattr(f"{place}.started_job", found.started)
    return found
