"""The queue over any steps, held against a plain list: nothing is lost, doubled, reordered or begun wrongly."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from app.core.config.train_config import TrainConfig
from app.core.queue.queue import EntryState, RunQueue, make_entry, queue_tally
from app.core.run.folder import RunDir

CONFIG = TrainConfig(model="/m", data="/d")
ENDINGS: tuple[EntryState, ...] = ("done", "failed", "stopped", "skipped")
PLACES = st.integers(0, 4)
SOME = st.sets(st.integers(0, 5), min_size=1, max_size=3)


@dataclass(frozen=True)
class Known:
    """What the model knows of an entry."""

    id: str
    state: EntryState = "waiting"
    run: str = ""
    sweep: str = ""
    hidden: bool = False

    @property
    def is_ended(self) -> bool:
        return self.state in ENDINGS


class QueueSteps(RuleBasedStateMachine):
    """What a window, a command line and a worker do with one queue, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp())
        self.queue = RunQueue(self._folder / "queue")
        self.known: list[Known] = []
        self.saved: set[str] = set()  # runs with a saved state
        for sweep in ("", "", "s", ""):
            self.add(sweep)

    def teardown(self) -> None:
        shutil.rmtree(self._folder)

    def _ids(self, numbers: set[int]) -> list[str]:
        return [one.id for number, one in enumerate(self.known) if number in numbers]

    def _change(self, ids: list[str], only: tuple[EntryState, ...], **values: object) -> None:
        self.known = [
            replace(one, **values) if one.id in ids and one.state in only else one  # type: ignore[arg-type]
            for one in self.known
        ]

    @rule(sweep=st.sampled_from(["", "", "s"]))
    def add(self, sweep: str) -> None:
        entry = make_entry(CONFIG, sweep=sweep, sweep_name=sweep and "rank")
        self.queue.add([entry])
        self.known.append(Known(entry.id, sweep=sweep))

    @rule(numbers=SOME, place=PLACES)
    def move(self, numbers: set[int], place: int) -> None:
        self.queue.move(self._ids(numbers), place)
        waiting = [one for one in self.known if one.state == "waiting"]
        moved = [one for one in waiting if one.id in self._ids(numbers)]
        for one in moved:
            waiting.remove(one)
        waiting[place:place] = moved
        self.known = [waiting.pop(0) if one.state == "waiting" else one for one in self.known]

    @rule(numbers=SOME)
    def remove(self, numbers: set[int]) -> None:
        ids = self._ids(numbers)
        self.queue.remove(ids)
        self._take_off([one for one in self.known if one.id in ids and one.state != "running"])

    @rule()
    def clear(self) -> None:
        self.queue.clear()
        self._take_off([one for one in self.known if one.is_ended])

    def _take_off(self, gone: list[Known]) -> None:
        """What a sweep found stays in its table."""
        hidden = [one for one in gone if one.sweep and one.is_ended]
        self.known = [
            replace(one, hidden=True) if one in hidden else one
            for one in self.known
            if one in hidden or one not in gone
        ]

    @rule()
    def forget_the_sweep(self) -> None:
        self.queue.forget_sweep("s")
        kept = [one for one in self.known if not (one.sweep and one.is_ended)]
        self.known = [replace(one, sweep="") for one in kept]

    @rule(numbers=SOME)
    def skip(self, numbers: set[int]) -> None:
        self.queue.skip(self._ids(numbers))
        self._change(self._ids(numbers), ("waiting",), state="skipped")

    @rule(numbers=SOME)
    def queue_again(self, numbers: set[int]) -> None:
        ids = self._ids(numbers)
        self.queue.again(ids)
        ended = [one for one in self.known if one.id in ids and one.is_ended]
        kept = [one for one in self.known if one not in ended]
        again = [replace(one, run=one.run if one.state == "stopped" else "", hidden=False) for one in ended]
        self.known = kept + [replace(one, state="waiting") for one in again]

    @precondition(lambda self: all(one.state != "running" for one in self.known))
    @rule()
    def claim(self) -> None:
        found = self.queue.claim()
        first = next((one for one in self.known if one.state == "waiting"), None)
        if first is None:
            assert found is None
            return
        assert found is not None
        assert found.entry.id == first.id
        goes_on = first.run in self.saved
        assert found.resume == goes_on
        if goes_on:
            assert str(found.run.path) == first.run
        else:
            assert str(found.run.path) not in {one.run for one in self.known}, (
                "a run of its own, from the beginning"
            )
        self._change([first.id], ("waiting",), state="running", run=str(found.run.path))

    def _running(self) -> Known | None:
        return next((one for one in self.known if one.state == "running"), None)

    @precondition(lambda self: self._running())
    @rule()
    def the_run_is_saved(self) -> None:
        running = self._running()
        assert running is not None
        (RunDir(Path(running.run)).state / "0000001").mkdir(parents=True, exist_ok=True)
        self.saved.add(running.run)

    @precondition(lambda self: self._running())
    @rule(state=st.sampled_from(["done", "failed", "stopped", "waiting"]))
    def the_run_ends(self, state: EntryState) -> None:
        running = self._running()
        assert running is not None
        self.queue.settle(running.id, state)
        self._change([running.id], ("running",), state=state)

    @precondition(lambda self: self._running())
    @rule()
    def the_process_dies(self) -> None:
        """Its run never said a word: it waits, and goes on where there is something to go on from."""
        running = self._running()
        assert running is not None
        self.queue = RunQueue(self.queue.folder)
        self.queue.recover()
        self._change([running.id], ("running",), state="waiting")

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        state = self.queue.read()
        assert [(one.id, one.state, one.run, one.sweep, one.hidden) for one in state.entries] == [
            (one.id, one.state, one.run, one.sweep, one.hidden) for one in self.known
        ]
        assert [one.id for one in state.shown] == [one.id for one in self.known if not one.hidden]
        tally = queue_tally(state.entries)
        counts = (tally.waiting, tally.running, tally.done, tally.failed, tally.stopped, tally.skipped)
        states = ("waiting", "running", "done", "failed", "stopped", "skipped")
        assert counts == tuple(sum(one.state == word for one in self.known) for word in states)


def test_any_steps() -> None:
    run_state_machine_as_test(QueueSteps, settings=settings(max_examples=25, stateful_step_count=20, deadline=None))
