"""Held-out questions: taken from what a run was not trained on, in the forms that mlx-lm reads."""

from __future__ import annotations

import json
from pathlib import Path

from app.core.compare.held_out import HeldOut, held_out_questions
from app.core.config.train_config import TrainConfig


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


CHAT = {"messages": [{"role": "system", "content": "Sing."}, {"role": "user", "content": "Why?"}]}
TURNS = {"messages": [{"role": "user", "content": "First?"}, {"role": "user", "content": "Second?"}]}


def test_the_prepared_test_set_comes_first(tmp_path: Path) -> None:
    write(tmp_path / "run" / "data" / "test.jsonl", CHAT, TURNS)
    write(tmp_path / "data" / "test.jsonl", {"prompt": "From the source?"})
    config = TrainConfig(data=str(tmp_path / "data"))
    assert held_out_questions(tmp_path / "run", config) == [HeldOut("Why?", "Sing."), HeldOut("First?")]


def test_named_columns_and_the_validation_set_are_used_where_there_is_no_test_set(tmp_path: Path) -> None:
    valid = write(tmp_path / "v.jsonl", {"question": "What?"}, {"question": ""}, "no json", "[]")
    config = TrainConfig(valid_data=str(valid), prompt_feature="question")
    assert held_out_questions(tmp_path / "run", config) == [HeldOut("What?")]


def test_training_examples_are_never_taken(tmp_path: Path) -> None:
    write(tmp_path / "data" / "train.jsonl", CHAT)
    assert held_out_questions(tmp_path / "run", TrainConfig(data=str(tmp_path / "data"))) == []


def test_a_question_with_tools_is_not_asked_without_them(tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "weather"}}]
    write(tmp_path / "run" / "data" / "test.jsonl", CHAT | {"tools": tools}, TURNS | {"tools": []})
    assert held_out_questions(tmp_path / "run", TrainConfig()) == [HeldOut("First?")]
