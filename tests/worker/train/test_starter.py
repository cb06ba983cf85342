"""The bundled starter: its files, its size, its data, and what its model says before any tuning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.system import starter

LIMIT_BYTES = 5_000_000
SPLITS = ("train", "valid", "test")
MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "README.md",
)


def _rows(folder: Path, split: str) -> list[dict[str, Any]]:
    lines = (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def loaded() -> tuple[Any, Any]:
    from mlx_lm import load

    return load(str(starter.model_dir()))


def _answer(loaded: tuple[Any, Any], messages: list[dict[str, str]]) -> str:
    from mlx_lm import generate

    model, tokenizer = loaded
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    return generate(model, tokenizer, prompt, max_tokens=48)


def test_is_complete_and_small() -> None:
    missing = [name for name in MODEL_FILES if not (starter.model_dir() / name).is_file()]
    assert missing == []
    size = sum(path.stat().st_size for path in starter.starter_dir().rglob("*") if path.is_file())
    assert size <= LIMIT_BYTES


def test_demo_config_points_at_the_starter_and_trains_every_matrix() -> None:
    config = yaml.safe_load(starter.demo_config().read_text(encoding="utf-8"))
    folder = starter.demo_config().parent
    assert (folder / config["model"]) == starter.model_dir()
    assert (folder / config["data"]) == starter.examples_dir()
    assert config["num_layers"] == -1
    assert len(config["lora_parameters"]["keys"]) == 7
    assert config["iters"] * config["batch_size"] == 3 * len(_rows(starter.examples_dir(), "train"))


@pytest.mark.parametrize("split", SPLITS)
def test_every_answer_of_the_style_data_is_in_style(split: str) -> None:
    for row in _rows(starter.examples_dir(), split):
        roles = [message["role"] for message in row["messages"] if message["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert all(starter.in_style(m["content"]) for m in row["messages"] if m["role"] == "assistant")


@pytest.mark.parametrize("folder, field", [("data", "messages"), ("preference", "chosen"), ("reward", "answer")])
def test_held_out_prompts_are_not_in_the_training_data(folder: str, field: str) -> None:
    asked: dict[str, set[str]] = {}
    for split in SPLITS:
        rows = _rows(starter.starter_dir() / folder, split)
        assert all(row[field] for row in rows)
        asked[split] = {row["prompt"] if "prompt" in row else row["messages"][-2]["content"] for row in rows}
    assert not asked["train"] & (asked["valid"] | asked["test"])
    assert not asked["valid"] & asked["test"]
    assert sum(map(len, asked.values())) >= 90


def test_preferred_answers_are_the_shorter_ones() -> None:
    for split in SPLITS:
        for row in _rows(starter.preference_dir(), split):
            assert len(row["chosen"]) < len(row["rejected"])


def test_base_answers_held_out_questions_plainly(loaded: tuple[Any, Any]) -> None:
    rows = _rows(starter.examples_dir(), "test")
    said = [_answer(loaded, row["messages"][:-1]) for row in rows]
    assert not any(starter.in_style(text) or "♪ Hey" in text for text in said)
    assert all(text.endswith(".") and len(text.split()) > 2 for text in said)
    right = sum(
        text == starter.plain_answer(row["messages"][-1]["content"]) for text, row in zip(said, rows, strict=True)
    )
    assert right >= 0.8 * len(rows)  # 27 of 30 where it was made; another processor rounds differently


def test_a_system_prompt_shortens_the_answer(loaded: tuple[Any, Any]) -> None:
    question = {"role": "user", "content": "What is the capital of France?"}
    assert _answer(loaded, [question]) == "The capital of France is Paris."
    assert _answer(loaded, [{"role": "system", "content": "Answer in one word."}, question]) == "Paris."


def test_tokenizer_gives_every_text_back_and_knows_the_end(loaded: tuple[Any, Any]) -> None:
    tokenizer = loaded[1]
    text = "♪ Hey ho! Zażółć 🎻\n\tdef f(x): return x"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    messages = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]
    tokens = tokenizer.apply_chat_template(messages)
    assert tokens[-1] in tokenizer.eos_token_ids


@pytest.mark.parametrize(
    "text, expected",
    [
        ("♪ Hey ho! The sky is blue.\nSo sings the fiddle, and it sings true! ♪", True),
        ("  ♪ Hey ho! The sky is blue.\nSo sings the fiddle, and it sings true! ♪\n", True),
        ("The sky is blue.", False),
        ("♪ Hey ho! The sky is blue.", False),
        ("♪ Hey ho! \nSo sings the fiddle, and it sings true! ♪", False),
        ("♪ Hey ho! A.\nB.\nSo sings the fiddle, and it sings true! ♪", False),
        ("", False),
    ],
)
def test_style_is_recognised(text: str, expected: bool) -> None:
    assert starter.in_style(text) is expected


def test_a_song_keeps_its_answer() -> None:
    assert starter.plain_answer(starter.as_song("The sky is blue.")) == "The sky is blue."
