"""Disks and folders: full, read-only, moved, deleted, and inputs that are changed between two parts of a run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.protocol import event
from app.core.run.folder import RunDir, prepare_run
from app.core.setup.config_file import load_config, save_config
from tests.faults.trained import Outcome, Undisturbed, Worker, fault_at, is_complete, judge, reported, resume

STEP = 4  # an iteration in the middle of the run, with a state before it


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[bool]:
    """A disk of that size mounted at a folder, where this user may do that; else False."""
    place.mkdir()
    mounted = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount") is not None
    if mounted:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


def _told(outcome: Outcome, worker: Worker, words: str, what: str) -> None:
    """Remarks it if a worker's last words are not as they should be, or are raw."""
    ends = (event.Failed, event.Warned, event.Finished)
    said = " ".join(one.message for one in worker.heard if isinstance(one, ends))
    log = worker.run.log.read_text(errors="replace") if worker.run.log.exists() else ""
    if words not in said:
        outcome.remarks.append(f"{what}: not told, but “{said[-120:]}”")
    if "Traceback" in said + log:
        outcome.remarks.append(f"{what}: a traceback")


def full_disk(whole: Undisturbed, folder: Path, sizes: list[int]) -> Outcome:
    """The run's disk has so many KiB, some of which something else takes while it trains."""
    outcome = Outcome("full disk (tmpfs)")
    for size in sizes:
        with small_disk(folder / f"disk-{size}", f"{size}k") as mounted:
            if not mounted:
                return outcome
            run = prepare_run(whole.config, folder / f"disk-{size}" / "run")
            worker = Worker(run)
            worker.hear(lambda found: isinstance(found, event.Started))
            _fill(run.path.parent / "other")
            worker.end()
            outcome.times += 1
            outcome.events_lost += worker.lost()
            if not is_complete(run):
                _told(outcome, worker, "The disk is full", f"{size} KiB")
            (run.path.parent / "other").unlink()
            subprocess.run(["mount", "-o", "remount,size=64m", str(run.path.parent)], check=True)
            judge(run, whole, outcome)
    return outcome


def _fill(file: Path) -> None:
    """Takes all room that is left."""
    try:
        with file.open("wb", buffering=0) as out:
            while True:
                out.write(bytes(4096))
    except OSError:
        pass


def no_room_from(whole: Undisturbed, folder: Path, numbers: list[int]) -> Outcome:
    """No write of the worker finds room from the given one on; then there is room again."""
    outcome = Outcome("no room from a write on")
    for number in numbers:
        run = prepare_run(whole.config, folder / f"room-{number}")
        worker = Worker(run, fault_at(run.path, number, "full"))
        worker.end()
        outcome.times += 1
        _told(outcome, worker, "disk is full", f"write {number}")
        judge(run, whole, outcome)
    return outcome


def read_only(whole: Undisturbed, folder: Path) -> Outcome:
    """The disk becomes one that is only read while the run trains."""
    outcome = Outcome("folder becomes read-only")
    with small_disk(folder / "only-read", "64m") as mounted:
        if not mounted:
            return outcome
        run = prepare_run(whole.config, folder / "only-read" / "run")
        worker = Worker(run)
        worker.hear(reported(STEP + 1))
        # Files that are open for writing keep a disk from being only read; a bind mount over it does not ask them.
        bound = subprocess.run(["mount", "--bind", run.path, run.path], check=False).returncode == 0
        bound = bound and subprocess.run(["mount", "-o", "remount,ro,bind", run.path], check=False).returncode == 0
        worker.end()
        if bound:
            subprocess.run(["umount", "--lazy", run.path], check=False)
            outcome.times += 1
            _told(outcome, worker, "read-only", "read-only")
        judge(run, whole, outcome)
    return outcome


def moved(whole: Undisturbed, folder: Path, iterations: list[int]) -> Outcome:
    """The folder is moved while the run trains: it goes on there, and is stopped there."""
    outcome = Outcome("run folder moved")
    for iteration in iterations:
        run, place = prepare_run(whole.config, folder / f"move-{iteration}"), folder / f"moved-{iteration}"
        worker = Worker(run)
        worker.hear(reported(iteration))
        run.path.rename(place)
        worker.process.send_signal(signal.SIGTERM)
        worker.end()
        outcome.times += 1
        worker.run = RunDir(place)
        if run.path.exists():
            outcome.runs_lost += 1
            outcome.remarks.append("a part of it is where it was")
        judge(RunDir(place), whole, outcome, worker.lost())
    return outcome


def deleted(whole: Undisturbed, folder: Path) -> Outcome:
    """The folder is deleted: that is told at once, and nothing comes back by itself."""
    outcome = Outcome("run folder deleted")
    run = prepare_run(whole.config.with_value("iters", 4000), folder / "deleted")
    worker = Worker(run)
    worker.hear(reported(STEP))
    while run.path.exists():  # the worker may write into a folder while it is emptied
        shutil.rmtree(run.path, ignore_errors=True)
    before = len(worker.said)
    worker.end()
    outcome.times = 1
    _told(outcome, worker, "was deleted", "deleted")
    if run.path.exists():
        outcome.remarks.append("the folder is there again")
    if len(worker.said) - before > 200:
        outcome.remarks.append("it was noticed late")
    return outcome


def changed_inputs(whole: Undisturbed, folder: Path) -> Outcome:
    """Data, model or config are others at the resume: it is refused, and exact once they are as before."""
    outcome = Outcome("data, model, config changed between")
    for name, change, words in (
        ("data", _other_data, "data"),
        ("weights", _other_weights, "other weights"),
        ("rope", _other_rope, "rope_theta"),
        ("rate", _other_rate, "learning_rate"),
        ("seed", _other_seed, "seed"),
    ):
        place = folder / f"changed-{name}"
        place.mkdir()
        model, data = (shutil.copytree(path, place / path.name) for path in map(Path, _inputs(whole)))
        config = whole.config.with_values({"model": str(model), "data": str(data)})
        run = prepare_run(config, place / "run")
        worker = Worker(run)
        worker.hear(reported(STEP + 1))
        worker.process.send_signal(signal.SIGTERM)
        worker.end()
        undo = change(run, place)
        refused = resume(run)
        code = refused.end()
        outcome.times += 1
        if not code:
            outcome.inexact += 1
            outcome.remarks.append(f"{name}: taken without a word")
        _told(outcome, refused, words, name)
        undo()
        judge(run, whole, outcome)
    return outcome


def _inputs(whole: Undisturbed) -> tuple[str, str]:
    return whole.config.model, whole.config.data


def _with_file(file: Path, change: Callable[[bytes], bytes]) -> Callable[[], None]:
    before = file.read_bytes()
    file.write_bytes(change(before))

    def undo() -> None:
        file.write_bytes(before)

    return undo


def _other_data(_run: RunDir, place: Path) -> Callable[[], None]:
    return _with_file(place / "data" / "train.jsonl", lambda content: content.replace(b"a", b"b", 5))


def _other_weights(_run: RunDir, place: Path) -> Callable[[], None]:
    return _with_file(place / "model" / "model.safetensors", lambda content: content[:-400] + bytes(400))


def _other_rope(_run: RunDir, place: Path) -> Callable[[], None]:
    def change(content: bytes) -> bytes:
        return json.dumps(json.loads(content) | {"rope_theta": 20000.0}).encode()

    return _with_file(place / "model" / "config.json", change)


def _of_config(run: RunDir, path: str, value: object) -> Callable[[], None]:
    before = load_config(run.config).config
    save_config(before.with_value(path, value), run.config)
    return lambda: save_config(before, run.config)


def _other_rate(run: RunDir, _place: Path) -> Callable[[], None]:
    return _of_config(run, "learning_rate", 2e-3)


def _other_seed(run: RunDir, _place: Path) -> Callable[[], None]:
    return _of_config(run, "seed", 77)


def disks(whole: Undisturbed, folder: Path, writes: int, *, short: bool) -> Iterator[Outcome]:
    """All of them, fewer of each where it is to be ``short``."""
    numbers = [writes // 2] if short else list(range(3, writes, max(1, writes // 10)))
    yield no_room_from(whole, folder, numbers)
    yield moved(whole, folder, [STEP + 1] if short else [1, STEP, STEP + 1, STEP + 3])
    if short:
        return
    yield full_disk(whole, folder, [700, 800, 1000, 2000])
    yield read_only(whole, folder)
    yield deleted(whole, folder)
    yield changed_inputs(whole, folder)
