"""Under the templates of many families exactly the answers are learned, token for token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.worker.token.template_family import CASES, FAMILIES, Family, learned, tokenizer_of, verdict

NAMES = {family.name: family for family in FAMILIES}


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {family.name: tokenizer_of(family, tmp_path_factory.mktemp(family.name)) for family in FAMILIES}


@pytest.mark.parametrize("turns", ["last", "all"])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_answers_are_learned_and_nothing_else(family: Family, turns: str, tokenizers: dict[str, Any]) -> None:
    said = {case: verdict(family, case, turns, tokenizers[family.name]) for case in family.cases}
    assert said == dict.fromkeys(family.cases, "")


@pytest.mark.parametrize("name", ["marked_chatml", "marked_phi3"])
def test_marks_are_learned_as_transformers_reads_them(name: str, tokenizers: dict[str, Any]) -> None:
    tokenizer = tokenizers[name]
    for case in NAMES[name].cases:
        found = tokenizer._tokenizer.apply_chat_template(
            CASES[case]["messages"], return_assistant_tokens_mask=True, return_dict=True
        )
        example = learned(tokenizer, CASES[case], "all")[1].example
        assert example is not None
        assert example.tokens.tolist() == found["input_ids"]
        assert example.trained.astype(int).tolist() == found["assistant_masks"]


@pytest.mark.parametrize(
    ("name", "case", "said"),
    [
        ("lfm2", "tools", ["The chat template leaves out the tool call of message 2."]),
        ("zephyr", "thinking", ["The chat template leaves out the reasoning of message 2.",
                                "The chat template leaves out the reasoning of message 4."]),
        ("zephyr", "tools", ["The chat template shows no tools: the model will not know of them.",
                             "The chat template leaves out the tool call of message 2."]),
        ("qwen3", "thinking", ["The chat template leaves out the reasoning of message 2."]),
        ("qwen3", "tools", []),
    ],
)  # fmt: skip
def test_what_a_template_leaves_out_is_told(
    name: str, case: str, said: list[str], tokenizers: dict[str, Any]
) -> None:
    faults = learned(tokenizers[name], CASES[case], "all")[1].faults
    assert [reason for kind, reason in faults if kind.startswith("dropped")] == said


@pytest.mark.parametrize(
    ("name", "is_told"), [("glm4", True), ("vicuna", False), ("phi3", False), ("gpt_oss", False)]
)
def test_an_answer_without_an_end_token_is_told(name: str, is_told: bool, tokenizers: dict[str, Any]) -> None:
    kinds = [kind for kind, _ in learned(tokenizers[name], CASES["turns"], "last")[1].faults]
    assert ("no_stop_token" in kinds) is is_told


def test_a_turn_with_weight_zero_is_not_learned(tokenizers: dict[str, Any]) -> None:
    first, second, third, fourth = CASES["turns"]["messages"]
    bad = {"messages": [first, second | {"weight": 0}, third, fourth | {"weight": 1}]}
    good = {"messages": [first, second | {"weight": None}, third, fourth | {"weight": 0}]}
    for name in ("qwen3", "gpt_oss", "marked_chatml", "marked_phi3"):
        ends = NAMES[name].spans("turns", "all")
        assert learned(tokenizers[name], bad, "all")[0] == ends[1:]
        assert learned(tokenizers[name], good, "all")[0] == ends[:1]
        assert learned(tokenizers[name], good, "last")[0] == []


def test_a_template_that_wants_arguments_as_text_gets_them(tmp_path: Path) -> None:
    family = Family("deepseek_v3", "</s>")
    tokenizer = tokenizer_of(family, tmp_path)
    template = tokenizer._tokenizer.chat_template
    tokenizer._tokenizer.chat_template = template.replace(
        "~ (call.function.arguments | tojson) ~", "+ call.function.arguments +"
    )
    assert tokenizer._tokenizer.chat_template != template
    spans, encoded = learned(tokenizer, CASES["tools"], "all")
    assert encoded.refused == ""
    assert spans == [NAMES["deepseek_v3"].call, "It is 20.</s>"]
