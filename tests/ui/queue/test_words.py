"""What the queue's page says of each state: its lines, its button, what can be done with a choice, and its rows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QColor, QFont, QIcon, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLabel
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.power.sleep import Sleeper
from app.core.protocol import event
from app.core.queue.queue import EntryState, RunQueue, make_entry
from app.ui.form.plain_editor import ChoiceBox
from app.ui.queue.page import QueuePage
from app.ui.queue.table import QUEUE_NAME, QUEUE_OUTCOME, QUEUE_SETUP, QUEUE_STATE, QueueTable
from app.ui.runs.table import dot
from app.ui.widget import theme
from tests.ui import synthetic_run
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker
from tests.ui.queue.room import STARTED, Room

MOVED = "Only what waits can be moved"
NO_CHOICE = "Choose an entry first"
TRAINS = "It is being trained"


@pytest.fixture
def page(qtbot: QtBot, room: Room) -> QueuePage:
    found = QueuePage(room.queue, Sleeper(obstacle="This machine never sleeps."))
    qtbot.addWidget(found)
    return found


def lines(page: QueuePage) -> tuple[str, str]:
    """What stands above the list: how far it is, and what there is to say of it."""
    return child(page, QLabel, "queue.status").text(), child(page, QLabel, "queue.note").text()


def button(page: QueuePage) -> tuple[str, str, bool, str]:
    one = page.button
    assert one.accessibleName() == one.text()
    icon, color = ("ph.play-fill", "on_accent") if one.property("kind") == "primary" else ("ph.pause-fill", "muted")
    assert image(one.icon()) == image(theme.icon(icon, getattr(theme.colors(), color)))
    return one.text(), one.toolTip().partition(" (")[0], one.isEnabled(), one.property("kind") or ""


def image(icon: QIcon) -> QImage:
    return icon.pixmap(16).toImage()


def settle(room: Room, *states: EntryState) -> None:
    """Has the entries in these states, as if another process had."""
    disk = RunQueue(room.queue.queue.folder)
    for one, state in zip(room.queue.state.entries, states, strict=True):
        disk.settle(one.id, state, "The disk is full." if state == "failed" else "")
    room.queue.refresh()


def test_the_lines_and_the_button_say_what_the_queue_does(
    page: QueuePage, room: Room, workers: list[FakeWorker]
) -> None:
    start, trains = ("Start queue", "Go on"), "Trains what waits, one run after the other"
    pause = ("Pause queue", "The run in progress ends as it should; the next does not start", True, "")
    assert lines(page) == ("3 runs waiting", "")
    assert child(page, QLabel, "queue.note").isHidden()
    assert button(page) == (start[0], trains, True, "primary")
    room.session.start(TrainConfig(model="/m", data="/d", adapter_name="mine"))
    room.queue.start()
    assert (lines(page)[0], button(page)) == ("3 runs wait for the run in progress", pause)
    settle(room, "skipped", "failed", "waiting")
    assert lines(page) == ("1 run waits for the run in progress", "1 failed, 1 skipped")
    assert not child(page, QLabel, "queue.note").isHidden()
    room.queue.pause()
    assert lines(page) == ("Paused · 1 run to go", "You paused it.")
    assert button(page) == (start[1], trains, True, "primary")
    workers[-1].end(event.Finished())
    room.queue.start()
    room.queue._go_on()
    assert (lines(page)[0], button(page)) == ("Training c · the last run", pause)
    room.queue.pause()
    assert lines(page)[0] == "Pauses after c · the last run"
    assert button(page)[0] == "Go on"
    workers[-1].end(event.Finished())
    room.queue._go_on()
    assert lines(page) == ("All done", "1 done, 1 failed, 1 skipped")
    assert button(page) == (start[1], "Nothing waits: add a setup first", False, "primary")


def test_a_window_that_did_not_start_the_queue_says_who_works_through_it(page: QueuePage, room: Room) -> None:
    other = RunQueue(room.queue.queue.folder)
    settle(room, "skipped", "running", "done")
    assert other.take()
    other.set_mode("running")
    room.queue.refresh()
    assert lines(page) == ("Another Luthier works through the queue", "1 done, 1 skipped")
    assert button(page)[::2] == ("Pause queue", True)
    other.give_back()
    room.queue.refresh()
    lost = "The window or the program that worked through it ended. Nothing is lost: go on when you like."
    assert lines(page) == ("Interrupted", lost)
    assert button(page) == ("Go on", "Trains what waits, one run after the other", True, "primary")


def test_a_click_pauses_also_what_another_process_works_through(page: QueuePage, room: Room) -> None:
    other = RunQueue(room.queue.queue.folder)
    assert other.take()
    other.set_mode("running")
    room.queue.refresh()
    page.button.click()
    assert (other.read().mode, room.told) == ("paused", [])
    other.give_back()


def test_each_choice_offers_what_can_be_done_with_it_and_says_why_the_rest_cannot(
    page: QueuePage, room: Room
) -> None:
    room.queue.add([make_entry(TrainConfig(model="/m", data="/d", adapter_name=name)) for name in "de"])
    RunQueue(room.queue.queue.folder).claim()
    room.queue.refresh()
    settle(room, "running", "waiting", "done", "waiting", "stopped")
    good = {
        "show_run": "Open its run", "run_now": "Make it the next, and start the queue", "up": "Earlier",
        "down": "Later", "skip": "Leave it in the list, untrained", "again": "Put it at the end of the queue again",
        "take": "Fill the form with its setup", "remove": "Take it off the list; its run stays",
    }  # fmt: skip
    skip, ended, none_yet, one = (
        "Only what waits can be skipped", "It has not ended yet", "It has no run yet", "Choose one entry",
    )  # fmt: skip
    nothing = dict.fromkeys(good, NO_CHOICE)
    wanted: dict[str, dict[str, str]] = {
        "": nothing,
        "a": {"run_now": TRAINS, "up": MOVED, "down": MOVED, "skip": skip, "again": ended,
              "remove": "It is being trained: stop it first"},
        "b": {"show_run": none_yet, "up": "It is the first", "again": ended},
        "c": {"show_run": none_yet, "up": MOVED, "down": MOVED, "skip": skip},
        "d": {"show_run": none_yet, "down": "It is the last", "again": ended},
        "bd": {"show_run": none_yet, "run_now": TRAINS, "up": "It is the first", "down": "It is the last",
               "again": ended, "take": one},
        "ce": {"show_run": none_yet, "run_now": TRAINS, "up": MOVED, "down": MOVED, "skip": skip, "take": one},
        "ad": {"show_run": none_yet, "run_now": TRAINS, "down": "It is the last", "again": ended, "take": one,
               "remove": "It is being trained: stop it first"},
    }  # fmt: skip
    assert child(page, QLabel, "queue.chosen").text() == "Drag to reorder"
    for names, refused in wanted.items():
        page.view.choose([entry.id for entry in page.table.entries if entry.name in names])
        actions = {name: getattr(page, name) for name in good}
        assert {name: act.toolTip() for name, act in actions.items()} == good | refused, names
        assert {name for name, act in actions.items() if not act.isEnabled()} == set(refused), names
        assert child(page, QLabel, "queue.chosen").text() == (
            f"{len(names)} selected" if names else "Drag to reorder"
        )
        for name in ("show", "now", "up", "down", "remove"):
            tied = child(page, QAbstractButton, f"queue.{name}_button")
            act = {"show": page.show_run, "now": page.run_now}.get(name) or getattr(page, name)
            assert (tied.isEnabled(), tied.toolTip()) == (act.isEnabled(), act.toolTip())
    tip = "Take what has ended off the list; the runs stay"
    assert (page.clear.isEnabled(), page.clear.toolTip()) == (True, tip)
    settle(room, "running", "waiting", "running", "running", "running")
    assert (page.clear.isEnabled(), page.clear.toolTip()) == (False, "Nothing has ended yet")
    page.view.choose([])
    assert child(page, QLabel, "queue.chosen").text() == "", "one that waits has no other place"


@pytest.mark.parametrize(
    "chosen, steps, order",
    [("bd", "up", "bdace"), ("ac", "down", "bdace"), ("cd", "down", "abecd"), ("de", "up", "abdec"),
     ("b", "down", "acbde")],
)  # fmt: skip
def test_what_is_chosen_moves_together_past_one_other(
    page: QueuePage, room: Room, chosen: str, steps: str, order: str
) -> None:
    room.queue.add([make_entry(TrainConfig(model="/m", data="/d", adapter_name=name)) for name in "de"])
    page.view.choose([one.id for one in page.table.entries if one.name in chosen])
    getattr(page, steps).trigger()
    assert "".join(one.name for one in page.table.entries) == order
    assert "".join(one.name for one in page.view.chosen()) == chosen


def colors(table: QueueTable, row: int) -> list[str]:
    found = [table.data(table.index(row, column), Qt.ItemDataRole.ForegroundRole) for column in range(4)]
    return [one.name() if isinstance(one, QColor) else "" for one in found]


def texts(table: QueueTable, row: int, role: Qt.ItemDataRole = Qt.ItemDataRole.DisplayRole) -> Sequence[object]:
    return [table.data(table.index(row, column), role) for column in range(4)]


def test_each_row_says_and_shows_what_became_of_it(page: QueuePage, room: Room, workers: list[FakeWorker]) -> None:
    swept = make_entry(TrainConfig(model="/m", data="/d", adapter_name="s"), sweep="1", sweep_name="s over Seed")
    room.queue.add([make_entry(TrainConfig(model="/m", data="/d", adapter_name="d")), swept])
    settle(room, "waiting", "skipped", "done", "failed", "stopped")
    room.queue.start()
    room.queue._go_on()
    table, c = page.table, theme.colors()
    setup = "LoRA rank 32, full · m · d"
    assert [texts(table, row) for row in range(5)] == [
        ["Training", "a", setup, "Getting ready"],
        ["Skipped", "b", setup, ""],
        ["Finished", "c", setup, ""],
        ["Failed", "d", setup, "The disk is full."],
        ["Stopped", "s", setup, ""],
    ]
    tips = Qt.ItemDataRole.ToolTipRole
    assert texts(table, 4, tips) == ["s over Seed", "s", setup, ""]
    assert texts(table, 3, tips) == ["Failed", "d", setup, "The disk is full."]
    assert [colors(table, row) for row in range(5)] == [
        ["", "", c.muted, c.muted],
        ["", c.muted, c.muted, c.muted],
        ["", c.muted, c.muted, c.muted],
        ["", "", c.muted, c.error],
        ["", c.muted, c.muted, c.muted],
    ]
    decorated = Qt.ItemDataRole.DecorationRole
    for row, color in enumerate((c.accent, c.faint, c.good, c.error, c.warning)):
        icon = table.data(table.index(row, QUEUE_STATE), decorated)
        assert isinstance(icon, QIcon)
        assert image(icon) == image(QIcon(dot(color)))
        assert texts(table, row, decorated)[1:] == [None] * 3
    fonts = [texts(table, row, Qt.ItemDataRole.FontRole) for row in range(5)]
    bold = fonts[0][QUEUE_NAME]
    assert isinstance(bold, QFont)
    assert bold.weight() == QFont.Weight.DemiBold
    assert [one for row in fonts for one in row if one is not None] == [bold]
    workers[-1].say(event.Hello(task="train"), STARTED, synthetic_run.report(4, [0.5] * 4, 10))
    assert table.data(table.index(0, QUEUE_OUTCOME)) == "40\u00a0% done"
    assert table.flags(QModelIndex()) == Qt.ItemFlag.ItemIsDropEnabled
    assert not table.flags(table.index(1, QUEUE_SETUP)) & Qt.ItemFlag.ItemIsDropEnabled


def test_a_row_that_this_window_does_not_train_says_who_does(page: QueuePage, room: Room) -> None:
    other, table = RunQueue(room.queue.queue.folder), page.table
    assert other.take()
    other.set_mode("running")
    settle(room, "running", "waiting", "waiting")
    assert texts(table, 0)[QUEUE_OUTCOME] == "In another process"
    other.give_back()
    other.update(room.queue.state.entries[1].id, message="It goes on.")
    room.queue.refresh()
    assert texts(table, 0)[QUEUE_OUTCOME] == "Interrupted"
    assert texts(table, 1)[QUEUE_OUTCOME] == "It goes on."


def test_the_share_that_is_done_is_shown_anew_while_the_page_is_seen(
    page: QueuePage, room: Room, workers: list[FakeWorker]
) -> None:
    told: list[int] = []
    page.table.dataChanged.connect(lambda *_: told.append(1))
    page.show()
    assert page._progress.isActive()
    page._progress.timeout.emit()
    assert told == [], "nothing trains"
    room.queue.start()
    room.queue._go_on()
    told.clear()
    page._progress.timeout.emit()
    assert (told, len(workers)) == ([1], 1)
    page.hide()
    assert not page._progress.isActive()


def test_what_happens_at_the_end_is_chosen_and_shown(page: QueuePage, room: Room) -> None:
    box = child(page, ChoiceBox, "queue.when_done")
    assert [box.itemText(place) for place in range(3)] == ["Do nothing", "Notify me", "Sleep"]
    assert box.itemData(2, Qt.ItemDataRole.ToolTipRole) == "This machine never sleeps."
    assert child(page, QLabel, "queue.no_sleep").text() == "No sleep here: This machine never sleeps."
    RunQueue(room.queue.queue.folder).set_when_done("notify")
    room.queue.refresh()
    assert box.value() == "notify"


def test_a_key_takes_the_choice_off_the_list(qtbot: QtBot, page: QueuePage) -> None:
    page.show()
    page.activateWindow()
    qtbot.waitUntil(page.isActiveWindow)
    page.view.choose([one.id for one in page.table.entries if one.name in "ac"])
    page.view.setFocus()
    QTest.keyClick(page.view, Qt.Key.Key_Delete)
    assert "".join(one.name for one in page.table.entries) == "b"
    assert page.view.chosen() == []
