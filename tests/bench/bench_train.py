"""Training against stock mlx-lm: the same model, data, seed and number of examples, one after the other.

    python tests/bench/bench_train.py [--quick] [--repeats N] [--only TEXT] [--json FILE]

Models and data are made on the spot: random weights, texts of a small Markov chain whose lengths follow those of
short chats, of Dolly, and of long documents. Each case alternates stock mlx-lm and Luthier, each in a process of
its own, and the table shows medians of the ratios: real tokens (no padding) a second over whole epochs after the
first, in which everything is compiled; peak memory of MLX; and how far behind stock the validation loss ends, as a
share of stock's improvement (negative: ahead; a mean).
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import math
import os
import platform
import queue
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

LENGTHS = {"short chat": (3.7, 0.5), "Dolly": (4.75, 1.0), "long documents": (6.7, 0.25)}  # of ln tokens
LONGEST = 1024
BIG_VOCABULARY = 151_936
CLOCK = "LUTHIER_BENCH_CLOCK"


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


def cases(quick: bool) -> list[Case]:
    """All lines of the table."""
    found = []
    for lengths in LENGTHS:
        examples = 16 if lengths == "long documents" else 64
        found += [Case(f"{lengths}, batch {size}", lengths, size, examples=examples) for size in (1, 4, 8)]
    found += [Case(f"Dolly, batch {size}, packed", "Dolly", size, batching="pack") for size in (4, 8)]
    found += [Case(f"Dolly, batch {size}, masked", "Dolly", size, masked=True) for size in (1, 8)]
    for size, masked in itertools.product((1, 4, 8), (False, True)):
        name = f"152k vocabulary, Dolly, batch {size}{', masked' if masked else ''}"
        found.append(Case(name, "Dolly", size, BIG_VOCABULARY, masked, examples=32, shorter=4))
    return [replace(case, examples=max(case.batch_size * 2, 8), shorter=4) for case in found] if quick else found


# -- model and data ---------------------------------------------------------------------------------------------


def make_model(folder: Path, case: Case, quick: bool) -> Path:
    """A qwen2 with random weights."""
    import mlx.core as mx

    from tests.worker.tiny_model import write_model

    sizes: dict[str, Any] = {"hidden_size": 64 if quick else 128, "layers": 2}
    sizes |= {"num_attention_heads": 2, "num_key_value_heads": 1} | dict(case.sizes)
    return write_model(folder, vocabulary=case.vocabulary, dtype=mx.bfloat16 if case.half else mx.float32, **sizes)


def make_data(folder: Path, case: Case, seed: int) -> Path:
    """Questions and answers whose letters follow one another as a fixed Markov chain has it."""
    import numpy as np

    random = np.random.default_rng([seed, 1])
    mean, deviation = LENGTHS[case.lengths]
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", case.examples), ("valid", 16)):
        sizes = np.exp(random.normal(mean, deviation, count)) / case.shorter
        rows = [_row(random, int(size)) for size in np.clip(sizes, 10, LONGEST - 4)]
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


# -- one run, in a process of its own ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """What one run gave. Seconds are of whole epochs: the first, which compiles, and the mean of the others."""

    first_epoch_s: float
    epoch_s: float
    peak_gb: float
    val_before: float
    val_after: float
    losses: list[float]


def run_stock(config_file: Path) -> Measured:
    """Stock mlx-lm's own trainer on a config that Luthier wrote."""
    import mlx.core as mx
    import numpy as np
    import yaml
    from mlx_lm import load
    from mlx_lm.lora import CONFIG_DEFAULTS, train_model
    from mlx_lm.tuner.callbacks import TrainingCallback
    from mlx_lm.tuner.datasets import load_dataset

    seconds: list[float] = []
    losses: list[float] = []

    class Timer(TrainingCallback):
        def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
            seconds.append(1 / train_info["iterations_per_second"])
            losses.append(train_info["train_loss"])

    tree = CONFIG_DEFAULTS | yaml.safe_load(config_file.read_text())
    adapter = str(config_file.parent / "stock")
    args = SimpleNamespace(**tree | {"steps_per_report": 1, "steps_per_eval": 10**9, "adapter_path": adapter})
    args.save_every = 10**9
    np.random.seed(args.seed)
    model, tokenizer = load(args.model)
    train_set, _, _ = load_dataset(args, tokenizer)
    train_model(args, model, train_set, [], Timer())
    peak = mx.get_peak_memory() / 1e9
    return _measured(config_file, model, tokenizer, seconds, losses, peak, len(train_set) // args.batch_size)


def run_ours(config_file: Path) -> Measured:
    """Luthier's trainer in this process, as its worker runs it."""
    from app.core.protocol.event import Event, Started, TrainReported
    from app.core.protocol.job import TrainJob
    from app.core.run.folder import RunDir
    from app.worker.model.loading import load_model
    from app.worker.process.channel import Channel
    from app.worker.train.train import train

    seen: list[Event] = []

    class Listener(Channel):
        def emit(self, event: Event) -> None:
            seen.append(event)
            super().emit(event)

    channel = Listener(io.StringIO(), queue.Queue())
    train(channel, config_file.parent, TrainJob())
    reports = [event for event in seen if isinstance(event, TrainReported)]
    per_epoch = round(next(event for event in seen if isinstance(event, Started)).iterations_per_epoch)
    seconds = [len(event.losses) / event.iterations_per_second for event in reports]
    losses = [loss for event in reports for loss in event.losses]
    peak = reports[-1].peak_memory_gb
    model, tokenizer = load_model(Path(_config(config_file).model), RunDir(config_file.parent).adapters)
    return _measured(config_file, model, tokenizer, seconds, losses, peak, per_epoch)


def _config(config_file: Path) -> Any:
    from app.core.setup.config_file import load_config

    return load_config(config_file).config


def _measured(
    config_file: Path,
    model: Any,
    tokenizer: Any,
    seconds: list[float],
    losses: list[float],
    peak_gb: float,
    per_epoch: int,
) -> Measured:
    """Both sides' models are measured by the same code on the same examples."""
    from app.worker.batch.examples import Examples
    from app.worker.model.head import find_head
    from app.worker.model.loading import load_model
    from app.worker.objective.supervised import supervised
    from app.worker.objective.validation import ValidationSet, measure
    from tests.worker.token.token_file import tokenize_file

    config = _config(config_file)
    tokens = tokenize_file(Path(config.data) / "valid.jsonl", tokenizer, config)
    batches = ValidationSet(Examples.of(tokens, config.max_seq_length), 4, -1)
    base, _ = load_model(Path(config.model))
    before, after = (measure(m, supervised(find_head(m)), batches) or math.nan for m in (base, model))
    epochs = [sum(seconds[start : start + per_epoch]) for start in range(0, len(seconds), per_epoch)]
    return Measured(epochs[0], statistics.mean(epochs[1:] or epochs), peak_gb, before, after, losses)


# -- the table --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """Medians of a case: ratios are Luthier's to stock's."""

    case: str
    speed: float
    speed_first_epoch: float
    memory: float
    behind: float
    stock_tokens_per_second: float
    stock_peak_gb: float


def compare(case: Case, folder: Path, repeats: int, quick: bool, epochs: int) -> Row:
    """Alternates stock and Luthier ``repeats`` times, each time with another seed and other data."""
    model = make_model(folder / f"model-{case.vocabulary}", case, quick)
    pairs: list[tuple[Measured, Measured]] = []
    tokens = 0
    for seed in range(repeats):
        name = f"data-{case.lengths}-{case.examples}-{case.shorter}-{seed}"
        data = make_data(folder / name, case, seed)
        tokens = _real_tokens(data)
        run = folder / f"run-{time.time_ns()}"
        _write_run(run, case, model, data, seed, epochs)
        ours = _child("ours", run)  # first: it makes the config concrete, on which stock then runs
        stock = _child("stock", run)
        if seed % 2:  # and the other way round, so that warmth and neighbours favour neither
            ours = _child("ours", _copy_of(run, folder))
        pairs.append((stock, ours))
    return _row_of(case, pairs, tokens)


def _row_of(case: Case, pairs: list[tuple[Measured, Measured]], tokens: int) -> Row:
    def median(of: Any) -> float:
        return statistics.median(of(stock, ours) for stock, ours in pairs)

    return Row(
        case=case.name,
        speed=median(lambda stock, ours: stock.epoch_s / ours.epoch_s),
        speed_first_epoch=median(lambda stock, ours: stock.first_epoch_s / ours.first_epoch_s),
        memory=median(lambda stock, ours: ours.peak_gb / stock.peak_gb),
        behind=statistics.mean((o.val_after - s.val_after) / (s.val_before - s.val_after) for s, o in pairs),
        stock_tokens_per_second=median(lambda stock, _: tokens / stock.epoch_s),
        stock_peak_gb=median(lambda stock, _: stock.peak_gb),
    )


def _real_tokens(data: Path) -> int:
    """Tokens that are inputs: one a letter, four marks of the chat template, less the last of each example."""
    rows = [json.loads(line) for line in (data / "train.jsonl").read_text().splitlines()]
    return sum(len(row["prompt"]) + len(row["completion"]) + 3 for row in rows)


def _write_run(run: Path, case: Case, model: Path, data: Path, seed: int, epochs: int) -> None:
    from app.core.config.train_config import TrainConfig
    from app.core.run.folder import prepare_run

    config = TrainConfig.model_validate(
        {
            "model": str(model),
            "data": str(data),
            "batch_size": case.batch_size,
            "batching": case.batching,
            "mask_prompt": case.masked,
            "epochs": epochs,
            "seed": seed,
            "learning_rate": 1e-3,
            "lora_parameters": {"rank": 8, "scale": 8.0, "dropout": 0.0},
            "max_seq_length": LONGEST,
            "steps_per_report": 1,
            "steps_per_eval": 1_000_000,
            "save_every": 1_000_000,
            "val_batches": 1,
            "early_stopping": {"enabled": False},
            "final_adapter": "last",
            "neutral_tokens": 0,
        }
    )
    prepare_run(config, run)


def _copy_of(run: Path, folder: Path) -> Path:
    from app.core.run.folder import prepare_run

    return prepare_run(_config(run / "config.yaml"), folder / f"run-{time.time_ns()}").path


def _child(side: str, run: Path) -> Measured:
    from app.core.protocol.program import worker_environment

    command = [sys.executable, __file__, "--child", side, str(run)]
    environment = worker_environment() | {"LUTHIER_HOME": str(run.parent / "home")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side} failed in {run}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return Measured(**json.loads((run / f"{side}.json").read_text()))


def machine() -> str:
    """The machine in words, for the head of the table."""
    import mlx.core as mx

    name = dict(mx.device_info()).get("device_name") or platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, {platform.system()}, MLX {version('mlx')}"


def show(row: Row) -> str:
    """One line of the table, in Markdown."""
    return (
        f"| {row.case} | {row.speed:.2f} × | {row.speed_first_epoch:.2f} × | {row.memory:.2f} × "
        f"| {row.behind:+.1%} | {row.stock_tokens_per_second:,.0f} | {row.stock_peak_gb:.2f} |"
    )


HEAD = (
    "| case | real tokens/s | while compiling | peak memory | validation behind | stock tokens/s | stock GB |\n"
    "|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Runs the table, or one child of it."""
    if sys.argv[1:2] == ["--child"]:
        side, run = sys.argv[2], Path(sys.argv[3])
        if os.environ.get(CLOCK) == "processor":
            time.perf_counter = time.process_time  # the clock of both trainers
        measured = (run_ours if side == "ours" else run_stock)(run / "config.yaml")
        (run / f"{side}.json").write_text(json.dumps(asdict(measured)))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small models, few examples, one alternation")
    parser.add_argument("--repeats", type=int, help="alternations (5; with --quick 1)")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of each run; the first is not timed")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument(
        "--processor-time", action="store_true", help="seconds of the processor: for a CPU that others use as well"
    )
    parser.add_argument("--json", type=Path, help="also write the rows there")
    options = parser.parse_args()
    os.environ[CLOCK] = "processor" if options.processor_time else "wall"
    repeats = options.repeats or (1 if options.quick else 5)
    print(f"{machine()}; medians of {repeats}\n\n{HEAD}", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(options.quick):
            if options.only in case.name:
                rows.append(compare(case, Path(folder), repeats, options.quick, options.epochs))
                print(show(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
