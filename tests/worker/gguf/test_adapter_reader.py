"""An adapter's file, read again, makes of the base what the tuned model is; what is wrong with it is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_model

from app.core.problem import UnusableError
from app.worker.gguf.adapter import write_gguf_adapter
from app.worker.gguf.adapter_reader import put_gguf_adapter
from tests.worker.gguf.tiny_gguf import MODELS, write_tiny

TOKENS = mx.array([[5, 9, 20, 33, 30, 7]])


def base(folder: Path, *, quantized: bool = False) -> tuple[nn.Module, dict[str, Any]]:
    """The model in ``folder``, and its config."""
    model, config = load_model(folder)
    if quantized:
        nn.quantize(model, 32, 4)
    return model, config


def adapt(model: nn.Module) -> dict[str, Any]:
    """Random adapters on every layer, by their paths."""
    model.freeze()
    mx.random.seed(3)
    linear_to_lora_layers(model, 3, {"rank": 4, "scale": 3.0, "dropout": 0.5})
    trained = tree_flatten(model.trainable_parameters())
    model.load_weights([(name, mx.random.normal(array.shape) * 0.1) for name, array in trained], strict=False)
    model.eval()
    return {path: part for path, part in model.named_modules() if "lora_b" in part}


@pytest.mark.parametrize(
    "name, quantized", [*((name, False) for name in MODELS), ("llama", True), ("qwen3_moe", True)]
)
def test_the_file_makes_of_the_base_what_the_tuned_model_is(tmp_path: Path, name: str, quantized: bool) -> None:
    folder = write_tiny(tmp_path / name, name)
    tuned, config = base(folder, quantized=quantized)
    parts = adapt(tuned)
    next(iter(parts.values())).scale *= 1.5  # the file has one alpha for all
    file = tmp_path / "adapter.gguf"
    write_gguf_adapter(file, tuned, config, parts, "adapter")
    again, _ = base(folder, quantized=quantized)
    before = again(TOKENS)
    assert sorted(put_gguf_adapter(file, again, config)) == sorted(parts)
    file.unlink()
    wanted = tuned(TOKENS)
    assert not mx.allclose(before, wanted, atol=0.1).item()
    assert mx.allclose(again(TOKENS), wanted, atol=1e-3, rtol=1e-3).item()


def test_matrices_of_no_module_are_told(tmp_path: Path) -> None:
    tuned, config = base(write_tiny(tmp_path / "whole", "llama"))
    file = tmp_path / "adapter.gguf"
    write_gguf_adapter(file, tuned, config, adapt(tuned), "adapter")
    smaller, _ = base(write_tiny(tmp_path / "smaller", "llama", num_hidden_layers=2))
    with pytest.raises(UnusableError, match=r"matrices for no module of the base: blk\.2\."):
        put_gguf_adapter(file, smaller, config)
