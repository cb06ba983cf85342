"""A base that has learned something, and a run on it whose change is small: what few bits can erase.

The base knows by heart what each of some words stands for, and says it in one of two ways, at random. The run
teaches it to say it in one of them: little has to move for that, and nothing of what it knows.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
from mlx_lm.utils import load_model, quantize_model

from app.core.run.folder import RunDir
from app.worker.array import scalar
from app.worker.export.fusing import float_weight, parameters
from app.worker.export.tuned_model import TunedModel
from app.worker.gguf.matrix import adapter_delta
from tests.worker.export.exporting import run_export
from tests.worker.tiny_model import write_model
from tests.worker.training import config_for, start

WORDS = 32
LETTERS = "abcdefghijklmnop"
WAYS = ("it is {}", "{}, I think")


@dataclass(frozen=True, slots=True)
class SmallDelta:
    """A base model's folder, and a run on it."""

    base: Path
    run: RunDir


def write_rows(folder: Path, ways: tuple[str, ...], train: int, valid: int, seed: int) -> Path:
    """``train.jsonl`` and ``valid.jsonl`` with questions in any order, answered in one of ``ways``."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn, source = random.Random(0), random.Random(seed)
    known = [("".join(drawn.choices(LETTERS, k=4)), "".join(drawn.choices(LETTERS, k=6))) for _ in range(WORDS)]
    for name, count in (("train", train), ("valid", valid)):
        rows = []
        for _ in range(count):
            word, meaning = source.choice(known)
            answer = source.choice(ways).format(meaning)
            rows.append({"messages": [{"role": "user", "content": word}, {"role": "assistant", "content": answer}]})
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def write_base(folder: Path, *, hidden_size: int = 64, layers: int = 2, iterations: int = 300) -> Path:
    """The base, in 16-bit floats, trained from nothing."""
    model = write_model(folder / "empty", hidden_size=hidden_size, layers=layers)
    config = config_for(
        model, write_rows(folder / "rows", WAYS, 512, 16, seed=1), fine_tune_type="full", num_layers=-1,
        iters=iterations, batch_size=16, learning_rate=3e-3, mask_prompt=True, steps_per_report=50,
        steps_per_eval=1000, save_every=1000,
    )  # fmt: skip
    run = start(config, folder / "learning")[0].path
    fused = run_export(folder, run, "fused", out=folder / "floats", prompts=0, checkpoint="last")[0]
    tree = json.loads((fused / "config.json").read_text())
    net, _ = load_model(fused)
    net.set_dtype(mx.bfloat16)
    mx.save_safetensors(str(fused / "model.safetensors"), parameters(net), {"format": "mlx"})
    assert "quantization" not in tree
    return fused


def packed_base(base: Path, folder: Path, bits: int = 4, group_size: int = 64) -> Path:
    """The same base in few bits."""
    write_model(folder)  # its tokenizer's files
    net, config = load_model(base)
    net, config = quantize_model(net, config, group_size, bits)
    mx.save_safetensors(str(folder / "model.safetensors"), parameters(net), {"format": "mlx"})
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def tuned_run(folder: Path, base: Path, *, iterations: int = 40, rate: float = 5e-4, valid: int = 96) -> SmallDelta:
    """A run that teaches ``base`` one of its two ways."""
    config = config_for(
        base, write_rows(folder / "one_way", WAYS[1:], 256, valid, seed=2), num_layers=-1, iters=iterations,
        batch_size=8, learning_rate=rate, mask_prompt=True, steps_per_report=20, steps_per_eval=1000,
        save_every=1000, lora_parameters={"rank": 4, "scale": 2.0, "dropout": 0.0},
    )  # fmt: skip
    return SmallDelta(base, start(config, folder / "run")[0])


def delta_share(tuned: TunedModel) -> float:
    """How large the largest change of a matrix is, as a share of the matrix (Frobenius norms)."""
    shares = []
    for part in tuned.adapter.parts.values():
        delta = adapter_delta(part)
        assert delta is not None
        weight = float_weight(part.linear).astype(mx.float32)
        shares.append(scalar(mx.linalg.norm(delta)) / scalar(mx.linalg.norm(weight)))
    return max(shares)
