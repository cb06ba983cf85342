"""The suggested column mapping, and that it is what the check then uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.mapping import Mapping, suggest_mapping
from tests.core.data.corpus import table

LONG = "A rather long text that is surely the answer to something."


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"user_question": "a", "model_answer": LONG}, Mapping("completion", "user_question", "model_answer")),
        ({"id": 3, "Frage": "a", "reply": LONG}, Mapping("completion", "Frage", "reply")),
        ({"system_x": "s", "query": "a", "reply": "b"}, Mapping("completion", "query", "reply", system="system_x")),
        ({"kunde": "a", "antwort": "b"}, Mapping("completion", "kunde", "antwort")),
        ({"id": "1", "frage": "a", "antwort": "b"}, Mapping("completion", "frage", "antwort")),
        ({"id": "1", "вопрос": "a", "ответ": "b"}, Mapping("completion", "вопрос", "ответ")),
        ({"id": "1", "source": "a", "target": LONG}, Mapping("completion", "source", "target")),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, Mapping("completion", "prompt", "chosen")),
        ({"prompt": "a", "answer": "b"}, Mapping("completion", "prompt", "answer")),
        ({"log": [{"role": "user", "content": "a"}], "id": "7"}, Mapping("chat", chat="log")),
        (
            {"log": [{"role": "user", "content": "a"}], "persona": "Be kind."},
            Mapping("chat", chat="log", system="persona"),
        ),
        ({"body_html": LONG, "id": 4}, Mapping("text", text="body_html")),
        ({"id": 4}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_suggestion(row: dict[str, Any], wanted: Mapping | None) -> None:
    assert suggest_mapping(list(row), [row]) == wanted


def test_columns_without_a_choice_go_back_to_the_usual_names() -> None:
    usual = {"prompt_feature": "prompt", "completion_feature": "completion", "chat_feature": "messages",
             "text_feature": "text", "system_feature": ""}  # fmt: skip
    assert Mapping("text").config_values() == usual | {"data_format": "text"}
    assert Mapping("chat", "a", "b", "c", "d", "e").config_values() == {
        "data_format": "chat", "prompt_feature": "a", "completion_feature": "b", "chat_feature": "c",
        "text_feature": "d", "system_feature": "e",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        # What stands in half of the rows only is no part; the longest text without a name is the answer.
        ([{"frage": "a", "x": "b"}, {"frage": "a", "x": " "}], Mapping("text", text="frage")),
        ([{"log": [{"role": "user", "content": "a"}]}, {"log": 5, "t": "b"}], None),
        ([{"my_query": "a", "y": "bb", "z": "ccc"}], Mapping("completion", "my_query", "z")),
        ([{"y": "bb", "z": "ccc", "my_reply": "a"}], Mapping("completion", "z", "my_reply")),
        ([{"y": "bb", "z": "ccc"}], Mapping("completion", "y", "z")),
        ([{"y": "bb", "the_id": "ccc", "persona": "d"}], Mapping("completion", "y", "the_id", system="persona")),
        ([{"y": "bb", "persona": "d"}], Mapping("text", text="y")),
        ([{"prompt": "a", "chosen": "b", "rejected": "c", "more": "d"}], Mapping("completion", "prompt", "chosen")),
        ([5, {"log": [{"from": "human", "value": "a"}], "t": "b"}], Mapping("chat", chat="log")),
    ],
)
def test_a_suggestion_by_several_rows(rows: list[Any], wanted: Mapping | None) -> None:
    columns = list(dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row))
    assert suggest_mapping(columns, rows) == wanted


def test_a_suggestion_makes_unknown_data_usable(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(table([["kunde", "antwort"], ["a", "b"], ["c", "d"]]))
    report = check_files([path])
    assert report.format == "unknown"

    mapping = suggest_mapping(report.columns, report.preview)
    assert mapping is not None
    mapped = check_files([path], config=TrainConfig().with_values(mapping.config_values()))
    assert (mapped.usable, mapped.format, mapped.examples) == (True, "completion", 2)
