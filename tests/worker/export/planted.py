"""Faults planted into exports, each as one that is met in the wild, for the certificate to find."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np
import numpy.typing as npt
from gguf import GGUFReader, GGUFWriter, Keys

from tests.worker.training import saved_arrays

Arrays = dict[str, npt.NDArray[np.float32]]
WEIGHTS, PEFT = "model.safetensors", "adapter_model.safetensors"
LAYER = "model.layers.1."


def other_template(folder: Path, _base: Path) -> None:
    """A space more before the answer, as templates of other versions have it."""
    file = folder / "chat_template.jinja"
    file.write_text(file.read_text().replace("<|assistant|>{%", "<|assistant|> {%"))


def lost_end_of_turn(folder: Path, _base: Path) -> None:
    """The template no longer ends a turn."""
    file = folder / "chat_template.jinja"
    file.write_text(file.read_text().replace("<|end|>", ""))


def missing_end_token(folder: Path, _base: Path) -> None:
    """The model is not told where to stop."""
    for name in ("config.json", "generation_config.json"):
        if (folder / name).is_file():
            tree = json.loads((folder / name).read_text())
            (folder / name).write_text(json.dumps(tree | {"eos_token_id": 7}))
    file = folder / "tokenizer_config.json"
    file.write_text(file.read_text().replace("<|end|>", "<|user|>"))


def dropped_matrix(folder: Path, base: Path) -> None:
    """One matrix is the base's: its adapter was left out."""
    if (folder / PEFT).is_file():
        _change(
            folder / PEFT, lambda arrays: {n: a for n, a in arrays.items() if f"{LAYER}self_attn.v_proj" not in n}
        )
        return
    name = f"{LAYER}self_attn.v_proj.weight"
    own = saved_arrays(base / WEIGHTS)[name]
    _change(folder / WEIGHTS, lambda arrays: arrays | {name: own})


def wrong_alpha(folder: Path, base: Path) -> None:
    """Half the factor; in a fused model half of what the adapter adds."""
    if (folder / PEFT).is_file():
        file = folder / "adapter_config.json"
        tree = json.loads(file.read_text())
        file.write_text(json.dumps(tree | {"lora_alpha": tree["lora_alpha"] // 2}))
        return
    own = saved_arrays(base / WEIGHTS)
    _change(folder / WEIGHTS, lambda arrays: {name: (array + own[name]) / 2 for name, array in arrays.items()})


def swapped_rotation(folder: Path, _base: Path) -> None:
    """Queries and keys in the other order of their halves, as converters that turn them by mistake leave them."""
    heads = {"q_proj": 4, "k_proj": 2}

    def turned(arrays: dict[str, mx.array]) -> dict[str, mx.array]:
        found = dict(arrays)
        for name, array in arrays.items():
            for matrix, count in heads.items():
                if f"self_attn.{matrix}." in name and not name.endswith("lora_A.weight"):
                    split = array.reshape(count, 2, -1, *array.shape[1:])
                    found[name] = mx.contiguous(split.swapaxes(1, 2).reshape(array.shape))
        return found

    _change(folder / (PEFT if (folder / PEFT).is_file() else WEIGHTS), turned)


def dropped_from_gguf(folder: Path, _base: Path) -> None:
    """One matrix was left out of the adapter's file."""
    _change_gguf(
        folder, lambda alpha, arrays: (alpha, {n: a for n, a in arrays.items() if "blk.1.attn_v" not in n})
    )


def wrong_gguf_alpha(folder: Path, _base: Path) -> None:
    """Half the factor."""
    _change_gguf(folder, lambda alpha, arrays: (alpha / 2, arrays))


def swapped_gguf_rotation(folder: Path, _base: Path) -> None:
    """Queries and keys in the other order of their halves."""
    heads = {"attn_q.": 4, "attn_k.": 2}

    def turned(alpha: float, arrays: Arrays) -> tuple[float, Arrays]:
        found = dict(arrays)
        for name, array in arrays.items():
            for matrix, count in heads.items():
                if matrix in name and name.endswith("lora_b"):
                    found[name] = array.reshape(count, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        return alpha, found

    _change_gguf(folder, turned)


Fault = Callable[[Path, Path], None]
# Each with the finding that tells it.
IN_MODELS: dict[str, tuple[Fault, str]] = {
    "other template": (other_template, "prompts"),
    "lost end of turn": (lost_end_of_turn, "end of turn"),
    "missing end token": (missing_end_token, "end tokens"),
    "dropped matrix": (dropped_matrix, "loss"),
    "wrong alpha": (wrong_alpha, "loss"),
    "swapped q/k order": (swapped_rotation, "loss"),
}
IN_ADAPTERS: dict[str, tuple[Fault, str]] = {
    name: IN_MODELS[name] for name in ("dropped matrix", "wrong alpha", "swapped q/k order")
}
IN_GGUF_ADAPTERS: dict[str, tuple[Fault, str]] = {
    "dropped matrix": (dropped_from_gguf, "loss"),
    "wrong alpha": (wrong_gguf_alpha, "loss"),
    "swapped q/k order": (swapped_gguf_rotation, "loss"),
}


def _change_gguf(folder: Path, change: Callable[[float, Arrays], tuple[float, Arrays]]) -> None:
    (file,) = folder.glob("*.gguf")
    reader = GGUFReader(file)
    name = str(reader.fields[Keys.General.ARCHITECTURE].contents())
    found = {tensor.name: np.array(tensor.data) for tensor in reader.tensors}
    alpha, arrays = change(float(reader.fields[Keys.Adapter.LORA_ALPHA].contents()), found)
    del reader
    file.unlink()
    writer = GGUFWriter(None, name)
    writer.add_type("adapter")
    writer.add_string(Keys.Adapter.TYPE, "lora")
    writer.add_float32(Keys.Adapter.LORA_ALPHA, alpha)
    for one, array in arrays.items():
        writer.add_tensor(one, np.ascontiguousarray(array))
    writer.write_header_to_file(file)
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _change(file: Path, change: Callable[[dict[str, mx.array]], dict[str, mx.array]]) -> None:
    arrays = change(saved_arrays(file))
    mx.eval(arrays)
    mx.save_safetensors(str(file), arrays, {"format": "pt"})
