"""The log: appending, following the end, searching and saving."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLabel, QLineEdit, QPlainTextEdit, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from app.ui.run.log_view import MAXIMUM_LINES, LogView
from tests.ui.child import child


@pytest.fixture
def log(qtbot: QtBot) -> LogView:
    found = LogView()
    qtbot.addWidget(found)
    found.resize(400, 200)
    found.show()
    return found


def text_of(log: LogView) -> QPlainTextEdit:
    return child(log, QPlainTextEdit, "log_text")


def test_text_is_appended_in_batches(qtbot: QtBot, log: LogView) -> None:
    for number in range(100):
        log.append(f"line {number}\n")
    assert log.text == ""
    qtbot.waitUntil(lambda: log.text.endswith("line 99\n"))
    assert log.text.count("\n") == 100


def test_half_a_line_is_continued_and_a_progress_bar_stays_one_line(log: LogView) -> None:
    for text in ("Loading ", "the model\n", "\r10%", "\r20%", "\r100%\n", "done\r\n"):
        log.append(text)
        log.flush()
    assert log.text == "Loading the model\n100%\ndone\n"


def test_colours_of_a_terminal_are_left_out(log: LogView) -> None:
    log.append("\x1b[1;32mgreen\x1b[0m text\n")
    log.flush()
    assert log.text == "green text\n"


def test_it_follows_the_end_unless_scrolled_up(log: LogView) -> None:
    log.append("line\n" * 200)
    log.flush()
    bar = text_of(log).verticalScrollBar()
    assert bar.value() == bar.maximum()
    bar.setValue(10)
    log.append("more\n" * 50)
    log.flush()
    assert bar.value() == 10
    bar.setValue(bar.maximum())
    log.append("more\n" * 50)
    log.flush()
    assert bar.value() == bar.maximum()


def test_of_a_flood_the_last_lines_stay(log: LogView) -> None:
    log.append("".join(f"line {number}\n" for number in range(300_000)))
    log.flush()
    assert text_of(log).blockCount() <= MAXIMUM_LINES
    assert "line 299999" in log.text[-200:]


def test_the_search_counts_and_goes_round(log: LogView) -> None:
    log.append("alpha\nbeta\nalpha\ngamma\nALPHA\n")
    log.flush()
    search = child(log, QLineEdit, "log_search")
    QTest.keyClicks(search, "alpha")
    assert log.match_text == "3 of 3"
    QTest.mouseClick(child(log, QToolButton, "log_next"), Qt.MouseButton.LeftButton)
    assert log.match_text == "1 of 3"
    QTest.mouseClick(child(log, QToolButton, "log_previous"), Qt.MouseButton.LeftButton)
    assert log.match_text == "3 of 3"
    log.append("alpha again\n")
    log.flush()
    assert log.match_text == "3 of 4"
    search.setText("nothing like it")
    assert child(log, QLabel, "log_matches").text() == "not found"
    assert not child(log, QToolButton, "log_next").isEnabled()


def test_find_puts_the_keyboard_into_the_search(log: LogView) -> None:
    text_of(log).setFocus()
    log.start_search()
    assert child(log, QLineEdit, "log_search").hasFocus()


def test_saving_copies_the_whole_file_not_only_what_is_shown(log: LogView, tmp_path: Path) -> None:
    log.append("what is shown\n")
    log.save(tmp_path / "shown.txt")
    assert (tmp_path / "shown.txt").read_text().strip() == "what is shown"
    whole = tmp_path / "log.txt"
    whole.write_text("everything\nwhat is shown\n")
    log.set_source(whole)
    log.save(tmp_path / "copy.txt")
    assert (tmp_path / "copy.txt").read_text() == whole.read_text()


def test_its_end_stays_in_sight_in_another_size_unless_one_reads_above(qtbot: QtBot, log: LogView) -> None:
    text, bar = text_of(log), text_of(log).verticalScrollBar()
    for number in range(200):
        log.append(
            f"line {number} of a log whose lines are long enough to take more than one line when it is narrow\n"
        )
    log.flush()
    for size in ((400, 90), (220, 300), (180, 75)):
        log.resize(*size)
        qtbot.waitUntil(lambda: bar.value() == bar.maximum() > 0)
        last = text.blockBoundingGeometry(text.document().lastBlock()).translated(text.contentOffset())
        assert last.bottom() <= text.viewport().height() + 1
    bar.setValue(20)
    log.resize(400, 300)
    assert bar.value() < bar.maximum() - 20


def test_the_log_is_saved_where_the_panel_says_and_that_is_told(
    log: LogView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[str] = []
    answers = ["", str(tmp_path / "kept.txt"), str(tmp_path / "kept.txt" / "no folder.txt")]

    def answer(_parent: QWidget, _caption: str, start: str, _filters: str) -> tuple[str, str]:
        offered.append(Path(start).name)
        return answers.pop(0), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    told: list[str] = []
    log.told.connect(told.append)
    log.append("what was printed\n")
    save = child(log, QToolButton, "log_save")
    QTest.mouseClick(save, Qt.MouseButton.LeftButton)
    assert (told, list(tmp_path.iterdir())) == ([], []), "it was left"
    QTest.mouseClick(save, Qt.MouseButton.LeftButton)
    assert (tmp_path / "kept.txt").read_text().strip() == "what was printed"
    assert told == [f"The log was saved as {tmp_path}/kept.txt."]
    QTest.mouseClick(save, Qt.MouseButton.LeftButton)
    assert told[1].startswith("The log was not saved: ")
    assert "kept.txt" in told[1]
    assert offered == ["log.txt"] * 3
