"""The file of reward functions: read as it is now, refused in words, and run only after the user's word for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.ui.form.store import ConfigStore
from app.ui.method.reward_file import LARGEST_BYTES, RewardFile
from tests.ui.child import child

SHORT = """from mlx_lm_lora import register_reward_function


@register_reward_function()
def is_short(prompts, completions, answer, types=None):
    return [float(len(one) < 9) for one in completions]
"""


@pytest.fixture
def store() -> ConfigStore:
    return ConfigStore()


@pytest.fixture
def part(qtbot: QtBot, store: ConfigStore) -> RewardFile:
    found = RewardFile(store)
    qtbot.addWidget(found)
    found.show()
    return found


def choose(store: ConfigStore, path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)
    store.set("reward_functions_file", str(path))


REFUSED = {
    "large": (b"#" * (LARGEST_BYTES + 1), "This file has 1\u00a0MB: it is no file of reward functions."),
    "gone": (None, "The file cannot be read: No such file or directory."),
    "no text": (b"\xff\xfe\x00", "This is not a text file."),
    "no Python": (b"def (:", "This is not Python:"),
    "null": (b"a = 1\x00", "This is not Python:"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_reward_file_says_why_and_cannot_be_allowed(
    kind: str, store: ConfigStore, part: RewardFile, tmp_path: Path
) -> None:
    content, said = REFUSED[kind]
    choose(store, tmp_path / "rewards.py", content)
    assert part.problem is not None
    assert part.problem.message.startswith(said)
    assert part.problem.hint == "Choose another file."
    assert (part.declared, part.is_allowed) == ((), False)
    part.allow()
    assert not part.is_allowed
    choose(store, tmp_path / "good.py", SHORT.encode())
    assert [one.name for one in part.declared] == ["is_short"]
    assert "nobody has said" in part.problem.message


def test_the_word_is_for_this_content_alone(
    qtbot: QtBot, store: ConfigStore, part: RewardFile, tmp_path: Path
) -> None:
    path = tmp_path / "rewards.py"
    choose(store, path, SHORT.encode())
    assert part.text.toPlainText() == SHORT
    with qtbot.waitSignal(part.read):
        qtbot.mouseClick(part.allow_button, Qt.MouseButton.LeftButton)
    assert (part.is_allowed, part.problem) == (True, None)
    path.write_text(SHORT.replace("9", "90"))
    part.refresh()
    assert not part.is_allowed
    assert part.problem is not None
    assert "90" in part.text.toPlainText()
    path.write_text(SHORT)
    part.refresh()
    assert part.is_allowed, "it was read and allowed before"
    with qtbot.waitSignal(part.read):
        store.set("reward_functions_file", "")
    assert (part.problem, part.declared, part.text.toPlainText()) == (None, (), "")
    assert child(part, QLabel, "reward_file.said") is not None
