"""Where an export goes, what is in its way, and LM Studio's own folder of models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.core.export import destination
from app.core.export.destination import destination_problems, exports_dir, free_destination, usual_parent
from app.core.export.lm_studio import has_lm_studio, lm_studio_models


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def told(out: Path, needed: int) -> list[tuple[str, str]]:
    return [(one.path, one.text) for one in destination_problems(out, needed)]


def test_what_is_there_is_not_written_over_and_its_disk_must_have_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destination, "free_bytes", lambda _folder: 5_000_000)
    assert told(tmp_path / "new" / "deep", 5_000_000) == []
    too_much = (
        "out",
        "The export takes about 6\u00a0MB, and 5\u00a0MB are free. Free some space, or choose another disk.",
    )
    assert told(tmp_path / "new", 6_000_000) == [too_much]
    there = ("out", f"{tmp_path} exists, and nothing is written over. Choose another name, or delete it.")
    assert told(tmp_path, 6_000_000) == [there, too_much]
    (tmp_path / "file").write_text("")
    below = ("out", f"{tmp_path / 'file'} is a file, not a folder. Choose another folder.")
    assert told(tmp_path / "file" / "deep" / "new", 6_000_000) == [below]


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    for name in ("chats-gguf", "chats-gguf-2"):
        assert free_destination("chats", "gguf", tmp_path) == tmp_path / name
        (tmp_path / name).mkdir()
    assert free_destination("chats", "gguf", tmp_path) == tmp_path / "chats-gguf-3"
    assert free_destination("chats", "gguf").parent == exports_dir()
    assert usual_parent("lmstudio") == tmp_path / ".lmstudio" / "models" / "luthier"


def test_lm_studio_s_folder_is_where_it_is_set(tmp_path: Path) -> None:
    usual, older, moved = tmp_path / ".lmstudio", tmp_path / ".cache" / "lm-studio", tmp_path / "moved"
    assert (has_lm_studio(), lm_studio_models()) == (False, usual / "models")
    older.mkdir(parents=True)
    assert (has_lm_studio(), lm_studio_models()) == (True, older / "models")
    usual.mkdir()
    assert (has_lm_studio(), lm_studio_models()) == (True, usual / "models")
    pointer = tmp_path / ".lmstudio-home-pointer"
    for text, home in ((f"{moved}\n", usual), ("moved", usual), (f"{older}\n", older)):
        pointer.write_text(text)  # to a folder that is there, by its whole path
        assert lm_studio_models() == home / "models"
    for tree, models in (
        ({"downloadsFolder": "~/chosen"}, tmp_path / "chosen"),
        ({"downloadsFolder": ""}, older / "models"),
        ({"downloadsFolder": 3}, older / "models"),
        ([], older / "models"),
    ):
        (older / "settings.json").write_text(json.dumps(tree))
        assert lm_studio_models() == models
    (older / "settings.json").write_text("{")
    assert lm_studio_models() == older / "models"


def test_where_mlx_cannot_write_nothing_is_exported(tmp_path: Path) -> None:
    said = f"MLX cannot write where a name holds bytes that are no UTF-8: {tmp_path}/caf\udce9."
    assert told(tmp_path / "caf\udce9", 1) == [("out", f"{said} Choose another folder.")]
