"""The word that a reward file may run is about its content."""

from __future__ import annotations

from pathlib import Path

from app.core.system.reward_trust import content_hash, is_trusted, trust


def test_trust_is_in_the_content(tmp_path: Path) -> None:
    file = tmp_path / "rewards.py"
    file.write_text("x = 1\n")
    assert not is_trusted(file)
    assert trust(file) == trust(file) == content_hash(file)
    assert is_trusted(file)
    file.write_text("x = 2\n")
    assert not is_trusted(file)
