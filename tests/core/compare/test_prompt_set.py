"""A prompt set: every form of row, what a conversation is asked, and lines that hold no prompt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.compare import prompt_set
from app.core.compare.prompt_set import Prompt, read_prompts
from app.core.problem import UnusableError


def written(folder: Path, *rows: Any) -> Path:
    path = folder / "set.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    "row, prompt",
    [
        ("Why?", Prompt("Why?")),
        ({"prompt": "Why?"}, Prompt("Why?")),
        ({"question": "Why?"}, Prompt("Why?")),
        ({"prompt": "Why?", "completion": "So."}, Prompt("Why?")),
        ({"prompt": [turn("system", "Sing."), turn("user", "Why?")]}, Prompt("Why?", (turn("system", "Sing."),))),
        ({"instruction": "Say", "input": "this", "output": "this"}, Prompt("Say\n\nthis")),
        ({"prompt": "2+2", "answer": "4"}, Prompt("2+2")),
        ({"conversations": [{"from": "human", "value": "Why?"}]}, Prompt("Why?")),
        (
            {"messages": [turn("user", "a"), turn("assistant", "b"), turn("user", "c"), turn("assistant", "d")]},
            Prompt("c", (turn("user", "a"), turn("assistant", "b"))),
        ),
        ({"instruction": "Say", "input": "this"}, Prompt("Say\n\nthis")),
        (
            {"question": "Where?", "context": "The lute stands in the corner."},
            Prompt("Where?\n\nThe lute stands in the corner."),
        ),
        ({"system": "Sing.", "prompt": "Why?"}, Prompt("Why?", (turn("system", "Sing."),))),
        ({"question": "Which?", "choices": ["a lute", "a harp"]}, Prompt("Which?\n\nA. a lute\nB. a harp")),
        (
            {"messages": [turn("system", ""), turn("user", "a"), turn("assistant", ""), turn("user", "b")]},
            Prompt("b", (turn("user", "a"), turn("assistant", ""))),
        ),
        ({"prompt": '"quotes" {braces} 🎻 \x00'}, Prompt('"quotes" {braces} 🎻 \x00')),
    ],
)
def test_the_last_question_of_a_row_is_asked_after_what_was_said_before(
    tmp_path: Path, row: Any, prompt: Prompt
) -> None:
    assert list(read_prompts(written(tmp_path, row))) == [prompt]


CALLS = json.dumps(
    {
        "messages": [
            turn("user", "a"),
            {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
            turn("tool", "b"),
            turn("user", "c"),
        ]
    }
)
# The question of before is not the last one.
PICTURE = json.dumps(
    {"messages": [turn("user", "a"), turn("assistant", "b"), {"role": "user", "content": [{"type": "image_url"}]}]}
)


@pytest.mark.parametrize(
    "line, words",
    [
        ("{", "line is not JSON. A file of prompts is a .jsonl file"),
        ("[1]", "no prompt"),
        ('{"text": "a story"}', "no prompt"),
        ('{"messages": [{"role": "assistant", "content": "a"}]}', "no prompt"),
        ('{"prompt": 3}', "no prompt"),
        ('{"prompt": "What is the weather?", "tools": [{"name": "weather"}]}', "offers tools"),
        (CALLS, "no text, such as a call of a tool"),
        (PICTURE, "no prompt"),
    ],
)
def test_a_line_without_a_prompt_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text('{"prompt": "a"}\n\n' + line + "\n")
    with pytest.raises(UnusableError, match=words) as caught:
        list(read_prompts(path))
    assert caught.value.problems[0].line == 3


def test_a_file_that_is_empty_or_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="no prompts"):
        list(read_prompts(written(tmp_path)))
    with pytest.raises(UnusableError, match="cannot be read"):
        list(read_prompts(tmp_path / "nowhere.jsonl"))


def test_a_long_file_is_asked_only_at_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_set, "LONGEST_SET", 3)
    found = list(read_prompts(written(tmp_path, *map(str, range(10)))))
    assert [prompt.text for prompt in found] == ["0", "1", "2"]
    assert len(list(read_prompts(written(tmp_path, *map(str, range(10))), beyond=1))) == 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_a_set_is_read_in_the_encoding_in_which_data_would_be(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "set.jsonl"
    said = "Größe, Gemüse und Süßes: was heißt das für müde Füße?"
    path.write_bytes(json.dumps({"prompt": said}, ensure_ascii=False).encode(encoding))
    assert list(read_prompts(path)) == [Prompt(said)]


def test_a_line_with_bytes_that_are_no_text_is_not_asked_with_something_else_in_it(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    good = "".join(json.dumps({"prompt": f"Größe {n}?"}, ensure_ascii=False) + "\n" for n in range(20)).encode()
    path.write_bytes(good + b'{"prompt": "Gr\xf6\xdfe?"}\n')
    with pytest.raises(UnusableError, match="no text") as caught:
        list(read_prompts(path))
    assert caught.value.problems[0].line == 21
