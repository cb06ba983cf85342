"""A step of GRPO or Online DPO against another checkout of Luthier and mlx-lm-lora: same model, same prompts.

    python tests/bench/bench_rewarded.py [--against FOLDER] [--lora FOLDER] [--method grpo] [--prompt 512]

Random weights hardly end an answer, so that most are as long as they may be, on both sides. Every run is a process
of its own with one thread of BLAS; they take turns, and seconds are of the processor: of sampling with all that is
asked of the answers (the reference too), and of the training step. The first step, in which everything is compiled,
is left out. ``--lora`` names the ``site-packages`` that mlx-lm-lora was installed into; it knows GRPO. The exit
code is 1 where a step is less than 2 × as fast as the other checkout's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(os.environ.get("LUTHIER_BENCH_TREE") or Path(__file__).resolve().parents[2])
sys.path[:0] = [str(ROOT)]

STEPS, LIMIT = 3, 2.0
RANK, SCALE, RATE = 8, 8.0, 1e-5
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
        beta=settings["beta"], reward_functions=["contains_answer"], optimizer="adam", learning_rate=RATE,
        lora_parameters={"rank": RANK, "scale": SCALE, "dropout": 0.0}, val_batches=0, valid_fraction=0,
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


def run_lora(work: Path, settings: dict[str, Any], folder: str) -> dict[str, Any]:
    """mlx-lm-lora's own GRPO on the same prompts; its reference is a second model."""
    sys.path.append(folder)  # behind what is here: only what is missing comes from there
    import mlx.core as mx
    import mlx.optimizers as optim
    from mlx_lm.tuner.callbacks import TrainingCallback
    from mlx_lm.tuner.utils import linear_to_lora_layers

    from app.worker.model.loading import load_model

    model, tokenizer = load_model(work / "model")
    reference, _ = load_model(work / "model")
    reference.freeze()
    model.freeze()
    keys = [f"self_attn.{name}_proj" for name in "qkvo"] + [f"mlp.{name}_proj" for name in ("gate", "up", "down")]
    linear_to_lora_layers(model, len(model.layers), {"rank": RANK, "scale": SCALE, "dropout": 0.0, "keys": keys})
    rows = []
    for line in (work / "data" / "train.jsonl").read_text().splitlines():
        row = json.loads(line)
        tokens = tokenizer.apply_chat_template(
            [{"role": "user", "content": row["prompt"]}], add_generation_prompt=True
        )
        rows.append((list(tokens), tokenizer.encode(row["answer"]), row["prompt"], row["answer"]))
    trainer: Any = import_module("mlx_lm_lora.trainer.grpo_trainer")
    spent, marks, sampled = [0.0], [time.process_time()], []
    plain = trainer.generate_grpo

    def timed(**more: Any) -> Any:
        began = time.process_time()
        found = plain(**more)
        mx.eval(found[0])
        spent[0] = time.process_time() - began
        return found

    def contains_answer(
        prompts: list[str],  # noqa: ARG001
        completions: list[str],
        answer: list[str],
        types: Any = None,  # noqa: ARG001
    ) -> list[float]:
        return [float(right in said) for right, said in zip(answer, completions, strict=True)]

    class Marks(TrainingCallback):
        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:  # noqa: ARG002
            marks.append(time.process_time())
            sampled.append(spent[0])

    trainer.generate_grpo = timed
    arguments = trainer.GRPOTrainingArgs(
        batch_size=1, iters=STEPS + 1, val_batches=0, steps_per_report=1, steps_per_eval=10**9,
        steps_per_save=10**9, adapter_file=str(work / "lora.safetensors"),
        max_seq_length=settings["prompt"] + settings["answer"] + 8,
        group_size=settings["group"], beta=settings["beta"], max_completion_length=settings["answer"],
        temperature=1.0, top_p=1.0, top_k=0, min_p=0.0,
    )  # fmt: skip
    trainer.train_grpo(
        model, reference, tokenizer, optim.Adam(RATE), rows, None, [contains_answer], arguments,
        training_callback=Marks(),
    )  # fmt: skip
    steps = [after - before for before, after in itertools.pairwise(marks)]
    return {
        "sampled": statistics.median(sampled[1:]),
        "trained": statistics.median(step - of_it for step, of_it in zip(steps[1:], sampled[1:], strict=True)),
        "positions": 0, "peak": mx.get_peak_memory() / 1e6,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--lora", default="")
    parser.add_argument("--method", choices=["grpo", "online_dpo"], default="grpo")
    parser.add_argument("--beta", type=float, default=0.04)
    sizes = {"group": 8, "prompt": 512, "answer": 32, "hidden": 256, "layers": 6, "vocabulary": 8192, "repeats": 3}
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        work, words, lora = arguments.child
        known = json.loads(words)
        print(json.dumps(run_lora(Path(work), known, lora) if lora else run(Path(work), known)))
        return 0
    from tests.bench.other_checkout import by_turns, measured  # not in a child, whose checkout may have none

    sides = {"here": (ROOT, "")}
    if arguments.against:
        sides["before"] = (arguments.against.resolve(), "")
    if arguments.lora:
        sides["mlx-lm-lora"] = (ROOT, arguments.lora)
    settings = {name: getattr(arguments, name) for name in ("method", "beta", "group", "prompt", "answer")}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as folder:
        make_inputs(Path(folder), arguments)
        for name in by_turns(sides, arguments.repeats):
            tree, lora = sides[name]
            found[name].append(measured(__file__, tree, Path(folder), folder, json.dumps(settings), lora))
    for name, runs in found.items():
        values = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
        said = f"{name}: {values['sampled'] + values['trained']:.2f} s a step ({values['sampled']:.2f} sampling, "
        said += f"{values['trained']:.2f} training), {values['positions']:,.0f} positions, "
        print(f"{said}peak {values['peak']:.0f} MB")
    steps = {name: _ratios(name, runs, found["here"]) for name, runs in found.items() if name != "here"}
    return int(steps.get("before", LIMIT) < LIMIT)


def _ratios(name: str, runs: list[dict[str, Any]], here: list[dict[str, Any]]) -> float:
    """Prints by how much this is faster than the other, and returns it for a whole step."""
    parts = {"sampling": ["sampled"], "training": ["trained"], "a step": ["sampled", "trained"]}
    ratios = {
        what: statistics.median(
            sum(other[key] for key in keys) / sum(own[key] for key in keys)
            for other, own in zip(runs, here, strict=True)
        )
        for what, keys in parts.items()
    }
    ratios["memory"] = statistics.median(own["peak"] / other["peak"] for other, own in zip(runs, here, strict=True))
    print(f"against {name}: " + ", ".join(f"{what} {ratio:.2f} ×" for what, ratio in ratios.items()))
    return ratios["a step"]


if __name__ == "__main__":
    sys.exit(main())
