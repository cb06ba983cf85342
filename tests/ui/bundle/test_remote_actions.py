"""Runs elsewhere in the window: shown as they go, left when it is closed or killed, found again, brought, stopped.

The host is this machine, by an sshd of the test's own; the workers that follow are real ones.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

import app
from app.core.config.train_config import TrainConfig
from app.core.place.place import Asked
from app.core.place.ssh import SshPlace
from app.core.remote.host import SshHost
from app.core.remote.record import RemoteRun, read_remote
from app.ui.form.store import ConfigStore
from app.ui.message.bar import Notice
from app.ui.run.session import RunSession, RunState
from app.ui.window.appearance import Appearance
from app.ui.window.main_window import MainWindow
from tests.ssh_server import bundle, empty_home, home, ssh_server
from tests.ui import synthetic_run

PATIENCE_MS = 60_000
pytestmark = pytest.mark.slow
MANY = 1_000_000
# A window in a process of its own, which shows a run and says so when events have come.
KILLED = """
import sys
from pathlib import Path
from app.ui.form.store import ConfigStore
from app.ui.run.session import RunSession
from app.ui.window.appearance import Appearance
from app.ui.window.application import make_application
from app.ui.window.main_window import MainWindow
application = make_application()
window = MainWindow(ConfigStore(), RunSession(), Appearance())
window.session.emitted.connect(lambda found: print(found.type, flush=True))
window.remote_actions.show_run(Path(sys.argv[1]))
application.exec()
"""


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as host:
        yield host


@pytest.fixture(autouse=True)
def own_home(sshd: SshHost) -> None:
    """Each test's runs are its own."""
    empty_home(sshd)


@pytest.fixture
def opened(qtbot: QtBot) -> Iterator[Callable[[], MainWindow]]:
    """Opens a window; all are ended with the test."""
    windows: list[MainWindow] = []

    def make() -> MainWindow:
        window = MainWindow(ConfigStore(), RunSession(), Appearance())
        qtbot.addWidget(window)
        windows.append(window)
        return window

    yield make
    for window in windows:
        window.remote_actions.shutdown()


def started(sshd: SshHost, tmp_path: Path, count: int) -> RemoteRun:
    asked = Asked(host=sshd.name, ssh=shlex.join(sshd.ssh), python=sys.executable)
    return SshPlace().start(bundle(tmp_path / "bundle", count), asked, lambda _: None)


def notices(window: MainWindow) -> list[Notice]:
    found: list[Notice] = []
    window.remote_actions.told.connect(found.append)
    return found


def test_a_run_elsewhere_is_shown_as_it_goes_and_brought(
    sshd: SshHost, tmp_path: Path, qtbot: QtBot, opened: Callable[[], MainWindow]
) -> None:
    run, window = started(sshd, tmp_path, 30), opened()
    told = notices(window)
    window.remote_actions.show_run(run.path)
    session = window.session
    qtbot.waitUntil(lambda: session.state is RunState.ELSEWHERE, timeout=PATIENCE_MS)
    card = window.run_panel.page.summary
    assert sshd.name in card._sentence.text()
    assert not card._stop.isHidden()
    qtbot.waitUntil(lambda: session.state is RunState.COMPLETED, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: bool(told), timeout=PATIENCE_MS)
    assert told[-1].text == f"{run.name} is here."
    assert (run.path / "log.txt").read_text() == "a word for the log\n"
    found = read_remote(run.path)
    assert found is not None
    assert found.is_closed
    assert len(session.history.warnings) > 0
    assert card._stop.isHidden()


def test_a_window_that_is_killed_takes_nothing_along_and_the_next_finds_the_run(
    sshd: SshHost, tmp_path: Path, qtbot: QtBot, opened: Callable[[], MainWindow]
) -> None:
    run = started(sshd, tmp_path, MANY)
    environment = os.environ | {"PYTHONPATH": str(Path(app.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(run.path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "hello\n"
        killed.send_signal(signal.SIGKILL)
    at = run.events_file.stat().st_size
    there = home(sshd) / run.folder / "run" / "events.jsonl"
    qtbot.waitUntil(lambda: there.stat().st_size > at + 1000, timeout=PATIENCE_MS)  # it goes on
    window = opened()
    told = notices(window)
    window.remote_actions.find_again()
    assert [notice.text for notice in told] == [f"{run.name} was left on {sshd.name}."]
    assert told[0].act is not None
    told[0].act()
    (home(sshd) / run.folder / "enough").touch()
    qtbot.waitUntil(lambda: window.session.state is RunState.COMPLETED, timeout=PATIENCE_MS)
    assert run.events_file.read_bytes() == there.read_bytes()


def test_where_to_run_is_asked_and_what_was_started_is_shown(
    tmp_path: Path, qtbot: QtBot, opened: Callable[[], MainWindow]
) -> None:
    window = opened()
    actions, told = window.remote_actions, notices(window)
    actions.ask_run(TrainConfig(adapter_name="my setup"))
    first = actions.dialog
    assert first is not None
    assert (first.isVisible(), first.parent()) == (True, window)
    with qtbot.waitSignals([actions.here_requested, first.destroyed]):
        first.start_button.click()  # this computer is the place to begin with
    assert actions.dialog is None
    actions.ask_run(TrainConfig())
    second = actions.dialog
    assert second is not None
    run = synthetic_run.run_folder(tmp_path)
    with qtbot.waitSignal(actions.changed):
        second.started.emit(run.path, "elsewhere")
    (notice,) = told
    assert notice.text == "friendly runs on elsewhere. It goes on when this window is closed."
    assert notice.kind == "good"
    assert window.session.run is not None
    assert window.session.run.path == run.path
    with qtbot.waitSignal(second.destroyed):
        second.reject()
    assert actions.dialog is None


def test_stop_asks_the_other_machine(
    sshd: SshHost, tmp_path: Path, qtbot: QtBot, opened: Callable[[], MainWindow]
) -> None:
    run, window = started(sshd, tmp_path, MANY), opened()
    told = notices(window)
    window.remote_actions.show_run(run.path)
    qtbot.waitUntil(lambda: window.session.hello is not None, timeout=PATIENCE_MS)
    window.run_panel.page.summary._stop.click()
    qtbot.waitUntil(lambda: window.session.state is RunState.STOPPED, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: len(told) == 2, timeout=PATIENCE_MS)
    said = {f"{run.name}: It saves its adapter and ends.", f"{run.name} is here."}
    assert {notice.text for notice in told} == said


def test_a_run_that_dies_there_is_told_with_its_last_words(
    sshd: SshHost, tmp_path: Path, qtbot: QtBot, opened: Callable[[], MainWindow]
) -> None:
    asked = Asked(host=sshd.name, ssh=shlex.join(sshd.ssh), python="/nowhere/python")
    run = SshPlace().start(bundle(tmp_path / "bundle", 1), asked, lambda _: None)
    window = opened()
    told = notices(window)
    window.remote_actions.show_run(run.path)
    qtbot.waitUntil(lambda: bool(told), timeout=PATIENCE_MS)
    assert told[0].kind == "error"
    assert "ended without a word" in told[0].text
    assert "/nowhere/python" in told[0].text


def test_closing_the_window_lets_go_of_what_trains_elsewhere(
    sshd: SshHost, tmp_path: Path, qtbot: QtBot, opened: Callable[[], MainWindow]
) -> None:
    run, window = started(sshd, tmp_path, MANY), opened()
    window.remote_actions.show_run(run.path)
    qtbot.waitUntil(lambda: window.session.hello is not None, timeout=PATIENCE_MS)
    window.close()
    assert not window.remote_actions.followers.is_following(run.path)
    there = home(sshd) / run.folder / "run" / "events.jsonl"
    at = there.stat().st_size
    qtbot.waitUntil(lambda: there.stat().st_size > at, timeout=PATIENCE_MS)
    (home(sshd) / run.folder / "enough").touch()
    assert [said.type for said in SshPlace().attend(run, lambda _: None)][-1] == "finished"
