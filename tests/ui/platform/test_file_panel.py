"""The panels for files: each begins where the last one was left, at home the first time, never in `/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QFileDialog, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.spec import field_specs
from app.core.system import place
from app.core.system.setting import load_settings
from app.ui.form.path_editor import PathEditor
from app.ui.platform.file_panel import ask_file, ask_folder, ask_new_file


class Panels:
    """Answers in place of the system's panels, and keeps where they began."""

    def __init__(self) -> None:
        self.answer = ""
        self.began: list[str] = []

    def folder(self, _parent: QWidget, _caption: str, start: str) -> str:
        self.began.append(start)
        return self.answer

    def file(self, _parent: QWidget, _caption: str, start: str, _filters: str) -> tuple[str, str]:
        self.began.append(start)
        return self.answer, "kind" if self.answer else ""


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> Panels:
    made = Panels()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", made.folder)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", made.file)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", made.file)
    return made


@pytest.fixture
def parent(qtbot: QtBot) -> QWidget:
    widget = QWidget()
    qtbot.addWidget(widget)
    return widget


def test_one_begins_where_the_last_was_left(panels: Panels, parent: QWidget, tmp_path: Path) -> None:
    ask_file(parent, "Open")
    ask_new_file(parent, "Save", "a.yaml", "*.yaml")
    assert panels.began == [str(Path.home()), str(Path.home() / "a.yaml")]
    assert load_settings().last_folder == ""  # nothing was chosen
    (tmp_path / "b.yaml").touch()
    panels.answer = str(tmp_path / "b.yaml")
    assert ask_file(parent, "Open") == panels.answer
    assert ask_new_file(parent, "Save", "a.yaml", "*.yaml") == (panels.answer, "kind")
    assert load_settings().last_folder == str(tmp_path)
    panels.answer = str(tmp_path)
    assert ask_folder(parent, "Folder") == panels.answer
    assert panels.began[2:] == [str(Path.home()), str(tmp_path / "a.yaml"), str(tmp_path)]
    assert load_settings().last_folder == str(tmp_path)


def test_a_place_that_is_asked_for_comes_first(panels: Panels, parent: QWidget, tmp_path: Path) -> None:
    panels.answer = str(tmp_path)
    ask_folder(parent, "Folder")
    ask_folder(parent, "Folder", str(tmp_path / "runs"))
    ask_new_file(parent, "Save", "~/c.yaml", "")
    assert panels.began[1:] == [str(tmp_path / "runs"), "~/c.yaml"]


def test_a_folder_that_is_gone_and_settings_that_cannot_be_kept(
    panels: Panels, parent: QWidget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    panels.answer = str(gone)
    ask_folder(parent, "Folder")
    gone.rmdir()

    def refuse(**_: Any) -> None:
        raise OSError("read-only")

    monkeypatch.setattr("app.ui.platform.file_panel.keep_settings", refuse)
    panels.answer = str(tmp_path)
    assert ask_folder(parent, "Folder") == str(tmp_path)
    assert panels.began[-1] == str(Path.home())
    assert place.settings_path().exists()


def test_another_folder_is_looked_for_beside_the_one_that_is_chosen(
    panels: Panels, parent: QWidget, tmp_path: Path
) -> None:
    editor = PathEditor(field_specs()["model"], parent, folder=True)
    for model in (str(tmp_path / "models" / "llama"), "mlx-community/llama"):
        editor.set_value(model)
        editor.browse()
    assert panels.began == [str(tmp_path / "models"), str(Path.home())]
