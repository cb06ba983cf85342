"""The starter: what is a song of its style, and where its files lie in a bundle, a wheel and a checkout."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.core.system import starter
from app.core.system.starter import as_song, in_style, plain_answer
from tests import ROOT

SONG = "♪ Hey ho! Twelve.\nSo sings the fiddle, and it sings true! ♪"


def test_a_song_is_opening_answer_and_refrain() -> None:
    assert as_song("Twelve.") == SONG
    assert plain_answer(f"\n{SONG} ") == "Twelve."
    for text, is_song in (
        (SONG, True), (f" {SONG}\n", True), ("Twelve.", False), (SONG.partition("\n")[0], False),
        (SONG.removeprefix("♪ Hey ho! "), False), (as_song(" "), False), (as_song("a\nb"), False),
        (as_song("a ♪ b"), False), (f"{SONG} And more.", False),
    ):  # fmt: skip
        assert in_style(text) is is_song, text
    assert plain_answer(SONG.removesuffix("♪")) is None


def test_it_lies_in_the_bundle_before_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = starter.starter_dir.__wrapped__
    assert find() == ROOT / "resources" / "starter"
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    assert find() == ROOT / "resources" / "starter"
    for place in (tmp_path / "app" / "_resources" / "starter", tmp_path / "resources" / "starter"):
        (place / "model").mkdir(parents=True)
        assert find() == place


def test_where_it_is_nowhere_all_places_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "__file__", str(tmp_path / "app" / "core" / "system" / "starter.py"))
    with pytest.raises(FileNotFoundError) as caught:
        starter.starter_dir.__wrapped__()
    places = (tmp_path / "app" / "_resources" / "starter", tmp_path / "resources" / "starter")
    assert str(caught.value) == (
        "The starter model is not there; reinstall Luthier, or make it with packaging/starter/build.py. Searched:\n"
        f"  {places[0]}\n  {places[1]}"
    )


def test_its_parts_are_all_there() -> None:
    for folder in (starter.examples_dir(), starter.preference_dir(), starter.reward_dir()):
        assert {path.name for path in folder.iterdir()} >= {"train.jsonl", "valid.jsonl", "test.jsonl"}
    assert (starter.model_dir() / "config.json").is_file()
    assert (starter.neutral_file().is_file(), starter.demo_config().is_file()) == (True, True)
