"""Config files as others write them for mlx-lm: stock and Luthier train the same parameters from the same file.

The texts are our own; their keys and values are those of mlx-lm's example and of files that lie in public
repositories. The weights are compared with the batches of mlx-lm's own order (`file_order`), padding included.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import mlx.core as mx
import numpy as np
import pytest
import yaml
from mlx_lm import load
from mlx_lm.lora import CONFIG_DEFAULTS, train_model, yaml_loader
from mlx_lm.models import qwen2
from mlx_lm.tuner.datasets import load_dataset

from app.core.setup.config_file import load_config
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import saved_arrays, start

# Where Luthier's gradients are others on purpose; what is trained is the same there too.
OTHER_GRADIENTS = {
    "attention alone, dropout, the end of the network":
        "mlx-lm's checkpointing leaves out other inputs in the backward pass than in the forward pass",
    "accumulated gradients": "Luthier's batches of an accumulation weigh what they hold, mlx-lm's all the same",
}  # fmt: skip
DEEP = 18  # more layers than the 16 that mlx-lm trains where a file does not say
# Adam divides by the root of the second moment: where gradients are all but zero, rounding alone moves a weight.
WEIGHT_TOLERANCE = 5e-3
MATRICES = "self_attn.q_proj, self_attn.k_proj, self_attn.v_proj, self_attn.o_proj"

FILES = {
    "mlx-lm's example": """
        train: true
        fine_tune_type: lora
        optimizer: adamw
        optimizer_config:
          adamw: {betas: [0.9, 0.98], eps: 1e-6, weight_decay: 0.05, bias_correction: true}
        seed: 0
        num_layers: 16
        batch_size: 4
        iters: 1000
        val_batches: 25
        learning_rate: 1e-5
        steps_per_report: 10
        steps_per_eval: 200
        resume_adapter_file: null
        adapter_path: adapters
        save_every: 100
        test: false
        test_batches: 100
        max_seq_length: 2048
        grad_checkpoint: false
        lora_parameters: {keys: [self_attn.q_proj, self_attn.v_proj], rank: 8, scale: 20.0, dropout: 0.0}
        lr_schedule: {name: cosine_decay, warmup: 100, warmup_init: 1e-7, arguments: [1e-5, 1000, 1e-7]}
    """,
    "the least there can be": "train: true",
    "attention alone, dropout, the end of the network": f"""
        train: true
        fine_tune_type: lora
        seed: 42
        num_layers: 16
        batch_size: 1
        iters: 600
        val_batches: 20
        learning_rate: 1.0e-5
        steps_per_eval: 50
        max_seq_length: 4096
        grad_checkpoint: true
        lora_parameters: {{keys: [{MATRICES}], rank: 16, scale: 2.0, dropout: 0.05}}
    """,
    "all seven matrices, all layers, a key that nobody knows": f"""
        train: true
        batch_size: 1
        grad_accumulation: 2
        learning_rate: 1e-5
        num_layers: -1
        seed: 42
        lora_parameters:
          rank: 64
          scale: 2.0
          dropout: 0.15
          keys: [{MATRICES}, mlp.gate_proj, mlp.up_proj, mlp.down_proj]
    """,
    "alpha beside the scale": """
        fine_tune_type: "lora"
        train: true
        mask_prompt: true
        grad_checkpoint: true
        batch_size: 4
        learning_rate: 0.0002
        max_seq_length: 512
        num_layers: -1
        lora_parameters: {rank: 16, alpha: 32.0, dropout: 0.0, scale: 2.0}
    """,
    "accumulated gradients": """
        train: true
        optimizer: adamw
        num_layers: -1
        lora_parameters: {rank: 16, scale: 2.0, dropout: 0.05}
        batch_size: 1
        grad_accumulation_steps: 2
        max_seq_length: 8192
        learning_rate: 1.0e-4
        seed: 42
    """,
    "a quantized model, as an authoring script writes it": """
        fine_tune_type: lora
        train: true
        optimizer: adam
        optimizer_config: {adam: {}}
        seed: 42
        num_layers: 2
        batch_size: 1
        val_batches: -1
        learning_rate: 0.00001
        grad_accumulation_steps: 1
        max_seq_length: 2112
        clear_cache_threshold: 8000000000
        mask_prompt: true
        lora_parameters: {keys: null, rank: 8, dropout: 0.05, scale: 20.0}
    """,
    "an optimizer's name in capitals": "train: true\noptimizer: AdamW\nnum_layers: 1",
    "the blocks' whole weights": "train: true\nfine_tune_type: full\nnum_layers: 1\nlearning_rate: 1e-6",
    "DoRA with another optimizer": """
        train: true
        fine_tune_type: dora
        optimizer: sgd
        optimizer_config: {sgd: {momentum: 9e-1}}
        num_layers: 3
        learning_rate: 1e-3
        lora_parameters: {keys: [mlp.down_proj, self_attn.q_proj], rank: 4, scale: 10.0, dropout: 0.0}
    """,
    "one matrix by its whole path": """
        train: true
        num_layers: 2
        lora_parameters: {keys: [model.layers.0.self_attn.q_proj, mlp.up_proj], rank: 4, scale: 10.0, dropout: 0.0}
    """,
    "the output head too": """
        train: true
        num_layers: 2
        lora_parameters: {keys: [lm_head, self_attn.q_proj], rank: 4, scale: 10.0, dropout: 0.0}
    """,
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, bool], Path]:
    """A model with so many layers, packed or not, made once; with weights of its own for the output."""
    folder = tmp_path_factory.mktemp("models")

    @cache
    def made(layers: int, packed: bool) -> Path:
        return write_model(folder / f"{layers} {packed}", layers=layers, quantized=packed, tied=False)

    return made


def write_file(folder: Path, text: str, model: Path) -> Path:
    """The file, beside data for two batches of it."""
    write_data(folder / "data", train=8, valid=4, longest=20)
    lines = [line.removeprefix("        ") for line in text.splitlines()]
    file = folder / "theirs.yaml"
    file.write_text("\n".join([f"model: {model}", f"data: {folder / 'data'}", *lines, ""]))
    return file


def train_stock(file: Path, adapter_path: Path, iterations: int) -> dict[str, mx.array]:
    """What ``mlx_lm.lora -c file --iters iterations`` trains, by name."""
    tree = yaml.load(file.read_text(), yaml_loader)  # mlx-lm's own, a SafeLoader
    tree |= {"iters": iterations, "adapter_path": str(adapter_path)}
    tree |= {key: value for key, value in CONFIG_DEFAULTS.items() if tree.get(key) is None}
    args = SimpleNamespace(**tree)
    np.random.seed(args.seed)
    model, tokenizer = load(args.model)
    train_set, valid_set, _ = load_dataset(args, tokenizer)
    train_model(args, model, train_set, valid_set)
    return saved_arrays(adapter_path / "adapters.safetensors")


@pytest.mark.parametrize("name", FILES)
def test_the_same_parameters_are_trained(
    name: str, models: Callable[[int, bool], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Checkpointing patches the layers' class.
    monkeypatch.setattr(qwen2.TransformerBlock, "__call__", qwen2.TransformerBlock.__call__)
    text = FILES[name]
    layers = yaml.safe_load(text).get("num_layers", 16)
    model = models(DEEP if layers == 16 else 4, "quantized" in name)
    file = write_file(tmp_path, text, model)
    config = load_config(file).config
    iterations = 2 * config.grad_accumulation_steps
    # What is forgotten is measured beside the training, on answers that take longer to sample than all else here.
    config = config.with_values({"iters": iterations, "batching": "file_order", "neutral_tokens": 0})
    run, _ = start(config, tmp_path / "run", stock_padding=True)
    mine = saved_arrays(run.adapters / "adapters.safetensors")
    theirs = train_stock(file, tmp_path / "stock", iterations)
    assert {key: array.shape for key, array in mine.items()} == {key: array.shape for key, array in theirs.items()}
    if name in OTHER_GRADIENTS:
        return
    for key in theirs:
        np.testing.assert_allclose(
            mine[key], theirs[key], atol=WEIGHT_TOLERANCE * float(mx.abs(theirs[key]).max()), err_msg=key
        )
