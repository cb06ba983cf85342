"""A full disk pauses a run with its state safe, and a run follows its folder or says that it is gone."""

from __future__ import annotations

import errno
import io
import json
import os
import queue
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from app.core.problem import TaskError, UnusableError
from app.core.protocol.event import CheckpointSaved, Event, Finished, TrainReported, Validated, Warned, read_events
from app.core.protocol.job import TrainJob
from app.core.run.folder import RunDir, prepare_run
from app.core.setup.config_file import load_config
from app.worker.objective.validation import ValidationSet
from app.worker.process import room
from app.worker.process.channel import Channel
from app.worker.process.room import ROOM_FILE, Room
from app.worker.train.train import train
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import Collector, config_for, go_on, saved_arrays, start


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return write_model(folder / "model", layers=1), write_data(folder / "data")


def test_the_best_weights_are_those_that_found_room(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    """The disk is full exactly when the best weights are to be kept; later ones are worse."""
    config = config_for(
        *inputs,
        iters=10,
        save_every=4,
        steps_per_eval=4,
        steps_per_report=1,
        learning_rate=0.3,
        final_adapter="best",
    )
    whole, undisturbed = start(config, tmp_path / "whole")
    [kept] = [found.best_iteration for found in undisturbed.of(Finished)]
    assert kept == 8
    with pytest.MonkeyPatch.context() as patch:
        FullDisk(patch, tmp_path / "run", from_save=6)  # the other five are of iterations 0 and 4
        run, first = start(config, tmp_path / "run")
    assert first.of(Finished)[-1].reason == "paused"
    second = go_on(run, resume=True)
    assert first.losses + second.losses == undisturbed.losses
    assert {path.name: path.read_bytes() for path in whole.adapters.rglob("*.safetensors")} == {
        path.name: path.read_bytes() for path in run.adapters.rglob("*.safetensors")
    }
    measured = {found.iteration: found.val_loss for part in (first, second) for found in part.of(Validated)}
    assert measured == {found.iteration: found.val_loss for found in undisturbed.of(Validated)}


class FullDisk:
    """MLX cannot write from the given save on, until the room that was set aside is given back."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path, from_save: int) -> None:
        self.saves, save = 0, mx.save_safetensors

        def saved(path: str, arrays: dict[str, mx.array], *more: Any) -> None:
            self.saves += 1
            if self.saves >= from_save and (folder / ROOM_FILE).exists():
                raise RuntimeError("[write] Unable to write 3692 bytes to file.")
            save(path, arrays, *more)

        patch.setattr(mx, "save_safetensors", saved)
        patch.setattr(room, "free_bytes", lambda _folder: 1000)


@pytest.mark.parametrize("from_save", [1, 2, 4, 6])
def test_a_full_disk_pauses_the_run_and_it_goes_on_exactly(
    from_save: int, inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    config = config_for(*inputs, iters=8, save_every=2, steps_per_eval=4)
    whole, undisturbed = start(config, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        disk = FullDisk(patch, tmp_path / "run", from_save)
        run, first = start(config, tmp_path / "run")
    assert disk.saves >= from_save
    last = first.events[-1]
    assert isinstance(last, Finished)
    assert last.reason == "paused"
    assert last.message.startswith("The disk is full: ")
    assert not (run.path / ROOM_FILE).exists()
    second = go_on(run, resume=True)
    assert first.losses + second.losses == undisturbed.losses
    expected = saved_arrays(whole.adapters / "adapters.safetensors")
    found = saved_arrays(run.adapters / "adapters.safetensors")
    assert all(mx.array_equal(found[name], array) for name, array in expected.items())


def test_a_disk_without_room_is_told_before_the_first_iteration(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = prepare_run(config_for(*inputs), tmp_path / "run")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UnusableError, match=r"The disk is full: .* more are needed in .*run\."):
        Room(run.path).take(1_000_000)
    assert not (run.path / ROOM_FILE).exists()


def test_other_failures_to_write_are_not_told_as_a_full_disk(tmp_path: Path) -> None:
    assert not room.is_full(RuntimeError("[write] Unable to write"), tmp_path)
    assert not room.is_full(PermissionError(errno.EACCES, "no"), tmp_path)
    assert room.is_full(OSError(errno.ENOSPC, "no"), tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_events_wait_for_room_and_lose_no_line(tmp_path: Path) -> None:
    channel = Channel(io.StringIO(), queue.Queue())
    channel.record_to(tmp_path / "events.jsonl")
    kept = channel._file
    with Path("/dev/full").open("ab", buffering=0) as full:
        channel._file = full
        channel.emit(Warned(message="first"))
        channel.emit(Warned(message="second"))
        assert channel.is_full
    assert kept is not None
    with kept:
        channel._file = kept
        channel.emit(Warned(message="third"))
    assert not channel.is_full
    said = [found.message for found in read_events(tmp_path / "events.jsonl") if isinstance(found, Warned)]
    assert said == ["first", "second", "third"]


def test_a_run_follows_its_folder(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    config = config_for(*inputs, iters=8, save_every=2, steps_per_eval=4, steps_per_report=1)
    whole, undisturbed = start(config, tmp_path / "whole")
    run, moved = prepare_run(config, tmp_path / "run"), tmp_path / "moved"

    def answer(said: Event) -> None:
        if isinstance(said, TrainReported) and said.iteration == 3:
            run.path.rename(moved)

    channel = Collector(tmp_path / "said.jsonl", answer)
    train(channel, run.path, TrainJob())
    assert not run.path.exists()
    assert channel.losses == undisturbed.losses
    finals = [said.path for said in channel.of(CheckpointSaved) if said.kind == "final"]
    assert finals == ["adapters/adapters.safetensors"]
    expected = saved_arrays(whole.adapters / "adapters.safetensors")
    found = saved_arrays(moved / "adapters" / "adapters.safetensors")
    assert all(mx.array_equal(found[name], array) for name, array in expected.items())
    assert str(moved) in channel.of(Warned)[-1].message


def test_a_deleted_folder_is_noticed_at_once(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    run = prepare_run(config_for(*inputs, iters=8, save_every=50, steps_per_report=1), tmp_path / "run")

    def answer(said: Event) -> None:
        if isinstance(said, TrainReported) and said.iteration == 3:
            shutil.rmtree(run.path)

    channel = Collector(tmp_path / "said.jsonl", answer)
    with pytest.raises(TaskError, match="was deleted while it was trained"):
        train(channel, run.path, TrainJob())
    assert len(channel.losses) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["said.jsonl"]


def while_saving(patch: pytest.MonkeyPatch, happens: Callable[[], object], number: int = 3) -> None:
    """Lets something happen in the middle of one of the times that weights are written."""
    save, saves = mx.save_safetensors, 0

    def saved(path: str, arrays: dict[str, mx.array], *more: Any) -> None:
        nonlocal saves
        saves += 1
        if saves == number:
            happens()
        save(path, arrays, *more)

    patch.setattr(mx, "save_safetensors", saved)


def test_a_folder_that_is_deleted_in_the_middle_of_a_save_is_told_as_that(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepare_run(config_for(*inputs, iters=8, save_every=2), tmp_path / "run")
    while_saving(monkeypatch, lambda: shutil.rmtree(run.path))
    with pytest.raises(TaskError, match="was deleted while it was trained"):
        train(Collector(tmp_path / "said.jsonl"), run.path, TrainJob())
    assert not run.path.exists()


@pytest.mark.parametrize("number", [1, 3, 4, 5])
def test_a_folder_that_is_moved_in_the_middle_of_a_save_is_followed(
    number: int, inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first file is that of the best weights; then come a numbered checkpoint, the adapter and the state."""
    config = config_for(*inputs, iters=4, save_every=2, steps_per_report=1)
    _, whole = start(config, tmp_path / "whole")
    run, moved = prepare_run(config, tmp_path / "run"), tmp_path / "moved"
    channel = Collector(tmp_path / "said.jsonl")
    while_saving(monkeypatch, lambda: run.path.rename(moved), number)
    train(channel, run.path, TrainJob())
    assert not run.path.exists()
    assert channel.losses == whole.losses
    assert channel.of(Finished)[0].message == whole.of(Finished)[0].message
    assert (moved / "state" / "0000004" / "state.json").exists()


def test_a_folder_that_is_moved_while_it_is_measured_gets_no_second_place(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best weights are written right after a measurement: into the folder, wherever that is by then."""
    run, moved = prepare_run(config_for(*inputs, iters=4, steps_per_eval=2), tmp_path / "run"), tmp_path / "moved"
    measured = ValidationSet.measured

    def slow(self: ValidationSet, *arguments: Any) -> Any:
        if run.path.exists():
            run.path.rename(moved)
        return measured(self, *arguments)

    monkeypatch.setattr(ValidationSet, "measured", slow)
    train(Collector(tmp_path / "said.jsonl"), run.path, TrainJob())
    assert not run.path.exists()
    assert (moved / "adapters" / "best" / "adapters.safetensors").exists()


def test_a_copy_of_a_run_has_its_own_adapter_and_data(tmp_path: Path) -> None:
    """Its config named the first run's folder: stock mlx-lm would have written there, and where the run was moved
    its data was not found."""
    model, rows = write_model(tmp_path / "model"), tmp_path / "rows.csv"
    rows.write_text("prompt,completion\n" + "".join(f"what is {n},it is {n}\n" for n in range(40)))
    run, _ = start(config_for(model, rows, valid_fraction=0.2), tmp_path / "run")
    assert load_config(run.config).config.data == str(run.data)
    shutil.copytree(run.path, tmp_path / "copy")
    copy = RunDir(tmp_path / "copy")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    go_on(copy, extend_to=14)
    told = json.loads((copy.adapters / "adapter_config.json").read_text())
    assert (told["adapter_path"], told["data"]) == (str(copy.adapters), str(copy.data))
    assert str(run.path) + os.sep not in copy.config.read_text()
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before
    moved = RunDir(copy.path.rename(tmp_path / "moved"))
    assert go_on(moved, extend_to=16).of(Finished)[0].iteration == 16
    assert load_config(moved.config).config.data == str(moved.data)
