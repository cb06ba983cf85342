"""The same batches in the same order give what stock mlx-lm gives: every loss, and the weights at the end."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import yaml
from mlx_lm import load
from mlx_lm.lora import CONFIG_DEFAULTS, train_model
from mlx_lm.tuner.callbacks import TrainingCallback
from mlx_lm.tuner.datasets import load_dataset
from mlx_lm.tuner.utils import load_adapters

from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import config_for, saved_arrays, start

LOSS_TOLERANCE = 2e-5
# Adam divides by the root of the second moment: where gradients are all but zero, rounding alone moves a weight.
WEIGHT_TOLERANCE = 2e-3


class Losses(TrainingCallback):
    """Collects what stock mlx-lm reports."""

    def __init__(self) -> None:
        self.train: list[float] = []
        self.valid: dict[int, float] = {}

    def on_train_loss_report(self, train_info: dict[str, Any]) -> None:
        self.train.append(train_info["train_loss"])

    def on_val_loss_report(self, val_info: dict[str, Any]) -> None:
        self.valid[val_info["iteration"]] = val_info["val_loss"]


def train_stock(config_file: Path, adapter_path: Path) -> Losses:
    """What ``mlx_lm.lora -c config_file`` does, with a report of every iteration."""
    tree = CONFIG_DEFAULTS | yaml.safe_load(config_file.read_text())
    tree |= {"adapter_path": str(adapter_path), "steps_per_report": 1}
    args = SimpleNamespace(**tree)
    np.random.seed(args.seed)
    model, tokenizer = load(args.model)
    train_set, valid_set, _ = load_dataset(args, tokenizer)
    losses = Losses()
    train_model(args, model, train_set, valid_set, losses)
    return losses


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "lora": ({}, {}),
    "lora, masked": ({}, {"mask_prompt": True}),
    "lora, untied": ({"tied": False, "model_type": "llama"}, {"mask_prompt": True}),
    "lora, quantized": ({"quantized": True}, {"batch_size": 2}),
    "lora, top layer, dropout": ({}, {"num_layers": 1, "lora_parameters": {"rank": 2, "dropout": 0.2}}),
    "lora, attention, adamw, cosine, warm-up": (
        {}, {"targets": "attention", "optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "warmup": 3},
    ),
    "lora, cut": ({}, {"max_seq_length": 24}),
    "dora": ({}, {"fine_tune_type": "dora"}),
    "dora, quantized, masked": ({"quantized": True}, {"fine_tune_type": "dora", "mask_prompt": True}),
    "full": ({}, {"fine_tune_type": "full"}),
    "full, untied, top layer": ({"tied": False}, {"fine_tune_type": "full", "num_layers": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_same_losses_and_weights(name: str, tmp_path: Path) -> None:
    model_options, values = CASES[name]
    model = write_model(tmp_path / "model", **model_options)
    data = write_data(tmp_path / "data", train=18)
    config = config_for(
        model, data, batching="file_order", val_batches=-1, early_stopping={"enabled": False},
        final_adapter="last", **values,
    )  # fmt: skip
    run, ours = start(config, tmp_path / "run", stock_padding=True)
    stock = train_stock(run.config, tmp_path / "stock")
    assert len(ours.losses) == config.iters
    np.testing.assert_allclose(ours.losses, stock.train, rtol=LOSS_TOLERANCE)
    mine = saved_arrays(run.adapters / "adapters.safetensors")
    theirs = saved_arrays(tmp_path / "stock" / "adapters.safetensors")
    assert mine.keys() == theirs.keys()
    for key in theirs:
        np.testing.assert_allclose(mine[key], theirs[key], atol=WEIGHT_TOLERANCE * float(mx.abs(theirs[key]).max()))


def test_half_precision_stays_close(tmp_path: Path) -> None:
    """A bfloat16 base: our adapters multiply in its precision, our loss adds in float32; stock does neither."""
    model = write_model(tmp_path / "model", dtype=mx.bfloat16)
    config = config_for(
        model, write_data(tmp_path / "data", train=16), batching="file_order", early_stopping={"enabled": False}
    )
    run, ours = start(config, tmp_path / "run", stock_padding=True)
    stock = train_stock(run.config, tmp_path / "stock")
    np.testing.assert_allclose(ours.losses, stock.train, rtol=5e-3)
    adapter = saved_arrays(run.adapters / "adapters.safetensors")
    assert {array.dtype for array in adapter.values()} == {mx.float32}


def test_stock_loads_the_adapter(tmp_path: Path) -> None:
    """The adapter's folder is mlx-lm's: also ``best/``, and with the config that says how to build it."""
    model = write_model(tmp_path / "model")
    run, _ = start(config_for(model, write_data(tmp_path / "data"), num_layers=1), tmp_path / "run")
    for folder in (run.adapters, run.best):
        base, _ = load(str(model))
        adapted = load_adapters(base, str(folder))
        saved = mx.load(str(folder / "adapters.safetensors"))
        assert len(saved) == 14
        names = [name for name, module in adapted.named_modules() if "lora_a" in module]
        assert names
        assert all(name.startswith("model.layers.1.") for name in names)
