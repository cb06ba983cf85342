"""Rows that prefer what another row rejects are told, with both lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.duplicate import Contradictions, RowPlace
from app.core.data.format import Features
from app.core.data.layout import layout_of
from app.core.source.finding import Finding

HELLO, BYE = [{"role": "assistant", "content": "Hello!"}], [{"content": "Bye!", "role": "assistant"}]


def told(folder: Path, mode: str, **files: list[dict[str, Any]]) -> list[Finding]:
    folder.mkdir(exist_ok=True)
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = check_files([folder], config=TrainConfig.model_validate({"train_mode": mode}))
    return [found for found in report.warnings if found.kind == "contradiction"]


def answer(number: int, label: Any, prompt: str = "Hi") -> dict[str, Any]:
    return {"prompt": prompt, "completion": f"Hello {number}!", "label": label}


def test_an_answer_with_both_labels(tmp_path: Path) -> None:
    rows = [
        answer(1, True),
        answer(2, False),
        answer(1, False),
        answer(1, True),
        answer(2, False),
        answer(1, False),
    ]
    found = told(tmp_path / "data", "kto", train=rows)
    assert [(Path(one.file).name, one.line) for one in found] == [("train.jsonl", 3), ("train.jsonl", 6)]
    assert all("other label in line 1." in one.reason for one in found)
    assert not told(
        tmp_path / "other", "kto", train=[answer(1, True), answer(1, False, "Hello?"), answer(2, False)]
    )


def test_labels_in_words_and_numbers_are_compared_by_what_they_mean(tmp_path: Path) -> None:
    assert not told(tmp_path / "data", "kto", train=[answer(1, "good"), answer(1, True), answer(2, False)])
    assert told(tmp_path / "data", "kto", train=[answer(1, "good"), answer(1, "bad")])


@pytest.mark.parametrize("texts", [False, True])
def test_a_pair_the_other_way_round(texts: bool, tmp_path: Path) -> None:
    one, other = ("Hello!", "Bye!") if texts else (HELLO, BYE)
    turned = {"prompt": "Hi", "chosen": other, "rejected": one}
    rows = [{"prompt": "Hi", "chosen": one, "rejected": other}, turned | {"prompt": "Hello"}, turned]
    (found,) = told(tmp_path / "data", "dpo", train=rows)
    assert (found.line, "other way round in line 1." in found.reason) == (3, True)


def test_prompts_in_conversations_are_looked_at(tmp_path: Path) -> None:
    """Answers in a chat, and pairs beside one, contradict each other only if what was asked is the same."""

    def labelled(said: str, label: bool) -> dict[str, Any]:
        return {
            "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": said}],
            "label": label,
        }

    rows = [labelled("Hello!", True), labelled("Bye!", False)]
    assert not told(tmp_path / "chats", "kto", train=rows)
    (found,) = told(tmp_path / "turned", "kto", train=[*rows, labelled("Bye!", True)])
    assert found.line == 3
    pairs = [{"messages": [{"role": "user", "content": asked}], "chosen": chosen, "rejected": rejected}
             for asked, chosen, rejected in (("Hi", "a", "b"), ("Ho", "b", "a"), ("Hi", "b", "a"))]  # fmt: skip
    (found,) = told(tmp_path / "pairs", "dpo", train=pairs)
    assert (found.line, "line 1." in found.reason) == (3, True)


def test_validation_that_contradicts_training(tmp_path: Path) -> None:
    train, valid = [answer(1, True), answer(2, False)], [answer(2, True), answer(3, False)]
    (found,) = told(tmp_path / "data", "kto", train=train, valid=valid)
    assert (Path(found.file).name, found.line) == ("valid.jsonl", 1)
    assert "line 2 of train.jsonl" in found.reason


def test_more_answers_than_are_remembered() -> None:
    known = Contradictions(limit=1)
    rows = [answer(1, True), answer(2, True), answer(2, False), answer(1, False)]
    layout = layout_of(rows[0], Features())
    assert layout is not None
    found = [known.take(row, layout, RowPlace(0, line)) for line, row in enumerate(rows, start=1)]
    assert found == [None, None, None, RowPlace(0, 1)]
