"""Several replicas train as one process does, end together, and go on exactly: real processes on the loopback."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.core.protocol import event
from app.core.protocol.client import WorkerClient
from app.core.protocol.command import Pause, Resume, Stop
from app.core.protocol.event import Event, read_events
from app.core.protocol.job import TrainJob, write_job
from app.core.replica.hostfile import RUN_HOSTS, hosts_here, save_hostfile
from app.core.run.folder import RunDir, prepare_run
from app.worker.train.checkpoint import load_checkpoint
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import config_for, go_on, saved_arrays, start

Act = Callable[[WorkerClient, Event], None]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model and 18 examples of uneven length: at batch 4 the last of an epoch has fewer than four replicas."""
    folder = tmp_path_factory.mktemp("inputs")
    return write_model(folder / "model", layers=1), write_data(folder / "data", train=18, valid=5)


def made(folder: Path, inputs: tuple[Path, Path], replicas: int, **values: Any) -> RunDir:
    run = prepare_run(config_for(*inputs, **values), folder)
    save_hostfile(hosts_here(replicas), run.path / RUN_HOSTS)
    return run


def trained(run: RunDir, act: Act = lambda _worker, _said: None) -> list[Event]:
    """What the run's own worker says, to its end; ``act`` may answer each event."""
    with WorkerClient(run.path, run.log) as worker:
        found = []
        for said in worker.events():
            found.append(said)
            act(worker, said)
    return found


def losses(events: list[Event]) -> list[float]:
    return [loss for said in events if isinstance(said, event.TrainReported) for loss in said.losses]


@pytest.mark.parametrize(
    "replicas, values",
    [
        (2, {"max_grad_norm": 0.5}),
        (4, {"grad_accumulation_steps": 2, "mask_prompt": True, "fine_tune_type": "full"}),
    ],
)
def test_they_train_as_one_process(
    tmp_path: Path, inputs: tuple[Path, Path], replicas: int, values: dict[str, Any]
) -> None:
    alone, said = start(config_for(*inputs, **values), tmp_path / "alone")
    together = made(tmp_path / "together", inputs, replicas, **values)
    found = trained(together)
    assert isinstance(found[-1], event.Finished), found[-1]
    assert losses(found) == pytest.approx(said.losses, abs=1e-4)
    # An Adam step is as long as the learning rate however small the gradient: a hundredth of it is nothing.
    one, all_of_them = (saved_arrays(run.adapters / "adapters.safetensors") for run in (alone, together))
    for name, array in one.items():
        assert float(abs(array - all_of_them[name]).max()) < 2e-4, name
    begun = next(one for one in found if isinstance(one, event.Started))
    assert (begun.replicas, begun.iterations) == (replicas, 12)
    assert [one.val_loss for one in found if isinstance(one, event.Validated)] == pytest.approx(
        [one.val_loss for one in said.of(event.Validated)], abs=1e-4
    )
    told = re.findall(r"exchanged ([\d.]+)\sMB in ([\d.]+)\ss", together.log_tail())
    assert len(told) == 1
    assert all(float(figure) > 0 for figure in told[0])


def test_one_that_dies_ends_all_and_what_is_saved_goes_on_exactly(
    tmp_path: Path, inputs: tuple[Path, Path]
) -> None:
    """With dropout, and in the middle of an accumulation: paused, one killed; resumed, and stopped."""
    values: dict[str, Any] = {
        "lora_parameters": {"rank": 4, "scale": 4.0, "dropout": 0.2},
        "grad_accumulation_steps": 3, "save_every": 2, "steps_per_report": 1, "steps_per_eval": 50, "iters": 50,
    }  # fmt: skip
    whole = trained(made(tmp_path / "whole", inputs, 2, **values))
    run = made(tmp_path / "cut", inputs, 2, **values)

    def kill_while_paused(worker: WorkerClient, said: Event) -> None:
        if isinstance(said, event.TrainReported) and said.iteration == 4:
            worker.send(Pause())
        elif isinstance(said, event.Paused):
            (number,) = re.findall(r"^\[1\] replica 1 .*process (\d+)$", run.log_tail(), re.MULTILINE)
            os.kill(int(number), signal.SIGKILL)
            worker.send(Resume())

    first = trained(run, kill_while_paused)
    failed = first[-1]
    assert isinstance(failed, event.Failed)
    assert failed.message.startswith("Replica 1 (this machine) ended by signal SIGKILL.")
    checkpoint = load_checkpoint(run.state)
    assert checkpoint is not None
    assert f"The run is saved at iteration {checkpoint.iteration}." in failed.message
    assert "Resume the run" in failed.hint

    def stop(worker: WorkerClient, said: Event) -> None:
        if isinstance(said, event.TrainReported) and said.iteration == checkpoint.iteration + 3:
            worker.send(Stop())

    write_job(run.path, TrainJob(resume=True))
    second = trained(run, stop)
    assert isinstance(second[-1], event.Finished)
    assert second[-1].reason == "stopped"
    end = second[-1].iteration
    assert end is not None
    by_iteration = {
        said.iteration: said.losses for said in read_events(run.events) if isinstance(said, event.TrainReported)
    }
    assert [loss for _, each in sorted(by_iteration.items()) for loss in each] == losses(whole)[:end]

    (run.path / RUN_HOSTS).unlink()  # alone from here on, with the sums of both
    write_job(run.path, TrainJob(resume=True))
    alone = go_on(run, resume=True)
    assert alone.of(event.Finished)[-1].reason == "completed"
    assert any(
        "trained by 2 replicas so far, and by 1 replica now" in said.message for said in alone.of(event.Warned)
    )
    assert len(alone.losses) == 50 - end
