"""The parts of an answer: thinking, text and code, whole or cut in the middle."""

from __future__ import annotations

import pytest

from app.core.compare.answer_part import LINE_SIGN, answer_parts, with_lines


@pytest.mark.parametrize(
    "answer, parts",
    [
        ("Plain.", [("text", "Plain.")]),
        ("", []),
        ("<think>\nHm.\n</think>\n\nYes.", [("thinking", "Hm."), ("text", "Yes.")]),
        ("Hm.</think>Yes.", [("thinking", "Hm."), ("text", "Yes.")]),
        ("<think>cut off", [("thinking", "cut off")]),
        ("<think></think>Yes.", [("text", "Yes.")]),
        ("One.\n<think>Hm.</think>Two.", [("text", "One."), ("thinking", "Hm."), ("text", "Two.")]),
        ("Write `<think>` first.", [("text", "Write `<think>` first.")]),
        ("a\n```py\nx = 1\n\ny\n```\nb", [("text", "a"), ("code", "x = 1\n\ny"), ("text", "b")]),
        ("```\ncut", [("code", "cut")]),
        ("~~~\n```\n~~~", [("code", "```")]),
        ("````\n```\n````", [("code", "```")]),
        ("- a\n  ```\n  x\n    y\n  ```", [("text", "- a"), ("code", "x\n  y")]),
        ("use ```three``` ticks", [("text", "use ```three``` ticks")]),
    ],
)
def test_an_answer_falls_into_its_parts(answer: str, parts: list[tuple[str, str]]) -> None:
    assert [(part.kind, part.text) for part in answer_parts(answer)] == parts


def test_a_block_of_code_knows_its_language() -> None:
    (code,) = answer_parts("```python title=x\na\n```")
    assert code.language == "python title=x"


@pytest.mark.parametrize(
    "text, lines",
    [
        ("one\ntwo  \n  three\\\nfour\n\nfive\nsix", "one⏎two⏎three⏎four\n\nfive⏎six"),
        ("# Title\none\ntwo\n---\nthree\nfour", "# Title\none⏎two\n---\nthree⏎four"),
        ("Two\nlines:\n- a\n  b\n1. c\nd\n\ne\nf", "Two⏎lines:\n- a\n  b\n1. c\nd\n\ne⏎f"),
        ("> a\n> b\nc", "> a\n> b\nc"),
        ("a | b\n-|-\n1 | 2\n\n    x = 1\n    y", "a | b\n-|-\n1 | 2\n\n    x = 1\n    y"),
        ("a\n_b_\nhttps://c", "a⏎\u200a_b_⏎\u200ahttps://c"),
        ("12345 City\n    Street", "12345 City⏎Street"),
        ("", ""),
    ],
)
def test_a_paragraph_keeps_its_lines_and_nothing_else_is_touched(text: str, lines: str) -> None:
    assert with_lines(text) == lines.replace("⏎", LINE_SIGN)
