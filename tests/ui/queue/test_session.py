"""What the queue's session tells: each message to the word, what can be done about it, and how long it is true."""

from __future__ import annotations

import errno
from contextlib import nullcontext
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.live.training_list import BESIDE
from app.core.problem import TaskError
from app.core.protocol import event
from app.core.protocol.job import TrainJob, read_job
from app.core.queue.queue import CUT_OFF, QueueState, RunQueue, make_entry
from app.core.run.folder import RunDir
from app.core.run.note import RunNote, save_note
from app.ui.message.bar import Notice
from app.ui.queue import session as queue_session
from app.ui.run.session import RunState
from tests.ui import synthetic_run
from tests.ui.fake_worker import FakeWorker
from tests.ui.queue.room import FAILED, STARTED, Room, Rooms, end, until_workers


def words(one: Notice) -> tuple[str, str, str, str]:
    """A message without what it does."""
    return one.text, one.kind, one.action, one.about


def holds(one: Notice) -> bool:
    assert one.holds is not None
    return one.holds()


def act(one: Notice) -> None:
    assert one.act is not None
    one.act()


def full(*_: object) -> QueueState:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "waiting, runs, trains, said",
    [
        (3, False, False, "The queue was interrupted: 3 runs wait."),
        (1, False, False, "The queue was interrupted: 1 run waits."),
        (1, True, False, "The queue was interrupted: 2 runs wait. Ada goes on where it stopped."),
        (0, True, False, "The queue was interrupted: 1 run waits. Ada goes on where it stopped."),
        (1, True, True, "The queue was interrupted: 1 run waits. Ada went on; they follow when it has ended, if "
         "the queue goes on."),
        (0, True, True, ""),
        (0, False, False, ""),
    ],
)  # fmt: skip
def test_an_interrupted_queue_is_offered_with_what_is_left_of_it(
    room: Room, rooms: Rooms, waiting: int, runs: bool, trains: bool, said: str
) -> None:
    disk = RunQueue(room.queue.queue.folder)
    for one in room.queue.state.entries[runs + waiting :]:
        disk.skip([one.id])
    disk.set_mode("running")
    run = None
    if runs:
        claim = disk.claim()
        assert claim is not None
        run = claim.run
        save_note(run, RunNote(name="Ada"))
    later = rooms(RunQueue(disk.folder))
    with run.lock() if run is not None and trains else nullcontext():
        later.queue.offer()
    assert [words(one) for one in later.told] == ([(said, "warning", "Go on", "")] if said else [])
    if said:
        assert holds(later.told[0])
        disk.set_mode("paused")
        later.queue.refresh()
        assert not holds(later.told[0])


def test_a_change_that_cannot_be_saved_or_made_is_told_and_changes_nothing(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, heard = room.queue.state.entries, []
    room.queue.changed.connect(lambda: heard.append(1))
    monkeypatch.setattr(room.queue.queue, "edit", full)
    assert not room.queue.add(entries[:1])
    path = room.queue.queue.path
    assert words(room.told[0]) == (f"The queue was not saved: No space left on device ({path}).", "error", "", "")

    def held(*_: object) -> QueueState:
        raise TaskError("Another Luthier holds the queue.", "Try again in a moment.")

    monkeypatch.setattr(room.queue.queue, "edit", held)
    assert not room.queue.add(entries[:1])
    assert words(room.told[1])[:2] == ("Another Luthier holds the queue. Try again in a moment.", "warning")
    room.queue.start()
    assert (len(room.told), room.queue.is_working) == (3, False), "who cannot begin lets others"
    assert (room.queue.state.entries, heard) == (entries, [1]), "it was given back"
    monkeypatch.undo()
    assert room.queue.add([])
    assert heard == [1, 1]


def test_a_queue_that_cannot_be_taken_says_why(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    other = RunQueue(room.queue.queue.folder)
    assert other.take()
    room.queue.start()
    said = "Another Luthier is working through the queue; it can be paused here all the same."
    assert words(room.told[0]) == (said, "warning", "", "")
    assert (room.told[0].passes, holds(room.told[0])) == (True, True)
    other.give_back()
    assert not holds(room.told[0])
    monkeypatch.setattr(room.queue.queue, "take", full)
    room.queue.start()
    said = "The queue's folder cannot be written: No space left on device."
    assert words(room.told[1]) == (said, "error", "", "")
    assert room.queue.state.mode == "idle"


def test_it_is_held_while_a_run_trains_without_a_window_or_none_can_be_made(
    room: Room, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, workers: list[FakeWorker]
) -> None:
    beside = synthetic_run.run_folder(tmp_path)
    monkeypatch.setattr(queue_session, "training_runs", lambda: [beside])
    room.queue.start()
    room.queue._go_on()
    said = f"Paused: friendly is training already. {BESIDE}"
    assert words(room.told[0]) == (said, "warning", "Go on", "queue")
    assert (room.queue.state.mode, room.queue.state.note) == ("paused", said)
    assert (room.queue.is_working, holds(room.told[0])) == (False, True)
    monkeypatch.setattr(queue_session, "training_runs", list)
    monkeypatch.setattr(room.queue.queue, "claim", full)
    act(room.told[0])
    assert not holds(room.told[0])
    room.queue._go_on()
    assert words(room.told[1]) == ("Paused: [Errno 28] No space left on device", "error", "Go on", "queue")
    assert (room.queue.is_working, room.states(), workers) == (False, ["waiting"] * 3, [])


def test_each_end_is_told_with_what_follows_from_it(qtbot: QtBot, room: Room, workers: list[FakeWorker]) -> None:
    room.queue.start()
    until_workers(qtbot, workers, 1)
    run = room.session.run
    assert run is not None
    assert not room.queue.tells_of(run)
    end(workers, FAILED)
    assert room.queue.tells_of(run)
    failed = "failed: The training data are gone. Choose others."
    assert words(room.told[0]) == (f"a {failed} The queue goes on.", "warning", "Show", "")
    with qtbot.waitSignal(room.queue.shown_requested):
        act(room.told[0])
    until_workers(qtbot, workers, 2)
    end(workers, event.Finished(reason="stopped"))
    assert words(room.told[1]) == ("b was stopped. The queue is paused.", "info", "Go on", "queue")
    assert room.queue.state.note == "Paused, because you stopped b."
    act(room.told[1])
    until_workers(qtbot, workers, 3)
    workers[-1].say(event.Hello(task="train"), STARTED)
    assert room.queue.progress == 0.0
    workers[-1].say(synthetic_run.report(4, [0.5] * 4, 10))
    assert room.queue.progress == 0.4
    with qtbot.waitSignal(room.queue.ended):
        workers[-1].end(FAILED)
    assert room.queue.progress is None
    assert [words(one) for one in room.told[2:]] == [
        (f"c {failed}", "warning", "Show", ""),
        ("The queue is at its end: 2 failed, 1 stopped.", "warning", "Show", "queue"),
    ]
    assert holds(room.told[3])
    with qtbot.waitSignal(room.queue.shown_requested):
        act(room.told[3])
    room.queue.again([room.queue.state.entries[0].id])
    room.queue.start()
    assert not holds(room.told[3]), "it is no longer at its end"
    until_workers(qtbot, workers, 4)
    with qtbot.waitSignal(room.queue.ended):
        end(workers, event.Finished())
    assert words(room.told[4]) == ("The queue is at its end: 1 done.", "good", "Show", "queue"), "of this time"


def test_a_last_run_that_is_stopped_or_parked_leaves_nothing_to_go_on_with_or_itself(
    qtbot: QtBot, room: Room, workers: list[FakeWorker]
) -> None:
    room.queue.remove([one.id for one in room.queue.state.entries[1:]])
    room.queue.start()
    until_workers(qtbot, workers, 1)
    end(workers, event.Finished(reason="paused"))
    assert words(room.told[0]) == ("Paused together with a.", "info", "Go on", "queue")
    room.queue.start()
    until_workers(qtbot, workers, 2)
    end(workers, event.Finished(reason="stopped"))
    assert words(room.told[1]) == ("a was stopped. The queue is paused.", "info", "", "queue")
    assert room.told[1].act is None


def test_another_run_that_is_opened_while_one_is_read_pauses_the_queue(
    qtbot: QtBot, room: Room, workers: list[FakeWorker], tmp_path: Path
) -> None:
    room.queue.start()
    until_workers(qtbot, workers, 1)
    run = room.session.run
    assert run is not None
    (run.state / "0000004").mkdir(parents=True)
    end(workers, event.Finished(reason="stopped"))
    room.queue.again([room.queue.state.entries[0].id])
    room.queue.move([room.queue.state.entries[-1].id], 0)
    room.queue.start()
    room.queue._go_on()
    assert room.session.state is RunState.LOADING
    assert room.states() == ["running", "waiting", "waiting"]
    room.session.open(synthetic_run.run_folder(tmp_path).path)
    assert (room.states(), room.queue.state.entries[0].message) == (["waiting"] * 3, CUT_OFF)
    assert words(room.told[-1]) == ("Paused, because another run was opened.", "info", "Go on", "queue")
    assert not room.queue.is_working
    room.session._reading.stop()


def test_a_run_of_the_list_that_went_on_without_a_window_is_its_entrys(
    room: Room, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = RunQueue(room.queue.queue.folder)
    claim = disk.claim()
    assert claim is not None
    later = rooms(RunQueue(disk.folder))
    monkeypatch.setattr(type(later.session), "is_attached", True)
    later.session.run = RunDir(claim.run.path.parent / "another")
    later.session.state_changed.emit()
    assert later.queue.current is None
    later.session.run = claim.run
    later.session.state_changed.emit()
    assert later.queue.current is not None
    assert later.queue.current.name == "a"
    monkeypatch.undo()
    later.session.run = None


def test_an_entry_is_called_as_its_run_is_called_by_now(room: Room) -> None:
    claim = RunQueue(room.queue.queue.folder).claim()
    assert claim is not None
    room.queue.refresh()
    first, second = room.queue.state.entries[:2]
    assert (room.queue.name_of(first), room.queue.name_of(second)) == ("a", "b")
    save_note(claim.run, RunNote(name="Ada"))
    assert room.queue.name_of(first) == "a", "it is not read at each look"
    heard: list[int] = []
    room.queue.changed.connect(lambda: heard.append(1))
    room.queue.take_names()
    assert (room.queue.name_of(first), heard) == ("Ada", [1])
    save_note(claim.run, RunNote(name="Eve"))
    room.queue.refresh()
    assert (room.queue.name_of(first), heard) == ("Ada", [1]), "nothing has changed"
    RunQueue(room.queue.queue.folder).set_mode("paused")
    room.queue.refresh()
    assert (room.queue.name_of(first), heard) == ("Eve", [1, 1])


def test_a_queue_that_is_paused_before_it_began_is_given_back(room: Room, workers: list[FakeWorker]) -> None:
    disk = RunQueue(room.queue.queue.folder)
    heard: list[int] = []
    room.queue.changed.connect(lambda: heard.append(1))
    room.queue.start()
    assert room.queue.is_working
    disk.set_mode("paused")
    room.queue._poll.timeout.emit()
    assert (room.queue.is_working, room.queue.state.mode, room.queue.state.note) == (False, "paused", "")
    room.queue.start()
    room.queue.pause()
    assert (room.queue.is_working, room.queue.state.mode) == (False, "paused")
    assert room.queue.state.note == "You paused it."
    heard.clear()
    room.queue.refresh()
    assert heard == [], "what it did itself is no news"
    room.queue._go_on()
    room.queue.run_now("nobody")
    assert (room.queue.state.mode, workers) == ("paused", [])
    room.queue.start()
    room.queue.leave()
    assert disk.take(), "another may go on"
    disk.give_back()
    room.queue.start()
    assert (room.queue.is_working, room.queue._poll.isActive()) == (False, False)


def test_an_ended_entry_can_be_trained_now(qtbot: QtBot, room: Room, workers: list[FakeWorker]) -> None:
    last = room.queue.state.entries[2]
    RunQueue(room.queue.queue.folder).settle(last.id, "done")
    room.queue.refresh()
    assert [room.queue.waits(one.id) for one in room.queue.state.entries] == [True, True, False]
    assert not room.queue.waits("nobody")
    room.queue.run_now(last.id)
    until_workers(qtbot, workers, 1)
    assert [(one.name, one.state) for one in room.queue.state.entries] == [
        ("c", "running"), ("a", "waiting"), ("b", "waiting"),
    ]  # fmt: skip


def test_data_that_changed_since_is_told_by_the_run_itself(
    rooms: Rooms, tmp_path: Path, qtbot: QtBot, workers: list[FakeWorker]
) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text("{}\n")
    room = rooms(None)
    room.queue.queue.add([make_entry(TrainConfig(model="/m", data=str(data), adapter_name=name)) for name in "ab"])
    room.queue.start()
    until_workers(qtbot, workers, 1)
    assert read_job(workers[0].job_dir) == TrainJob(outlives_parent=True)
    data.write_text("{}\n{}\n")
    end(workers, event.Finished(reason="completed", iteration=10))
    until_workers(qtbot, workers, 2)
    assert read_job(workers[1].job_dir) == TrainJob(outlives_parent=True, data_changed=True)
