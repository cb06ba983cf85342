"""Bundles as they are written: tokens, labels, order, targets, hashes; refusals in words; all of it or nothing."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.tuner.utils import build_schedule

from app.core.bundle.manifest import read_manifest, seal_problems
from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.setup.config_file import load_config
from app.worker.bundle.schedule import schedule_of
from app.worker.train.optimizer import concrete_schedule
from tests.worker.answering_model import make_adapter
from tests.worker.bundle.bundling import bundled, lines_in, recipe_in, run_bundle
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import config_for, saved_arrays


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    write_model(folder / "model")
    write_model(folder / "packed", quantized=True, hidden_size=64)
    write_model(folder / "half", dtype=mx.bfloat16)
    write_data(folder / "data", train=10, valid=4, longest=12)
    return folder


def short(place: Path, **values: Any) -> TrainConfig:
    values = {"batch_size": 4, "iters": 5, "mask_prompt": True} | values
    return config_for(values.pop("model", place / "model"), values.pop("data", place / "data"), **values)


def tokens_of(text: str) -> list[int]:
    """The tiny tokenizer by hand: a token a byte behind the four special ones."""
    special = {"<|end|>": 1, "<|user|>": 2, "<|assistant|>": 3}
    letters = sorted(map(chr, [*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324)]))
    found: list[int] = []
    while text:
        mark = next((word for word in special if text.startswith(word)), "")
        found.append(special[mark] if mark else 4 + letters.index(text[0]))
        text = text[len(mark) or 1 :]
    return found


def test_rows_are_luthiers_own_tokens_with_the_prompt_masked_and_the_end_cut(place: Path, tmp_path: Path) -> None:
    out = bundled(tmp_path, short(place, max_seq_length=16))
    rows, sources = lines_in(out / "data" / "train.jsonl"), lines_in(place / "data" / "train.jsonl")
    assert len(rows) == recipe_in(out)["data"]["train"] <= len(sources)
    wanted = []
    for source in sources:
        question, answer = (turn["content"] for turn in source["messages"])
        prompt, said = tokens_of(f"<|user|>{question}<|end|><|assistant|>"), tokens_of(f"{answer}<|end|>")
        ids, labels = (prompt + said)[:16], ([-100] * len(prompt) + said)[:16]
        if any(label != -100 for label in labels):
            wanted.append({"input_ids": ids, "labels": labels})
    assert rows == wanted


def test_the_first_token_is_never_learned(place: Path, tmp_path: Path) -> None:
    out = bundled(tmp_path, short(place, mask_prompt=False))
    for row in lines_in(out / "data" / "train.jsonl"):
        assert row["labels"] == [-100, *row["input_ids"][1:]]


def test_the_order_is_that_of_the_seed_batch_by_batch(place: Path, tmp_path: Path) -> None:
    out = bundled(tmp_path, short(place, seed=7))
    order = lines_in(out / "data" / "order.jsonl")
    assert [len(numbers) for numbers in order] == [4, 4, 2, 4, 4]
    first = np.random.default_rng([7, 0]).permutation(10).tolist()
    assert [number for numbers in order[:3] for number in numbers] == first
    assert sum(map(len, lines_in(out / "data" / "valid_order.jsonl"))) == len(
        lines_in(out / "data" / "valid.jsonl")
    )


def test_targets_rank_alpha_and_counts_are_those_of_the_setup(place: Path, tmp_path: Path) -> None:
    config = short(place, targets="q_proj, mlp.up_proj", num_layers=1, grad_accumulation_steps=2,
                   lora_parameters={"rank": 8, "scale": 2.5, "dropout": 0.1})  # fmt: skip
    out, events = run_bundle(tmp_path, config)
    recipe = recipe_in(out)
    assert recipe["modules"] == ["model.layers.1.self_attn.q_proj", "model.layers.1.mlp.up_proj"]
    adapter = recipe["adapter"]
    assert (adapter["rank"], adapter["alpha"], adapter["dropout"], adapter["use_dora"]) == (8, 20, 0.1, False)
    assert (adapter["target_modules"], adapter["layers_to_transform"]) == (["q_proj", "up_proj"], [1])
    assert (recipe["iterations"], recipe["batch_size"], recipe["accumulation"]) == (5, 4, 2)
    (told,) = [said.data for said in events if isinstance(said, event.Result)]
    assert (told["modules"], told["iterations"], told["train"]) == (recipe["modules"], 5, 10)
    # The setup comes back as it was asked for, and as it runs.
    assert load_config(out / "setup.yaml").config.targets == "q_proj, mlp.up_proj"
    assert load_config(out / "config.yaml").config.iters == 5


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, []),
        ({"model": "half"}, ["PEFT multiplies adapters in float32"]),
        ({"model": "half", "adapter_dtype": "float32"}, []),
        ({"sampled_prompts": 2}, ["are not sampled elsewhere"]),
        ({"neutral_tokens": 512}, ["forgets is not measured elsewhere"]),
        ({"neutral_tokens": 512, "final_adapter": "balanced"}, ["the best weights by validation loss are kept"]),
        ({"report_to": "tensorboard"}, ["`report_to` is for this machine"]),
    ],
)
def test_what_is_not_the_same_elsewhere_is_told(
    values: dict[str, Any], said: list[str], place: Path, tmp_path: Path
) -> None:
    if "model" in values:
        values = values | {"model": str(place / str(values["model"]))}
    _, events = run_bundle(tmp_path, short(place, **({"neutral_tokens": 0} | values)))
    told = [found.message for found in events if isinstance(found, event.Warned)]
    assert len(told) == len(said), told
    assert all(words in one for words, one in zip(said, told, strict=True)), told


def test_an_adapter_to_begin_with_goes_along_in_pefts_form(place: Path, tmp_path: Path) -> None:
    adapter = make_adapter(place / "model", tmp_path / "adapter", rank=3, layers=1)
    given = adapter / "adapters.safetensors"
    out = bundled(tmp_path, short(place, num_layers=1, resume_adapter_file=str(given), lora_parameters={
        "rank": 3, "scale": 10.0, "dropout": 0.0,
    }))  # fmt: skip
    assert recipe_in(out)["has_start"]
    wanted, found = saved_arrays(given), saved_arrays(out / "start" / "adapter_model.safetensors")
    assert len(found) == len(wanted) > 2
    for name, array in wanted.items():
        module, _, leaf = name.rpartition(".")
        side = {"lora_a": "A", "lora_b": "B"}[leaf]
        there = found[f"base_model.model.{module}.lora_{side}.weight"]
        assert mx.array_equal(there, array.T).item()
    told = json.loads((out / "start" / "adapter_config.json").read_text())
    assert (told["r"], told["lora_alpha"]) == (3, 30.0)


def test_everything_is_in_the_manifest_by_its_hash(place: Path, tmp_path: Path) -> None:
    out = bundled(tmp_path, short(place))
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    manifest = read_manifest(out)
    assert manifest.files.keys() == files - {"manifest.json"}
    assert {"train.py", "recipe.json", "requirements.txt", "README.md", "model/model.safetensors"} <= files
    for name, (size, digest) in manifest.files.items():
        data = (out / name).read_bytes()
        assert (size, digest) == (len(data), hashlib.sha256(data).hexdigest())
    assert manifest.versions.keys() >= {"luthier", "mlx-lm", "transformers"}
    assert seal_problems(out) == []
    (out / "recipe.json").write_text("{}")
    (out / "data" / "order.jsonl").unlink()
    assert [problem.message for problem in seal_problems(out)] == [
        "data/order.jsonl is missing.", "recipe.json was changed since it was sealed.",
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_an_archive_holds_the_same_in_one_file(place: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"setup{suffix}"
    run_bundle(tmp_path, short(place), out=out)
    place_there = tmp_path / "unpacked"
    if suffix == ".zip":
        with zipfile.ZipFile(out) as packed:
            packed.extractall(place_there)
    else:
        place_there.mkdir()
        subprocess.run(["tar", "-xf", out, "-C", place_there], check=True)
    assert [path.name for path in place_there.iterdir()] == ["setup"]
    assert seal_problems(place_there / "setup") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle_events.jsonl", out.name, "unpacked"]


@pytest.mark.parametrize("out", ["bundle", "bundle.zip"])
def test_a_stop_leaves_nothing_behind(place: Path, tmp_path: Path, out: str) -> None:
    def stop(said: event.Event) -> str | None:
        return "stop" if isinstance(said, event.Progressed) and said.phase == "Writing the tokens" else None

    _, events = run_bundle(tmp_path, short(place), stop, out=tmp_path / out)
    assert isinstance(events[-1], event.Finished)
    assert events[-1].reason == "stopped"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle_events.jsonl"]


@pytest.mark.parametrize(
    "values, job, said",
    [
        ({"train_mode": "online_dpo"}, {}, "Online DPO is not among what a bundle trains"),
        ({"fine_tune_type": "full"}, {}, "not the model's own weights"),
        ({"optimizer": "muon"}, {}, "muon goes by another rule in torch"),
        ({"targets": "embed_tokens"}, {}, "embed_tokens"),
        ({}, {"with_model": False}, "another one does not know where to get the model"),
        ({}, {"torch_model": "org/name"}, "not both"),
        ({}, {"with_model": False, "torch_model": "no name"}, "no name of a model on the hub"),
        ({"model": "packed"}, {}, "quantized by MLX"),
    ],
)
def test_what_would_not_be_the_same_there_is_refused(
    place: Path, tmp_path: Path, values: dict[str, Any], job: dict[str, Any], said: str
) -> None:
    model = place / values.pop("model", "model")
    with pytest.raises(UnusableError, match=said):
        run_bundle(tmp_path, short(place, model=model).with_values(values), **job)
    assert {path.name for path in tmp_path.iterdir()} <= {"bundle_events.jsonl"}


def test_a_packed_model_is_named_by_what_it_was_made_from(place: Path, tmp_path: Path) -> None:
    config = short(place, model=place / "packed")
    out = bundled(tmp_path, config, with_model=False, torch_model="org/whole@main", four_bit=True)
    told = recipe_in(out)["model"]
    assert (told["id"], told["revision"], told["folder"], told["four_bit"]) == ("org/whole", "main", "", True)
    assert "bitsandbytes==" in (out / "requirements.txt").read_text()
    assert not (out / "model").exists()


@pytest.mark.parametrize(
    "values, name, steps",
    [
        ({}, "constant", 0),
        ({"warmup": 4.0}, "constant_with_warmup", 2),
        ({"warmup": 0.25}, "constant_with_warmup", 3),
        ({"schedule": "linear"}, "linear", 0),
        ({"schedule": "cosine"}, "cosine", 0),
    ],
)
def test_a_schedule_that_transformers_has_goes_by_its_name(values: dict[str, Any], name: str, steps: int) -> None:
    found = schedule_of(scheduled(**values))
    assert (found.name, found.warmup_steps, found.rates) == (name, steps, ())


@pytest.mark.parametrize(
    "values",
    [
        {"schedule": "cosine", "warmup": 4.0},
        {"schedule": "custom", "lr_schedule": {"name": "exponential_decay", "arguments": [1e-3, 0.9]}},
    ],
)
def test_a_schedule_that_transformers_lacks_is_brought_rate_by_rate(values: dict[str, Any]) -> None:
    """After a warm-up mlx's decay is transformers', but the way up to it is not."""
    config = scheduled(**values)
    rates = build_schedule(config.lr_schedule)
    found = schedule_of(config)
    assert (found.name, found.rates) == ("custom", tuple(float(rates(mx.array(step))) for step in range(12)))


def scheduled(**values: Any) -> TrainConfig:
    """24 iterations in 12 steps, with the schedule in mlx-lm's form."""
    config = TrainConfig.model_validate(
        {"iters": 24, "epochs": None, "grad_accumulation_steps": 2, "learning_rate": 1e-3} | values
    )
    return config.with_value("lr_schedule", concrete_schedule(config))


def test_pairs_and_labels_are_written_for_each_method(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for split in ("train", "valid"):
        rows = [{"prompt": "ab", "chosen": "cd", "rejected": "e"}, {"prompt": "f", "chosen": "g", "rejected": "hi"}]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = short(place, data=folder, batch_size=2, iters=2, train_mode="dpo")
    out = bundled(tmp_path / "dpo", base)
    chosen = tokens_of("<|user|>ab<|end|><|assistant|>cd<|end|>")
    first = lines_in(out / "data" / "train.jsonl")[0]
    assert first["chosen"] == {"input_ids": chosen, "labels": [-100] * 5 + chosen[5:]}
    assert first["rejected"]["input_ids"] == [*chosen[:5], *tokens_of("e<|end|>")]
    assert recipe_in(out)["loss"] == {"beta": 0.1, "loss_type": "sigmoid"}

    out = bundled(tmp_path / "kto", base.with_value("train_mode", "kto"))
    lines = lines_in(out / "data" / "train.jsonl")
    assert [line["label"] for line in lines] == [True, False, True, False]
    # KTO's estimate reads each prompt with the answer to another one.
    assert lines[0]["mismatched"]["input_ids"] == [*chosen[:5], *tokens_of("g<|end|>")]
    assert [sorted(numbers) for numbers in lines_in(out / "data" / "order.jsonl")] == [[0, 1, 2, 3]] * 2


@pytest.mark.parametrize(
    "name, said",
    [
        ("grpo", ("grpo", "token", 0.2, 0.2, "group", 0.04)),
        ("gspo", ("grpo", "sequence", 3e-4, 4e-4, "group", 0.04)),
        ("dr_grpo", ("dr_grpo", "token", 0.2, 0.2, "none", 0.0)),
        ("dapo", ("dapo", "token", 0.2, 0.28, "group", 0.0)),
    ],
)
def test_grpo_and_its_kin_are_told_in_trls_words(
    place: Path, tmp_path: Path, name: str, said: tuple[Any, ...]
) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    rows = [{"prompt": "ab", "answer": "c"}, {"prompt": "de", "answer": "f"}, {"prompt": "gh", "answer": "i"}]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    values = dict(METHODS[name].settings) | {"batch_size": 2, "iters": 6, "updates_per_generation": 2}
    config = short(place, data=folder, max_completion_length=16, max_seq_length=64, valid_fraction=0.0, **values)
    out = bundled(tmp_path, config)
    loss = recipe_in(out)["loss"]
    keys = ("loss_type", "importance_sampling_level", "epsilon", "epsilon_high", "scale_rewards", "beta")
    assert tuple(loss[key] for key in keys) == said
    assert (loss["group_size"], loss["updates_per_generation"], loss["temperature"]) == (8, 2, 1.0)
    first = lines_in(out / "data" / "train.jsonl")[0]
    assert first == {"input_ids": tokens_of("<|user|>ab<|end|><|assistant|>"), "prompt": "ab", "answer": "c",
                     "type": None}  # fmt: skip
    # A line a generation, all of one size: the last of an epoch is filled up from the next.
    order = lines_in(out / "data" / "order.jsonl")
    assert [len(numbers) for numbers in order] == [2, 2, 2]
    assert sorted(order[0] + order[1][:1]) == [0, 1, 2]
    assert (out / "luthier_rewards.py").is_file()
