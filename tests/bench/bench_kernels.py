"""Kernels compiled as a worker has it against MLX's own way, on Linux's CPU build: the same runs, taking turns.

    python tests/bench/bench_kernels.py [--repeats N] [--only TEXT]

The first run of each way finds no kernels: its compilers' seconds, and its own by the clock, show what a first
start costs. The others find them: the seconds of an epoch after the first, of the processor, are compared. Every
loss must be the same to the last bit; the exit code is 1 where one is not.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import queue
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from tests.bench.bench_train import MEDIUM, SETTINGS, Case, make_data, make_model

CASES = (
    Case("tiny", "short chat", 4, examples=64),
    Case("30M", "short chat", 4, vocabulary=32_768, examples=32, sizes=MEDIUM),
)
QUIET = {
    "steps_per_report": 1, "steps_per_eval": 1_000_000, "save_every": 1_000_000, "val_batches": 1,
    "early_stopping": {"enabled": False}, "final_adapter": "last", "neutral_tokens": 0,
}  # fmt: skip


def train_here(run: Path) -> tuple[list[float], list[float]]:
    """Losses and seconds of each iteration, by the trainer in this process."""
    from app.core.protocol.event import Event, TrainReported
    from app.core.protocol.job import TrainJob
    from app.worker.process.channel import Channel
    from app.worker.train.train import train

    seen: list[Event] = []

    class Listener(Channel):
        def emit(self, event: Event) -> None:
            seen.append(event)

    train(Listener(io.StringIO(), queue.Queue()), run, TrainJob())
    reports = [event for event in seen if isinstance(event, TrainReported)]
    losses = [loss for report in reports for loss in report.losses]
    return losses, [len(report.losses) / report.iterations_per_second for report in reports]


def child(way: str, run: Path) -> None:
    """One run in this process."""
    from app.worker.process.kernel import compile_for_this_processor

    if way == "ours":
        compile_for_this_processor("train")
    clock, began = time.perf_counter, time.perf_counter()
    time.perf_counter = time.process_time  # the clock of the trainer
    losses, seconds = train_here(run)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    kernels = len(list(Path(tempfile.gettempdir() if way == "stock" else os.environ["TMPDIR"]).rglob("*.so")))
    said = {
        "losses": losses, "epoch_s": sum(seconds[len(seconds) // 2 :]), "kernels": kernels,
        "wall_s": clock() - began, "compilers_s": used.ru_utime + used.ru_stime,
    }  # fmt: skip
    (run / "said.json").write_text(json.dumps(said))


def measure(way: str, run: Path, home: Path) -> dict[str, Any]:
    """A run in a process of its own. Each way has a folder for its kernels."""
    from app.core.protocol.program import worker_environment

    temporary = home / "temporary"
    temporary.mkdir(parents=True, exist_ok=True)
    variables = {"LUTHIER_HOME": str(home), "TMPDIR": str(temporary), "OPENBLAS_NUM_THREADS": "1"}
    environment = worker_environment() | variables
    environment.pop("MLX_DISABLE_COMPILE", None)
    command = [sys.executable, __file__, "--child", way, str(run)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{way} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return dict(json.loads((run / "said.json").read_text()))


def compare(case: Case, folder: Path, repeats: int) -> bool:
    """Prints one case; true where every loss is the same."""
    from app.core.config.train_config import TrainConfig
    from app.core.run.folder import prepare_run

    model = make_model(folder / f"model-{case.name}", case, quick=False)
    data = make_data(folder / f"data-{case.name}", case, 1)
    values = SETTINGS | QUIET | {
        "model": str(model), "data": str(data), "batch_size": case.batch_size, "epochs": 2, "seed": 1,
    }  # fmt: skip
    same, ratios = True, []
    for turn in range(repeats + 1):
        found = {}
        for way in ("stock", "ours")[:: -1 if turn % 2 else 1]:
            run = folder / f"run-{case.name}-{way}-{turn}"
            prepare_run(TrainConfig.model_validate(values), run)
            found[way] = measure(way, run, folder / f"{case.name}-{way}")
        same &= found["stock"]["losses"] == found["ours"]["losses"]
        if turn:
            ratios.append(found["ours"]["epoch_s"] / found["stock"]["epoch_s"])
            continue
        for way, said in found.items():
            print(
                f"{case.name}, nothing compiled, {way}: {said['kernels']} kernels, their compilers"
                f" {said['compilers_s']:.1f} s of the processor, the whole run {said['wall_s']:.1f} s by the clock",
                flush=True,
            )
    if ratios:
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{case.name}: an epoch takes {statistics.median(ratios):.2f} × of stock's processor time ({each})")
    print(f"{case.name}: losses {'are the same' if same else 'DIFFER'}", flush=True)
    return same


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="runs that find their kernels, of each way")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = [compare(case, Path(folder), options.repeats) for case in CASES if options.only in case.name]
    return int(not all(done))


if __name__ == "__main__":
    sys.exit(main())
