"""What is on disk is complete, whenever the process dies; and a worker's own process logs, tells and resumes."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import mlx.optimizers as optim
import pytest
from mlx_lm import load

from app.core.protocol import program
from app.core.protocol.event import (
    CheckpointSaved,
    Finished,
    Hello,
    Started,
    TrainReported,
    parse_event,
    read_events,
)
from app.core.protocol.job import TrainJob, write_job
from app.core.run.folder import RunDir, prepare_run
from app.worker.model.head import find_head
from app.worker.model.loading import make_trainable, trainable
from app.worker.objective.supervised import supervised
from app.worker.train.checkpoint import load_checkpoint, restore, save_checkpoint
from app.worker.train.step import Step
from tests import ROOT
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import config_for


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return write_model(folder / "model", layers=1), write_data(folder / "data")


def worker(run: RunDir) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        program.worker_command(run.path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=program.worker_environment(),
        cwd=ROOT,
    )


def test_a_worker_of_its_own(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """Events on stdout and in the file are the same lines; the log is in the file and on stderr."""
    run = prepare_run(config_for(*inputs, steps_per_report=1), tmp_path / "run")
    process = worker(run)
    assert process.stdout is not None
    out = process.stdout.read()  # with stdin open: its end would mean that the window is gone
    _, log = process.communicate()
    assert process.returncode == 0, log.decode()
    assert out == run.events.read_bytes()
    events = [parse_event(line) for line in out.splitlines()]
    assert isinstance(events[0], Hello)
    assert isinstance(events[-1], Finished)
    line = "=" * 60
    block = f"{line}\nLoRA Configuration:\n  Rank: 4\n  Alpha: 16.0\n  Scale: 4.0 (alpha ÷ rank)\n"
    block += "  Dropout: 0.0\n  Layers: all\n  Matrices: "
    assert block in log.decode()
    names = "['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']"
    assert f"\n[LoRA] Target modules: {names}\n" in log.decode()
    assert log == run.log.read_bytes()
    assert events[-1].reason == "completed"


def test_the_end_of_input_ends_the_run(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run = prepare_run(config_for(*inputs, iters=100_000, steps_per_report=1), tmp_path / "run")
    process = worker(run)
    assert process.stdout is not None
    for line in process.stdout:
        if isinstance(parse_event(line), TrainReported):
            break
    process.communicate()  # closes stdin, and stdout: nobody reads any more
    last = read_events(run.events)[-1]
    assert process.returncode == 0
    assert isinstance(last, Finished)
    assert last.reason == "stopped"
    assert load_checkpoint(run.state) is not None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_saves_the_run(number: signal.Signals, inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run = prepare_run(config_for(*inputs, iters=100_000, save_every=100_000, steps_per_report=1), tmp_path / "run")
    process = worker(run)
    assert process.stdout is not None
    for line in process.stdout:
        if isinstance(parse_event(line), TrainReported):
            break
    process.send_signal(number)
    process.communicate()
    last = read_events(run.events)[-1]
    assert process.returncode == 0
    assert isinstance(last, Finished)
    checkpoint = load_checkpoint(run.state)
    assert checkpoint is not None
    assert checkpoint.iteration == last.iteration


def test_killed_at_any_moment(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """SIGKILL while it saves at every iteration: all files open, and the run goes on from a complete state."""
    config = config_for(*inputs, iters=5000, save_every=1, steps_per_eval=2, early_stopping={"enabled": False})
    run = prepare_run(config, tmp_path / "run")
    source = random.Random(1)
    last = 0
    for attempt in range(3):
        write_job(run.path, TrainJob(resume=attempt > 0))
        process = worker(run)
        assert process.stdout is not None
        saved = source.randint(3, 12)
        for line in process.stdout:
            event = parse_event(line)
            if isinstance(event, Started):
                assert event.iteration >= last
            saved -= isinstance(event, CheckpointSaved)
            if saved <= 0:
                break
        time.sleep(source.random() * 0.02)  # anywhere between two saves
        process.send_signal(signal.SIGKILL)
        process.communicate()
        checkpoint = load_checkpoint(run.state)
        assert checkpoint is not None
        assert checkpoint.iteration > last
        last = checkpoint.iteration
        files = [path for path in run.adapters.rglob("*.safetensors") if not path.name.startswith(".")]
        for file in files:
            assert mx.load(str(file))
        base, _ = load(str(inputs[0]), adapter_path=str(run.adapters))
        assert base is not None
    reports = [event for event in read_events(run.events) if isinstance(event, TrainReported)]
    assert reports


def _step(inputs: tuple[Path, Path]) -> Iterator[tuple[object, optim.Optimizer, Step]]:
    model, _ = load(str(inputs[0]))
    keys = ["self_attn.q_proj"]
    make_trainable(model, config_for(*inputs, lora_parameters={"rank": 2, "scale": 2.0, "keys": keys}))
    optimizer = optim.Adam(1e-3)
    optimizer.init(model.trainable_parameters())
    step = Step(model, optimizer, supervised(find_head(model)), accumulation=2)
    batch = {"inputs": mx.ones((1, 4), mx.int32), "targets": mx.ones((4,), mx.int32), "weights": mx.ones((4,))}
    step([batch], update=False)
    yield model, optimizer, step


def test_half_written_states_do_not_count(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    [(model, optimizer, step)] = _step(inputs)
    assert load_checkpoint(tmp_path) is None
    written = save_checkpoint(tmp_path, 7, model, optimizer, step, {})
    (half := tmp_path / "0000008.writing").mkdir()
    (half / "state.json").write_text((written / "state.json").read_text())
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found.iteration == 7
    save_checkpoint(tmp_path, 9, model, optimizer, step, {})
    assert [path.name for path in tmp_path.iterdir()] == ["0000009"]
    save_checkpoint(tmp_path, 9, model, optimizer, step, {"again": True})
    assert [path.name for path in tmp_path.iterdir()] == ["0000009"]
    again = load_checkpoint(tmp_path)
    assert again is not None
    assert again.state["again"]


def test_everything_comes_back(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    [(model, optimizer, step)] = _step(inputs)
    mx.random.seed(12345678901234567)
    mx.random.normal((3,))
    save_checkpoint(tmp_path, 1, model, optimizer, step, {"note": float("nan")})
    weights, expected = trainable(model), mx.random.normal((3,)).tolist()
    [(fresh, fresh_optimizer, _)] = _step(inputs)
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint is not None
    (accumulated,) = restore(checkpoint, fresh, fresh_optimizer)
    assert step.accumulated is not None
    assert accumulated.weight.item() == step.accumulated.weight.item() == 4
    assert mx.random.normal((3,)).tolist() == expected
    for name, array in trainable(fresh).items():
        assert mx.array_equal(array, weights[name])
    flat = dict(_flat(accumulated.gradient))
    for name, array in _flat(step.accumulated.gradient):
        assert mx.array_equal(array, flat[name])


def _flat(tree: object) -> list[tuple[str, mx.array]]:
    from mlx.utils import tree_flatten

    return tree_flatten(tree)


def test_a_log_that_is_the_parents_file_is_not_copied_onto_itself(tmp_path: Path) -> None:
    """The command line's worker gets the log file as its stderr: nothing is written twice."""
    log = tmp_path / "log.txt"
    code = (
        "import sys, pathlib; from app.worker.process.log import logged_to\n"
        f"with logged_to(pathlib.Path({str(log)!r})): print('once', file=sys.stderr, flush=True)\n"
    )
    with log.open("ab") as file:
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stderr=file)
    assert log.read_text() == "once\n"


def test_the_log_holds_the_last_words_of_a_crash(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("earlier\n")
    code = (
        "import os, pathlib; from app.worker.process.log import logged_to\n"
        f"with logged_to(pathlib.Path({str(log)!r})):\n"
        "    os.write(1, b'from a library\\n'); os.write(2, b'terminating\\n'); os.abort()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGABRT
    assert log.read_text() == "earlier\nfrom a library\nterminating\n"


def test_the_parent_sees_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("of an earlier start\n")
    code = (
        "import sys, pathlib; from app.worker.process.log import logged_to\n"
        f"with logged_to(pathlib.Path({str(log)!r})): print('x' * 200_000)\n"
        "print('afterwards', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True)
    assert done.stderr == "x" * 200_000 + "\nafterwards\n"
    assert done.stdout == ""
    assert log.read_text() == "of an earlier start\n" + "x" * 200_000 + "\n"


def test_state_is_json_with_nan(tmp_path: Path, inputs: tuple[Path, Path]) -> None:
    [(model, optimizer, step)] = _step(inputs)
    written = save_checkpoint(tmp_path, 1, model, optimizer, step, {"loss": float("inf")})
    assert json.loads((written / "state.json").read_text())["loss"] == float("inf")
