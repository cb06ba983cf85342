"""A run that outlives who started it: it goes on, is shown, and hears what it is told, from any command line."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.live.following import followed_events
from app.core.live.training_list import training_runs
from app.core.protocol import event
from app.core.protocol.event import read_events
from app.core.protocol.job import TrainJob, write_job
from app.core.protocol.program import worker_command, worker_environment
from app.core.run.folder import RUN_DOOR, RunDir, prepare_run
from app.core.setup.config_file import load_config
from tests.command.conftest import CONFIG, PROGRAM, Luthier


@pytest.fixture
def left(place: Path, tmp_path: Path) -> Iterator[RunDir]:
    """A run that is paused at its beginning, and whose window is gone: nobody holds the other ends of its pipes."""
    own = {"model": str(place / "model"), "data": str(place / "data"), "iters": 5000, "steps_per_report": 1}
    (tmp_path / "long.yaml").write_text(json.dumps(CONFIG | own | {"steps_per_eval": 1000, "save_every": 1000}))
    run = prepare_run(load_config(tmp_path / "long.yaml").config, tmp_path / "run")
    write_job(run.path, TrainJob(outlives_parent=True))
    with (run.path / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            worker_command(run.path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            env=worker_environment(), start_new_session=True,
        )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b'{"command": "pause"}\n')
    process.stdin.flush()
    for line in process.stdout:
        if json.loads(line)["type"] == "paused":
            break
    process.stdin.close()
    process.stdout.close()
    yield run
    process.kill()
    process.wait()


def test_it_goes_on_alone_and_is_told_through_its_door(left: RunDir, luthier: Luthier) -> None:
    assert training_runs() == [left]
    assert "told: save" in luthier("attach", left.path, "--save").stderr
    told = luthier("attach", "--pause", "--save", "--json").stdout  # it is paused
    assert json.loads(told) == {"run": "run", "path": str(left.path), "told": ["pause", "save"]}
    assert "--pause and --stop cannot" in luthier("attach", "--pause", "--stop", "--json", code=2).stdout
    assert "told: resume" in luthier("attach", "--continue").stderr  # the one that trains
    heard = []
    for said in followed_events(left):
        heard.append(said)
        if isinstance(said, event.TrainReported) and said.iteration == 5:
            luthier("attach", left.path, "--stop")
    last = heard[-1]
    assert isinstance(last, event.Finished)
    assert last.reason == "stopped"
    assert last.iteration is not None
    assert 5 <= last.iteration < 5000
    kinds = [said.type for said in heard]
    assert [kinds.count(one) for one in ("hello", "started", "paused", "resumed", "finished")] == [1] * 5
    assert heard == read_events(left.events)
    assert [said.iteration for said in heard if isinstance(said, event.TrainReported)] == list(
        range(1, last.iteration + 1)
    )
    assert not (left.path / RUN_DOOR).exists()
    assert training_runs() == []
    assert "`luthier resume run`" in luthier("attach", left.path, "--pause", code=1).stderr
    shown = luthier("attach", left.path, "--json").stdout
    assert shown == left.events.read_text()
    assert "Stopped and saved" in luthier("attach", left.path).stdout
    assert "No run trains" in luthier("attach", code=2).stderr


def test_a_terminal_shows_it_pauses_it_and_lets_go(left: RunDir) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "attach", str(left.path)], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        said = _read_until(ours, b"lets go of it")
        os.write(ours, b"p")  # it is paused: it goes on
        said += _read_until(ours, b"of 5,000")
        os.write(ours, b"p")
        assert next(one for one in followed_events(left) if isinstance(one, event.Paused) and one.iteration > 1)
        process.send_signal(signal.SIGINT)
        said += _read_until(ours, f"luthier attach {left.path}".encode())
    os.close(ours)
    assert process.returncode == 0
    assert b"Traceback" not in said
    assert left.is_running()
    assert [one.type for one in read_events(left.events) if one.type in ("paused", "resumed")] == [
        "paused", "resumed", "paused",
    ]  # fmt: skip


def _read_until(file: int, wanted: bytes) -> bytes:
    said = b""
    while wanted not in said:
        assert select.select([file], [], [], 60)[0], said
        said += os.read(file, 4096)
    return said


def test_nothing_computes_beside_it_unless_that_is_said(
    left: RunDir, luthier: Luthier, place: Path, tmp_path: Path
) -> None:
    model, adapter, data = place / "model", place / "adapter", place / "data"
    verbs: tuple[tuple[object, ...], ...] = (
        ("demo",),
        ("train", place / "config.yaml"),
        ("generate", "--model", model, "--prompt", "Hello"),
        ("evaluate", "--model", model, "--adapter-path", adapter, "--data", data),
        ("compare", "--model", model, "--adapter-path", adapter, "--data", data),
        ("export", adapter, "--to", "fused", "--out", tmp_path / "fused"),
        ("merge", adapter, adapter, "--out", tmp_path / "merged"),
        ("serve", adapter),
    )
    for words in verbs:
        said = luthier(*words, code=1).stderr
        assert "run is training already" in said, words
        assert "`--beside` does it all the same" in said, words
    luthier("queue", "add", tmp_path / "long.yaml")
    assert "Paused: run is training already" in luthier("queue", "run", code=1).stderr
    assert training_runs() == [left]
    done = luthier("generate", "--model", model, "--prompt", "Hello", "--max-tokens", "2", "--beside")
    assert "warning: run is training already" in done.stderr
