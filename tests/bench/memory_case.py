"""Random runs for the memory estimate: a model, data and settings drawn from a seed.

The settings are drawn over what people choose (architecture, sizes, vocabulary, precision, rank, targets, batch,
lengths, …), the sizes so that a run takes seconds.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS
from app.core.system.reward_trust import trust
from tests.worker.architectures import EXTRAS, SIZES
from tests.worker.tiny_model import write_model

ARCHITECTURES = (
    "llama", "llama", "qwen2", "qwen3", "gemma", "gemma2", "phi3", "gpt2", "olmo2", "granite", "starcoder2",
    "stablelm", "cohere", "smollm3", "mixtral", "qwen3_moe",
)  # fmt: skip
MIXTURES = ("mixtral", "qwen3_moe")  # experts run in float32 only on a CPU
BATCHINGS = ("bucket", "bucket", "bucket", "pack", "file_order")
UNPACKABLE = ("gpt2", "granite")  # examples in a row would see each other there, or their positions
REWARD = """from app.core.method.reward import register_reward_function


@register_reward_function("letters")
def letters(prompts, completions, answer, types=None):
    return [float(len(set(text))) for text in completions]
"""
METHOD_NAMES = ("sft",) * 6 + ("dpo", "orpo", "kto", "grpo", "online_dpo")
PRECISIONS = {"float32": mx.float32, "bfloat16": mx.bfloat16, "float16": mx.float16}
BATCHES = 6  # an epoch, so that the heaviest one is among them
NAMED = {"vocab_size", "tie_word_embeddings", "num_hidden_layers"}  # what `write_model` calls otherwise


@dataclass(frozen=True, slots=True)
class MemoryCase:
    """One random run: what its model is made of, the lengths of its rows in letters, and the config's values."""

    model_type: str
    model: dict[str, Any]
    precision: str
    quantized: bool
    lengths: tuple[int, ...]
    values: dict[str, Any]

    @property
    def label(self) -> str:
        """In a line of a table."""
        values = self.values
        flags = [
            f"{self.model['num_hidden_layers']}×{self.model['hidden_size']}",
            f"V{self.model['vocab_size']}",
            "4bit" if self.quantized else self.precision,
            values["method"],
            values["fine_tune_type"],
            f"r{values['lora_parameters.rank']}",
            str(values["targets"]),
            f"b{values['batch_size']}×{values['grad_accumulation_steps']}",
            values["batching"],
            f"≤{max(self.lengths)}",
            values["optimizer"],
            *([f"checkpointed {values['checkpoint_layers'] or ''}".strip()] if values["grad_checkpoint"] else []),
        ]
        return f"{self.model_type} " + " ".join(flags)


def draw(source: random.Random) -> MemoryCase:
    """The next case of a seed."""
    model_type = source.choice(ARCHITECTURES)
    is_mixture = model_type in MIXTURES
    precision = (
        "float32" if is_mixture else source.choice(("float32", "float32", "bfloat16", "bfloat16", "float16"))
    )
    quantized = not is_mixture and source.random() < 0.3
    is_slow = quantized or precision != "float32"  # on a CPU, where no library multiplies them
    heads = source.choice((2, 4, 8))
    hidden = heads * 32 if is_slow else heads * source.choice((16, 32, 32, 48))
    hidden = min(hidden, 128) if is_slow else hidden
    layers = source.randint(2, 8)
    inner = 32 * max(1, round(hidden * source.uniform(1.5, 4) / 32))
    vocabulary = source.choice((512, 2048, 8192) if is_slow else (512, 2048, 8192, 32_000, 32_000, 152_064))
    kv_heads = source.choice([n for n in (1, 2, heads) if n <= heads])
    sizes = {
        "hidden_size": hidden, "num_hidden_layers": layers, "intermediate_size": inner, "vocab_size": vocabulary,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": hidden // heads,
        "n_embd": hidden, "n_layer": layers, "n_head": heads, "n_inner": inner, "n_positions": 2048, "n_ctx": 2048,
        "moe_intermediate_size": 32 * max(1, inner // 64), "tie_word_embeddings": source.random() < 0.5,
        "max_position_embeddings": 2048,
    }  # fmt: skip
    method = source.choice(METHOD_NAMES)
    kind = source.choice(("lora", "lora", "lora", "dora", "full"))
    if quantized and kind == "full":
        kind = "lora"
    batch = source.choice((1, 2, 4, 8)) if method == "sft" else source.choice((1, 2, 4))
    longest = source.choice((64, 128, 192) if is_slow else (64, 128, 256, 512))
    limit = source.choice((longest + 1, 1024))
    rows = (BATCHES // 2 if is_slow else BATCHES) * max(batch, 2)
    shape = source.choice(("equal", "uniform", "long tail"))
    values: dict[str, Any] = {
        "method": method, "fine_tune_type": kind, "batch_size": batch,
        "grad_accumulation_steps": source.choice((1, 1, 3)), "max_seq_length": limit,
        "grad_checkpoint": source.random() < 0.3, "optimizer": source.choice(
            ("adam", "adamw", "adamw", "adafactor", "sgd", "lion", "muon")),
        "batching": source.choice(BATCHINGS) if method == "sft" else "bucket",
        "lora_parameters.rank": source.choice((4, 8, 16, 32, 64)),
        "targets": source.choice(("full", "full", "attention", "mlp", "minimal")),
        "num_layers": source.choice((-1, -1, max(1, layers // 2))), "mask_prompt": source.random() < 0.5,
        "adapter_dtype": source.choice(("base", "base", "float32")), "seed": source.randint(0, 999),
    }  # fmt: skip
    # Apart from the source, so that what a seed draws beside it stays.
    values["checkpoint_layers"] = random.Random(values["seed"]).choice((0, 1, layers // 2))
    if values["batching"] == "pack" and model_type in UNPACKABLE:
        values["batching"] = "bucket"
    if METHODS[method].is_sampled:
        longest = min(longest, 128)
        answers = source.choice((16, 32) if is_slow else (16, 48, 96))
        values |= {"group_size": source.choice((2, 4, 8)), "max_completion_length": answers}
        values |= {"max_seq_length": 512, "batch_size": min(batch, 2)}
        rows = 6
    return MemoryCase(model_type, sizes, precision, quantized, _lengths(source, shape, rows, longest), values)


def _lengths(source: random.Random, shape: str, rows: int, longest: int) -> tuple[int, ...]:
    if shape == "equal":
        return (longest,) * rows
    if shape == "uniform":
        return (longest, *(source.randint(8, longest) for _ in range(rows - 1)))
    drawn = (round(source.lognormvariate(0, 0.8) * longest / 5) for _ in range(rows - 1))
    return (longest, *(min(max(number, 8), longest) for number in drawn))


def write_case(case: MemoryCase, folder: Path) -> TrainConfig:
    """Writes model and data; the config trains one epoch of them."""
    extras = {name: value for name, value in EXTRAS[case.model_type].items() if name != "text"}
    sizes = SIZES | {"layer_types": None} | extras | case.model
    model = write_model(
        folder / "model", case.model_type, tied=case.model["tie_word_embeddings"], quantized=case.quantized,
        vocabulary=case.model["vocab_size"], dtype=PRECISIONS[case.precision],
        layers=case.model["num_hidden_layers"],
        **{name: value for name, value in sizes.items() if value is not None and name not in NAMED},
    )  # fmt: skip
    values = dict(case.values)
    method = METHODS[values.pop("method")]
    config = TrainConfig().with_values(dict(method.settings)).with_values(values)
    return config.with_values(_surroundings(folder, model, method.data, case))


def _surroundings(folder: Path, model: Path, data: str, case: MemoryCase) -> dict[str, Any]:
    rows = [_row(data, number, length) for number, length in enumerate(case.lengths)]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    each = max(1, min(case.values["batch_size"], len(rows)))
    values: dict[str, Any] = {
        "model": str(model), "data": str(folder / "data.jsonl"), "iters": -(-len(rows) // each), "epochs": None,
        "valid_fraction": 0.0, "test_fraction": 0.0, "steps_per_report": 1, "learning_rate": 1e-5,
        "val_batches": 0, "final_adapter": "last",
    }  # fmt: skip
    if data == "prompts":
        (folder / "reward.py").write_text(REWARD, encoding="utf-8")
        trust(folder / "reward.py")
        values |= {"reward_functions": ["letters"], "reward_functions_file": str(folder / "reward.py")}
        values |= {"iters": 3, "temperature": 1.5}
    return values


def _row(data: str, number: int, length: int) -> dict[str, Any]:
    def text(count: int) -> str:
        return "".join(chr(97 + (at * 7 + number) % 26) for at in range(max(count, 1)))

    asked = f"{number:03d}{text(length // 4)}"
    if data == "examples":
        return {"prompt": asked, "completion": text(length - length // 4 - 8)}
    if data == "pairs":
        return {"prompt": asked, "chosen": text(length // 2), "rejected": f"no {text(length - length // 4 - 11)}"}
    return {"prompt": f"{number:03d}{text(length - 8)}", "answer": "a"}


def cases(seed: int, count: int) -> Sequence[MemoryCase]:
    """The first cases of a seed."""
    source = random.Random(seed)
    return [draw(source) for _ in range(count)]
