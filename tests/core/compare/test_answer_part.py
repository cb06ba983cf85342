"""The parts of an answer: thinking, text and code, whole or cut in the middle."""

from __future__ import annotations

import pytest

from app.core.compare.answer_part import answer_parts


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
