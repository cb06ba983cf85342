"""The queue in the window: filled from the form, worked through, paused, interrupted, and its end."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt
from PySide6.QtGui import QStandardItemModel
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QLabel, QPushButton, QTabBar, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.power.sleep import Sleeper
from app.core.problem import Problem
from app.core.protocol import event
from app.core.queue.queue import RunQueue, make_entry
from app.core.setup.config_file import load_config
from app.core.system.atomic_file import write_text
from app.ui.form.plain_editor import ChoiceBox
from app.ui.form.store import form_store
from app.ui.queue.ending import SleepCountdown
from app.ui.queue.page import QueuePage
from app.ui.queue.switch import QUEUE_PAGE
from app.ui.queue.table import QUEUE_OUTCOME, QueueTable
from app.ui.run.session import RunSession, RunState
from app.ui.widget import theme
from app.ui.window.appearance import Appearance
from app.ui.window.main_window import MainWindow
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker
from tests.ui.queue.room import FAILED, STARTED, Room, Rooms, end, until_workers


def test_it_runs_one_after_the_other_and_goes_on_after_a_failed_one(
    qtbot: QtBot, room: Room, workers: list[FakeWorker]
) -> None:
    room.queue.start()
    until_workers(qtbot, workers, 1)
    assert room.states() == ["running", "waiting", "waiting"]
    assert room.session.config is not None
    assert room.session.config.adapter_name == "a"
    end(workers, event.Finished())
    until_workers(qtbot, workers, 2)
    end(workers, FAILED)
    until_workers(qtbot, workers, 3)
    assert "The queue goes on" in room.told[-1].text
    with qtbot.waitSignal(room.queue.ended) as ended:
        end(workers, event.Finished(reason="early_stopping"))
    assert room.states() == ["done", "failed", "done"]
    assert room.queue.state.entries[1].message == "The training data are gone. Choose others."
    assert ended.args is not None
    assert ended.args[0].sentence() == "2 done, 1 failed"
    assert (room.queue.state.mode, room.queue.is_working) == ("idle", False)
    assert len({worker.job_dir for worker in workers}) == 3


def test_what_waits_says_since_when(room: Room) -> None:
    table = QueueTable(room.queue)
    table.take_over()
    since = datetime.fromtimestamp(room.queue.state.entries[0].created)
    assert table.data(table.index(0, QUEUE_OUTCOME)) == f"Since {since:%H:%M}"


def test_stopping_a_run_pauses_the_queue_and_says_so(qtbot: QtBot, room: Room, workers: list[FakeWorker]) -> None:
    room.queue.start()
    until_workers(qtbot, workers, 1)
    end(workers, event.Finished(reason="stopped"))
    assert room.states() == ["stopped", "waiting", "waiting"]
    assert (room.queue.state.mode, room.queue.state.note) == ("paused", "Paused, because you stopped a.")
    assert "paused" in room.told[-1].text
    assert not room.queue.is_working
    assert room.told[-1].act is not None
    room.told[-1].act()
    until_workers(qtbot, workers, 2)
    assert room.states() == ["stopped", "running", "waiting"]


def test_a_pause_lets_the_run_in_progress_end(qtbot: QtBot, room: Room, workers: list[FakeWorker]) -> None:
    room.queue.start()
    until_workers(qtbot, workers, 1)
    room.queue.pause()
    assert room.queue.is_working, "it is still responsible for the run"
    end(workers, event.Finished())
    qtbot.waitUntil(lambda: not room.queue.is_working)
    assert room.states() == ["done", "waiting", "waiting"]
    assert len(workers) == 1
    room.queue.start()
    until_workers(qtbot, workers, 2)


def test_another_process_pauses_and_resumes_it(qtbot: QtBot, room: Room, workers: list[FakeWorker]) -> None:
    other = RunQueue(room.queue.queue.folder)
    room.queue.start()
    until_workers(qtbot, workers, 1)
    other.set_mode("paused")
    end(workers, event.Finished())
    qtbot.waitUntil(lambda: not room.queue.is_working)
    other.set_mode("running")
    room.queue.refresh()
    until_workers(qtbot, workers, 2)


def test_while_another_process_works_through_it_this_one_does_not(room: Room, workers: list[FakeWorker]) -> None:
    other = RunQueue(room.queue.queue.folder)
    assert other.take()
    other.set_mode("running")
    room.queue.refresh()
    assert room.queue.is_elsewhere
    room.queue.start()
    assert "Another Luthier" in room.told[-1].text
    assert workers == []
    other.give_back()
    room.queue.refresh()
    assert room.queue.is_interrupted
    assert workers == [], "it never starts by itself"


def test_a_run_of_the_user_ends_before_the_queue_begins(
    qtbot: QtBot, room: Room, workers: list[FakeWorker]
) -> None:
    room.session.start(TrainConfig(adapter_name="mine"))
    room.queue.start()
    assert room.states() == ["waiting"] * 3
    end(workers, event.Finished())
    until_workers(qtbot, workers, 2)
    assert room.states() == ["running", "waiting", "waiting"]


def test_closing_the_window_keeps_the_run_for_the_next_start(
    qtbot: QtBot, rooms: Rooms, room: Room, workers: list[FakeWorker]
) -> None:
    room.queue.start()
    until_workers(qtbot, workers, 1)
    room.queue.leave()
    run = room.session.run
    assert run is not None
    run.state.mkdir()
    (run.state / "state.json").write_text("{}")
    run.events.write_text(event.Hello(task="train").to_line() + "\n")
    end(workers, event.Finished(reason="stopped"))
    assert room.states() == ["waiting"] * 3
    qtbot.wait(20)
    assert len(workers) == 1

    later = rooms(RunQueue(room.queue.queue.folder))
    later.queue.offer()
    assert "was interrupted: 3 runs wait" in later.told[0].text
    assert len(workers) == 1, "it waits for the word"
    assert later.told[0].act is not None
    later.told[0].act()
    until_workers(qtbot, workers, 2)
    assert later.session.run == run
    assert '"resume": true' in run.job.read_text()


def test_after_a_crash_the_run_in_progress_goes_on(
    qtbot: QtBot, rooms: Rooms, room: Room, workers: list[FakeWorker]
) -> None:
    room.queue.start()
    until_workers(qtbot, workers, 1)
    run = room.session.run
    assert run is not None
    run.state.mkdir()
    (run.state / "state.json").write_text("{}")
    run.events.write_text(event.Hello(task="train").to_line() + "\n")
    room.queue.queue.give_back()  # as the system does for a process that died

    later = rooms(RunQueue(room.queue.queue.folder))
    later.queue.offer()
    assert "a goes on where it stopped" in later.told[0].text
    later.queue.start()
    until_workers(qtbot, workers, 2)
    assert later.session.run == run


def test_a_queue_that_was_paused_offers_nothing(rooms: Rooms, room: Room) -> None:
    room.queue.pause()
    later = rooms(RunQueue(room.queue.queue.folder))
    later.queue.offer()
    assert later.told == []


def test_run_now_takes_an_ended_entry_to_the_front(qtbot: QtBot, room: Room, workers: list[FakeWorker]) -> None:
    room.queue.skip([room.queue.state.entries[2].id])
    room.queue.run_now(room.queue.state.entries[2].id)
    until_workers(qtbot, workers, 1)
    assert room.session.config is not None
    assert room.session.config.adapter_name == "c"


def test_a_parked_run_pauses_the_queue_and_counts_again_when_it_is_resumed(
    qtbot: QtBot, room: Room, workers: list[FakeWorker]
) -> None:
    room.queue.start()
    until_workers(qtbot, workers, 1)
    run = room.session.run
    assert run is not None
    end(workers, event.Finished(reason="paused"))
    assert room.states() == ["waiting"] * 3
    assert room.queue.state.mode == "paused"
    room.session.resume(run.path)
    until_workers(qtbot, workers, 2)
    assert room.states()[0] == "running"
    end(workers, event.Finished())
    assert room.states()[0] == "done"
    assert not room.queue.tells_of(run), "what is resumed by hand is told as any run is"


def test_a_queue_that_cannot_be_read_is_told_once(room: Room) -> None:
    room.queue.queue.path.write_text("{")
    for _ in range(3):
        room.queue.refresh()
    assert [one.kind for one in room.told] == ["warning"]
    room.queue.clear()
    assert room.queue.queue.path.read_text() == "{"


def test_a_queue_that_is_still_unreadable_is_not_told_anew(room: Room) -> None:
    """Whoever writes it may do so every second; what is told is that it cannot be read, not each of its states."""
    file = room.queue.queue.path
    good = file.read_text()
    for text in ("{", "[", "{ ", ""):
        write_text(file, text)
        room.queue.refresh()
    assert [one.kind for one in room.told] == ["warning"]
    assert str(file) in room.told[0].text
    assert [one.name for one in room.queue.state.entries] == ["a", "b", "c"], "what was known stays"
    write_text(file, good)
    room.queue.refresh()
    assert len(room.told) == 1
    write_text(file, "{")
    room.queue.refresh()
    assert [one.kind for one in room.told] == ["warning"] * 2, "it was readable between"


# -- the page ------------------------------------------------------------------------------------------------


@pytest.fixture
def page(qtbot: QtBot, room: Room) -> QueuePage:
    found = QueuePage(room.queue, Sleeper(obstacle="This machine never sleeps."))
    qtbot.addWidget(found)
    found.resize(640, 560)
    found.show()
    return found


def click(page: QWidget, name: str) -> None:
    button = child(page, QAbstractButton, name)
    assert button.isEnabled(), name
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def listed(page: QueuePage) -> str:
    return "".join(one.name for one in page.table.entries)


def choose(page: QueuePage, name: str) -> None:
    page.view.choose([one.id for one in page.table.entries if one.name == name])


def test_buttons_move_skip_and_remove(page: QueuePage, room: Room) -> None:
    choose(page, "c")
    click(page, "queue.up_button")
    assert listed(page) == "acb"
    assert [one.name for one in page.view.chosen()] == ["c"], "the selection goes along"
    click(page, "queue.up_button")
    assert listed(page) == "cab"
    up = child(page, QAbstractButton, "queue.up_button")
    assert (up.isEnabled(), up.toolTip()) == (False, "It is the first")
    click(page, "queue.down_button")
    assert listed(page) == "acb"
    page.skip.trigger()
    assert room.states() == ["waiting", "skipped", "waiting"]
    choose(page, "b")
    click(page, "queue.remove_button")
    assert listed(page) == "ac"
    page.clear.trigger()
    assert listed(page) == "a"


def test_dragging_moves_what_waits(page: QueuePage, room: Room) -> None:
    room.queue.queue.claim()
    room.queue.refresh()
    table = page.table
    assert not table.flags(table.index(0, 0)) & Qt.ItemFlag.ItemIsDragEnabled, "what trains stays"
    data = table.mimeData([table.index(2, 0)])
    assert not table.dropMimeData(data, Qt.DropAction.MoveAction, 1, 0, table.index(-1, -1))
    assert listed(page) == "acb"
    table.dropMimeData(table.mimeData([table.index(1, 0)]), Qt.DropAction.MoveAction, -1, -1, table.index(-1, -1))
    assert listed(page) == "abc", "below the last row is the end"


def test_a_drag_moves_and_copies_nothing(page: QueuePage) -> None:
    assert page.view.dragDropMode() is QAbstractItemView.DragDropMode.InternalMove
    assert page.view.defaultDropAction() is Qt.DropAction.MoveAction
    assert not page.view.dragDropOverwriteMode(), "between two rows, not onto one"


def test_what_is_dropped_above_the_first_row_comes_first(page: QueuePage, room: Room) -> None:
    table = page.table
    assert all(table.flags(table.index(row, 0)) & Qt.ItemFlag.ItemIsDragEnabled for row in range(3))
    data = table.mimeData([table.index(1, 0), table.index(2, 0), table.index(2, 1)])
    assert not table.dropMimeData(data, Qt.DropAction.MoveAction, 0, 0, table.index(-1, -1))
    assert listed(page) == "bca"
    table.dropMimeData(table.mimeData([table.index(0, 0)]), Qt.DropAction.MoveAction, 3, 0, table.index(-1, -1))
    assert listed(page) == "cab", "above the row that is not there"
    table.dropMimeData(table.mimeData([table.index(0, 0)]), Qt.DropAction.MoveAction, 1, 0, table.index(-1, -1))
    assert listed(page) == "cab", "where it is"
    assert room.states() == ["waiting"] * 3


def test_only_what_was_dragged_here_can_be_dropped_and_only_as_a_move(page: QueuePage) -> None:
    table, top = page.table, page.table.index(-1, -1)
    dragged, foreign = table.mimeData([table.index(1, 0)]), QMimeData()
    foreign.setText("b")
    assert table.canDropMimeData(dragged, Qt.DropAction.MoveAction, 0, 0, top)
    assert not table.canDropMimeData(foreign, Qt.DropAction.MoveAction, 0, 0, top)
    assert not table.canDropMimeData(dragged, Qt.DropAction.CopyAction, 0, 0, top)
    assert table.supportedDragActions() == Qt.DropAction.MoveAction


def test_the_main_key_starts_what_waits_and_pauses_nothing(
    qtbot: QtBot, page: QueuePage, room: Room, workers: list[FakeWorker]
) -> None:
    with qtbot.waitActive(page):
        page.activateWindow()
    qtbot.keyClick(page, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    until_workers(qtbot, workers, 1)
    assert room.states() == ["running", "waiting", "waiting"]
    qtbot.keyClick(page, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert (room.queue.state.mode, page.button.text()) == ("running", "Pause queue")
    click(page, "queue.start")
    qtbot.keyClick(page, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert (room.queue.state.mode, page.button.text()) == ("running", "Pause queue"), "it goes on as well"


def test_the_menu_opens_for_what_is_selected_alone(page: QueuePage) -> None:
    page.view.customContextMenuRequested.emit(QPoint(5, 5))
    assert not page.menu.isVisible()
    choose(page, "b")
    page.view.customContextMenuRequested.emit(QPoint(5, 5))
    assert page.menu.isVisible()
    page.menu.close()


def test_the_menu_shows_a_run_trains_one_now_and_queues_one_again(
    qtbot: QtBot, page: QueuePage, room: Room, workers: list[FakeWorker]
) -> None:
    choose(page, "c")
    page.run_now.trigger()
    until_workers(qtbot, workers, 1)
    assert listed(page) == "cab"
    assert room.states() == ["running", "waiting", "waiting"]
    first = workers[0].job_dir
    choose(page, "c")
    with qtbot.waitSignal(page.open_requested) as opened:
        page.show_run.trigger()
    assert opened.args == [first]
    end(workers, event.Finished())
    until_workers(qtbot, workers, 2)
    assert room.states() == ["done", "running", "waiting"]
    with qtbot.waitSignal(page.open_requested) as opened:
        page.view.activated.emit(page.table.index(0, 1))
    assert opened.args == [first], "a double click on its line"
    page.again.trigger()
    assert listed(page) == "abc"
    assert room.states() == ["running", "waiting", "waiting"]


def test_the_button_says_what_it_does(qtbot: QtBot, page: QueuePage, workers: list[FakeWorker]) -> None:
    status = child(page, QLabel, "queue.status")
    assert (page.button.text(), status.text()) == ("Start queue", "3 runs waiting")
    click(page, "queue.start")
    until_workers(qtbot, workers, 1)
    assert (page.button.text(), status.text()) == ("Pause queue", "Training a · 2 runs to go")
    click(page, "queue.start")
    assert (page.button.text(), status.text()) == ("Go on", "Pauses after a · 2 runs to go")
    end(workers, event.Finished(reason="stopped"))
    assert status.text() == "Paused · 2 runs to go"
    assert child(page, QLabel, "queue.note").text() == "Paused, because you stopped a."


def test_what_cannot_be_done_says_why(qtbot: QtBot, page: QueuePage, room: Room, workers: list[FakeWorker]) -> None:
    names = ("queue.show_button", "queue.now_button", "queue.remove_button", "queue.up_button")
    buttons = [child(page, QAbstractButton, name) for name in names]
    assert [(b.isEnabled(), b.toolTip()) for b in buttons] == [(False, "Choose an entry first")] * 4
    room.queue.start()
    until_workers(qtbot, workers, 1)
    choose(page, "a")
    assert buttons[0].isEnabled()
    assert buttons[2].toolTip() == "It is being trained: stop it first"
    assert not buttons[2].isEnabled()


def test_sleep_is_offered_only_where_it_works(qtbot: QtBot, page: QueuePage, room: Room) -> None:
    box = child(page, ChoiceBox, "queue.when_done")
    items = box.model()
    assert isinstance(items, QStandardItemModel)
    assert not items.item(2).isEnabled()
    assert "never sleeps" in child(page, QLabel, "queue.no_sleep").text()
    able = QueuePage(room.queue, Sleeper(("true",)))
    qtbot.addWidget(able)
    box = child(able, ChoiceBox, "queue.when_done")
    items = box.model()
    assert isinstance(items, QStandardItemModel)
    assert items.item(2).isEnabled()
    box.setCurrentIndex(2)
    box.activated.emit(2)
    assert room.queue.state.when_done == "sleep"
    assert child(page, ChoiceBox, "queue.when_done").value() == "sleep"


def test_the_page_has_names_tips_and_an_empty_state(page: QueuePage, room: Room) -> None:
    for button in page.findChildren(QAbstractButton):
        if button.objectName().startswith("queue."):
            assert button.accessibleName(), button.objectName()
            assert button.toolTip(), button.objectName()
    room.queue.remove([one.id for one in room.queue.state.entries])
    assert child(page, QLabel, "queue.empty").isVisible()


def test_it_is_drawn_in_both_themes_and_fits(page: QueuePage) -> None:
    schemes: tuple[theme.Scheme, ...] = ("light", "dark")
    for scheme in schemes:
        theme.apply_theme(scheme)
        found = page.grab().toImage()
        corner = page.view.viewport().mapTo(page, QPoint(page.view.viewport().width() // 2, 300))
        assert found.pixelColor(corner).name() == theme.colors().card
    buttons = [
        b for b in page.findChildren(QAbstractButton) if b.objectName().startswith("queue.") and b.isVisible()
    ]
    assert all(b.mapTo(page, QPoint(b.width(), 0)).x() <= page.width() for b in buttons)


# -- the end -------------------------------------------------------------------------------------------------


def test_the_countdown_can_be_cancelled_and_acts_when_it_is_over(qtbot: QtBot) -> None:
    slept: list[int] = []

    def countdown() -> SleepCountdown:
        found = SleepCountdown(lambda: slept.append(1), seconds=2)
        found.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
        qtbot.addWidget(found)
        found.show()
        return found

    first = countdown()
    assert "in 2\u00a0s" in child(first, QLabel, "sleep_countdown.text").text()
    first.tick()
    assert "in 1\u00a0s" in child(first, QLabel, "sleep_countdown.text").text()
    QTest.mouseClick(child(first, QPushButton, "sleep_countdown.cancel"), Qt.MouseButton.LeftButton)
    assert (first.isVisible(), slept) == (False, [])
    second = countdown()
    second.tick()
    second.tick()
    assert (second.isVisible(), slept) == (False, [1])
    third = countdown()
    QTest.mouseClick(child(third, QPushButton, "sleep_countdown.now"), Qt.MouseButton.LeftButton)
    assert slept == [1, 1]


# -- the window ----------------------------------------------------------------------------------------------


@pytest.fixture
def window(qtbot: QtBot, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    assert workers == []
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    monkeypatch.setattr("app.ui.setup.setup_tab.SetupTab._found", lambda _: [])
    monkeypatch.setattr("app.ui.setup.setup_tab.SetupTab.is_checking", False)
    found = MainWindow(form_store(), RunSession(), Appearance())
    qtbot.addWidget(found, before_close_func=forget_run)
    found.store.set_many({"model": "/m", "data": "/d", "adapter_name": "friendly"})
    found.resize(1100, 700)
    found.show()
    found.setup_tab.check()
    return found


def forget_run(window: MainWindow) -> None:
    window.session._state = RunState.NONE


def test_the_form_is_queued_also_while_a_run_trains(window: MainWindow, workers: list[FakeWorker]) -> None:
    window.user_actions.start()
    add = window.setup_tab.start_bar.queue_button
    assert not window.setup_tab.start_bar.button.isEnabled()
    assert "queue this one" in window.setup_tab.start_bar.text
    window.store.set("lora_parameters.rank", 4)
    QTest.mouseClick(add, Qt.MouseButton.LeftButton)
    window.store.set("lora_parameters.rank", 64)
    [entry] = window.user_actions.queue.state.entries
    assert entry.load().lora_parameters.rank == 4, "as it was when it was queued"
    said = window.messages.messages()[0]
    # “friendly” is the run that trains, which the queue did not start.
    assert "“friendly · 2” is in the queue now. It waits until the queue is started" in said.text
    assert said.act is not None
    said.act()
    switch = child(window, QTabBar, "runs.switch")
    assert (switch.isVisible(), switch.currentIndex(), switch.tabText(QUEUE_PAGE)) == (
        True,
        QUEUE_PAGE,
        "Queue (1)",
    )
    assert child(window, QWidget, "queue_page").isVisible()
    assert len(workers) >= 1


def test_a_setup_that_is_queued_hears_its_place(
    qtbot: QtBot, window: MainWindow, workers: list[FakeWorker]
) -> None:
    """What trains of the queue is before it, and what waits; what has ended or is skipped is not."""
    queue = window.user_actions.queue
    said = []

    def add() -> None:
        window.user_actions.enqueue()
        said.append(window.messages.messages()[0].text.partition("now. ")[2])
        window.messages.clear()

    add()
    add()
    queue.skip([queue.state.entries[1].id])
    add()
    queue.start()
    qtbot.waitUntil(lambda: len(trainers(workers)) == 1)
    assert [one.state for one in queue.state.entries] == ["running", "skipped", "waiting"]
    add()
    queue.pause()
    trainers(workers)[-1].end(event.Finished())
    assert [one.state for one in queue.state.entries] == ["done", "skipped", "waiting", "waiting"]
    add()
    one, two = "1 run is before it.", "2 runs are before it."
    start, go_on = "It waits until the queue is started: press “Start queue” in Runs.", "The queue is paused"
    assert said[:4] == [start, f"{one} {start}", f"{one} {start}", two]
    assert said[4] == f"{two} {go_on}: press “Go on” in Runs."


def test_what_is_told_of_a_place_in_the_queue_goes_when_it_is_so_no_longer(
    qtbot: QtBot, window: MainWindow, workers: list[FakeWorker]
) -> None:
    queue = window.user_actions.queue
    window.user_actions.enqueue()
    window.user_actions.enqueue()

    def told() -> int:
        return sum("is in the queue now" in message.text for message in window.messages.messages())

    assert told() == 2
    queue.start()
    qtbot.waitUntil(lambda: len(trainers(workers)) == 1)
    assert told() == 0, "that it waits for a start"
    window.user_actions.enqueue()
    assert told() == 1
    queue.remove([queue.state.waiting[0].id])
    assert told() == 0, "fewer are before it"


def test_errors_hold_back_queueing_and_the_button_says_why(
    window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ui.setup.setup_tab.SetupTab._found", lambda _: [Problem("data", "No data.")])
    window.setup_tab.check()
    add = window.setup_tab.start_bar.queue_button
    assert (add.isEnabled(), add.toolTip()) == (False, "data: No data.")
    window.user_actions.enqueue()
    assert "cannot be queued yet" in window.messages.messages()[0].text
    assert window.user_actions.queue.state.entries == ()


def trainers(workers: list[FakeWorker]) -> list[FakeWorker]:
    return [worker for worker in workers if worker.task == "train"]


def has_started(workers: list[FakeWorker], count: int) -> bool:
    return len(trainers(workers)) == count


def test_the_window_works_through_the_queue_and_tells_the_end_once(
    qtbot: QtBot, window: MainWindow, workers: list[FakeWorker]
) -> None:
    window.store.set("seed", 99)
    for name in ("one", "two"):
        window.store.set("adapter_name", name)
        window.user_actions.enqueue()
    window.messages.clear()
    window.user_actions.queue.set_when_done("notify")
    window.user_actions.queue.start()
    for count in (1, 2):
        qtbot.waitUntil(partial(has_started, workers, count))
        run = load_config(trainers(workers)[-1].job_dir / "config.yaml").config
        assert (run.adapter_name, run.seed) == (("one", "two")[count - 1], 99)
        trainers(workers)[-1].say(event.Hello(task="train"), STARTED)
        trainers(workers)[-1].end(event.Finished())
    qtbot.waitUntil(lambda: bool(window.messages.messages()))
    assert [m.text for m in window.messages.messages()] == ["The queue is at its end: 2 done."]
    assert window.queue_actions.ending.countdown is None, "nobody asked for sleep"


def test_at_the_end_the_computer_sleeps_after_the_countdown(
    qtbot: QtBot, window: MainWindow, workers: list[FakeWorker], tmp_path: Path
) -> None:
    window.queue_actions.ending.sleeper = Sleeper(("touch", str(tmp_path / "slept")))
    window.user_actions.enqueue()
    window.user_actions.queue.set_when_done("sleep")
    window.user_actions.queue.start()
    qtbot.waitUntil(lambda: len(trainers(workers)) == 1)
    with qtbot.waitSignal(window.user_actions.queue.ended):
        trainers(workers)[-1].end(event.Finished())
    countdown = window.queue_actions.ending.countdown
    assert countdown is not None
    assert countdown.isVisible()
    assert countdown.seconds == 60
    assert not (tmp_path / "slept").exists()
    for _ in range(60):
        countdown.tick()
    assert (tmp_path / "slept").exists()


def test_an_entry_is_taken_into_the_form(window: MainWindow) -> None:
    window.store.set("lora_parameters.rank", 7)
    window.user_actions.enqueue()
    window.store.set("lora_parameters.rank", 32)
    window.user_actions.queue.shown_requested.emit()
    switch = window.queue_actions.switch
    assert switch is not None
    page = switch.queue_page
    page.view.selectRow(0)
    page.take.trigger()
    assert window.store.value("lora_parameters.rank") == 7
    assert window.setup_tab.isVisible()


def test_an_entry_whose_setup_cannot_be_read_is_told_and_fills_no_form(
    qtbot: QtBot, page: QueuePage, room: Room
) -> None:
    entry = make_entry(TrainConfig(model="/m", adapter_name="old")).model_copy(update={"config": "iters: [1\n"})
    room.queue.add([entry])
    asked: list[object] = []
    page.config_requested.connect(asked.append)
    row = len(room.queue.state.entries) - 1
    page.view.selectRow(row)
    with qtbot.waitSignal(page.warned) as warned:
        page.take.trigger()
    assert str(warned.args[0]).startswith("The setup cannot be read: old:")
    assert asked == []
