"""Preference pairs and prompts: their forms in the wild become one, and what no method can use is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig, TrainMode
from app.core.data.check import check_files
from app.core.data.format import Format, Layout
from app.core.data.prepare import PreparedData, prepare_data
from app.core.data.rated import better_of
from app.core.problem import UnusableError

USER, GOOD, BAD = (
    {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"},
    {"role": "assistant", "content": "What?"},
)  # fmt: skip
SYSTEM = {"role": "system", "content": "Be kind."}
PAIR = {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}


def write(folder: Path, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / name


def prepared(
    tmp_path: Path, mode: TrainMode, rows: list[dict[str, Any]]
) -> tuple[PreparedData, list[dict[str, Any]]]:
    config = TrainConfig(train_mode=mode, data=str(write(tmp_path, rows)), valid_fraction=0, test_fraction=0)
    data = prepare_data(config, tmp_path / "data")
    return data, [json.loads(line) for line in data.train.read_text().splitlines()]


FORMS: dict[str, dict[str, Any]] = {
    "texts": {"prompt": "Hi", "chosen": "Hello!", "rejected": "What?"},
    "messages": PAIR,
    "whole conversations": {"chosen": [USER, GOOD], "rejected": [USER, BAD]},
    "whole conversations beside a prompt": {"prompt": "Hi", "chosen": [USER, GOOD], "rejected": [USER, BAD]},
    "ShareGPT": {
        "prompt": "Hi", "chosen": [{"from": "gpt", "value": "Hello!"}],
        "rejected": [{"from": "gpt", "value": "What?"}],
    },
    "a column of lists as text": {"prompt": "Hi", "chosen": json.dumps([GOOD]), "rejected": json.dumps([BAD])},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["dpo", "kto"])
def test_pairs_of_every_form_become_one(form: str, mode: TrainMode, tmp_path: Path) -> None:
    data, rows = prepared(tmp_path, mode, [FORMS[form]])
    assert (data.format, rows) == ("preference", [PAIR])


def test_a_system_column_goes_in_front(tmp_path: Path) -> None:
    _, rows = prepared(tmp_path, "dpo", [FORMS["texts"] | {"system": "Be kind."}])
    assert rows[0]["prompt"] == [SYSTEM, USER]


PROMPTS: dict[str, dict[str, Any]] = {
    "prompt and answer": {"prompt": "Hi", "answer": "Hello!"},
    "prompt and completion": {"prompt": "Hi", "completion": "Hello!"},
    "chat": {"messages": [USER, GOOD]},
    "question and answer": {"question": "Hi", "answer": "Hello!"},
}


@pytest.mark.parametrize("form", PROMPTS)
def test_prompts_of_every_form_become_one(form: str, tmp_path: Path) -> None:
    data, rows = prepared(tmp_path, "grpo", [PROMPTS[form]])
    assert (data.format, rows) == ("prompt", [{"prompt": [USER], "answer": "Hello!"}])


def test_an_answer_may_be_a_number_and_have_a_type(tmp_path: Path) -> None:
    _, rows = prepared(tmp_path, "grpo", [{"prompt": "2 + 3?", "answer": 5, "type": "sum"}])
    assert (rows[0]["answer"], rows[0]["type"]) == ("5", "sum")


@pytest.mark.parametrize("mode, rows", [("dpo", [PAIR] * 3), ("grpo", [{"prompt": [USER], "answer": "5"}] * 3)])
def test_prepared_files_are_used_as_they_are(mode: TrainMode, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """A run that is resumed finds its own data prepared and must not write over it."""
    write(tmp_path / "own", rows, "train.jsonl")
    config = TrainConfig(train_mode=mode, data=str(tmp_path / "own"), valid_fraction=0)
    data = prepare_data(config, tmp_path / "own")
    assert (data.written, data.train, data.counts) == (False, tmp_path / "own" / "train.jsonl", {"train": 3})


@pytest.mark.parametrize(
    "row, said",
    [
        (PAIR | {"rejected": [GOOD]}, "the same"),
        (FORMS["texts"] | {"rejected": ""}, "`rejected` is empty"),
        ({"chosen": "Hello!", "rejected": "What?"}, "`prompt` is missing"),
        ({"chosen": [USER, GOOD], "rejected": [USER]}, "`rejected` has no answer"),
    ],
)
def test_pairs_that_teach_nothing_are_told(row: dict[str, Any], said: str, tmp_path: Path) -> None:
    file = write(tmp_path, [PAIR, row])
    report = check_files([file], config=TrainConfig(train_mode="dpo"))
    assert not report.usable
    assert [(finding.line, said in finding.reason) for finding in report.errors] == [(2, True)]


@pytest.mark.parametrize("mode, row", [("dpo", PROMPTS["chat"]), ("grpo", PAIR), ("sft", PAIR)])
def test_data_for_another_method_is_refused(mode: TrainMode, row: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UnusableError) as refused:
        prepared(tmp_path, mode, [row])
    assert refused.value.problems[0].path == "data"


@pytest.mark.parametrize(
    ("verdict", "value", "better"),
    [
        *(("winner", said, 0) for said in ("a", " A ", "model_a", "response_A")),
        *(("winner", said, 1) for said in ("b", "model_b")),
        *(("winner", said, None) for said in ("tie", "", None, 1, "both_bad")),
        ("better_response_id", 0, 0),
        ("better_response_id", "1", 1),
        *(("better_response_id", said, None) for said in (2, -1, 0.5, "first", None)),
        ("preference", 1, 0),  # counted from 1
        ("preference", "2", 1),
        *(("preference", said, None) for said in (0, 3, 1.5)),
        *(("preference_strength", said, 0) for said in (-3, -0.5)),
        *(("overall_preference", said, 1) for said in (0.5, 3, "2")),
        ("overall_preference", 0, None),
    ],
)
def test_which_answer_is_the_better_one(verdict: str, value: object, better: int | None) -> None:
    layout = Layout(Format.PREFERENCE, chosen="one", rejected="other", verdict=verdict)
    assert better_of({"one": "Yes.", "other": "No.", verdict: value}, layout) == better


def test_a_number_beside_a_text_is_told_and_a_missing_answer_is_refused(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"prompt": "2 + 2?", "chosen": 4, "rejected": "5"},
        {"prompt": "1 + 1?", "rejected": "3"},
    ]
    report = check_files([write(tmp_path, rows)], config=TrainConfig(train_mode="dpo"))
    assert [(found.kind, found.line) for found in report.errors] == [("missing_field", 2)]
    assert [found.reason for found in report.notes] == [
        "Numbers, true or false in `chosen` are trained as text: 1 row."
    ]


ASK, KEEPER, PIRATE = ({"role": "user", "content": "Tide?"}, SYSTEM, {"role": "system", "content": "Be rude."})
MORE = {"role": "user", "content": "And then?"}
JOINED: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "a system turn in the prompt alone": (
        {"prompt": [KEEPER, USER], "chosen": [USER, GOOD], "rejected": [USER, BAD]},
        [KEEPER, USER],
    ),
    "a prompt that the answers go on from": (
        {"prompt": [ASK, GOOD], "chosen": [USER, GOOD], "rejected": [USER, BAD]},
        [ASK, GOOD, USER],
    ),
    "answers whose first turns are alike": (
        {"prompt": [ASK], "chosen": [BAD, USER, GOOD], "rejected": [BAD, USER, BAD]},
        [ASK, BAD, USER],
    ),
    "a prompt that is the middle of what they begin with": (
        {"prompt": "Tide?", "chosen": [KEEPER, ASK, BAD, USER, GOOD], "rejected": [KEEPER, ASK, BAD, USER, BAD]},
        [KEEPER, ASK, BAD, USER],
    ),
    "a prompt with other white space": (
        {"prompt": "Hi\n", "chosen": [USER, GOOD], "rejected": [USER, BAD]},
        [USER],
    ),
    "one answer that repeats the prompt": ({"prompt": "Hi", "chosen": [USER, GOOD], "rejected": "What?"}, [USER]),
}  # fmt: skip


@pytest.mark.parametrize("name", JOINED)
@pytest.mark.parametrize("mode", ["dpo", "kto"])
def test_nothing_of_a_prompt_is_lost_and_no_turn_stands_twice(name: str, mode: TrainMode, tmp_path: Path) -> None:
    row, asked = JOINED[name]
    data, rows = prepared(tmp_path, mode, [row])
    assert rows == [{"prompt": asked, "chosen": [GOOD], "rejected": [BAD]}]
    assert "unused_column" not in data.report.counts


def test_a_file_whose_answers_repeat_the_prompt_is_not_used_as_it_is(tmp_path: Path) -> None:
    row, asked = JOINED["a system turn in the prompt alone"]
    write(tmp_path / "own", [row], "train.jsonl")
    config = TrainConfig(train_mode="dpo", data=str(tmp_path / "own"), valid_fraction=0)
    data = prepare_data(config, tmp_path / "data")
    assert json.loads(data.train.read_text())["prompt"] == asked


def test_a_prompt_that_is_none_of_its_answers_is_told(tmp_path: Path) -> None:
    row = {"prompt": "Fog?", "chosen": [USER, GOOD], "rejected": [USER, BAD]}
    report = check_files([write(tmp_path, [row])], config=TrainConfig(train_mode="dpo"))
    assert [f.reason for f in report.warnings if f.kind == "unused_column"] == [
        "`prompt` is not used: the answers bring another question with them: 1 row."
    ]


@pytest.mark.parametrize(
    "row, said",
    [
        ({"prompt": "Hi", "chosen": [KEEPER, USER, GOOD], "rejected": [PIRATE, USER, BAD]}, "What is asked"),
        ({"chosen": [KEEPER, USER, GOOD], "rejected": [KEEPER, ASK, BAD]}, "What is asked"),
        ({"prompt": [USER], "chosen": [GOOD, MORE, BAD], "rejected": [BAD, MORE, BAD]}, "same turn, which alone"),
    ],
)
def test_pairs_that_are_no_preference_are_told(row: dict[str, Any], said: str, tmp_path: Path) -> None:
    report = check_files([write(tmp_path, [PAIR, row])], config=TrainConfig(train_mode="dpo"))
    assert [(finding.line, said in finding.reason) for finding in report.errors] == [(2, True)]


@pytest.mark.parametrize(
    "mode, row",
    [
        ("dpo", {"prompt": [USER], "chosen": [BAD, MORE, GOOD], "rejected": [BAD]}),
        ("kto", {"prompt": [USER], "completion": [GOOD, MORE, BAD], "label": True}),
    ],
)
def test_answers_of_several_turns_are_told_to_be_learned_at_their_end(
    mode: TrainMode, row: dict[str, Any], tmp_path: Path
) -> None:
    report = check_files([write(tmp_path, [row])], config=TrainConfig(train_mode=mode))
    assert report.counts["last_turn"] == 1


@pytest.mark.parametrize("asked, told", [("Hi", []), ([KEEPER, USER], []), ("Fog?", ["unused_column"])])
def test_a_labelled_answer_that_brings_its_question_has_it_once(
    asked: Any, told: list[str], tmp_path: Path
) -> None:
    rows = [{"prompt": asked, "completion": [USER, answer], "label": answer is GOOD} for answer in (GOOD, BAD)]
    data, written = prepared(tmp_path, "kto", rows)
    prompt = asked if isinstance(asked, list) else [USER]
    assert written[0] == {"prompt": prompt, "completion": [GOOD], "label": True}
    assert ["unused_column"] * ("unused_column" in data.report.counts) == told
