"""Adapters on a 16-bit base: what they are multiplied in is a choice, what is kept of them is float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm import load
from mlx_lm.tuner.utils import linear_to_lora_layers, load_adapters

from app.core.protocol.event import Event, TrainReported, Validated
from app.worker.model.loading import make_trainable
from app.worker.train.checkpoint import load_checkpoint
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import config_for, go_on, start

KEYS = ("self_attn.q_proj", "mlp.down_proj")


@pytest.fixture(scope="module", params=[mx.bfloat16, mx.float16])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("base"), layers=1, dtype=request.param)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), train=18, valid=5)


def with_moved_adapters(model: nn.Module) -> nn.Module:
    """As after some training: `lora_b` begins at zero, where every precision gives the same."""
    for name, module in model.named_modules():
        if "lora_b" in module:
            module.lora_b = 0.1 * mx.random.normal(module.lora_b.shape, key=mx.random.key(len(name)))
    return model.train()


@pytest.mark.parametrize("dtype", ["base", "float32"])
def test_in_float32_it_computes_what_stock_computes(dtype: str, base: Path) -> None:
    shape: dict[str, Any] = {"rank": 4, "scale": 4.0, "dropout": 0.0, "keys": KEYS}
    ours, _ = load(str(base))
    make_trainable(ours, config_for(base, base, adapter_dtype=dtype, lora_parameters=shape))
    stock, _ = load(str(base))
    stock.freeze()
    mx.random.seed(0)
    linear_to_lora_layers(stock, -1, shape | {"keys": list(KEYS)})
    tokens = mx.arange(4, 36)[None]
    found, wanted = (with_moved_adapters(model)(tokens) for model in (ours, stock))
    assert found.dtype == wanted.dtype != mx.float32
    assert mx.allclose(found, wanted, atol=0.2).item()
    assert mx.array_equal(found, wanted).item() == (dtype == "float32")


@pytest.mark.parametrize("dtype", ["base", "float32"])
def test_resumed_to_the_last_bit_and_opened_by_stock(dtype: str, base: Path, data: Path, tmp_path: Path) -> None:
    def answer(event: Event) -> str | None:
        return "park" if isinstance(event, TrainReported) and event.iteration == 5 else None

    config = config_for(base, data, adapter_dtype=dtype, steps_per_report=1, iters=9, final_adapter="last")
    undisturbed, whole = start(config, tmp_path / "undisturbed")
    run, first = start(config, tmp_path / "run", answer)
    state = load_checkpoint(run.state)
    assert state is not None
    moments = {name: array for name, array in state.arrays.items() if name.endswith((".m", ".v"))}
    assert moments
    assert {array.dtype for array in moments.values()} == {mx.float32}
    second = go_on(run, resume=True)
    assert first.losses + second.losses == whole.losses
    assert second.of(Validated)[-1].val_loss == whole.of(Validated)[-1].val_loss

    saved = mx.load(str(undisturbed.adapters / "adapters.safetensors"))
    assert isinstance(saved, dict)
    assert {array.dtype for array in saved.values()} == {mx.float32}
    model, _ = load(str(base))
    modules = dict(load_adapters(model, str(undisturbed.adapters)).named_modules())
    for name, array in saved.items():
        module, _, leaf = name.rpartition(".")
        assert mx.array_equal(modules[module][leaf], array).item()


def test_the_choice_reaches_the_training(base: Path, data: Path, tmp_path: Path) -> None:
    losses = {}
    for dtype in ("base", "float32"):
        run, said = start(config_for(base, data, adapter_dtype=dtype, learning_rate=1e-2), tmp_path / dtype)
        assert f"adapter_dtype: {dtype}" in run.config.read_text()
        losses[dtype] = said.losses
    assert losses["base"][0] == losses["float32"][0]
    assert losses["base"] != losses["float32"]
