"""Options refuse in words what their kind of value cannot be."""

from __future__ import annotations

import pytest
import typer

from app.command.option import strength_of


@pytest.mark.parametrize("text", ["nan", "inf", "-0.1", "10.5", "much"])
def test_a_strength_is_a_number_from_0_to_10(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"“{text}” is no strength"):
        strength_of(text)
    assert [strength_of(good) for good in ("0", "0.5", "1e1")] == [0.0, 0.5, 10.0]
