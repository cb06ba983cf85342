"""What a bundle came to, in words."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.bundle.result import model_line, size_line

MODEL = {"id": "org/tiny", "revision": "", "folder": "", "bytes": 0, "four_bit": False, "licence": "mit"}


@pytest.mark.parametrize(
    "model, said",
    [
        ({}, "Base model: org/tiny is downloaded there. Licence: mit."),
        (
            {"revision": "abc", "four_bit": True, "bytes": 2_500_000},
            "Base model: org/tiny@abc is downloaded there (2.5\u00a0MB), loaded in 4 bit. Licence: mit.",
        ),
        (
            {"folder": "model", "licence": ""},
            "Base model: its files are in the bundle. Licence: not told here; read its page before you use it.",
        ),
    ],
)
def test_where_the_base_comes_from_is_said(model: dict[str, Any], said: str) -> None:
    assert model_line({"model": MODEL | model}) == said


def test_how_large_it_is_and_of_how_many_rows_is_said() -> None:
    assert size_line({"bytes": 1_200_000, "files": 19, "train": 2400, "valid": 1800}) == (
        "1.2\u00a0MB, 19 files, 2,400 rows to train on and 1,800 held out"
    )
    assert size_line({"bytes": 1000, "files": 1, "train": 1, "valid": 0}) == (
        "1\u00a0kB, 1 file, 1 row to train on and 0 held out"
    )
