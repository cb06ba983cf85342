"""Faults that are neither kills nor of the disk: a stopped worker, clocks that jump, limits, floods, two of all."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from app.core.protocol import event, program
from app.core.protocol.client import WorkerClient
from app.core.protocol.program import own_command
from app.core.queue.queue import QueueState, RunQueue, make_entry
from app.core.run.folder import RunDir, prepare_run
from app.core.setup.config_file import save_config
from tests import ROOT
from tests.faults.fuzz import flipped
from tests.faults.reader import READERS, fault_of, make_place, seeds_of
from tests.faults.trained import (
    Outcome,
    Undisturbed,
    Worker,
    environment,
    judge,
    reported,
)

FAKETIME = tuple(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
FLIPS = 1000  # on each reader


def stopped(whole: Undisturbed, folder: Path, times: int) -> Outcome:
    """SIGSTOP and, some seconds later, SIGCONT: the run goes on as if nothing had been."""
    outcome = Outcome("SIGSTOP, then SIGCONT")
    for number in range(times):
        run = prepare_run(whole.config, folder / f"stop-{number}")
        worker = Worker(run)
        worker.hear(reported(1 + number))
        worker.process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        worker.process.send_signal(signal.SIGCONT)
        worker.end()
        outcome.times += 1
        judge(run, whole, outcome, worker.lost())
    return outcome


def silent_worker(whole: Undisturbed, folder: Path) -> Outcome:
    """A worker that stalls: the command line says so after `silence_s`, and Ctrl-C twice ends it."""
    outcome = Outcome("worker stalls (told, ended, resumed)")
    home = folder / "stall"
    (home / "config").mkdir(parents=True)
    (home / "config/settings.yaml").write_text("silence_s: 5\n")
    config, run = home / "config.yaml", RunDir(home / "run")
    save_config(whole.config, config)
    with (home / "out").open("w+") as out:
        process = subprocess.Popen(
            [*own_command(), "train", str(config), "--run-dir", str(run.path)],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment(LUTHIER_HOME=str(home)),
        )  # fmt: skip
        found = _until(lambda: _hello(run))
        os.kill(found, signal.SIGSTOP)
        told = _until(lambda: int("has not said a word" in (home / "out").read_text()))
        outcome.times = 1
        if not told:
            outcome.remarks.append(f"not told: {(home / 'out').read_text()[-100:]}")
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        if process.wait(60) and _is_alive(found):
            outcome.remarks.append("it lives on")
            os.kill(found, signal.SIGKILL)
    judge(run, whole, outcome)
    return outcome


def _hello(run: RunDir) -> int:
    lines = run.events.read_bytes().splitlines() if run.events.exists() else []
    return int(json.loads(lines[0])["pid"]) if lines else 0


def _until(found: object, seconds: float = 60) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ValueError):
            if value := found():  # type: ignore[operator]
                return int(value)
        time.sleep(0.1)
    return 0


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def clock_jumps(whole: Undisturbed, folder: Path) -> Outcome:
    """The clock of the system jumps by hours and years, forwards and back, while a run trains (libfaketime)."""
    outcome = Outcome("clock jumps")
    if not FAKETIME:
        return outcome
    for number, jumps in enumerate((("+0", "+3h"), ("+3h", "+0"), ("+0", "-2y"), ("-30y", "+30y"))):
        told = folder / f"clock-{number}.rc"
        told.write_text(f"{jumps[0]}\n")
        run = prepare_run(whole.config, folder / f"clock-{number}")
        variables = {
            "LD_PRELOAD": f"{FAKETIME[0]}:{os.environ.get('LD_PRELOAD', '')}", "FAKETIME_TIMESTAMP_FILE": str(told),
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip
        worker = Worker(run, variables)
        worker.hear(reported(3))
        told.write_text(f"{jumps[1]}\n")
        worker.process.send_signal(signal.SIGTERM)
        worker.end()
        outcome.times += 1
        judge(run, whole, outcome, worker.lost())
    return outcome


def output_closed(whole: Undisturbed, folder: Path) -> Outcome:
    """Nobody reads what the worker says any more: it saves and ends, and every event is in its file."""
    outcome = Outcome("stdout closed")
    for iteration in (1, 5):
        run = prepare_run(whole.config, folder / f"closed-{iteration}")
        worker = Worker(run)
        worker.hear(reported(iteration))
        assert worker.process.stdout is not None
        worker.process.stdout.close()
        worker.process.wait(120)
        outcome.times += 1
        outcome.events_lost += worker.lost()
        judge(run, whole, outcome)
    return outcome


def too_little_memory(whole: Undisturbed, folder: Path) -> Outcome:
    """A limit on the memory of the worker: it ends in words, and the run goes on without it."""
    outcome = Outcome("memory limit (rlimit)")
    for megabytes in (700, 1100, 1500):
        run = prepare_run(whole.config, folder / f"memory-{megabytes}")
        size = megabytes * 1_000_000
        before = ["prlimit", f"--as={size}", "--"] if hasattr(resource, "prlimit") else []
        worker = Worker(run, before=before)
        worker.end()
        outcome.times += 1
        log = run.log.read_text() if run.log.exists() else ""
        said = worker.last.message if isinstance(worker.last, event.Failed) else ""
        if "Traceback" in said or (said and "memory" not in said and "Traceback" in log):
            outcome.remarks.append(f"{megabytes} MB: raw: {said[:80]}")
        judge(run, whole, outcome, worker.lost())
    return outcome


def two_workers(whole: Undisturbed, folder: Path) -> Outcome:
    """A second worker of a run that trains is refused, and harms nothing."""
    outcome = Outcome("two workers of one run")
    run = prepare_run(whole.config, folder / "twice")
    first = Worker(run)
    first.hear(lambda found: isinstance(found, event.Started))
    first.process.send_signal(signal.SIGSTOP)  # or it is done before the second one looks
    second = Worker(run)
    code = second.end()
    first.process.send_signal(signal.SIGCONT)
    first.end()
    outcome.times = 1
    said = second.last.message if isinstance(second.last, event.Failed) else ""
    if not code or "Another process" not in said:
        outcome.remarks.append(f"the second was not refused: {said}")
    judge(run, whole, outcome, first.lost())
    return outcome


def two_runners(whole: Undisturbed, folder: Path) -> Outcome:
    """Two command lines work through one queue: each entry is trained once."""
    outcome = Outcome("two runners of one queue")
    home = folder / "runners"
    home.mkdir()
    variables = environment(LUTHIER_HOME=str(home))
    queue = RunQueue(home / "data" / "queue")
    queue.add([make_entry(whole.config.with_value("adapter_name", f"q{number}")) for number in range(3)])
    command = [*own_command(), "queue", "run"]
    both = [
        subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    said = [one.communicate()[0] for one in both]
    outcome.times = 1
    state = queue.read()
    runs = {one.run for one in state.entries}
    if [one.state for one in state.entries] != ["done"] * 3 or len(runs) != 3:
        outcome.runs_lost += sum(one.state != "done" for one in state.entries)
        outcome.remarks.append(said[0][-80:] + said[1][-80:])
    for name in runs:
        judge(RunDir(Path(name)), whole, outcome)
    return outcome


def two_windows(_whole: Undisturbed, folder: Path) -> Outcome:
    """A window and a command line change one queue at once: no entry is lost, and none stands twice."""
    outcome = Outcome("two that change one queue")
    queue, code = RunQueue(folder / "both" / "queue"), (
        "import sys; from pathlib import Path; from app.core.queue.queue import RunQueue, QueueEntry\n"
        "q = RunQueue(Path(sys.argv[1]))\n"
        "for n in range(100): q.add([QueueEntry(id=sys.argv[2] + str(n), name='n', config='')])\n"
    )  # fmt: skip
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(queue.folder), word], env=environment(PYTHONPATH=str(ROOT))
        )
        for word in "ab"
    ]
    failed = sum(one.wait(120) != 0 for one in both)
    found: QueueState = queue.read()
    outcome.times = 200
    outcome.runs_lost = 200 - len({one.id for one in found.entries})
    if failed or len(found.entries) > 200:
        outcome.remarks.append("one failed, or an entry stands twice")
    return outcome


FLOOD = """
import sys
from app.core.protocol import event
line = event.TrainReported(iteration=0, train_loss=1.0, losses=[1.0] * 20, learning_rate=1e-4,
                           iterations_per_second=1.0, tokens_per_second=1.0, trained_tokens=1, epoch=0.0,
                           elapsed_s=0.0).to_line()
first, _, rest = line.partition('"iteration": 0')
for number in range(int(sys.argv[1])):
    sys.stdout.write(f'{first}"iteration": {number}{rest}\\n')
print(event.Finished().to_line())
"""


def flood(folder: Path, count: int) -> Outcome:
    """A worker that says far more than anybody can show: each event is heard in order, and memory stays flat."""
    outcome = Outcome("worker floods")
    (folder / "flood").mkdir()
    command = [sys.executable, "-c", FLOOD, str(count)]
    with mock.patch.object(program, "worker_command", return_value=command):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with mock.patch.dict(os.environ, {"PYTHONPATH": str(ROOT)}), WorkerClient(folder / "flood") as worker:
            heard = 0
            for found in worker.events():
                if isinstance(found, event.TrainReported):
                    outcome.events_lost += found.iteration != heard
                    heard += 1
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    outcome.times = heard
    outcome.events_lost += count - heard
    if grown > 50_000:
        outcome.remarks.append(f"{grown // 1000} MB more memory")
    return outcome


def flips(folder: Path, count: int, chance: random.Random) -> Outcome:
    """Bits of every file that is read are flipped: it is read or refused in words."""
    outcome = Outcome("flipped bits, each file that is read")
    with mock.patch("os.fsync"), mock.patch.dict(os.environ):
        place = make_place(folder / "flips")
        for reader in READERS:
            seeds = seeds_of(reader, place)
            for _ in range(count):
                content = flipped(chance.choice(seeds), chance, chance.choice((1, 1, 2, 5)))
                outcome.times += 1
                if error := fault_of(reader, place, content):
                    outcome.runs_lost += 1
                    outcome.remarks.append(f"{reader.name}: {type(error).__name__}")
    return outcome


def others(whole: Undisturbed, folder: Path, chance: random.Random, *, short: bool) -> Iterator[Outcome]:
    """All of them, fewer of each where it is to be ``short``."""
    if short:
        yield two_workers(whole, folder)
        yield flood(folder, 20_000)
        return
    yield stopped(whole, folder, 5)
    yield silent_worker(whole, folder)
    yield clock_jumps(whole, folder)
    yield output_closed(whole, folder)
    yield too_little_memory(whole, folder)
    yield two_workers(whole, folder)
    yield two_runners(whole, folder)
    yield two_windows(whole, folder)
    yield flood(folder, 300_000)
    yield flips(folder, FLIPS, chance)
