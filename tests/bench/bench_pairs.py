"""DPO against another checkout of Luthier and against mlx-lm-lora: the same model, pairs, batch and adapters.

    python tests/bench/bench_pairs.py [--batch 4 8] [--pairs N] [--against FOLDER] [--lora FOLDER] [--repeats N]

Prompts and answers have the lengths of Dolly's, and 0.74 of the tokens are left where each prompt is counted once.
Every run is a process of its own with one thread of BLAS; they take turns, and seconds are of the processor. A run
is one epoch with everything before it (the reference too), then a second one whose steps count: nothing is compiled
in it. ``--against`` names the folder of another checkout, ``--lora`` the ``site-packages`` of an environment of its
own that mlx-lm-lora was installed into (it pins what the lock does not have).
"""

from __future__ import annotations

import argparse
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

LETTERS = "abcdefghijklmnop"
LONGEST = 1024
RANK, SCALE, RATE = 8, 8.0, 1e-4


def make_pairs(folder: Path, count: int) -> Path:
    """Prompts and two answers each, of lengths that differ as people's do."""
    import numpy as np

    random = np.random.default_rng(7)
    folder.mkdir(parents=True, exist_ok=True)

    def text(size: float) -> str:
        return "".join(LETTERS[letter] for letter in random.integers(0, 16, max(2, min(int(size), LONGEST // 3))))

    rows = []
    for _ in range(count):
        about = random.normal(4.35, 0.6)
        sizes = np.exp([random.normal(4.5, 0.7), *(about + random.normal(0, 0.4, 2))])
        rows.append(dict(zip(("prompt", "chosen", "rejected"), map(text, sizes), strict=True)))
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def make_model(folder: Path, hidden: int, layers: int, vocabulary: int) -> Path:
    """A qwen2 with random weights."""
    from tests.worker.tiny_model import write_model

    return write_model(folder, hidden_size=hidden, layers=layers, vocabulary=vocabulary)


# -- one run, in a process of its own ---------------------------------------------------------------------------


def run_luthier(work: Path, batch: int) -> dict[str, Any]:
    """Whichever checkout is named: what it does from the tokens on, by its own preparation and step."""
    import mlx.core as mx

    from app.core.protocol.job import TrainJob
    from app.core.run.folder import prepare_run
    from app.worker.array import scalar
    from app.worker.process.control import Control
    from app.worker.train.preparation import prepare
    from app.worker.train.step import Step
    from tests.worker.training import Collector, config_for

    config = config_for(
        work / "model", work / "data", train_mode="dpo", batch_size=batch, epochs=2, beta=0.1,
        learning_rate=RATE, lora_parameters={"rank": RANK, "scale": SCALE, "dropout": 0.0}, optimizer="adam",
        max_seq_length=LONGEST, val_batches=0, valid_fraction=0, test_fraction=0, seed=0,
        max_grad_norm=0, early_stopping={"enabled": False},
    )  # fmt: skip
    run = prepare_run(config, work / f"run-{time.time_ns()}")
    channel = Collector(run.path / "collected.jsonl")
    spent = 0.0
    preferred: Any = import_module("app.worker.train.preferred")
    plain = preferred.reference_sums

    def timed(*arguments: Any, **more: Any) -> Any:
        nonlocal spent
        began = time.process_time()
        found = plain(*arguments, **more)
        spent += time.process_time() - began
        return found

    preferred.reference_sums = timed
    prepared = prepare(channel, Control(channel), run, TrainJob())
    model, batches, parts = prepared.model, prepared.parts.batches, prepared.parts
    model.train()
    prepared.optimizer.init(model.trainable_parameters())
    gather = getattr(parts, "gather", None)
    more = {} if gather is None else {"gather": gather}
    step = Step(model, prepared.optimizer, parts.objective, is_cut=batches.is_cut, **more)
    epochs, positions, real, tokens = [], 0, 0, 0
    losses: list[float] = []
    for epoch in range(2):
        began = time.process_time()
        for number in range(1, batches.batches_per_epoch + 1):
            one = batches.batch(epoch * batches.batches_per_epoch + number)
            losses.append(scalar(step(one.parts, update=True).loss))
            positions += one.positions
            tokens += one.tokens
            real += one.tokens - getattr(one, "shared", 0)
        epochs.append(time.process_time() - began)
    return {
        "reference": spent, "first": epochs[0], "second": epochs[1], "steps": batches.batches_per_epoch,
        "padding": positions / real, "computed": positions / tokens, "peak": mx.get_peak_memory() / 1e6,
        "loss": statistics.mean(losses[-5:]),
    }  # fmt: skip


def run_lora(work: Path, batch: int, folder: str) -> dict[str, Any]:
    """mlx-lm-lora's own trainer on the same tokens; its reference is a second model, read in every step."""
    sys.path.append(folder)  # behind what is here: only what is missing comes from there
    import mlx.core as mx
    import mlx.optimizers as optim
    from mlx_lm.tuner.callbacks import TrainingCallback
    from mlx_lm.tuner.utils import linear_to_lora_layers

    from app.core.config.train_config import TrainConfig
    from app.core.data.prepare import prepare_data
    from app.worker.model.loading import load_model
    from app.worker.token.rated_answer import tokenize_pairs

    model, tokenizer = load_model(work / "model")
    reference, _ = load_model(work / "model")
    reference.freeze()
    model.freeze()
    keys = [f"self_attn.{name}_proj" for name in "qkvo"] + [f"mlp.{name}_proj" for name in ("gate", "up", "down")]
    linear_to_lora_layers(model, len(model.layers), {"rank": RANK, "scale": SCALE, "dropout": 0.0, "keys": keys})
    config = TrainConfig(
        model=str(work / "model"), data=str(work / "data"), train_mode="dpo", max_seq_length=LONGEST,
        valid_fraction=0, test_fraction=0,
    )  # fmt: skip
    data = prepare_data(config, work / f"lora-{time.time_ns()}")
    pairs = tokenize_pairs(data.train, tokenizer, config)
    rows = []
    for number in range(len(pairs)):
        row: dict[str, Any] = {}
        for side, name in enumerate(("chosen", "rejected")):
            example = pairs.answers[2 * number + side]
            row |= {name: example.tokens.tolist(), f"{name}_prompt_length": int(example.trained.argmax())}
        rows.append(row)
    trainer: Any = import_module("mlx_lm_lora.trainer.dpo_trainer")
    info = dict(mx.device_info()) | {"max_recommended_working_set_size": 2**33}  # which Linux does not name
    trainer.mx.device_info = lambda *_: info
    steps = len(rows) // batch
    marks: list[float] = []

    class Marks(TrainingCallback):
        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:  # noqa: ARG002
            marks.append(time.process_time())

    arguments = trainer.DPOTrainingArgs(
        batch_size=batch, iters=2 * steps, val_batches=0, steps_per_report=steps, steps_per_eval=10**9,
        steps_per_save=10**9, adapter_file=str(work / "lora.safetensors"), max_seq_length=LONGEST, beta=0.1,
    )  # fmt: skip
    began = time.process_time()
    trainer.train_dpo(
        model, reference, optim.Adam(RATE), rows, None, arguments, training_callback=Marks(), loss_type="sigmoid"
    )
    return {
        "reference": 0.0, "first": marks[0] - began, "second": marks[1] - marks[0], "steps": steps,
        "peak": mx.get_peak_memory() / 1e6,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[4, 8])
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--lora", default="")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        side, work, batch, lora = arguments.child
        found = run_luthier(Path(work), int(batch)) if side == "luthier" else run_lora(Path(work), int(batch), lora)
        print(json.dumps(found))
        return 0
    from tests.bench.other_checkout import by_turns, measured  # not in a child, whose checkout may have none

    sides = {"here": (ROOT, "luthier")}
    if arguments.against:
        sides["before"] = (arguments.against.resolve(), "luthier")
    if arguments.lora:
        sides["mlx-lm-lora"] = (ROOT, "lora")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        make_model(work / "model", arguments.hidden, arguments.layers, arguments.vocabulary)
        make_pairs(work / "data", arguments.pairs)
        for batch in arguments.batch:
            runs: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
            for name in by_turns(sides, arguments.repeats):
                tree, side = sides[name]
                runs[name].append(measured(__file__, tree, work, side, folder, str(batch), arguments.lora))
            _show(batch, runs)
    return 0


def _show(batch: int, runs: dict[str, list[dict[str, Any]]]) -> None:
    def whole(one: dict[str, Any]) -> float:
        return float(one["reference"] + one["first"])

    for name, found in runs.items():
        values = {key: statistics.median(one[key] for one in found) for key in found[0]}
        shown = f"batch {batch}, {name}: {1000 * values['second'] / values['steps']:.0f} ms a step"
        shown += f", first epoch {values['first']:.2f} s, reference {values['reference']:.2f} s"
        shown += f", peak {values['peak']:.0f} MB"
        if "padding" in values:
            shown += f", computed ÷ real {values['padding']:.3f} (÷ tokens of all answers {values['computed']:.3f})"
            shown += f", loss {values['loss']:.4f}"
        print(shown, flush=True)
        if name == "here":
            continue
        pairs = list(zip(found, runs["here"], strict=True))
        step = statistics.median(
            other["second"] / other["steps"] * own["steps"] / own["second"] for other, own in pairs
        )
        epoch = statistics.median(whole(other) / whole(own) for other, own in pairs)
        print(
            f"batch {batch}, against {name}: a step {step:.2f} ×, an epoch with its preparation {epoch:.2f} ×",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
