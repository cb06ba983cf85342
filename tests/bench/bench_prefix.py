"""Supervised training on chats with a shared system prompt, which the examples of a piece compute once, against the
same with each computing its own.

    python tests/bench/bench_prefix.py [--system N …] [--batch 4 8] [--rows N] [--repeats N] [--whole]

Questions and answers have the lengths of Dolly's; every layer has adapters. One process with one thread of BLAS
trains both ways on the same batches, taking turns an epoch at a time, after one in which everything is compiled;
seconds are of the processor. The rate is 0, so that losses are comparable. ``--whole`` learns all tokens, else the
answers. A ratio over 1 is a gain; where little is shared the batches are the same, and so is the time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

LETTERS = "abcdefghijklmnop"
LONGEST = 1024


def make_chats(folder: Path, count: int, system: int) -> Path:
    """Chats of people's lengths behind the same ``system`` letters."""
    import numpy as np

    random = np.random.default_rng(7)

    def text(size: float) -> str:
        return "".join(LETTERS[letter] for letter in random.integers(0, 16, max(2, min(int(size), LONGEST // 3))))

    first = [{"role": "system", "content": text(system)}] if system else []
    rows = []
    for _ in range(count):
        question, answer = text(np.exp(random.normal(4.0, 0.7))), text(np.exp(random.normal(4.35, 0.7)))
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        rows.append({"messages": [*first, *turns]})
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def measure(work: Path, batch: int, repeats: int, *, whole: bool) -> dict[str, Any]:
    """Both ways in this process."""
    import mlx.core as mx

    from app.core.protocol.job import TrainJob
    from app.core.run.folder import prepare_run
    from app.worker.array import scalar
    from app.worker.batch.plan import BatchPlan
    from app.worker.process.control import Control
    from app.worker.train.preparation import prepare
    from app.worker.train.step import Step
    from tests.worker.training import Collector, config_for

    config = config_for(
        work / "model", work / "data", batch_size=batch, epochs=1, iters=1, mask_prompt=not whole,
        learning_rate=1e-9, lora_parameters={"rank": 8, "scale": 8.0, "dropout": 0.0}, optimizer="adam",
        max_seq_length=LONGEST, val_batches=0, valid_fraction=0, test_fraction=0, seed=0, targets="full",
        max_grad_norm=0, early_stopping={"enabled": False},
    )  # fmt: skip
    run = prepare_run(config, work / f"run-{time.time_ns()}")
    channel = Collector(run.path / "collected.jsonl")
    prepared = prepare(channel, Control(channel), run, TrainJob())
    model, sharing = prepared.model, prepared.parts.batches
    assert isinstance(sharing, BatchPlan)
    plans = {"shared": sharing, "alone": BatchPlan(sharing.examples, batch, config.batching, config.seed,
                                                   costs=replace(sharing.costs, branches=False))}  # fmt: skip
    model.train()
    prepared.optimizer.init(model.trainable_parameters())
    steps = {name: Step(model, prepared.optimizer, prepared.parts.objective, is_cut=True) for name in plans}
    seconds: dict[str, list[float]] = {name: [] for name in plans}
    found: dict[str, Any] = {"is_sharing": sharing.is_sharing}
    for repeat in range(repeats + 1):
        for name in plans if repeat % 2 else reversed(plans):
            plan = plans[name]
            mx.clear_cache()
            mx.reset_peak_memory()
            began = time.process_time()
            batches = [plan.batch(number) for number in range(1, plan.batches_per_epoch + 1)]
            losses = [scalar(steps[name](one.parts, update=True).loss) for one in batches]
            if repeat:
                seconds[name].append(time.process_time() - began)
            found[name] = {
                "positions": sum(one.positions for one in batches), "tokens": sum(one.tokens for one in batches),
                "peak": mx.get_peak_memory() / 1e6, "loss": statistics.mean(losses), "steps": len(batches),
            }  # fmt: skip
    found["ratio"] = statistics.median(a / b for a, b in zip(seconds["alone"], seconds["shared"], strict=True))
    for name, values in seconds.items():
        found[name]["seconds"] = statistics.median(values)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", type=int, nargs="+", default=[300, 0])
    parser.add_argument("--batch", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        work, batch = arguments.child
        print(json.dumps(measure(Path(work), int(batch), arguments.repeats, whole=arguments.whole)))
        return 0
    from app.core.protocol.program import fast_arithmetic
    from tests.worker.tiny_model import write_model

    environment = os.environ | fast_arithmetic(os.environ) | {"OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(
            Path(folder) / "model", hidden_size=arguments.hidden, layers=arguments.layers,
            vocabulary=arguments.vocabulary,
        )  # fmt: skip
        for system in arguments.system:
            work = Path(folder) / f"{system}"
            make_chats(work / "data", arguments.rows, system)
            (work / "model").symlink_to(model)
            for batch in arguments.batch:
                more = ["--repeats", str(arguments.repeats), *(["--whole"] if arguments.whole else [])]
                done = subprocess.run(
                    [sys.executable, __file__, "--child", str(work), str(batch), *more],
                    stdout=subprocess.PIPE, text=True, check=True, env=environment,
                )  # fmt: skip
                _show(system, batch, json.loads(done.stdout.splitlines()[-1]))
    return 0


def _show(system: int, batch: int, found: dict[str, Any]) -> None:
    shared, alone = found["shared"], found["alone"]
    own, other = (1000 * one["seconds"] / one["steps"] for one in (shared, alone))
    print(
        f"system prompt {system}, batch {batch}: ratio {found['ratio']:.2f} × ({own:.0f} against {other:.0f} ms a "
        f"step), positions {shared['positions'] / alone['positions']:.2f} ×, "
        f"peak {shared['peak']:.0f} against {alone['peak']:.0f} MB, "
        f"losses {abs(shared['loss'] - alone['loss']):.1e} apart"
        f"{'' if found['is_sharing'] else ', nothing shared'}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
