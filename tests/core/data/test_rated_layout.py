"""Pairs, labelled answers and prompts with references, in the layouts that people bring, become one form each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.data.rated import final_answer
from tests.core.data.written import checked, file_of, told, trained

ASKED = {"role": "user", "content": "Does the tide turn at noon?"}
GOOD = {"role": "assistant", "content": "At ten past."}
BAD = {"role": "assistant", "content": "Never."}
BEFORE = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Ahoy"}]
SAYS = {"from": "human", "value": ASKED["content"]}
PAIR = {"prompt": [ASKED], "chosen": [GOOD], "rejected": [BAD]}
TEXTS = {"chosen": GOOD["content"], "rejected": BAD["content"]}


def transcript(*turns: dict[str, str]) -> str:
    names = {"user": "Human", "assistant": "Assistant"}
    return "".join(f"\n\n{names[turn['role']]}: {turn['content']}" for turn in turns)


PREFERENCES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a prompt in conversations": ({"conversations": [SAYS]} | TEXTS, PAIR),
    "a prompt in messages": ({"messages": [ASKED]} | TEXTS, PAIR),
    "a conversation with an answer": ({"messages": [ASKED, GOOD]} | TEXTS, PAIR),
    "a query": ({"query": ASKED["content"]} | TEXTS, PAIR),
    "single messages": ({"messages": [ASKED], "chosen": GOOD, "rejected": BAD}, PAIR),
    "single turns of ShareGPT": (
        {"conversations": [SAYS], "chosen": {"from": "gpt", "value": "At ten past."},
         "rejected": {"from": "gpt", "value": "Never."}},
        PAIR,
    ),
    "OpenAI's": ({"input": {"messages": [ASKED]}, "preferred_output": [GOOD], "non_preferred_output": [BAD]}, PAIR),
    "transcripts": ({"chosen": transcript(ASKED, GOOD), "rejected": transcript(ASKED, BAD)}, PAIR),
    "transcripts of several turns": (
        {"chosen": transcript(*BEFORE, ASKED, GOOD), "rejected": transcript(*BEFORE, ASKED, BAD)},
        PAIR | {"prompt": [*BEFORE, ASKED]},
    ),
    "a transcript as the prompt": (
        {"prompt": transcript(*BEFORE, ASKED) + "\n\nAssistant:"} | TEXTS, PAIR | {"prompt": [*BEFORE, ASKED]},
    ),
    "an instruction with input": (
        {"instruction": "Answer.", "input": "Tide?"} | TEXTS,
        PAIR | {"prompt": [{"role": "user", "content": "Answer.\n\nTide?"}]},
    ),
    "earlier turns": (
        {"prompt": ASKED["content"], "history": [["Hello", "Ahoy"]]} | TEXTS, PAIR | {"prompt": [*BEFORE, ASKED]},
    ),
    "the text of a list": (
        {"prompt": "Even?", "chosen": "[2, 4]", "rejected": "[]"},
        {"prompt": [{"role": "user", "content": "Even?"}], "chosen": [{"role": "assistant", "content": "[2, 4]"}],
         "rejected": [{"role": "assistant", "content": "[]"}]},
    ),
    "the text of objects": (
        {"prompt": "Crew?", "chosen": '[{"name": "Mara"}]', "rejected": '[{"role": 1}, 2]'},
        {"prompt": [{"role": "user", "content": "Crew?"}],
         "chosen": [{"role": "assistant", "content": '[{"name": "Mara"}]'}],
         "rejected": [{"role": "assistant", "content": '[{"role": 1}, 2]'}]},
    ),
    "numbers": (
        {"prompt": "6 * 7?", "chosen": 42, "rejected": True},
        {"prompt": [{"role": "user", "content": "6 * 7?"}], "chosen": [{"role": "assistant", "content": "42"}],
         "rejected": [{"role": "assistant", "content": "true"}]},
    ),
    "the chosen conversation once more": (
        {"prompt": ASKED["content"], "chosen": [ASKED, GOOD], "rejected": [ASKED, BAD], "messages": [ASKED, GOOD]},
        PAIR,
    ),
}  # fmt: skip


@pytest.mark.parametrize("mode", ["dpo", "orpo", "kto"])
@pytest.mark.parametrize("form", PREFERENCES)
def test_pairs(form: str, mode: str, tmp_path: Path) -> None:
    row, wanted = PREFERENCES[form]
    assert trained(tmp_path, [row], mode) == [wanted]
    assert not checked(tmp_path, [row], mode).warnings


def test_the_chosen_prompt_column_is_followed_for_pairs(tmp_path: Path) -> None:
    row = {"prompt": "no", "ask": ASKED["content"]} | TEXTS
    assert trained(tmp_path, [row], "dpo", prompt_feature="ask") == [PAIR]


LABELLED: dict[str, dict[str, Any]] = {
    "messages": {"messages": [ASKED, GOOD], "label": True},
    "ShareGPT": {"conversations": [SAYS, {"from": "gpt", "value": "At ten past."}], "label": 1},
    "a tag": {"messages": [ASKED, GOOD], "kto_tag": True},
    "an instruction": {"instruction": ASKED["content"], "input": "", "output": "At ten past.", "label": "good"},
}


@pytest.mark.parametrize("form", LABELLED)
def test_labelled_answers(form: str, tmp_path: Path) -> None:
    other = {"prompt": "Even?", "completion": "[1, 3]", "label": False}
    rows = trained(tmp_path, [LABELLED[form], other], "kto")
    assert rows[0] == {"prompt": [ASKED], "completion": [GOOD], "label": True}
    assert rows[1]["completion"] == [{"role": "assistant", "content": "[1, 3]"}]


REFERENCES: dict[str, tuple[dict[str, Any], str]] = {
    "beside messages": ({"messages": [ASKED], "reference_answer": "12:10"}, "12:10"),
    "in place of an answer": ({"messages": [ASKED, GOOD], "ground_truth": "12:10"}, "12:10"),
    "in an object": (
        {"source": "log", "prompt": [ASKED], "reward_model": {"style": "rule", "ground_truth": "12:10"}}, "12:10",
    ),
    "beside a worked solution": (
        {"problem": ASKED["content"], "solution": "At ten past, so 12:10.", "answer": "12:10"}, "12:10",
    ),
    "a worked solution": ({"prompt": [ASKED], "solution": "So it is \\boxed{12:{10}}."}, "12:{10}"),
    "a worked answer": (
        {"question": ASKED["content"], "answer": "Noon is 12.\n12:00 + 0:10 = <<...>>\n#### 12:10"}, "12:10",
    ),
    "a number": ({"prompt": ASKED["content"], "answer": 12.5}, "12.5"),
    "a list of one": ({"prompt": ASKED["content"], "ground_truth": ["12:10"]}, "12:10"),
    "a list of numbers": ({"prompt": ASKED["content"], "answer": [3, 1]}, "[3, 1]"),
    "the text of a list": ({"prompt": ASKED["content"], "answer": "[3, 1]"}, "[3, 1]"),
    "an object": ({"prompt": ASKED["content"], "ground_truth": {"hour": 12}}, '{"hour": 12}'),
    "a message": ({"prompt": [ASKED], "answer": [{"role": "assistant", "content": "12:10"}]}, "12:10"),
}  # fmt: skip


@pytest.mark.parametrize("mode", ["grpo", "online_dpo"])
@pytest.mark.parametrize("form", REFERENCES)
def test_references(form: str, mode: str, tmp_path: Path) -> None:
    row, answer = REFERENCES[form]
    assert trained(tmp_path, [row], mode) == [{"prompt": [ASKED], "answer": answer}]


def test_prompts_that_are_the_text_of_a_list(tmp_path: Path) -> None:
    rows = trained(tmp_path, [{"prompt": "[3, 1]", "answer": "[1, 3]"}, {"prompt": "2?", "answer": "2"}], "grpo")
    assert rows[0]["prompt"] == [{"role": "user", "content": "[3, 1]"}]


def test_choices_stand_under_a_prompt_for_rewards_too(tmp_path: Path) -> None:
    (row,) = trained(tmp_path, [{"question": "Tide?", "choices": ["high", "low"], "answer": 1}], "grpo")
    assert row == {"prompt": [{"role": "user", "content": "Tide?\n\nA. high\nB. low"}], "answer": "B"}


def test_that_an_answer_was_taken_out_of_a_worked_one_is_told(tmp_path: Path) -> None:
    rows = [{"question": f"{n} + 1?", "answer": f"{n} and one.\n#### {n + 1}"} for n in range(3)]
    said = "The reference is what `answer` comes to (after ####, or in \\boxed{}): 3 rows."
    assert told(checked(tmp_path, rows, "grpo")) == [("final_answer", said)]


def test_written_prompts_are_not_taken_as_they_are_when_their_answers_are_worked(tmp_path: Path) -> None:
    row = {"prompt": [ASKED], "answer": "Ten and two.\n#### 12"}
    assert trained(tmp_path, [row], "grpo")[0]["answer"] == "12"
    assert json.loads(file_of(tmp_path, [row]).read_text())["answer"] == row["answer"], "the file stays as it is"


@pytest.mark.parametrize(
    "text, found",
    [("12", "12"), ("so\n#### 12", "12"), ("#### A\nmore\ntext", "#### A\nmore\ntext"),
     ("a \\boxed{b", "a \\boxed{b"), ("\\boxed{1} or \\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
     ("\\boxed{}", "\\boxed{}"), ("####", "####"), ("", ""), ("#### \\boxed{3}", "3")],
)  # fmt: skip
def test_final_answers(text: str, found: str) -> None:
    assert final_answer(text) == found
    assert final_answer(found) == found
