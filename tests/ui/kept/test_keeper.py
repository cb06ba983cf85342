"""The keeper of a comparison by itself: when it writes, what it leaves, and what it tells of a disk that cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot

from app.core.compare.conversation import Conversation
from app.core.compare.kept_comparison import ComparisonHead, KeptComparison, kept_comparison
from app.core.compare.shelf import ComparisonShelf
from app.ui.kept.earlier_button import EarlierButton, entry_text
from app.ui.kept.keeper import ComparisonKeeper
from app.ui.platform.own_texts import created_text


class Desk:
    """What is shown, which changes as a test says."""

    def __init__(self, folder: Path) -> None:
        self.head = ComparisonHead(base="/m")
        self.pages: tuple[Conversation, ...] = ()
        self.keeper = ComparisonKeeper(self.take, shelf=ComparisonShelf(folder))
        self.warned: list[str] = []
        self.failed: list[str] = []
        self.reading: list[bool] = []
        self.keeper.warned.connect(self.warned.append)
        self.keeper.failed.connect(self.failed.append)
        self.keeper.reading_changed.connect(lambda: self.reading.append(self.keeper.is_reading))

    def take(self) -> KeptComparison:
        return kept_comparison(self.head, self.pages)

    def change(self, base: str) -> None:
        self.head = replace(self.head, base=base)

    def files(self) -> list[str]:
        return sorted(path.stem for path in self.keeper.shelf.folder.glob("*.jsonl"))


@pytest.fixture
def desk(qapp: object, tmp_path: Path) -> Iterator[Desk]:
    assert qapp is not None
    found = Desk(tmp_path / "shelf")
    yield found
    found.keeper.flush()
    found.keeper.deleteLater()


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_it_writes_a_moment_after_the_first_change_and_never_the_same_twice(desk: Desk) -> None:
    keeper = desk.keeper
    keeper.settle()
    keeper.flush()
    assert desk.files() == [], "as it began"
    desk.change("/n")
    keeper.touch()
    assert keeper._timer.isActive()
    assert 300 < keeper._timer.interval() <= 400
    left = keeper._timer.remainingTime()
    keeper.touch()
    assert keeper._timer.remainingTime() <= left, "what changes meanwhile is written with it"
    keeper._timer.timeout.emit()
    keeper.flush()
    assert (desk.files(), keeper._timer.isActive()) == ([keeper.key], False)
    stamp = keeper.shelf.path_of(keeper.key).stat().st_mtime_ns
    keeper.flush()
    assert keeper.shelf.path_of(keeper.key).stat().st_mtime_ns == stamp
    keeper._writer.cost_s = 0.5
    keeper.touch()
    assert keeper._timer.interval() == 10_000, "a slow disk rests"


def test_a_draft_goes_when_another_comparison_begins(desk: Desk) -> None:
    keeper, first = desk.keeper, desk.keeper.key
    keeper.flush()
    assert desk.files() == [first]
    keeper.begin()
    assert keeper.key != first
    keeper.flush()
    assert desk.files() == [keeper.key]
    assert keeper.earlier() == [], "what is shown is not earlier"


def test_a_disk_that_cannot_be_written_is_told_once_until_it_can_again(
    qtbot: QtBot, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong, base in ((True, "/a"), (True, "/b"), (False, "/c"), (True, "/d")):
        with monkeypatch.context() as patch:
            if wrong:
                patch.setattr(desk.keeper.shelf, "write", full)
            desk.change(base)
            desk.keeper.flush()
    qtbot.waitUntil(lambda: len(desk.warned) == 2)
    assert desk.warned == ["The comparison could not be kept: No space left on device."] * 2
    monkeypatch.setattr(desk.keeper.shelf, "remove", full)
    desk.keeper.remove("2026-01-01")
    assert desk.warned[2:] == ["The kept comparison could not be taken away: No space left on device."]
    desk.keeper.shelf.folder.mkdir(exist_ok=True)
    monkeypatch.setattr(desk.keeper.shelf, "show", full)
    desk.keeper._note_shown("x")
    assert desk.keeper._timer.isActive(), "the next write tells why"


def test_while_one_is_read_nothing_is_written_and_another_may_begin(qtbot: QtBot, desk: Desk) -> None:
    keeper = desk.keeper
    keeper.flush()
    kept = keeper.key
    keeper.begin()
    keeper.flush()
    keeper.open(kept)
    assert (keeper.is_reading, desk.reading) == (True, [True])
    files = desk.files()
    desk.change("/other")
    keeper.touch()
    assert not keeper._timer.isActive()
    keeper.keep()
    assert desk.files() == files
    keeper.begin()
    assert (keeper.is_reading, desk.reading) == (False, [True, False])
    keeper.open("nothing like it")
    qtbot.waitUntil(lambda: not keeper.is_reading)
    assert (len(desk.failed), desk.reading[2:]) == (1, [True, False])


# -- the button --------------------------------------------------------------------


def test_an_entry_says_what_was_compared_and_when() -> None:
    head = ComparisonHead(key="2026-01-01", answered=1_700_000_000.0)
    when = created_text(1_700_000_000.0)
    assert entry_text(replace(head, fault="It is damaged.")) == f"2026-01-01 cannot be read · {when}"
    assert entry_text(head) == f"{head.title} · {when}".replace("&", "&&")
    assert entry_text(replace(head, fault="x", key="a&b")) == f"a&&b cannot be read · {when}"


def test_the_menu_says_why_nothing_can_be_opened_and_asks_before_one_is_gone(
    qtbot: QtBot, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    button = EarlierButton(desk.keeper)
    qtbot.addWidget(button)
    head = ComparisonHead(key="2026-01-01", answered=1_700_000_000.0)
    broken = replace(head, key="2026-01-02", fault="It is damaged.")
    heads: list[ComparisonHead] = []
    monkeypatch.setattr(desk.keeper, "earlier", lambda: heads)
    opened: list[str] = []
    removed: list[str] = []
    monkeypatch.setattr(desk.keeper, "open", opened.append)
    monkeypatch.setattr(desk.keeper, "remove", removed.append)

    def listed() -> list[tuple[str, bool]]:
        button.menu_of_earlier.aboutToShow.emit()
        return [(one.text(), one.isEnabled()) for one in button.menu_of_earlier.actions() if not one.isSeparator()]

    none = "None yet: a comparison with answers is kept here when you begin another"
    assert listed() == [(none, False)]
    button.refuse("Wait.")
    assert listed() == [("Wait.", False), (none, False)]
    heads = [head, broken]
    delete = ("Delete", True)
    assert listed() == [("Wait.", False), (entry_text(head), False), (entry_text(broken), False), delete]
    button.refuse("")
    assert listed() == [(entry_text(head), True), (entry_text(broken), False), delete]
    first, _, _, removing = button.menu_of_earlier.actions()
    assert first.objectName() == "compare.earlier.2026-01-01"
    first.trigger()
    assert opened == ["2026-01-01"]
    asked: list[tuple[str, str, str]] = []

    def answer(box: QMessageBox) -> int:
        escape = box.escapeButton()
        assert escape is box.defaultButton()
        asked.append((box.text(), box.informativeText(), escape.text()))
        box.buttons()[len(asked) > 1].click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", answer)
    menu = removing.menu()
    assert menu is not None
    for _ in range(2):
        menu.actions()[1].trigger()  # type: ignore[attr-defined]
    assert (
        asked
        == [("Delete this comparison?", f"{entry_text(broken)}\n\nIts answers are gone for good.", "Cancel")] * 2
    )
    assert removed == ["2026-01-02"]
