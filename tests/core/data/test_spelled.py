"""Lists that stand in a column as text."""

from __future__ import annotations

import pytest

from app.core.data.column import as_list


@pytest.mark.parametrize(
    "text", ['["cork", "lead\\ud83d"]', "['cork', 'lead\\ud83d']", "['cork', 'lead\\U0000D83D']"]
)
def test_half_of_a_character_is_not_taken_out_of_a_text(text: str) -> None:
    """Found by the fuzz: no file could hold the list."""
    assert as_list(text) == text
    assert as_list('["cork", "\\ud83d\\ude00"]') == ["cork", "😀"]
