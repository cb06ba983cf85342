"""The door of a run: each command once, from whoever may; a door that a killed worker left is none."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from app.core.config.train_config import TrainConfig
from app.core.live.door import CommandDoor, listener_of, tell_run
from app.core.live.following import EventFollower, followed_events
from app.core.live.training_list import listed, training_beside, training_dir, training_runs
from app.core.protocol.command import Ask, Pause, Refused, Resume, Save, Stop
from app.core.protocol.event import Paused, Resumed
from app.core.protocol.question import Question
from app.core.run.folder import RUN_DOOR, RunDir, prepare_run


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return prepare_run(TrainConfig(), tmp_path / "run")


def test_what_is_told_is_heard_once_and_in_order(run: RunDir) -> None:
    with run.lock(), CommandDoor(run.path) as door:
        assert listener_of(run) == os.getpid()
        assert stat.S_IMODE((run.path / RUN_DOOR).stat().st_mode) == 0o600
        assert door.heard() == []
        assert [tell_run(run, one) for one in (Pause(), Resume())] == [True, True]
        assert door.heard() == [Pause(), Resume()]
        assert tell_run(run, Stop())
        assert door.heard() == [Stop()]
        assert door.heard() == []
    assert not (run.path / RUN_DOOR).exists()
    assert door.heard() is None


def test_many_tell_at_once_and_nothing_is_lost_or_mixed(run: RunDir) -> None:
    with run.lock(), CommandDoor(run.path) as door:
        threads = [threading.Thread(target=tell_run, args=(run, one)) for one in [Save(), Pause()] * 20]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        heard = door.heard()
    assert heard is not None
    assert sorted(one.command for one in heard) == ["pause"] * 20 + ["save"] * 20


def test_what_is_no_command_for_a_door_is_refused(run: RunDir) -> None:
    with run.lock(), CommandDoor(run.path) as door:
        with (run.path / RUN_DOOR).open("ab") as file:
            file.write(Ask(question=Question(prompt="Hi")).to_line() + b"nonsense\n" + Stop().to_line()[:5])
        heard = door.heard()
        assert heard is not None
        assert [isinstance(one, Refused) for one in heard] == [True, True]
        with (run.path / RUN_DOOR).open("ab") as file:
            file.write(Stop().to_line()[5:])
        assert door.heard() == [Stop()]


def test_a_door_behind_which_nobody_lives_takes_nothing(run: RunDir) -> None:
    assert not tell_run(run, Stop())
    (run.path / RUN_DOOR).write_text('{"pid": 999999999}\n')
    with run.lock():
        assert not tell_run(run, Stop())  # that of a worker which was killed
        (run.path / RUN_DOOR).write_text("what?\n")
        assert not tell_run(run, Stop())
        door = CommandDoor(run.path)
        assert door.heard() == []  # a new one has nothing of the one before
    assert not tell_run(run, Stop())  # nobody holds the run
    door.close()


def test_a_run_that_is_moved_takes_its_door_along(run: RunDir, tmp_path: Path) -> None:
    with run.lock(), CommandDoor(run.path) as door:
        moved = RunDir(run.path.rename(tmp_path / "moved"))
        assert tell_run(moved, Stop())
        assert door.heard() == [Stop()]


def test_the_list_has_what_trains_and_loses_what_died(run: RunDir) -> None:
    assert training_runs() == []
    with run.lock():
        with listed(run):
            (training_dir() / "999999999.json").write_text('{"run": "/nowhere"}')
            (training_dir() / "odd.json").write_text("?")
            assert training_runs() == [run]
            assert [path.name for path in training_dir().iterdir()] == [f"{os.getpid()}.json"]
        assert training_runs() == []
    with listed(run):
        assert training_runs() == []  # listed, and held by nobody


def test_the_newest_of_those_that_train_comes_first_and_ones_own_is_no_other(run: RunDir, tmp_path: Path) -> None:
    older = prepare_run(TrainConfig(), tmp_path / "older")
    (training_dir()).mkdir(parents=True)
    for number, one in ((os.getpid(), older), (os.getppid(), run)):
        (training_dir() / f"{number}.json").write_text(json.dumps({"run": str(one.path)}))
    with run.lock(), older.lock():
        assert training_runs() == [run, older]
        assert (training_beside(), training_beside(run.path), training_beside(older.path)) == (run, older, run)
    assert training_beside() is None


def test_events_that_come_are_followed_until_nobody_trains(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    said = [Paused(iteration=number) for number in range(3)]

    def wait(seconds: float) -> None:
        waited.append(seconds)
        with run.events.open("a") as file:
            file.write(f"{said[len(waited)].to_line()}\n")

    run.events.write_text(f"{said[0].to_line()}\n")
    monkeypatch.setattr("app.core.live.following.time.sleep", wait)
    assert list(followed_events(run, lambda: len(waited) < 2)) == said
    assert waited == [0.1, 0.1]
    assert list(followed_events(run)) == said, "nobody holds it"


def test_events_are_followed_line_by_line(run: RunDir) -> None:
    follower = EventFollower(run)
    assert list(follower.fresh()) == []
    one, two = Paused(iteration=3).to_line(), Resumed(iteration=3).to_line()
    run.events.write_text(f"{one}\ncut off by a crash\n{two[:9]}")
    assert [said.type for said in follower.fresh()] == ["paused"]
    with run.events.open("a") as file:
        file.write(f"{two[9:]}\n")
    assert [said.type for said in follower.fresh()] == ["resumed"]
    assert list(follower.fresh()) == []
