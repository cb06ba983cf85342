"""``luthier compare``: figures, verdict and answers of base and adapters, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app.core.compare import prompt_set

if TYPE_CHECKING:
    from tests.command.conftest import Luthier


def test_figures_verdict_and_answers_side_by_side(program: Luthier, place: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "abc"}\n{"prompt": "def"}\n')
    arguments = [
        "compare", "--model", place / "model", "--adapter-path", place / "adapter", "--data", place / "data",
        "--prompts", tmp_path / "prompts.jsonl", "--reward-function", "short", "--limit", 2, "--max-tokens", 4,
    ]  # fmt: skip
    found = json.loads(program(*arguments, "--json").stdout)
    base, tuned = found["columns"]
    assert (base["label"], tuned["label"], base["difference"]) == ("base model", "adapter", None)
    assert tuned["difference"]["difference"] == pytest.approx(tuned["loss"] - base["loss"])
    assert found["scored"] == {"functions": ["short"], "prompts": 2, "of": 8, "max_tokens": 4}
    assert [one["prompt"] for one in found["answers"]] == ["abc", "def"]
    assert all(len(one["answers"]) == 2 and all(one["answers"]) for one in found["answers"])
    alone = program(
        "generate",
        "--model",
        place / "model",
        "--adapter-path",
        place / "adapter",
        "--prompt",
        "abc",
        "-m",
        4,
        "--json",
    )
    assert json.loads(alone.stdout)["text"] == found["answers"][0]["answers"][1]

    text = program(*arguments).stdout
    assert "Held-out loss" in text
    assert f"adapter: {tuned['difference']['verdict']}" in text
    assert "> abc\n\nbase model:" in text


def test_prompts_are_asked_after_the_turns_before_them_and_answered_in_their_order(
    luthier: Luthier, place: Path, tmp_path: Path
) -> None:
    opening = [{"role": "system", "content": "Be brief."}]
    rows: list[object] = [{"messages": [*opening, {"role": "user", "content": "abc"}]}, "abc", "def"]
    (tmp_path / "prompts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    arguments = [
        "compare", "--model", place / "model", "--adapter-path", place / "adapter", "--adapter-path",
        place / "adapter", "--strength", 1, "--strength", 0, "--data", place / "data", "--max-tokens", 24,
        "--prompts", tmp_path / "prompts.jsonl", "--json",
    ]  # fmt: skip
    found = json.loads(luthier(*arguments).stdout)
    assert [column["label"] for column in found["columns"]][:2] == ["base model", "adapter"]
    first, second, third = found["answers"]
    assert (first["prompt"], first["opening"]) == ("abc", opening)
    assert (second["prompt"], second["opening"], third["prompt"]) == ("abc", [], "def")
    assert first["answers"] != second["answers"] != third["answers"]
    for base, tuned, nothing in (one["answers"] for one in found["answers"]):
        assert base == nothing != tuned
    alone = luthier(
        "generate", "--model", place / "model", "--adapter-path", place / "adapter", "--prompt", "def", "-m", 24,
        "--json",
    )  # fmt: skip
    assert third["answers"][1] == json.loads(alone.stdout)["text"]


def test_a_prompt_that_the_template_refuses_is_told(luthier: Luthier, place: Path, tmp_path: Path) -> None:
    turns = [{"role": "judge", "content": "Hm."}, {"role": "user", "content": "abc"}]
    (tmp_path / "prompts.jsonl").write_text(json.dumps({"messages": turns}))
    done = luthier(
        "compare", "--model", place / "model", "--data", place / "data", "--prompts", tmp_path / "prompts.jsonl",
        "--json", code=1,
    )  # fmt: skip
    assert "no judges here" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize(
    "more, said",
    [
        (["--reward-function", "nonsense"], "There is no reward function nonsense"),
        (["--adapter-path", "nowhere"], "There is no such adapter"),
        (["--prompts", "nowhere.jsonl"], "cannot be read"),
        (["--limit", "0"], "limit"),
    ],
)
def test_what_cannot_be_compared_is_told_with_exit_code_two(
    luthier: Luthier, place: Path, more: list[str], said: str
) -> None:
    done = luthier("compare", "--model", place / "model", "--data", place / "data", *more, "--json", code=2)
    assert said in json.loads(done.stdout)["error"]


def test_of_a_long_set_the_first_prompts_are_asked_and_cut_answers_are_told(
    luthier: Luthier, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_set, "LONGEST_SET", 2)
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"prompt": f"p{n}"}) + "\n" for n in range(3)))
    arguments = [
        "compare", "--model", place / "model", "--data", place / "data", "--prompts", tmp_path / "prompts.jsonl",
        "--max-tokens", 1, "--json",
    ]  # fmt: skip
    told = luthier(*arguments)
    assert [one["prompt"] for one in json.loads(told.stdout)["answers"]] == ["p0", "p1"]
    assert f"warning: only the first 2 prompts of {tmp_path / 'prompts.jsonl'} are asked." in told.stderr
    assert "warning: 2 of 2 answers are cut at 1 token (--max-tokens)." in told.stderr
