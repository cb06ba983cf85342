"""What a column's name tells."""

from __future__ import annotations

import pytest

from app.core.data.column import is_about_example


@pytest.mark.parametrize(
    ("name", "is_about"),
    [
        ("prompt_id", True),
        ("answerType", True),
        ("_id", True),
        ("id_", True),
        ("source_2", True),
        ("num_answers", True),
        ("answer", False),
        ("identity", False),
        ("type_of_answer", False),
        ("", False),
        ("42", False),
    ],
)
def test_some_names_tell_about_an_example(name: str, is_about: bool) -> None:
    assert is_about_example(name) is is_about
