"""The word that a reward file may run is about its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from app.core.system.reward_trust import content_hash, is_trusted, own_modules, trust


def test_trust_is_in_the_content(tmp_path: Path) -> None:
    file = tmp_path / "rewards.py"
    file.write_text("x = 1\n")
    assert not is_trusted(file)
    assert trust(file) == trust(file) == content_hash(file)
    assert is_trusted(file)
    file.write_text("x = 2\n")
    assert not is_trusted(file)


def test_the_word_covers_what_the_file_imports_from_its_folder(tmp_path: Path) -> None:
    file, helper = tmp_path / "rewards.py", tmp_path / "helper.py"
    file.write_text("import os\nimport helper\nfrom tools.text import clean\n")
    helper.write_text("from . import deeper\nx = 1\n")
    (tmp_path / "deeper.py").write_text("y = 1\n")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "__init__.py").write_text("")
    (tmp_path / "tools" / "text.py").write_text("def clean(text): return text\n")
    (tmp_path / "other.py").write_text("z = 1\n")
    names = [path.relative_to(tmp_path).as_posix() for path in own_modules(file)]
    assert names == ["rewards.py", "deeper.py", "helper.py", "tools/__init__.py", "tools/text.py"]
    trust(file)
    (tmp_path / "other.py").write_text("z = 2\n")
    assert is_trusted(file)
    for changed in (helper, tmp_path / "deeper.py", tmp_path / "tools" / "text.py"):
        before = changed.read_text()
        changed.write_text(before + "# changed\n")
        assert not is_trusted(file)
        changed.write_text(before)
    assert is_trusted(file)


def test_a_file_alone_keeps_the_word_that_was_given_before(tmp_path: Path) -> None:
    file = tmp_path / "rewards.py"
    file.write_text("import json\n")
    assert content_hash(file) == hashlib.sha256(b"import json\n").hexdigest()
