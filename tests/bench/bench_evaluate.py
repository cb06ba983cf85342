"""Each example's held-out loss against one validation of a run over the same examples, on the starter model.

``python tests/bench/bench_evaluate.py [--vocabulary N]`` alternates three ways over the starter's training chats,
of which the answers count: the examples' losses (what evaluate and Compare do), a validation in batches of 8, and
the whole logits of every batch, as it was done before. It prints medians of processor time, MLX's peak memory above
the model, and how far the mean losses lie apart. With a vocabulary, a random model of that size is read instead.
The exit code is 1 where the examples' losses take more than 1.1 × a validation's time, or more than half of the
memory of whole logits. (They read more positions together than a batch of 8 short examples has.)
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.system import starter
from app.worker.batch.examples import Examples
from app.worker.model.head import find_head
from app.worker.model.loading import load_model
from app.worker.objective.example_loss import example_losses
from app.worker.objective.supervised import supervised
from app.worker.objective.validation import ValidationSet, measure
from app.worker.token.token_set import TokenSet
from app.worker.token.tokenize import tokenize_rows
from tests.worker.tiny_model import write_model

ALTERNATIONS, ROWS, LONGEST = 5, 400, 1024
LARGE_ALTERNATIONS, LARGE_ROWS = 3, 40  # with a vocabulary: every row costs as much as a hundred here
SLOWEST, LARGEST = 1.1, 0.5


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--vocabulary", type=int, default=0)
    vocabulary = parser.parse_args().vocabulary
    model, tokenizer = load_model(starter.model_dir())
    config = TrainConfig().with_values({"mask_prompt": True, "data_format": "chat"})
    rows = tokenize_rows(starter.examples_dir() / "train.jsonl", tokenizer, config).token_set
    chosen = TokenSet.from_examples([rows[number] for number in range(LARGE_ROWS if vocabulary else ROWS)])
    if vocabulary:
        with tempfile.TemporaryDirectory() as folder:
            size: dict[str, Any] = {"vocabulary": vocabulary, "hidden_size": 256, "layers": 4}
            model, _ = load_model(write_model(Path(folder), **size))
            mx.eval(model.parameters())
    model.freeze()
    objective = supervised(find_head(model))
    validation = ValidationSet(Examples.of(chosen, LONGEST), 8, -1)

    def examples() -> float:
        sums, counts = example_losses(model, chosen, LONGEST, lambda *_: None)
        return float(sums.sum() / counts.sum())

    def validated() -> float:
        found = measure(model, objective, validation)
        model.eval()
        return found or 0.0

    ways: dict[str, Callable[[], float]] = {
        "examples": examples, "validation": validated, "whole logits": lambda: _whole(model, chosen),
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in ways}
    peaks: dict[str, float] = {}
    losses: dict[str, float] = {}
    for number in range((LARGE_ALTERNATIONS if vocabulary else ALTERNATIONS) + 1):
        for name, way in ways.items():
            mx.clear_cache()
            held = mx.get_active_memory()
            mx.reset_peak_memory()
            began = time.process_time()
            losses[name] = way()
            if number:
                times[name].append(time.process_time() - began)
            peaks[name] = (mx.get_peak_memory() - held) / 1e6
    middle = {name: statistics.median(found) for name, found in times.items()}
    for name in ways:
        print(f"{name}: {middle[name]:.3f} s, {peaks[name]:.0f} MB, loss {losses[name]:.6f}")
    slower, larger = middle["examples"] / middle["validation"], peaks["examples"] / peaks["whole logits"]
    apart = abs(losses["examples"] - losses["validation"])
    print(f"examples: {slower:.2f} × a validation's time, {larger:.2f} × whole logits' memory, {apart:.1e} apart")
    return int(slower > SLOWEST or larger > LARGEST or apart > 1e-5)


def _whole(model: nn.Module, given: TokenSet) -> float:
    """Every position through the head, 32 examples together at most."""
    total, count = 0.0, 0
    order = np.argsort(-given.lengths, kind="stable").tolist()
    for start in range(0, len(order), 32):
        parts = [given[number] for number in order[start : start + 32]]
        width = -(-max(len(part.tokens) for part in parts) // 32) * 32
        tokens, counted = np.zeros((len(parts), width + 1), np.int32), np.zeros((len(parts), width + 1), np.float32)
        for row, part in enumerate(parts):
            tokens[row, : len(part.tokens)] = part.tokens
            counted[row, 1 : len(part.tokens)] = part.trained[1:]
        logits = model(mx.array(tokens[:, :-1])).astype(mx.float32)
        each = nn.losses.cross_entropy(logits, mx.array(tokens[:, 1:])) * mx.array(counted[:, 1:])
        total, count = total + float(each.sum()), count + int(counted[:, 1:].sum())
    return total / count


if __name__ == "__main__":
    sys.exit(main())
