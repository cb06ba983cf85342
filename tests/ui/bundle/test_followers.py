"""Who follows runs elsewhere, and what a window is told of them, with workers that answer by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.command import Stop
from app.core.protocol.job import RemoteJob, read_job
from app.core.remote.record import RemoteRun
from app.core.run.folder import RunDir, runs_dir
from app.ui.bundle.followers import RemoteFollowers
from app.ui.bundle.remote_actions import RemoteActions
from app.ui.message.bar import Notice
from app.ui.run.session import RunSession
from tests.ui import synthetic_run
from tests.ui.comparing import adapter_folder
from tests.ui.fake_worker import FakeWorker


@pytest.fixture(autouse=True)
def made(workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch) -> list[FakeWorker]:
    """Every worker, by hand."""
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    return workers


def jobs(made: list[FakeWorker]) -> list[tuple[str, Path]]:
    """What each worker was started for."""
    found: list[tuple[str, Path]] = []
    for worker in made:
        job = read_job(worker.job_dir)
        assert isinstance(job, RemoteJob)
        assert job.run is not None
        found.append((job.action, job.run))
    return found


def test_each_run_is_followed_by_one_worker_and_told_of_by_its_folder(qtbot: QtBot, made: list[FakeWorker]) -> None:
    del qtbot
    found, one, two = RemoteFollowers(), Path("/runs/one"), Path("/runs/two")
    told: list[tuple[str, object]] = []
    found.said.connect(lambda path, said: told.append((f"{path.name} said", said)))
    found.came.connect(lambda path: told.append((f"{path.name} came", "")))
    found.failed.connect(lambda path, said: told.append((f"{path.name} failed", said)))
    found.stopped.connect(lambda path, said: told.append((f"{path.name} stopped", said)))
    for path in (one, two, one):
        found.attend(path)
        found.stop(path)
    assert jobs(made) == [("attend", one), ("stop", one), ("attend", two), ("stop", two)]
    assert [found.is_following(path) for path in (one, two, Path("/runs/three"))] == [True, True, False]
    of_one, stop_one, of_two, stop_two = made
    of_two.say(event.Progressed(phase="Reading"), event.Warned(message="Hm."))
    of_one.say(event.Progressed(phase="Waiting"))
    stop_two.say(event.Progressed(phase="Asking"), event.Result(name="remote", data={"said": "It ends."}))
    stop_two.end(event.Finished())
    of_two.end(event.Finished())
    stop_one.end(event.Failed(message="It is not reached."), 1)
    of_one.end(event.Failed(message="It is gone."), 1)
    assert told == [
        ("two said", "Reading"), ("one said", "Waiting"), ("two stopped", "It ends."), ("two came", ""),
        ("one stopped", "It is not reached."), ("one failed", "It is gone."),
    ]  # fmt: skip
    assert not found.is_following(one)
    for path in (one, two):
        found.attend(path)
        found.stop(path)
    made[4].end(event.Finished(reason="stopped"))
    assert (len(told), found.is_following(one)) == (6, False), "who was stopped has nothing to tell"
    found.detach()
    assert [worker.killed for worker in made[4:]] == [False, True, True, True]
    assert (len(told), found.is_following(two)) == (6, False)
    found.stop(one)
    assert jobs(made[8:]) == [("stop", one)]
    found.detach()


class Window:
    """The actions of a window, with what they told."""

    def __init__(self, parent: QWidget) -> None:
        self.session = RunSession(parent)
        self.actions = RemoteActions(self.session, parent)
        self.notices: list[Notice] = []
        self.changes: list[bool] = []
        self.compared: list[Path] = []
        self.actions.told.connect(self.notices.append)
        self.actions.changed.connect(lambda: self.changes.append(True))
        self.actions.compare_requested.connect(self.compared.append)

    def last(self) -> tuple[str, str, str]:
        found = self.notices.pop()
        assert self.notices == []
        return found.text, found.kind, found.action


@pytest.fixture
def window(qtbot: QtBot) -> Iterator[Window]:
    parent = QWidget()
    qtbot.addWidget(parent)
    found = Window(parent)
    yield found
    found.actions.shutdown()


def elsewhere(name: str, **details: Any) -> RemoteRun:
    """A run that was left on a machine."""
    run = synthetic_run.run_folder(runs_dir(), [], name=name)
    found = RemoteRun(run.path, "ssh", {"host": "gpu-box", **details})
    found.save()
    return found


def test_what_becomes_of_a_run_elsewhere_is_told_with_what_can_be_done(
    window: Window, made: list[FakeWorker]
) -> None:
    run = elsewhere("polite")
    window.actions.followers.attend(run.path)
    made[0].end(event.Finished())
    assert (window.last(), window.changes) == (("polite is here.", "good", ""), [True])
    adapters = adapter_folder(RunDir(run.path).adapters, "/base")
    window.actions.followers.attend(run.path)
    made[1].end(event.Finished())
    (notice,) = window.notices
    assert notice.act is not None
    notice.act()
    assert window.compared == [adapters]
    assert window.last() == ("polite is here.", "good", "Compare base and tuned")
    window.actions.followers.attend(run.path)
    made[2].end(event.Failed(message="It is not reached."), 1)
    (notice,) = window.notices
    assert notice.act is not None
    notice.act()
    assert jobs(made[3:]) == [("attend", run.path)]
    assert window.last() == ("polite is not followed any more: It is not reached.", "error", "Try again")
    run.with_details(closed=True)
    made[3].end(event.Failed(message="It ended without a word."), 1)
    assert window.last() == ("It ended without a word.", "error", "")
    assert len(window.changes) == 4
    window.session.stop_elsewhere.emit(run.path)
    assert jobs(made[4:]) == [("attend", run.path), ("stop", run.path)]
    made[5].say(event.Result(name="remote", data={"said": "It ends."}))
    assert window.last() == ("polite: It ends.", "info", "")


def test_a_run_that_is_shown_says_how_its_link_is(window: Window, made: list[FakeWorker], qtbot: QtBot) -> None:
    run, other = elsewhere("polite"), elsewhere("other")
    window.actions.show_run(run.path)
    qtbot.waitUntil(lambda: len(made) == 1)
    assert jobs(made) == [("attend", run.path)]
    window.actions.followers.attend(other.path)
    made[1].say(event.Progressed(phase="Copying"))
    assert window.session.phase != "Copying"
    made[0].say(event.Progressed(phase="Waiting for gpu-box"))
    assert window.session.phase == "Waiting for gpu-box"
    elsewhere("over", closed=True)
    window.actions.find_again()
    (notice,) = window.notices
    assert notice.act is not None
    notice.act()
    assert window.session.run is not None
    assert window.session.run.path == other.path
    assert window.last() == ("other was left on gpu-box.", "info", "Show it")


def test_beside_a_run_that_trains_here_one_elsewhere_is_only_followed(
    window: Window, made: list[FakeWorker]
) -> None:
    run = elsewhere("polite")
    here = window.session.start(TrainConfig())
    window.actions.show_run(run.path)
    assert window.session.run == here
    assert jobs(made[1:]) == [("attend", run.path)]
    (notice,) = window.notices
    assert notice.holds is not None
    assert notice.holds()
    made[0].end(event.Finished())
    assert not notice.holds()
    said = "A run is training here. What trains elsewhere is followed, and stands in the list of runs."
    assert window.last() == (said, "info", "")


def test_what_a_place_is_asked_ends_with_the_window(window: Window, made: list[FakeWorker]) -> None:
    window.actions.ask_run(TrainConfig())
    dialog = window.actions.dialog
    assert dialog is not None
    dialog.place.set_value("runpod")
    dialog.place.edited.emit("runpod")
    dialog.ask_button.click()
    assert (len(made), made[0].commands) == (1, [])
    window.actions.shutdown()
    assert made[0].commands == [Stop()]
    made[0].end(event.Finished(reason="stopped"))
    dialog.reject()
    assert window.actions.dialog is None
