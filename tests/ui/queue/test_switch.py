"""The switch of the Runs tab: three pages, each made when it is first looked at, and no second time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QStackedWidget, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.power.sleep import Sleeper
from app.core.queue.queue import make_entry
from app.ui.queue.page import QueuePage
from app.ui.queue.session import QueueSession
from app.ui.queue.sweep_page import SweepPage
from app.ui.queue.switch import QUEUE_PAGE, RUNS_PAGE, SWEEPS_PAGE, QueueSwitch
from app.ui.run.session import RunSession


@pytest.fixture
def queue(qapp: object) -> Iterator[QueueSession]:
    assert qapp
    session = RunSession()
    found = QueueSession(session, session)
    yield found
    found.leave()
    session.deleteLater()


@pytest.fixture
def switch(qtbot: QtBot, queue: QueueSession) -> QueueSwitch:
    found = QueueSwitch(QWidget(), queue, Sleeper(obstacle="This machine never sleeps."))
    qtbot.addWidget(found)
    found.show()
    return found


def shown(switch: QueueSwitch) -> QWidget:
    pages = switch.findChild(QStackedWidget)
    assert isinstance(pages, QStackedWidget)
    assert pages.count() == 3
    page = pages.currentWidget()
    assert page is not None
    return page


def test_each_page_is_made_once_when_it_is_looked_at(switch: QueueSwitch) -> None:
    runs = shown(switch)
    assert not switch.findChildren(QueuePage)
    assert not switch.findChildren(SweepPage)
    for _ in range(2):
        switch.show_page(SWEEPS_PAGE)
        assert shown(switch) is switch.sweep_page
        switch.show_page(QUEUE_PAGE)
        assert shown(switch) is switch.queue_page
        switch.show_page(RUNS_PAGE)
        assert shown(switch) is runs
    assert len(switch.findChildren(QueuePage)) == len(switch.findChildren(SweepPage)) == 1


def test_a_page_that_is_only_asked_for_is_not_brought_to_the_front(switch: QueueSwitch) -> None:
    runs = shown(switch)
    assert isinstance(switch.sweep_page, SweepPage)
    assert isinstance(switch.queue_page, QueuePage)
    assert shown(switch) is runs


def test_what_the_pages_ask_for_goes_on(qtbot: QtBot, switch: QueueSwitch) -> None:
    for page in (switch.queue_page, switch.sweep_page):
        with qtbot.waitSignal(switch.open_requested) as asked:
            page.open_requested.emit("/runs/a")
        assert asked.args == ["/runs/a"]
    with qtbot.waitSignal(switch.config_requested):
        switch.queue_page.config_requested.emit(TrainConfig())
    with qtbot.waitSignal(switch.warned):
        switch.queue_page.warned.emit("No.")


def test_the_word_counts_what_is_still_to_come(switch: QueueSwitch, queue: QueueSession) -> None:
    def words() -> list[str]:
        return [switch.bar.tabText(place) for place in range(3)]

    assert words() == ["Runs", "Queue", "Sweeps"]
    queue.add([make_entry(TrainConfig(model="/m", data="/d", adapter_name=name)) for name in "abc"])
    assert words()[QUEUE_PAGE] == "Queue (3)"
    first, second, _ = queue.state.entries
    queue.skip([first.id])
    assert words()[QUEUE_PAGE] == "Queue (2)"
    queue.queue.update(second.id, state="running")
    queue.refresh()
    assert words()[QUEUE_PAGE] == "Queue (2)", "the one that trains is not over"
    queue.queue.update(second.id, state="done")
    queue.refresh()
    assert words()[QUEUE_PAGE] == "Queue (1)"
