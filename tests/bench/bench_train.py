"""Training against stock mlx-lm: the same model, data, seed and number of examples, one after the other.

    python tests/bench/bench_train.py [--quick] [--repeats N] [--only TEXT] [--lora FOLDER] [--json FILE]

Models and data are made on the spot: random weights, texts of a small Markov chain whose lengths follow those of
short chats, of Dolly, and of long documents. Each case alternates stock mlx-lm and Luthier, and for some also stock
with its length sort repaired, each in a process of its own with one thread of BLAS, as `luthier bench` does it for
anyone's model: ratios of real tokens a second (no padding) by the processor and by the clock, over whole epochs
after the first; the first, in which everything is compiled, apart; MLX's peak memory; and both validation losses.
``--lora`` adds DPO and GRPO against mlx-lm-lora, installed into that ``site-packages`` of its own environment.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from app.command.stock.alternation import SpeedCase, TrainerRunner
from app.core.protocol.program import mlx_build
from app.core.stock.machine import machine_words
from app.core.stock.speed_table import HOW_TO_READ, ON_CPU, SpeedRow, SpeedTrainer, markdown_rows, speed_rows

LENGTHS = {
    "short chat": (3.7, 0.5),
    "Dolly": (4.75, 1.0),
    "long documents": (6.7, 0.25),
    "2,048 tokens": (9.0, 0.1),
}  # of ln tokens
LONGEST = 1024
BIG_VOCABULARY = 151_936
SETTINGS = {
    "learning_rate": 1e-3, "lora_parameters": {"rank": 8, "scale": 8.0, "dropout": 0.0}, "max_seq_length": LONGEST,
}  # fmt: skip
MEDIUM = (("hidden_size", 512), ("layers", 8), ("num_attention_heads", 8), ("num_key_value_heads", 4))
WITH_SORTED: tuple[SpeedTrainer, ...] = ("stock", "stock_sorted")


@dataclass(frozen=True)
class Case:
    """One line of the table. ``batching`` is Luthier's; stock has only its own."""

    name: str
    lengths: str
    batch_size: int
    vocabulary: int = 4096
    masked: bool = False
    batching: str = "bucket"
    examples: int = 64
    shorter: int = 1  # lengths are divided by it, to keep the time of the largest heads within bounds
    sizes: tuple[tuple[str, int], ...] = ()  # the model's, in place of the small ones
    half: bool = False  # weights in bfloat16
    quantized: bool = False  # the base in 4 bits
    longest: int = LONGEST  # of an example, in tokens
    against: tuple[SpeedTrainer, ...] = ("stock",)

    def as_speed_case(self) -> SpeedCase:
        """What the trainers have to know of it."""
        return SpeedCase(self.name, self.batch_size, self.masked, self.batching, self.against)


def cases(quick: bool) -> list[Case]:
    """All lines of the table."""
    found = []
    for lengths in ("short chat", "Dolly", "long documents"):
        examples = 16 if lengths == "long documents" else 64
        for size in (1, 4, 8):
            against = WITH_SORTED if size > 1 and lengths == "Dolly" else ("stock",)
            found.append(Case(f"{lengths}, batch {size}", lengths, size, examples=examples, against=against))
    found += [Case(f"Dolly, batch {size}, packed", "Dolly", size, batching="pack") for size in (4, 8)]
    found += [Case(f"Dolly, batch {size}, masked", "Dolly", size, masked=True) for size in (1, 8)]
    for size, masked in itertools.product((1, 4, 8), (False, True)):
        name = f"152k vocabulary, Dolly, batch {size}{', masked' if masked else ''}"
        found.append(Case(name, "Dolly", size, BIG_VOCABULARY, masked, examples=32, shorter=4))
    for size in (1, 8):
        against = WITH_SORTED if size > 1 else ("stock",)
        name = f"30M parameters, Dolly, batch {size}"
        found.append(Case(name, "Dolly", size, 32_768, examples=16, shorter=2, sizes=MEDIUM, against=against))
    # In float32, which the CPU build multiplies by packed weights ten times as fast as 16-bit floats.
    full = Case("4-bit base, 152k vocabulary, 2,048 tokens, batch 1", "2,048 tokens", 1, BIG_VOCABULARY, examples=1)
    found += [replace(full, name=full.name + words, quantized=True, longest=2048, masked=masked)
              for words, masked in (("", False), (", masked", True))]  # fmt: skip
    if not quick:
        return found
    return [replace(case, examples=max(case.batch_size * 2, 8), shorter=4, sizes=()) for case in found]


# -- model and data ---------------------------------------------------------------------------------------------


def make_model(folder: Path, case: Case, quick: bool) -> Path:
    """A qwen2 with random weights."""
    import mlx.core as mx

    from tests.worker.tiny_model import write_model

    sizes: dict[str, Any] = {"hidden_size": 64 if quick else 128, "layers": 2}
    sizes |= {"num_attention_heads": 2, "num_key_value_heads": 1} | dict(case.sizes)
    dtype = mx.bfloat16 if case.half else mx.float32
    return write_model(folder, vocabulary=case.vocabulary, dtype=dtype, quantized=case.quantized, **sizes)


def make_data(folder: Path, case: Case, seed: int) -> Path:
    """Questions and answers whose letters follow one another as a fixed Markov chain has it."""
    import numpy as np

    random = np.random.default_rng([seed, 1])
    mean, deviation = LENGTHS[case.lengths]
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", case.examples), ("valid", min(16, case.examples))):
        sizes = np.exp(random.normal(mean, deviation, count)) / case.shorter
        rows = [_row(random, int(size)) for size in np.clip(sizes, 10, case.longest - 4)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def _row(random: Any, length: int) -> dict[str, str]:
    letters = "abcdefghijklmnop"
    at, text = int(random.integers(16)), ""
    for _ in range(length):
        at = (at * 5 + (3 if random.random() < 0.8 else int(random.integers(16)))) % 16
        text += letters[at]
    cut = max(2, int(length * random.uniform(0.4, 0.7)))
    return {"prompt": text[:cut], "completion": text[cut:]}


# -- the table --------------------------------------------------------------------------------------------------


def compare(case: Case, folder: Path, repeats: int, quick: bool, epochs: int) -> list[SpeedRow]:
    """Alternates the trainers ``repeats`` times, each time with another seed and other data."""
    model = make_model(folder / f"model-{case.vocabulary}-{len(case.sizes)}-{case.quantized}", case, quick)
    runner = TrainerRunner(model, folder, SETTINGS | {"max_seq_length": case.longest})
    found = []
    for seed in range(repeats):
        data = make_data(folder / f"data-{case.lengths}-{case.examples}-{case.shorter}-{seed}", case, seed)
        found.append(runner.alternate(case.as_speed_case(), data, seed, epochs, backwards=bool(seed % 2)))
    return speed_rows(case.name, found)


def against_lora(folder: str) -> dict[str, float]:
    """Prints what bench_pairs.py and bench_rewarded.py find against mlx-lm-lora, in processor time."""
    from tests.bench.all import BENCHMARKS, run

    print("\n| against mlx-lm-lora, of the processor | |\n|---|---|", flush=True)
    found: dict[str, float] = {}
    for one in BENCHMARKS:
        if one.needs == "lora":
            here = {name: value for name, (value, _) in run(one, {"lora": folder, "frozen": ""}).figures.items()}
            print(*(f"| {name} | {value:.2f} × |" for name, value in here.items()), sep="\n", flush=True)
            found |= here
    return found


def machine() -> str:
    """The machine in words, for the head of the table."""
    from app.worker.process.hello import hello

    said = hello("measure")
    return f"{machine_words(said)}; {', '.join(f'{name} {number}' for name, number in said.versions.items())}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small models, few examples, one alternation")
    parser.add_argument("--repeats", type=int, help="alternations (5; with --quick 1)")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of each run; the first is told apart")
    parser.add_argument("--only", default="", help="only cases whose name contains this, or one of these with |")
    parser.add_argument("--lora", default="", help="site-packages with mlx-lm-lora: adds its DPO and GRPO")
    parser.add_argument("--json", type=Path, help="also write the rows there")
    options = parser.parse_args()
    repeats = options.repeats or (1 if options.quick else 5)
    print(f"{machine()}; medians of {repeats}\n\n{HOW_TO_READ}", *[ON_CPU] * (mlx_build() == "mlx-cpu"), sep="\n")
    print("", *markdown_rows([]), sep="\n", flush=True)
    rows: list[SpeedRow] = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(options.quick):
            if any(word in case.name for word in options.only.split("|")):
                found = compare(case, Path(folder), repeats, options.quick, options.epochs)
                print(*markdown_rows(found)[2:], sep="\n", flush=True)
                rows += found
    tree: dict[str, Any] = {"rows": [asdict(row) for row in rows]}
    if options.lora:
        tree["mlx-lm-lora"] = against_lora(options.lora)
    if options.json:
        options.json.write_text(json.dumps(tree, indent=1))


if __name__ == "__main__":
    main()
