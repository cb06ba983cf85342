"""The tiny model made ready to answer: no answer ends by itself, and adapters of every kind that change it."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_model

from tests.worker.tiny_model import SPECIAL, write_model

NO_JUDGES = (
    "{% for m in messages %}{% if m['role'] == 'judge' %}"
    "{{ raise_exception('no judges here') }}{% endif %}{% endfor %}"
)
END = SPECIAL.index("<|end|>")


def make_model(folder: Path, *, quantized: bool = False, template: bool = True, hidden_size: int = 64) -> Path:
    """A model whose template refuses judges, and which never takes the end for likely."""
    write_model(folder, layers=3, hidden_size=hidden_size, quantized=quantized, max_position_embeddings=512)
    file = folder / "chat_template.jinja"
    if template:
        file.write_text(NO_JUDGES + file.read_text())
    else:
        file.unlink()
    if not quantized:
        weights = mx.load(str(folder / "model.safetensors"))
        assert isinstance(weights, dict)
        weights["model.embed_tokens.weight"][END] = 0
        mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "mlx"})
    return folder


def make_adapter(model_folder: Path, folder: Path, kind: str = "lora", *, rank: int = 4, layers: int = 2) -> Path:
    """An adapter as mlx-lm saves it, with weights that change every answer; its dropout must not matter."""
    folder.mkdir(parents=True, exist_ok=True)
    model, _ = load_model(model_folder)
    model.freeze()
    mx.random.seed(rank)
    parameters = {"rank": rank, "scale": 10.0, "dropout": 0.5}
    if kind == "full":
        for layer in model.layers[-layers:]:
            layer.unfreeze()
    else:
        linear_to_lora_layers(model, layers, parameters, use_dora=kind == "dora")
    weights = {
        name: array + mx.random.normal(array.shape) * 0.05
        for name, array in tree_flatten(model.trainable_parameters())
    }
    mx.save_safetensors(str(folder / "adapters.safetensors"), weights)
    config = {
        "model": str(model_folder),
        "fine_tune_type": kind,
        "num_layers": layers,
        "lora_parameters": parameters,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder
