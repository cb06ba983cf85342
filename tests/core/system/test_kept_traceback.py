"""What nobody foresaw is kept in a file, and a sentence says where, or that it could not be written."""

from __future__ import annotations

from pathlib import Path

from app.core.system import place
from app.core.system.kept_traceback import keep_traceback


def kept(said: str) -> str:
    try:
        raise ValueError(said)
    except ValueError:
        return keep_traceback()


def test_the_details_are_its_owners_alone_and_the_last_error_counts() -> None:
    path = place.cache_dir() / "last_error.txt"
    for said in ("first", "second"):
        assert kept(said) == f"The details are in {path}."
    text = path.read_text(encoding="utf-8")
    assert text.endswith("ValueError: second\n")
    assert "first" not in text
    assert path.stat().st_mode & 0o777 == 0o600


def test_where_they_cannot_be_written_that_is_said(home: Path) -> None:
    (home / "cache").write_text("a file where a folder should be")
    assert kept("anything") == "(The details could not be written: File exists.)"
