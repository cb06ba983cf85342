"""How often the best balance dominates the last checkpoint of the starter: the table of `docs/decisions`.

    python packaging/balance_table.py [--runs N] [--iterations N]

Each run tunes the starter at a rate and a seed of its own with ``final_adapter: balanced``. Then its adapter is put
beside its last checkpoint, on songs and on plain answers of the little world that neither training, validation nor
the run's neutral set has: which one learned more, which forgot less, and whether that could be chance (95 %
bootstrap of the paired differences). *Dominates* is: it forgot less beyond chance, and keeps at least 98 % of what
the last checkpoint learned; or it learned more beyond chance, and did not forget more beyond chance.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import queue
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "packaging" / "starter")]

from app.core.compare.comparison import FigureDifference, loss_difference
from app.core.config.train_config import TrainConfig
from app.core.protocol.event import Event, Finished
from app.core.protocol.job import TrainJob
from app.core.run.folder import prepare_run
from app.core.setup.config_file import load_config
from app.core.system import starter
from app.worker.model.adapter_switch import AdapterSwitch
from app.worker.model.loading import load_model
from app.worker.neutral.text import counted_rows
from app.worker.objective.example_loss import example_losses
from app.worker.process.channel import Channel
from app.worker.token.token_set import TokenSet
from app.worker.token.tokenize import tokenize_rows
from app.worker.train.train import train
from chat import World
from neutral import neutral_rows, taught_answers

RATES = (0.5, 1.0, 2.0, 4.0, 8.0)  # × the demo's
TEST_ROWS = 160
KEPT_SHARE = 0.98


class Listener(Channel):
    """Keeps the events of a run in this process."""

    def __init__(self, file: Path) -> None:
        self._path = file
        self.events: list[Event] = []
        super().__init__(io.StringIO(), queue.Queue())

    def emit(self, said: Event) -> None:
        with self._path.open("a", encoding="utf-8") as out:
            out.write(said.to_line() + "\n")
        self.events.append(said)


def trained(config: TrainConfig, folder: Path) -> tuple[Path, Finished]:
    """A finished run: its adapters and its last event."""
    run = prepare_run(config, folder)
    channel = Listener(run.events)
    with (
        (folder / "said.txt").open("w") as said,
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        train(channel, run.path, TrainJob())
    ended = channel.events[-1]
    assert isinstance(ended, Finished)
    return run.adapters, ended


def unseen(folder: Path, tokenizer: Any, config: TrainConfig) -> tuple[TokenSet, TokenSet]:
    """Songs and plain answers, of facts that no run was taught or measured on."""
    known = taught_answers(starter.examples_dir())
    for line in starter.neutral_file().read_text(encoding="utf-8").splitlines():
        known.add(json.loads(line)["messages"][-1]["content"])
    plain = neutral_rows(World(), known, random.Random(99), TEST_ROWS)
    songs = []
    for row in plain:
        question, answer = row["messages"]
        songs.append({"messages": [question, answer | {"content": starter.as_song(answer["content"])}]})
    sets = []
    for name, rows in (("songs", songs), ("plain", plain)):
        file = folder / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        sets.append(tokenize_rows(file, tokenizer, config.with_value("mask_prompt", True)).token_set)
    examples = [sets[1][number] for number in range(len(sets[1]))]
    return sets[0], counted_rows(examples, frozenset(tokenizer.eos_token_ids), 1_000_000)


def compared(
    switch: AdapterSwitch, adapters: tuple[Path, Path], examples: TokenSet
) -> tuple[list[float], FigureDifference]:
    """The mean losses of base, first and second adapter, and the second against the first."""
    each: list[Any] = []
    counts = np.zeros(0, np.int64)
    for adapter in (None, *adapters):
        switch.use(None if adapter is None else switch.load(adapter))
        sums, counts = example_losses(switch.model, examples, 1024, lambda *_: None)
        each.append(sums)
    means = [float(sums.sum() / counts.sum()) for sums in each]
    first, second = ([float(s / n) for s, n in zip(sums, counts, strict=True)] for sums in each[1:])
    return means, loss_difference(first, second, counts.tolist())


def dominates(learned: FigureDifference, forgot: FigureDifference, kept_share: float) -> bool:
    """See above; ``kept_share`` is how much of what the last checkpoint learned is kept."""
    forgot_less = forgot.beyond_chance and forgot.improves
    learned_more = learned.beyond_chance and learned.improves
    forgot_more = forgot.beyond_chance and not forgot.improves
    return (forgot_less and kept_share >= KEPT_SHARE) or (learned_more and not forgot_more)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=240)
    parser.add_argument("--first", type=int, default=0, help="the number of the first run: its seed")
    parser.add_argument(
        "--rates", type=float, nargs="*", default=RATES, help="× the demo's, in turn (default: %(default)s)"
    )
    asked = parser.parse_args()
    mx.set_default_device(mx.cpu)
    demo = load_config(starter.demo_config()).config
    every = asked.iterations // 8
    model, tokenizer = load_model(starter.model_dir())
    count = 0
    out = os.fdopen(os.dup(1), "w")  # a run takes standard output for itself
    print("| run | rate | kept | learned (last → kept) | forgot (last → kept) | dominates |", file=out)
    print("|---|---|---|---|---|---|", file=out)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        songs, plain = unseen(folder, tokenizer, demo)
        for number in range(asked.first, asked.first + asked.runs):
            rate = demo.learning_rate * asked.rates[number % len(asked.rates)]
            config = demo.with_values({
                "learning_rate": rate, "seed": number, "iters": asked.iterations, "epochs": None,
                "final_adapter": "balanced", "save_every": every, "steps_per_eval": every,
                "early_stopping.enabled": False,
            })  # fmt: skip
            adapters, ended = trained(config, folder / str(number))
            last = adapters / f"{asked.iterations:07d}_adapters.safetensors"
            switch = AdapterSwitch(model)
            learned, of_songs = compared(switch, (last, adapters), songs)
            forgot, of_plain = compared(switch, (last, adapters), plain)
            switch.use(None)
            is_better = dominates(of_songs, of_plain, (learned[0] - learned[2]) / (learned[0] - learned[1]))
            count += is_better
            kept = (
                ended.message.removeprefix("The adapter holds the weights of iteration ")
                .split(",")[0]
                .split(":")[0]
            )
            print(
                f"| {number + 1} | {rate:g} | {kept} "
                f"| {learned[0] - learned[1]:.3f} → {learned[0] - learned[2]:.3f}{_sign(of_songs)} "
                f"| {forgot[1] - forgot[0]:.3f} → {forgot[2] - forgot[0]:.3f}{_sign(of_plain)} "
                f"| {'yes' if is_better else 'no'} |",
                file=out,
                flush=True,
            )
    print(f"\n{count} of {asked.runs} dominate the last checkpoint.", file=out)


def _sign(found: FigureDifference) -> str:
    """What is beyond chance."""
    return "" if not found.beyond_chance else " (better)" if found.improves else " (worse)"


if __name__ == "__main__":
    main()
