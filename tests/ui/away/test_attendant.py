"""What is done for a run while nobody looks: awake, badge, menu-bar item, notifications; nothing is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QMenu, QSystemTrayIcon, QWidget
from pytestqt.qtbot import QtBot

from app.core import language
from app.core.config.train_config import TrainConfig
from app.core.power.condition import Condition
from app.core.protocol import event
from app.core.protocol.command import Pause, Resume, Stop
from app.core.system.setting import Settings, save_settings
from app.ui.away import attendant, tray
from app.ui.away.attendant import Attendant
from app.ui.platform.dock import set_badge
from app.ui.platform.notification import notify
from app.ui.run.session import RunSession
from tests.ui import synthetic_run
from tests.ui.fake_worker import FakeWorker


class FakeIcon(QObject):
    """A tray's icon on a desktop that has a tray, which the screen of the tests has not."""

    ActivationReason = QSystemTrayIcon.ActivationReason
    activated = Signal(QSystemTrayIcon.ActivationReason)
    messageClicked = Signal()  # noqa: N815  # Qt's name

    def __init__(self, icon: QIcon, parent: QObject) -> None:
        super().__init__(parent)
        assert icon is not None
        self._tip, self._visible = "", False

    @staticmethod
    def isSystemTrayAvailable() -> bool:
        return True

    def setContextMenu(self, menu: QMenu) -> None:
        assert menu.actions()
        self.menu = menu

    def setToolTip(self, text: str) -> None:
        self._tip = text

    def toolTip(self) -> str:
        return self._tip

    def setVisible(self, visible: bool) -> None:
        self._visible = visible

    def isVisible(self) -> bool:
        return self._visible

    def hide(self) -> None:
        self._visible = False


class Room:
    """An attendant with all that it touches, by hand."""

    def __init__(self, patch: pytest.MonkeyPatch, qtbot: QtBot) -> None:
        self.calls: list[str] = []
        self.badges: list[int | None] = []
        self.notified: list[str] = []
        self.busy = False
        self.condition = Condition()
        patch.setattr(attendant, "set_badge", self.badges.append)
        patch.setattr(tray, "notify", lambda text, *_: self.notified.append(text))
        patch.setattr(tray, "QSystemTrayIcon", FakeIcon)
        self.session, self.window = RunSession(), QWidget()
        qtbot.addWidget(self.window)
        self.attendant = Attendant(
            self.session, self.window, lambda: self.busy, keeper=self, find_condition=lambda: self.condition
        )

    def hold(self, reason: str) -> bool:
        self.calls.append(reason)
        return True

    def release(self) -> None:
        self.calls.append("release")

    def start(self) -> FakeWorker:
        self.session.start(TrainConfig(model="/m", data="/d", adapter_name="friendly"))
        return FakeWorker.made[-1]


@pytest.fixture
def room(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, workers: list[FakeWorker]) -> Iterator[Room]:
    assert workers == []
    found = Room(monkeypatch, qtbot)
    yield found
    found.attendant.shutdown()


def test_awake_and_badge_follow_the_run_and_are_gone_with_it(room: Room) -> None:
    worker = room.start()
    assert room.calls == ["friendly trains"]
    worker.say(*synthetic_run.events(until=150, ending=""))
    assert room.badges == [0, *dict.fromkeys(room.badges[1:])]
    assert room.badges[-1] == 25
    worker.say(event.Paused(iteration=150))
    assert room.calls == ["friendly trains", "release"], "a computer whose run waits may sleep"
    worker.say(event.Resumed(iteration=150))
    worker.end(event.Finished(reason="completed", iteration=600))
    assert room.calls == ["friendly trains", "release"] * 2
    assert room.badges[-1] is None


@pytest.mark.parametrize("last", [event.Failed(message="No room."), event.Finished(reason="paused"), None])
def test_nothing_is_left_after_a_failure_a_park_or_a_crash(room: Room, last: event.Event | None) -> None:
    worker = room.start()
    worker.say(*synthetic_run.events(until=50, ending=""))
    worker.end(last, 1)
    assert (room.calls[-1], room.badges[-1]) == ("release", None)
    assert room.attendant.tray.progress.text()
    room.attendant.shutdown()
    assert not room.attendant.tray.icon.isVisible()


def test_the_computer_may_sleep_where_that_is_chosen(room: Room) -> None:
    save_settings(Settings(keep_awake=False))
    room.start()
    assert room.calls == []


def test_an_export_keeps_it_awake_as_well(room: Room) -> None:
    room.busy = True
    room.attendant.attend()
    room.attendant.attend()
    room.busy = False
    room.attendant.attend()
    assert room.calls == ["It works", "release"]


def test_the_menu_bar_item_says_how_far_it_is_and_does_what_it_offers(room: Room) -> None:
    item = room.attendant.tray
    assert not item.is_there
    worker = room.start()
    worker.say(*synthetic_run.events(until=150, ending=""))
    assert item.progress.text().startswith("friendly · Training · 25\u00a0% · ")
    assert item.progress.text().endswith(" left")
    assert item.icon.toolTip() == f"Luthier\n{item.progress.text()}"
    assert not item.progress.isEnabled()
    item.pause.trigger()
    assert (item.pause.text(), item.pause.isEnabled()) == ("Continue", True)
    worker.say(event.Paused(iteration=151))
    item.pause.trigger()
    assert item.pause.text() == "Pause"
    assert item.quit.isVisible()
    item.stop.trigger()
    assert worker.commands == [Pause(), Resume(), Stop()]
    assert not item.stop.isEnabled()
    asked: list[str] = []
    item.open_requested.connect(lambda: asked.append("open"))
    item.quit_requested.connect(lambda: asked.append("quit"))
    item.open.trigger()
    item.quit.trigger()
    item.icon.activated.emit(QSystemTrayIcon.ActivationReason.DoubleClick)
    assert asked == ["open", "quit", "open"]


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (event.Finished(reason="completed"), "friendly is ready."),
        (event.Finished(reason="early_stopping"), "friendly stopped early"),
        (event.Finished(reason="paused", message="The disk is full: free 2 GB."), "waits for an answer: The disk"),
        (event.Failed(message="No room.", hint="Make some."), "friendly ended: No room. Make some."),
        (None, "ended without a word"),
        (event.Finished(reason="stopped"), ""),
        (event.Finished(reason="paused"), ""),
    ],
)
def test_an_end_is_told_to_whom_it_surprises(room: Room, last: event.Event | None, words: str) -> None:
    room.start().end(last, 0)
    assert [words in one for one in room.notified] == ([True] if words else [])


def test_nothing_is_told_where_nobody_wants_it_or_somebody_looks(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.start().silent.emit(120)
    assert len(room.notified) == 1
    monkeypatch.setattr(room.window, "isActiveWindow", lambda: True)
    FakeWorker.made[-1].silent.emit(120)
    monkeypatch.setattr(room.window, "isActiveWindow", lambda: False)
    save_settings(Settings(notifications=False))
    FakeWorker.made[-1].silent.emit(120)
    assert len(room.notified) == 1


@pytest.mark.parametrize("spoken", ["", "de"])
def test_a_low_battery_is_told_once_in_a_run(
    spoken: str, room: Room, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every language: its sentences were told apart by an English word, and the German one came each minute."""
    monkeypatch.setattr("app.core.language._catalogue", language._load(spoken))
    room.condition = Condition(battery=15, is_draining=True)
    told: list[str] = []
    room.attendant.told.connect(told.append)
    worker = room.start()

    def is_told() -> bool:
        room.attendant.attend()  # as its clock does
        return bool(told)

    qtbot.waitUntil(is_told)
    assert len(told) == 1
    room.attendant._on_condition(Condition(battery=14, is_draining=True))
    room.attendant._on_condition(Condition(battery=14, is_draining=True, speed=60))
    assert len(told) == 2
    assert room.notified == told
    worker.end(event.Finished())
    room.attendant._on_condition(Condition(battery=5, is_draining=True))
    assert len(told) == 2


def test_a_macs_notification_is_no_part_of_the_script(qtbot: QtBot) -> None:
    window, started = QWidget(), []
    qtbot.addWidget(window)

    def start(program: str, words: list[str]) -> None:
        started.append([program, *words])

    text = 'ready" & (do shell script "rm")'
    notify(text, window, None, platform="darwin", frozen=False, start=start)
    assert (started[0][0], started[0][-1]) == ("osascript", text)
    assert [text in word for word in started[0]].count(True) == 1
    notify("-u", window, None, platform="linux", start=start, which=lambda _: "/usr/bin/notify-send")
    assert started[1] == ["notify-send", "--app-name=Luthier", "--", "Luthier", "-u"]
    notify("x", window, None, platform="linux", start=start, which=lambda _: None)
    assert len(started) == 2


class FakeObjc:
    """The runtime of Objective-C, as far as it is used: names are their own numbers."""

    def __init__(self) -> None:
        self.names: list[str] = [""]
        self.sent: list[tuple[str, str, tuple[Any, ...]]] = []
        for name in ("objc_getClass", "sel_registerName", "objc_msgSend"):
            setattr(self, name, lambda *given, name=name: self._called(name, *given))

    def _number(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def _called(self, name: str, *given: Any) -> int:
        if name != "objc_msgSend":
            return self._number(given[0].decode())
        receiver, selector = self.names[given[0]], self.names[given[1]]
        more = tuple(one.decode() if isinstance(one, bytes) else self.names[one] for one in given[2:])
        self.sent.append((receiver, selector, more))
        return self._number(f"{selector}{','.join(more)}")


def test_a_macs_badge_has_the_percent_sign() -> None:
    objc = FakeObjc()
    set_badge(37, "darwin", lambda _: objc)
    assert objc.sent[-1] == ("dockTile", "setBadgeLabel:", ("stringWithUTF8String:37\u00a0%",))
    assert ("NSApplication", "sharedApplication", ()) in objc.sent
    set_badge(None, "darwin", lambda _: objc)
    assert objc.sent[-1] == ("dockTile", "setBadgeLabel:", ("stringWithUTF8String:",))

    def load(_path: str) -> object:
        raise OSError

    set_badge(37, "darwin", load)
    set_badge(37, "linux")
    set_badge(None, "linux")


def test_a_mac_is_asked_for_battery_and_heat_and_a_machine_without_the_program_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert attendant.computers_condition("darwin") == Condition()
    program = tmp_path / "pmset"
    program.write_text(
        '#!/bin/sh\nif [ "$1 $2" = "-g batt" ]; then echo "-InternalBattery-0 (id=1) 14%; discharging; 0:40"\n'
        'elif [ "$1 $2" = "-g therm" ]; then echo "CPU_Speed_Limit = 60"; fi\n'
    )
    program.chmod(0o755)
    found = attendant.computers_condition("darwin")
    assert found == Condition(battery=14, is_draining=True, speed=60)
