"""Every page and dialog with something in it: a model, data, a run, answers. What it then consists of, and says.

`filled_sheet.txt` lists it as it was looked at. Where a page has changed, ``LUTHIER_SHEET=1`` before this test
writes the list anew: its difference is looked at, and committed.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtGui import QFontInfo
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from tests.sheet import compare
from tests.ui.fake_worker import FakeWorker
from tests.ui.window.every_page import EveryPage, RememberedWorker, job_worker, settle
from tests.ui.window.sheet import sheet_of

LATE_MS = 1000
FONT = "Inter"  # the sheet's: wider ones fold other controls away
SHEET = Path(__file__).with_name("filled_sheet.txt")
VARIES = (  # of what is said: where the tests keep things, when they ran, on what
    (re.compile(r"(/[^\s/:]+)*/(home_\d+|pytest-\d+|resources)(?=/|\b)"), "~"),
    (re.compile(r"\d{4}-\d\d-\d\d(?!_12-)([T _]\d\d[:-]\d\d([:-]\d\d)?)?"), "DAY"),
    (re.compile(r"\b\d\d:\d\d(:\d\d)?\b"), "TIME"),
    (re.compile(r"^3\d\ss$|(?<=to sleep in )\d+\ss"), "SECONDS"),  # the clock goes on
    (re.compile(r"(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, "), ""),
    (re.compile(r"[\d.,]+\sGB(?= (that MLX|of working memory|are free))|(?<=Limit: )[\d.,]+\sGB"), "MACHINE"),
    # Of a run's folder, whose config has paths in it.
    (
        re.compile(r"(?<=(cted|runs) · )[\d.,]+\skB|^\d\d?(\.\d+)?\skB$|[\d.,]+\sk?B(?= \| )"),
        "SIZE",
    ),
)


def unvaried(text: str) -> str:
    for pattern, word in VARIES:
        text = pattern.sub(word, text)
    return text


class Clock(datetime):
    """Each run begins a minute after the one before it, whatever the time is."""

    ticks = 0

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Clock:
        cls.ticks += 1
        return cls(2026, 1, 1, 12, cls.ticks, tzinfo=tz)


class FilledPage(EveryPage):
    """Goes through the window, and lists each part of it that was filled."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        super().__init__(None)

    def see(self, name: str, page: QWidget) -> None:
        window = self.window
        window.user_actions.queue.refresh()  # else when its timer comes round
        self.wait(lambda: not self.is_late() and not self.is_reading(page))
        settle()
        parts: dict[str, QWidget] = {
            "run": window.run_panel,
            "compare": window.compare_tab,
            "queue": window._runs_page,
            "runs": window._runs_page,
            "setup": window.setup_tab,
        }
        part = parts.get(name.partition(",")[0], page)
        self.lines += [name, *sheet_of(part, unvaried)]

    def is_late(self) -> bool:
        """Whether something is yet to be shown: figures come together, not each at once."""
        timers = self.window.findChildren(QTimer)
        return any(one.isActive() and one.isSingleShot() and one.interval() < LATE_MS for one in timers)

    def is_reading(self, page: QWidget) -> bool:
        """Whether examples are yet to come."""
        return any(
            one.isVisible() and one.text().startswith(("Reading", "Loading"))
            for one in page.findChildren(QLabel, "examples.state")
        )

    def walk(self) -> None:
        self.setup()
        self.run_panel()
        self.compare()
        self.runs()
        self.dialogs()
        self.window.dispose()


@pytest.mark.slow
def test_filled_pages_are_what_they_were(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if QFontInfo(QApplication.font()).family() != FONT:
        pytest.skip(f"{FONT} is not installed, or not the system's font")
    FakeWorker.made = []
    RememberedWorker.answers = tmp_path
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", job_worker)
    monkeypatch.setattr("app.ui.run.session.WorkerProcess", FakeWorker)
    monkeypatch.setattr("app.core.run.folder.datetime", Clock)
    monkeypatch.setattr("app.core.run.benchmark.HARNESS", "of_nobody")  # as where lm-eval is not installed
    Clock.ticks = 0
    pages = FilledPage()
    qtbot.addWidget(pages.window)
    pages.walk()
    compare(pages.lines, SHEET)
