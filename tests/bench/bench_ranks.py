"""Several replicas against one process: how much faster a run is on this machine, and what a step's exchange costs.

    python tests/bench/bench_ranks.py [--quick] [--counts 1,2,4] [--batch N] [--hidden N]

The same setup is trained by each count of replicas, all on this machine and each with one BLAS thread, so that its
cores stand for machines: there can be no gain beyond them. A line says real tokens a second over the later half of
the run, against the first count; how far the losses are apart at most; what a step gives to the others; and what
share of the time that takes, waiting for the slowest included. Below stands what an exchange alone costs here, and
what the same bytes take by other links at their rate.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

LINKS = {"1 Gbit Ethernet, by its rate": 0.11e9, "10 Gbit Ethernet, by its rate": 1.1e9}  # bytes a second


@dataclass(frozen=True)
class Training:
    """What one count of replicas gave. ``exchange_s`` are number 0's seconds in exchanges, of ``elapsed_s``."""

    tokens_per_second: float
    losses: list[float]
    steps: int
    elapsed_s: float
    exchange_s: float
    exchanged_bytes: float


def train(count: int, model: Path, data: Path, folder: Path, batch: int, iterations: int) -> Training:
    """Trains as a worker does."""
    from app.core.protocol import event
    from app.core.protocol.client import WorkerClient
    from app.core.replica.hostfile import RUN_HOSTS, hosts_here, save_hostfile
    from app.core.run.folder import prepare_run
    from tests.worker.training import config_for

    run = prepare_run(
        config_for(
            model, data, batch_size=batch, iters=iterations, steps_per_report=1, steps_per_eval=10**6,
            save_every=10**6, val_batches=0, lora_parameters={"rank": 16, "scale": 2.0, "dropout": 0.0},
        ),
        folder / f"run-{count}",
    )  # fmt: skip
    if count > 1:
        save_hostfile(hosts_here(count), run.path / RUN_HOSTS)
    with WorkerClient(run.path, run.log) as worker:
        said = list(worker.events())
    if not isinstance(said[-1], event.Finished):
        raise SystemExit(f"{count} replicas failed: {said[-1]}")
    reports = [one for one in said if isinstance(one, event.TrainReported)]
    told = re.search(r"exchanged ([\d.]+) MB in ([\d.]+) s", run.log.read_text())
    return Training(
        tokens_per_second=statistics.median(one.tokens_per_second for one in reports[len(reports) // 2 :]),
        losses=[loss for one in reports for loss in one.losses],
        steps=iterations,
        elapsed_s=sum(len(one.losses) / one.iterations_per_second for one in reports),
        exchange_s=float(told[2]) if told else 0.0,
        exchanged_bytes=float(told[1]) * 1e6 if told else 0.0,
    )


def exchange(model: Path) -> tuple[float, float]:
    """Seconds of a message and bytes a second of two replicas on the loopback."""
    from app.command.worker import result_of
    from app.core.protocol.job import HostsJob
    from app.core.replica.hostfile import hosts_here

    found = result_of(HostsJob(hostfile=hosts_here(2).tree(), model=str(model)), quiet=True)
    return found["latency_s"], found["bytes_per_s"]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tiny model, few iterations")
    parser.add_argument("--counts", default="1,2,4", help="replicas, the first is what the others are held against")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--hidden", type=int, default=256)
    options = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from tests.bench.bench_train import Case, machine, make_data, make_model

    hidden, iterations = (64, 6) if options.quick else (options.hidden, 24)
    case = Case("", "Dolly", options.batch, examples=64, sizes=(("hidden_size", hidden), ("layers", 4)))
    counts = [int(word) for word in options.counts.split(",")]
    print(f"{machine()}; a batch of {options.batch}, hidden size {hidden}\n")
    print("| replicas | real tokens/s | against the first | losses apart | a step exchanges | share of its time |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        os.environ["LUTHIER_HOME"] = str(folder / "home")
        model, data = make_model(folder / "model", case, options.quick), make_data(folder / "data", case, 0)
        first: Training | None = None
        step_bytes = 0.0
        for count in counts:
            found = train(count, model, data, folder, options.batch, iterations)
            first = first or found
            step_bytes = max(step_bytes, found.exchanged_bytes / found.steps)
            apart = max(abs(a - b) for a, b in zip(found.losses, first.losses, strict=True))
            mine = f"{found.exchanged_bytes / found.steps / 1e6:.2f} MB"
            gain = found.tokens_per_second / first.tokens_per_second
            share = f"{found.exchange_s / found.elapsed_s:.0%}"
            line = f"| {count} | {found.tokens_per_second:,.0f} | {gain:.2f} × | {apart:.1g} | {mine} | {share} |"
            print(line, flush=True)
        latency, through = exchange(model)
    print(f"\nOf two here a message takes {latency * 1e3:.2f} ms, and {through / 1e6:,.0f} MB go a second.")
    print("The bytes of a step of this model, and of a LoRA of 80 MB (7 B, rank 16), take:\n")
    for name, speed in ({"this loopback, measured": through} | LINKS).items():
        print(f"- {name}: {step_bytes / speed * 1e3:.2f} ms, {80e6 / speed * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
