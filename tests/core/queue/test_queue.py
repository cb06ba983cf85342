"""The queue on disk: order, states, two processes, and what is left after one of them died."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from app.core import language
from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.problem import TaskError
from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.queue.queue import (
    EntryState,
    QueueEntry,
    QueueTally,
    RunQueue,
    line_text,
    make_entry,
    outcome_of,
    queue_tally,
    result_text,
    setup_text,
)
from app.core.run.folder import RunDir, runs_dir
from app.core.run.history import RunHistory
from app.core.run.note import load_note
from tests import ROOT


def entry(name: str, **more: object) -> QueueEntry:
    return make_entry(TrainConfig(model="/m", data="/d", adapter_name=name)).model_copy(update=more)


@pytest.fixture
def queue(tmp_path: Path) -> RunQueue:
    found = RunQueue(tmp_path / "queue")
    found.add([entry(name) for name in "abc"])
    return found


def names(queue: RunQueue) -> str:
    return "".join(one.name for one in queue.read().shown)


def key(queue: RunQueue, name: str) -> str:
    return next(one.id for one in queue.read().entries if one.name == name)


def test_an_entry_is_a_frozen_copy_of_the_whole_setup(queue: RunQueue) -> None:
    config = TrainConfig(model="/m", data="/d", epochs=None, iters=7).with_values(
        {"lora_parameters.rank": 5, "adapter_path": "/elsewhere", "targets": "q_proj, v_proj"}
    )
    queue.add([make_entry(config)])
    assert RunQueue(queue.folder).read().entries[-1].load() == config.with_value("adapter_path", "")


def test_entries_are_moved_skipped_removed_and_queued_again(queue: RunQueue) -> None:
    queue.move([key(queue, "c")], 0)
    assert names(queue) == "cab"
    queue.move([key(queue, "c"), key(queue, "a")], 99)
    assert names(queue) == "bca"
    queue.skip([key(queue, "c")])
    assert [one.name for one in queue.read().waiting] == ["b", "a"]
    queue.move([key(queue, "a")], 0)
    assert names(queue) == "acb", "what does not wait keeps its place"
    queue.again([key(queue, "c")])
    assert [one.name for one in queue.read().waiting] == ["a", "b", "c"]
    queue.remove([key(queue, "b")])
    assert names(queue) == "ac"


@given(st.data())
def test_moving_keeps_every_entry_and_the_order_of_the_others(data: st.DataObject) -> None:
    import tempfile

    known: list[EntryState] = ["waiting", "done", "running", "skipped"]
    states = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=7))
    with tempfile.TemporaryDirectory() as folder:
        queue = RunQueue(Path(folder))
        queue.add([QueueEntry(id=str(i), name=str(i), config="", state=s) for i, s in enumerate(states)])
        moved = data.draw(st.lists(st.sampled_from([str(i) for i in range(len(states))]), unique=True))
        place = data.draw(st.integers(-3, 12))
        before, after = queue.read(), queue.move(moved, place)
    assert sorted(one.id for one in after.entries) == sorted(one.id for one in before.entries)
    assert [one.state for one in after.entries] == states
    rest = [one.id for one in before.waiting if one.id not in moved]
    assert [one.id for one in after.waiting if one.id not in moved] == rest
    going = [one.id for one in before.waiting if one.id in moved]
    at = min(max(place, 0), len(rest))
    assert [one.id for one in after.waiting][at : at + len(going)] == going


def test_the_running_entry_can_be_neither_removed_nor_cleared(queue: RunQueue) -> None:
    queue.claim()
    queue.remove([key(queue, "a")])
    queue.clear()
    assert names(queue) == "abc"


def test_a_claim_makes_a_run_and_goes_on_with_one_that_was_cut_off(queue: RunQueue) -> None:
    first = queue.claim()
    assert first is not None
    assert not first.resume
    assert first.run.path.parent == runs_dir()
    assert queue.read().running == first.entry
    (first.run.state).mkdir()
    (first.run.state / "state.json").write_text("{}")
    first.run.events.write_text(event.Hello(task="train").to_line() + "\n")

    state = queue.recover()
    assert state.entries[0].state == "waiting"
    assert "goes on" in state.entries[0].message
    again = queue.claim()
    assert again is not None
    assert (again.run, again.resume) == (first.run, True)


@pytest.mark.parametrize(
    "last, state, words",
    [
        (event.Finished(reason="completed"), "done", ""),
        (event.Finished(reason="early_stopping"), "done", ""),
        (event.Failed(message="The data vanished.", hint="Find them."), "failed", "The data vanished. Find them."),
        (event.Finished(reason="stopped"), "waiting", "goes on"),
        (event.Hello(task="train"), "waiting", "goes on"),
    ],
)
def test_recovery_reads_from_the_run_what_nobody_was_there_to_see(
    queue: RunQueue, last: Event, state: str, words: str
) -> None:
    claim = queue.claim()
    assert claim is not None
    claim.run.events.write_text(last.to_line() + "\n")
    found = queue.recover().entries[0]
    assert found.state == state
    assert words in found.message


@pytest.mark.parametrize("reason", ["completed", "early_stopping"])
def test_what_was_gone_on_with_by_hand_to_its_end_is_done(queue: RunQueue, reason: str) -> None:
    """A worker that were asked to go on would refuse, and its refusal would stand in a run that had ended well."""
    first = queue.claim()
    assert first is not None
    queue.settle(first.entry.id, "waiting", "The run is paused; it goes on where it is.")
    first.run.state.mkdir()
    (first.run.state / "state.json").write_text("{}")
    said = (
        event.Validated(iteration=4, val_loss=1.25, best=True),
        event.Finished(reason=reason, iteration=4),
    )
    first.run.events.write_text("".join(one.to_line().rstrip() + "\n" for one in said))
    second = queue.claim()
    assert second is not None
    assert second.entry.name == "b"
    found = queue.read().entries[0]
    assert (found.state, found.message) == ("done", "Best validation loss 1.250")


def test_a_worker_that_is_still_saving_is_waited_for(queue: RunQueue) -> None:
    """It holds its run, though nothing of it is saved yet: the run goes on, and no second one begins beside it."""
    first = queue.claim()
    assert first is not None
    queue.settle(first.entry.id, "waiting")
    with first.run.lock():
        again = queue.claim()
        assert again is not None
        assert (again.run.path, again.resume) == (first.run.path, True)
    queue.settle(first.entry.id, "waiting")
    anew = queue.claim()
    assert anew is not None
    assert (anew.run.path != first.run.path, anew.resume) == (True, False)


def test_an_entry_whose_worker_went_on_alone_is_left_as_it_is(queue: RunQueue) -> None:
    claim = queue.claim()
    assert claim is not None
    with claim.run.lock():
        assert queue.recover().entries[0] == claim.entry
    assert queue.recover().entries[0].state == "waiting"
    queue.update(claim.entry.id, state="running", run="")
    recovered = queue.recover().entries[0]
    assert (recovered.state, recovered.message) == ("waiting", "")


def test_what_a_run_came_to_is_its_best_figure() -> None:
    history = RunHistory()
    assert result_text(history) == ""
    history.feed(event.Validated(iteration=5, val_loss=1.25, best=True))
    assert result_text(history) == "Best validation loss 1.250"
    rewarded = RunHistory()
    rewarded.feed(event.Validated(iteration=5, val_loss=-0.5, best=True, figures={"reward": 0.5}))
    assert result_text(rewarded) == "Best mean reward 0.500"
    diverged = RunHistory()
    diverged.feed(event.Validated(iteration=5, val_loss=float("nan"), best=True))
    assert result_text(diverged) == ""


def test_a_folder_that_cannot_be_made_fails_its_entry(queue: RunQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_config: object) -> RunDir:
        raise OSError(28, "No space left on device", "/full")

    monkeypatch.setattr("app.core.queue.queue.create_run", refuse)
    assert queue.claim() is None
    assert {(one.state, one.message) for one in queue.read().entries} == {
        ("failed", "The run's folder cannot be made: No space left on device (/full).")
    }


def test_bytes_that_are_no_text_are_kept(queue: RunQueue) -> None:
    queue.update(key(queue, "a"), run="/caf\udce9", message=tr("{path} already holds a run", path="\ud800"))
    found = queue.read().entries[0]
    assert (found.run, found.message) == ("/caf\udce9", "\ud800 already holds a run")
    assert queue.path.read_bytes().isascii()


def test_a_setup_is_told_by_what_differs_most() -> None:
    config = TrainConfig(model="/models/base", data="/data/chats.jsonl")
    assert setup_text(config) == "LoRA rank 32, full · base · chats"
    dora = config.with_values({"fine_tune_type": "dora", "train_mode": "dpo", "targets": "mlp"})
    assert setup_text(dora) == "DPO · DoRA rank 32, mlp · base · chats"
    assert setup_text(config.with_value("fine_tune_type", "full")) == "full fine-tune · base · chats"


def test_a_run_without_saved_state_begins_anew(queue: RunQueue) -> None:
    first = queue.claim()
    queue.recover()
    second = queue.claim()
    assert first is not None
    assert second is not None
    assert second.entry.id == first.entry.id
    assert not second.resume
    assert second.run != first.run


@pytest.mark.parametrize("state, goes_on", [("stopped", True), ("failed", False), ("done", False)])
def test_what_is_queued_again_goes_on_only_where_it_was_stopped(
    state: EntryState, goes_on: bool, queue: RunQueue
) -> None:
    """All have a saved state; but that of a failed run leads to the same failure, and a finished one has ended."""
    first = queue.claim()
    assert first is not None
    (first.run.state / "0000001").mkdir(parents=True)
    queue.settle(first.entry.id, state, "It ended.")
    queue.skip([one.id for one in queue.read().waiting])
    queue.again([first.entry.id])
    assert queue.read().entries[-1].message == ""
    second = queue.claim()
    assert second is not None
    assert (second.entry.id, second.resume) == (first.entry.id, goes_on)
    assert (second.run == first.run) == goes_on


def test_a_setup_that_cannot_be_read_fails_and_is_passed_over(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    queue.add([entry("bad", config="lora_parameters: {rank: no}"), entry("good")])
    claim = queue.claim()
    assert claim is not None
    assert claim.entry.name == "good"
    bad = queue.read().entries[0]
    assert bad.state == "failed"
    assert "rank" in bad.message


def test_clearing_keeps_what_a_sweep_found(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    queue.add([entry("a", state="done"), entry("b", state="done", sweep="s", sweep_name="my sweep"), entry("c")])
    queue.clear()
    assert names(queue) == "c"
    assert [one.name for one in queue.read().sweeps()["s"]] == ["b"]
    queue.forget_sweep("s")
    assert not queue.read().sweeps()
    assert [one.name for one in queue.read().entries] == ["c"]


def test_runs_of_a_sweep_are_tagged_with_it(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path)
    queue.add([entry("a", sweep="s", sweep_name="my sweep")])
    claim = queue.claim()
    assert claim is not None
    assert load_note(claim.run).tags == ("my sweep",)


def test_two_processes_add_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from app.core.config.train_config import TrainConfig\n"
        "from app.core.queue.queue import RunQueue, make_entry\n"
        "queue = RunQueue(Path(sys.argv[1]))\n"
        "for i in range(15): queue.add([make_entry(TrainConfig(adapter_name=f'{sys.argv[2]}{i}'))])\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], cwd=ROOT) for name in ("left", "right")
    ]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    found = [one.name for one in RunQueue(tmp_path).read().entries]
    assert sorted(found) == sorted(f"{side}{i}" for side in ("left", "right") for i in range(15))


def test_one_process_at_a_time_works_through_it(tmp_path: Path) -> None:
    first, second = RunQueue(tmp_path), RunQueue(tmp_path)
    assert not first.is_worked()
    assert first.take()
    assert first.take(), "who has it may ask again"
    assert (first.is_mine, first.is_worked(), second.is_mine) == (True, True, False)
    assert second.is_worked()
    assert not second.take()
    first.give_back()
    first.give_back()
    assert (first.is_mine, first.is_worked(), second.is_worked()) == (False, False, False)
    assert second.take()
    second.give_back()


def test_a_process_that_dies_lets_go(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from app.core.queue.queue import RunQueue\n"
        "queue = RunQueue(Path(sys.argv[1])); assert queue.take(); queue.set_mode('running'); os._exit(9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == 9
    queue = RunQueue(tmp_path)
    assert queue.read().mode == "running"
    assert not queue.is_worked()


def test_a_queue_that_cannot_be_read_or_locked_says_so(queue: RunQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.core.queue.queue.EDIT_TIMEOUT_S", 0)
    with FileLock(queue.folder / ".edit.lock"), pytest.raises(TaskError, match="Another Luthier"):
        queue.clear()
    queue.path.write_text("{ half of")
    with pytest.raises(TaskError, match=r"queue\.json cannot be read"):
        queue.read()
    with pytest.raises(TaskError):
        queue.add([entry("d")])
    assert queue.path.read_text() == "{ half of", "what cannot be read is not written over"


def test_keys_of_a_newer_version_are_kept(queue: RunQueue) -> None:
    text = queue.path.read_text().replace('"mode"', '"colour": "red",\n "mode"')
    queue.path.write_text(text)
    queue.set_mode("paused", "for tea")
    assert '"colour": "red"' in queue.path.read_text()
    assert queue.read().note == "for tea"


def test_outcomes_and_counts() -> None:
    twice = event.Failed(message="model: There is none. Choose one.", hint="Choose one.")
    assert outcome_of(twice) == ("failed", "model: There is none. Choose one.")
    assert outcome_of(event.Finished(reason="completed")) == ("done", "")
    assert outcome_of(event.Finished(reason="stopped")) == ("stopped", "Stopped by you.")
    assert outcome_of(event.Finished(reason="paused")) == ("waiting", "The run is paused; it goes on where it is.")
    assert outcome_of(event.Failed(message="No.", hint="Do.")) == ("failed", "No. Do.")
    assert outcome_of(None) == ("failed", "The worker ended without a word.")
    assert [line_text(place) for place in (0, 1, 2, 1000)] == [
        "It is next.", "1 run is before it.", "2 runs are before it.", "1,000 runs are before it.",
    ]  # fmt: skip
    found = queue_tally(
        [entry("a", state="done"), entry("b", state="failed"), entry("c", state="done"), entry("d")]
    )
    assert found.sentence() == "2 done, 1 failed"
    assert QueueTally(1, 1, 0, 0, 1000, 1).sentence() == "1,000 stopped, 1 skipped"


def test_a_removed_folder_is_an_empty_queue(tmp_path: Path) -> None:
    queue = RunQueue(tmp_path / "none")
    assert queue.read().entries == ()
    assert queue.stamp() == (0, 0)
    assert not queue.is_worked()
    assert not queue.folder.exists(), "looking makes nothing"


def test_the_run_of_an_entry_is_named_like_it(queue: RunQueue) -> None:
    claim = queue.claim()
    assert claim is not None
    assert claim.run.name.endswith("_a")
    assert RunDir(Path(queue.read().entries[0].run)) == claim.run


def test_what_the_queue_keeps_is_read_in_the_language_of_who_reads(
    queue: RunQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = queue.edit(
        lambda state: state.model_copy(
            update={
                "mode": "paused",
                "note": tr("You paused it."),
                "entries": (
                    state.entries[0].model_copy(
                        update={"message": outcome_of(event.Failed(message=tr("No weights had been saved.")))[1]}
                    ),
                ),
            }
        )
    )
    assert failed.entries[0].setup == "LoRA rank 32, full · m · d"
    monkeypatch.setenv(language.VARIABLE, "de")
    monkeypatch.setattr(language, "_catalogue", language._load("de"))
    monkeypatch.setattr(language, "_strict", None)
    state = RunQueue(queue.folder).read()
    told = (state.note, state.entries[0].setup, state.entries[0].message)
    assert told == (tr("You paused it."), "LoRA Rang 32, full · m · d", "Es waren keine Gewichte gesichert.")
