"""A step of GRPO or Online DPO against another checkout of Luthier: the same model, prompts, answers and adapters.

    python tests/bench/bench_rewarded.py --against FOLDER [--method grpo] [--prompt 512] [--answer 32] [--repeats N]

Random weights hardly end an answer, so that most are as long as they may be, on both sides. Every run is a process
of its own with one thread of BLAS; they take turns, and seconds are of the processor: of sampling with all that is
asked of the answers (the reference too), and of the training step. The first step, in which everything is compiled,
is left out. The exit code is 1 where a step is less than 2 × as fast.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(os.environ.get("LUTHIER_BENCH_TREE") or Path(__file__).resolve().parents[2])
sys.path[:0] = [str(ROOT)]

STEPS, LIMIT = 3, 2.0
LETTERS = "abcdefghijklmnop"


def make_inputs(work: Path, arguments: argparse.Namespace) -> None:
    """A qwen2 with random weights, and prompts of so many tokens (each letter is one)."""
    import numpy as np

    from tests.worker.tiny_model import write_model

    write_model(
        work / "model", hidden_size=arguments.hidden, layers=arguments.layers, vocabulary=arguments.vocabulary
    )
    random = np.random.default_rng(7)
    (work / "data").mkdir()
    prompts = ("".join(LETTERS[at] for at in random.integers(0, 16, arguments.prompt - 3)) for _ in range(8))
    rows = (json.dumps({"prompt": prompt, "answer": "a"}) for prompt in prompts)
    (work / "data" / "train.jsonl").write_text("\n".join(rows) + "\n")


def run(work: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Whichever checkout is named: what it does by its own preparation, rollouts and step."""
    import mlx.core as mx

    from app.core.protocol.job import TrainJob
    from app.core.run.folder import prepare_run
    from app.worker.array import scalar
    from app.worker.process.control import Control
    from app.worker.train.preparation import prepare
    from app.worker.train.step import Step
    from tests.worker.training import Collector, config_for

    method, answer = settings["method"], settings["answer"]
    config = config_for(
        work / "model", work / "data", train_mode=method, batch_size=1, group_size=settings["group"], iters=8,
        max_completion_length=answer, max_seq_length=settings["prompt"] + answer + 8, temperature=1.0,
        beta=settings["beta"], reward_functions=["contains_answer"], optimizer="adam", learning_rate=1e-5,
        lora_parameters={"rank": 8, "scale": 8.0, "dropout": 0.0}, val_batches=0, valid_fraction=0,
        test_fraction=0, seed=0, early_stopping={"enabled": False},
    )  # fmt: skip
    folder = prepare_run(config, work / f"run-{time.time_ns()}")
    channel = Collector(folder.path / "collected.jsonl")
    prepared = prepare(channel, Control(channel), folder, TrainJob())
    model, batches = prepared.model, prepared.parts.batches
    model.train()
    prepared.optimizer.init(model.trainable_parameters())
    step = Step(model, prepared.optimizer, prepared.parts.objective, clip=config.max_grad_norm)
    sampled, trained, positions = [], [], 0
    with prepared.parts.resources:
        for number in range(1, STEPS + 2):
            began = time.process_time()
            batch = batches.batch(number)
            between = time.process_time()
            scalar(step(batch.parts, update=True).loss)
            ended = time.process_time()
            sampled.append(between - began)
            trained.append(ended - between)
            positions = batch.positions
    return {
        "sampled": statistics.median(sampled[1:]), "trained": statistics.median(trained[1:]),
        "positions": positions, "peak": mx.get_peak_memory() / 1e6,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--method", choices=["grpo", "online_dpo"], default="grpo")
    parser.add_argument("--beta", type=float, default=0.04)
    sizes = {"group": 8, "prompt": 512, "answer": 32, "hidden": 256, "layers": 6, "vocabulary": 8192, "repeats": 3}
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        work, settings = arguments.child
        print(json.dumps(run(Path(work), json.loads(settings))))
        return 0
    from tests.bench.other_checkout import by_turns, measured  # not in a child, whose checkout may have none

    sides = {"here": ROOT} | ({"before": arguments.against.resolve()} if arguments.against else {})
    settings = {name: getattr(arguments, name) for name in ("method", "beta", "group", "prompt", "answer")}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as folder:
        make_inputs(Path(folder), arguments)
        for name in by_turns(sides, arguments.repeats):
            found[name].append(measured(__file__, sides[name], Path(folder), folder, json.dumps(settings)))
    for name, runs in found.items():
        values = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
        said = f"{name}: {values['sampled'] + values['trained']:.2f} s a step ({values['sampled']:.2f} sampling, "
        said += f"{values['trained']:.2f} training), {values['positions']:,.0f} positions, "
        print(f"{said}peak {values['peak']:.0f} MB")
    if "before" not in found:
        return 0
    ratios = {
        what: statistics.median(
            sum(other[key] for key in keys) / sum(own[key] for key in keys)
            for other, own in zip(found["before"], found["here"], strict=True)
        )
        for what, keys in (("sampling", ["sampled"]), ("training", ["trained"]), ("a step", ["sampled", "trained"]))
    }
    print(", ".join(f"{what} {ratio:.2f} ×" for what, ratio in ratios.items()))
    return int(ratios["a step"] < LIMIT)


if __name__ == "__main__":
    sys.exit(main())
