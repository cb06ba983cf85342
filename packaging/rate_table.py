"""What a rate and a scale bring on new data and cost on old, over the width of the model: for `docs/decisions`.

    python packaging/rate_table.py --bases FOLDER                      # trains the bases once, then all runs
    python packaging/rate_table.py --bases FOLDER --widths 64 --seeds 1

The bases have four layers and are trained here, on the starter's text and a shortened recipe; one that lies in the
folder is taken as it is. Half of their conversations have random words around the answers: a base that goes on
after any beginning keeps its facts where a style is new, unless the tuning spoils them. A width of 0 is the starter
as it is shipped. Each run is LoRA of rank 32 on all seven matrices, on the starter's songs, one example an
iteration, at a constant rate, with Adam that corrects its bias.

*Learned* is the fall of the loss on songs about facts that no run trains on, *forgot* the rise on the starter's
neutral set, both in nats a counted token. As in a run's own measure, the first two tokens and the end of a neutral
answer do not count: a new style is meant to change them. *Songs* is the share of 50 answers that are whole songs,
*kept* the share of the facts that the base tells, of these 50, that the answer still tells; both of the likeliest
answers. All are means over the seeds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm import load
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_tokenizer
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "packaging" / "starter")]

from app.core.system import starter
from build import use_openblas
from chat import Messages, World
from measure import answers
from tokenizer import END, PAD, ChatEncoder
from training import Plan, build_model, model_config, train

RANK = 32
KEYS = [f"self_attn.{name}_proj" for name in "qkvo"] + [f"mlp.{name}_proj" for name in ("gate", "up", "down")]
BASE_SEED = 21
RATES, SCALES, WIDTHS = (1e-4, 3e-4, 1e-3, 3e-3), (1.0, 6.0, 32.0), (64, 128, 192)
PRODUCTS = 1e-4, 0.04  # of rate and scale: below, little moves in so few iterations; above, all is spoilt
WIDE_RATE, WIDTH, POWER = 5e-4, 2000, 0.781
PADDED = 16  # lengths are padded to a multiple of it: few shapes to compile
SHIPPED = 0  # in place of a width

# Tokens, and how much each counts.
Encoded = tuple[list[int], list[float]]


@dataclass(frozen=True, slots=True)
class Data:
    """What is trained on and what is measured on, encoded for the starter's tokenizer; what is asked, as text."""

    train: list[Encoded]
    new: list[Encoded]
    old: list[Encoded]
    asked: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Measured:
    """Nats a counted token on new and old data; whether each likeliest answer is a song, and right."""

    new: float
    old: float
    songs: list[bool]
    right: list[bool]


class Phrases(ChatEncoder):
    """Text of the world in which half of the conversations have random words around their answers.

    A base that has learnt from it goes on after any beginning, so that what a style spoils can be told from what
    the base could never say after an unknown phrase.
    """

    def __init__(self, tokenizer: Tokenizer, asked_weight: float) -> None:
        super().__init__(tokenizer, asked_weight)
        self._pieces = tokenizer
        self._world = World()
        turns = itertools.chain.from_iterable(self._world.turns.values())
        self._words = sorted({word for turn in turns for word in turn.answer.lower().split() if word.isalpha()})

    def conversations(self, rng: random.Random) -> Iterator[Messages]:
        """Conversations without end; what stands before and after an answer is `given` and `added` beside it."""
        for messages in self._world.conversations(rng):
            dressed = rng.random() < 0.5
            yield [
                message | {"given": self._given(rng), "added": self._added(rng)}
                if dressed and message["role"] == "assistant"
                else message
                for message in messages
            ]

    def _words_in_any_order(self, rng: random.Random) -> str:
        return " ".join(rng.choices(self._words, k=rng.randint(1, 5))).capitalize()

    def _given(self, rng: random.Random) -> str:
        return rng.choice(("", "* ", "- ", "# ", "♪ ")) + self._words_in_any_order(rng) + rng.choice(".!:,;")

    def _added(self, rng: random.Random) -> str:
        return rng.choice(" \n") + self._words_in_any_order(rng) + rng.choice(".!") if rng.random() < 0.5 else ""

    def encode(self, messages: list[dict[str, str]]) -> tuple[list[int], list[float]]:
        """Token ids and loss weights as `ChatEncoder` has them; the random words count nothing."""
        tokens: list[int] = []
        weights: list[float] = []
        for message in messages:
            given, added = message.get("given", ""), message.get("added", "")
            content = f" {message['content']}" if given else message["content"]
            (role, *said), (role_weight, *weight) = super().encode([{"role": message["role"], "content": content}])
            before, after = (self._pieces.encode(text).ids for text in (given, added))
            tokens += [role, *before, *said[:-1], *after, said[-1]]
            weights += [role_weight, *[0.0] * len(before), *weight[:-1], *[0.0] * len(after), weight[-1]]
        return tokens, weights


@dataclass(frozen=True, slots=True)
class Bases:
    """Where the bases lie, and how long those are trained that do not."""

    folder: Path
    steps: int
    rows: int
    tokenizer: Tokenizer

    def model(self, width: int) -> nn.Module:
        """The base of this width: the starter's own, or from the folder, or trained and put there."""
        if width == SHIPPED:
            model: nn.Module = load(str(starter.model_dir()))[0]
            model.set_dtype(mx.float32)
            return model
        vocabulary = self.tokenizer.get_vocab()
        config = model_config(len(vocabulary), vocabulary[END], vocabulary[PAD]) | {
            "hidden_size": width,
            "intermediate_size": 2 * width,
            "num_attention_heads": width // 32,
            "num_key_value_heads": width // 64,
        }
        path = self.folder / f"{width}-{self.steps}-{self.rows}.safetensors"
        mx.random.seed(BASE_SEED)
        made = build_model(config)
        if path.is_file():
            made.load_weights(str(path))
        else:
            plan = Plan(self.steps, self.rows, row_tokens=64)
            text = Phrases(self.tokenizer, plan.asked_weight)
            train(made, text.conversations(random.Random(BASE_SEED)), text, plan)
            self.folder.mkdir(parents=True, exist_ok=True)
            mx.save_safetensors(str(path), dict(tree_flatten(made.parameters())))
        return made


def rule_rate(width: int) -> float:
    """The rate for a factor of 1 that the authors of "LoRA Without Regret" give for Llama-like models."""
    return float(WIDE_RATE * (WIDTH / width) ** POWER)


def read(file: Path) -> list[Messages]:
    """The conversations of a file."""
    return [json.loads(line)["messages"] for line in file.read_text(encoding="utf-8").splitlines()]


def without_ends(row: Encoded) -> Encoded:
    """The same row; the first two tokens that count and the last do not count any more."""
    tokens, weights = row
    counted = [index for index, weight in enumerate(weights) if weight]
    return tokens, [float(index in counted[2:-1]) for index in range(len(weights))]


def load_data(tokenizer: Tokenizer) -> Data:
    """The songs, and plain answers none of which the songs teach."""
    encoder = ChatEncoder(tokenizer, 0.0)
    folder = starter.examples_dir()
    new = [*read(folder / "valid.jsonl"), *read(folder / "test.jsonl")]
    return Data(
        [encoder.encode(messages) for messages in read(folder / "train.jsonl")],
        [encoder.encode(messages) for messages in new],
        [without_ends(encoder.encode(messages)) for messages in read(starter.neutral_file())],
        [(question["content"], starter.plain_answer(song["content"]) or "") for question, song in new],
    )


def padded(rows: Sequence[Encoded]) -> tuple[mx.array, mx.array]:
    """Tokens and weights of some rows, each `(rows, length)`."""
    length = -(-max(len(tokens) for tokens, _ in rows) // PADDED) * PADDED + 1
    tokens = np.zeros((len(rows), length), np.int32)
    weights = np.zeros((len(rows), length), np.float32)
    for index, (ids, counts) in enumerate(rows):
        tokens[index, : len(ids)], weights[index, : len(ids)] = ids, counts
    return mx.array(tokens), mx.array(weights)


def summed(model: nn.Module, tokens: mx.array, weights: mx.array) -> mx.array:
    """The loss of every token that counts, summed."""
    losses = nn.losses.cross_entropy(model(tokens[:, :-1]), tokens[:, 1:])
    return mx.array((losses * weights[:, 1:]).sum())


def mean_loss(model: nn.Module, rows: Sequence[Encoded]) -> float:
    """Nats a counted token."""
    tokens, weights = padded(rows)
    return float(summed(model, tokens, weights)) / float(weights[:, 1:].sum())


def measure(model: nn.Module, data: Data, chat: Any) -> Measured:
    """The model as it is; `chat` is the starter's tokenizer as mlx-lm wraps it."""
    model.eval()
    said = [text.strip() for text in answers(model, chat, [question for question, _ in data.asked])]
    told = [starter.plain_answer(text) or text for text in said]
    return Measured(
        mean_loss(model, data.new),
        mean_loss(model, data.old),
        [starter.in_style(text) for text in said],
        [text.strip() == answer for text, (_, answer) in zip(told, data.asked, strict=True)],
    )


def tune(model: nn.Module, data: Data, rate: float, scale: float, iterations: int, seed: int) -> None:
    """Trains adapters on a fresh base, in place."""
    model.freeze()
    mx.random.seed(seed)
    adapters = {"rank": RANK, "scale": scale, "dropout": 0.0, "keys": KEYS}
    linear_to_lora_layers(model, len(model.layers), adapters)
    optimizer = optim.Adam(rate, bias_correction=True)
    optimizer.init(model.trainable_parameters())
    loss_and_gradient = nn.value_and_grad(model, lambda *inputs: summed(*inputs) / inputs[2][:, 1:].sum())
    state = [model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(tokens: mx.array, weights: mx.array) -> mx.array:
        loss, gradient = loss_and_gradient(model, tokens, weights)
        optimizer.update(model, gradient)
        return mx.array(loss)

    model.train()
    chosen = random.Random(seed)
    waiting: list[Encoded] = []
    for _ in range(iterations):
        waiting = waiting or chosen.sample(data.train, len(data.train))
        mx.eval(step(*padded([waiting.pop()])), state)


def cell(runs: list[Measured], base: Measured) -> str:
    """Learned, forgot, songs and facts kept; what is no number is said in words."""
    learned = float(np.mean([base.new - run.new for run in runs]))
    forgot = float(np.mean([run.old - base.old for run in runs]))
    if not math.isfinite(learned + forgot):
        return "no number"
    songs = np.mean([run.songs for run in runs])
    told = list(itertools.chain.from_iterable(itertools.compress(run.right, base.right) for run in runs))
    kept = f"{np.mean(told):.0%}" if told else "–"
    return f"{learned:+.2f} / {forgot:+.2f}, {songs:.0%} / {kept}"


def main() -> None:
    """Prints a table for each base."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bases", type=Path, required=True, help="folder of the bases")
    parser.add_argument(
        "--base-steps", type=int, default=700, help="training steps of a base (default: %(default)s)"
    )
    parser.add_argument("--base-rows", type=int, default=Plan.rows, help="rows a step of it (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=160, help="of each run (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=2, help="runs of each combination (default: %(default)s)")
    parser.add_argument("--rates", type=float, nargs="*", default=RATES)
    parser.add_argument("--scales", type=float, nargs="*", default=SCALES)
    parser.add_argument("--widths", type=int, nargs="*", default=WIDTHS, help="multiples of 64; 0 is the starter")
    asked = parser.parse_args()
    use_openblas()
    mx.set_default_device(mx.cpu)
    chat = load_tokenizer(starter.model_dir())
    bases = Bases(
        asked.bases,
        asked.base_steps,
        asked.base_rows,
        Tokenizer.from_file(str(starter.model_dir() / "tokenizer.json")),
    )
    data = load_data(bases.tokenizer)
    for width in asked.widths:
        began = time.process_time()
        model = bases.model(width)
        base = measure(model, data, chat)
        hidden = model.args.hidden_size
        name = (
            "The starter, as shipped"
            if width == SHIPPED
            else f"Width {width}, {asked.base_steps} steps of {asked.base_rows} rows"
        )
        made_s = time.process_time() - began
        print(f"\n{name}: loss {base.new:.2f} on new data and {base.old:.2f} on old; tells {sum(base.right)} of")
        print(f"{len(base.right)} facts. Made and measured in {made_s:.0f} s of processor time.\n")
        print("| rate | " + " | ".join(f"scale {scale:g}" for scale in asked.scales) + " |")
        print("|---|" + "---|" * len(asked.scales), flush=True)
        began = time.process_time()
        rule = rule_rate(hidden)
        for rate in (*asked.rates, rule):
            cells = []
            for scale in asked.scales:
                if (rate == rule and scale != 1) or not PRODUCTS[0] <= rate * scale <= PRODUCTS[1]:
                    cells.append("not run")
                    continue
                runs = []
                for seed in range(asked.seeds):
                    tuned = bases.model(width)
                    tune(tuned, data, rate, scale, asked.iterations, seed)
                    runs.append(measure(tuned, data, chat))
                cells.append(cell(runs, base))
            label = f"{rate:.2g}, the rule" if rate == rule else f"{rate:g}"
            print(f"| {label} | " + " | ".join(cells) + " |", flush=True)
        print(f"\n{time.process_time() - began:.0f} s of processor time.", flush=True)


if __name__ == "__main__":
    main()
