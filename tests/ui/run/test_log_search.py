"""The log's search shows what it found, and what the worker prints over itself stands as it last was."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QLineEdit, QPlainTextEdit, QToolButton
from pytestqt.qtbot import QtBot

from app.ui.run import log_view
from app.ui.run.log_view import LogView
from app.ui.widget import theme
from tests.ui.child import child


@pytest.fixture
def log(qtbot: QtBot) -> LogView:
    found = LogView()
    qtbot.addWidget(found)
    found.resize(400, 200)
    return found


def said(log: LogView, *texts: str) -> str:
    for text in texts:
        log.append(text)
        log.flush()
    return log.text


def marks(log: LogView) -> list[tuple[str, str, str]]:
    """What is marked, on which colour, in which."""
    return [
        (
            one.cursor.selectedText(),
            one.format.background().color().name(),
            one.format.foreground().color().name() if one.format.hasProperty(0x821) else "",
        )
        for one in child(log, QPlainTextEdit, "log_text").extraSelections()
    ]


def search(log: LogView, text: str) -> None:
    child(log, QLineEdit, "log_search").setText(text)


@pytest.mark.parametrize(
    "texts, seen",
    [
        (["abc\rde"], "de"),
        (["abc", "\rxyz\nq\rw"], "xyz\nw"),
        (["10%\r", "20%\r\n", "done\r\n"], "10%20%\ndone\n"),
        (["first\nsecond", "\rthird"], "first\nthird"),
        (["a\r\nb\r\n"], "a\nb\n"),
        (["\x1b[2K\x1b[1;32mgreen\x1b[0m"], "green"),
        ([""], ""),
    ],
)
def test_what_is_printed_over_a_line_takes_its_place(log: LogView, texts: list[str], seen: str) -> None:
    assert said(log, *texts) == seen


def test_matches_are_marked_and_the_one_gone_to_stands_out(log: LogView, monkeypatch: pytest.MonkeyPatch) -> None:
    buttons = [child(log, QToolButton, name) for name in ("log_next", "log_previous")]
    c = theme.colors()
    said(log, "one a two a three a\n")
    assert [one.isEnabled() for one in buttons] == [False, False]
    log.find_next()
    assert (log.match_text, marks(log)) == ("", [])
    search(log, "a")
    assert [one.isEnabled() for one in buttons] == [True, True]
    assert log.match_text == "3 of 3", "the newest is gone to first"
    assert marks(log) == [("a", c.selection, ""), ("a", c.selection, ""), ("a", c.accent, c.on_accent)]
    text = child(log, QPlainTextEdit, "log_text")
    assert (text.textCursor().position(), text.textCursor().hasSelection()) == (19, False)
    log.find_next()
    assert (log.match_text, [color for _, color, _ in marks(log)]) == ("1 of 3", [c.accent, *[c.selection] * 2])
    log.find_previous()
    assert log.match_text == "3 of 3"
    log.append("a new one")
    assert log.match_text == "3 of 3", "it is not shown yet"
    log.flush()
    assert log.match_text == "3 of 4"
    theme.apply_theme("dark")
    assert [color for _, color, _ in marks(log)] == [
        theme.DARK.selection, theme.DARK.selection, theme.DARK.accent, theme.DARK.selection,
    ]  # fmt: skip
    monkeypatch.setattr(log_view, "MATCHES_SHOWN", 3)
    search(log, "e")
    assert log.match_text == "3 of 3+", "so many are shown"
    monkeypatch.setattr(log_view, "MATCHES_SHOWN", 500)
    search(log, "nothing like it")
    assert (log.match_text, marks(log), [one.isEnabled() for one in buttons]) == ("not found", [], [False, False])
    search(log, "a")
    log.append("pending")
    log.clear()
    log.flush()
    assert (log.text, log.match_text, marks(log)) == ("", "not found", [])
    search(log, "")
    assert child(log, QLabel, "log_matches").text() == ""
    said(log, "a\n")
    assert marks(log) == [], "nobody searches"


def test_a_key_leads_to_the_search_and_enter_goes_on(qtbot: QtBot, log: LogView) -> None:
    said(log, "a b a\n")
    log.show()
    log.activateWindow()
    qtbot.waitUntil(log.isActiveWindow)
    field = child(log, QLineEdit, "log_search")
    search(log, "a")
    child(log, QPlainTextEdit, "log_text").setFocus()
    QTest.keySequence(child(log, QPlainTextEdit, "log_text"), QKeySequence(QKeySequence.StandardKey.Find))
    assert (field.hasFocus(), field.selectedText()) == (True, "a"), "what is typed takes its place"
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert log.match_text == "1 of 2"


def test_text_waits_for_its_moment_and_no_longer(log: LogView) -> None:
    log.append("one\n")
    left = log._timer.remainingTime()
    QTest.qWait(5)
    log.append("two\n")
    assert log._timer.remainingTime() < left, "a flood does not put it off"
    log.flush()
    assert (log.text, log._timer.isActive()) == ("one\ntwo\n", False)


def test_where_the_file_is_gone_what_is_shown_is_saved(log: LogView, tmp_path: Path) -> None:
    log.set_source(tmp_path / "gone.txt")
    log.append("shown")
    log.save(tmp_path / "kept.txt")
    assert (tmp_path / "kept.txt").read_text() == "shown\n"
    log.set_source(None)
    log.save(tmp_path / "again.txt")
    assert (tmp_path / "again.txt").read_text() == "shown\n"


def test_of_a_flood_as_many_lines_as_can_be_shown_are_kept(log: LogView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_view, "MAXIMUM_LINES", 3)
    assert said(log, "a\nb\nc\nd") == "a\nb\nc\nd", "three ends of lines are no flood"
    log.clear()
    assert said(log, "a\nb\nc\nd\n") == "c\nd\n"
