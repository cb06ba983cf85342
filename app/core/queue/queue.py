"""The queue: setups that are trained one after the other, kept on disk so that it outlives the window and a crash.

One JSON file holds all of it and is replaced whole. Every change is made under a lock, so that a window and a
command line can have the queue open at once; a second lock says which process works through it. A run that was cut
off with the process goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict

from app.core.config.train_config import TrainConfig
from app.core.json_text import parsed_json
from app.core.language import joined, tr
from app.core.problem import TaskError, UnusableError
from app.core.protocol import event
from app.core.protocol.wire import SpokenPart
from app.core.quantity import loss_text
from app.core.queue.data_stamp import data_stamp
from app.core.refusal import reason_of
from app.core.run.folder import WHOLE_STATES, RunDir, create_run, last_event, present_state, recorded_state
from app.core.run.note import RunNote, save_note
from app.core.setup.chosen_method import method_of
from app.core.setup.config_file import dump_config, parse_config
from app.core.system import place
from app.core.system.atomic_file import write_text
from app.core.system.title import path_title

if TYPE_CHECKING:
    from app.core.run.history import RunHistory

EntryState = Literal["waiting", "running", "done", "failed", "stopped", "skipped"]
Mode = Literal["idle", "running", "paused"]
WhenDone = Literal["nothing", "notify", "sleep"]

QUEUE_VERSION = 1
EDIT_TIMEOUT_S = 5.0  # an edit holds the lock for milliseconds
ENDED: tuple[EntryState, ...] = ("done", "failed", "stopped", "skipped")
CUT_OFF = tr("The run was cut off; it goes on where it stopped.")


class _Kept(BaseModel):
    """Base of what the file holds. Keys of a newer version are kept."""

    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="constants")


class QueueEntry(SpokenPart, _Kept):
    """One setup in the queue.

    ``config`` is the whole setup as YAML, frozen when it was queued. ``run`` is the run's folder once there is one;
    an entry that waits and has one goes on with that run. ``values`` are what a sweep set, by dotted path.
    ``setup`` says in a few words what it is. ``hidden`` entries are out of the list but still tell what their sweep
    found. ``created`` is in seconds since 1970. ``data`` is what the data was when it was queued, ``trained_data``
    what it was when its run began (see `data_stamp`); empty where that is not known.
    """

    id: str
    name: str
    config: str
    setup: str = ""
    state: EntryState = "waiting"
    run: str = ""
    message: str = ""
    sweep: str = ""
    sweep_name: str = ""
    values: dict[str, Any] = {}
    hidden: bool = False
    created: float = 0.0
    data: str = ""
    trained_data: str = ""

    @property
    def has_other_data(self) -> bool:
        """Whether the data was changed between queueing and training."""
        return bool(self.data and self.trained_data) and self.data != self.trained_data

    @property
    def is_ended(self) -> bool:
        return self.state in ENDED

    @property
    def outcome(self) -> str:
        """What it came to, in a line; what it was trained on, where that is not what was queued."""
        said = self.message.splitlines()[0] if self.message else ""
        other = tr("the data was changed since it was queued") if self.has_other_data else ""
        return joined((said, other), " · ")

    def load(self) -> TrainConfig:
        """The setup; raises `UnusableError` if this Luthier cannot read it any more."""
        return parse_config(self.config, name=self.name).config


class QueueState(SpokenPart, _Kept):
    """All of the queue at one moment. ``mode`` is what was asked for: see `RunQueue.is_worked` for what is true.

    ``note`` says why it is paused.
    """

    version: int = QUEUE_VERSION
    mode: Mode = "idle"
    note: str = ""
    when_done: WhenDone = "nothing"
    entries: tuple[QueueEntry, ...] = ()

    @property
    def shown(self) -> list[QueueEntry]:
        """The entries of the list, in its order."""
        return [one for one in self.entries if not one.hidden]

    @property
    def waiting(self) -> list[QueueEntry]:
        """What is still to be trained, in order."""
        return [one for one in self.entries if one.state == "waiting"]

    @property
    def running(self) -> QueueEntry | None:
        """The entry that is being trained, as far as the file knows."""
        return next((one for one in self.entries if one.state == "running"), None)

    @property
    def is_interrupted(self) -> bool:
        """True if it was being worked through and is not at its end; whether somebody still does is not known."""
        return self.mode == "running" and bool(self.waiting or self.running)

    def find(self, key: str) -> QueueEntry | None:
        """An entry by its id."""
        return next((one for one in self.entries if one.id == key), None)

    def sweeps(self) -> dict[str, list[QueueEntry]]:
        """The entries of each sweep by its id, the newest sweep first."""
        found: dict[str, list[QueueEntry]] = {}
        for one in self.entries:
            if one.sweep:
                found.setdefault(one.sweep, []).append(one)
        return dict(sorted(found.items(), key=lambda item: item[1][0].created, reverse=True))


@dataclass(frozen=True, slots=True)
class Claim:
    """The entry whose turn it is, its run, and whether that goes on or begins."""

    entry: QueueEntry
    run: RunDir
    resume: bool


@dataclass(frozen=True, slots=True)
class QueueTally:
    """How many entries are in which state."""

    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    stopped: int = 0
    skipped: int = 0

    def sentence(self) -> str:
        """``3 done, 1 failed``: what has ended."""
        counts = (
            (tr("done"), self.done),
            (tr("failed"), self.failed),
            (tr("stopped"), self.stopped),
            (tr("skipped"), self.skipped),
        )
        return ", ".join(tr("{count:,} {word}", count=count, word=word) for word, count in counts if count)


def queue_tally(entries: Iterable[QueueEntry]) -> QueueTally:
    """Counts the entries by state."""
    counts: dict[str, int] = {}
    for one in entries:
        counts[one.state] = counts.get(one.state, 0) + 1
    return QueueTally(**counts)


def make_entry(
    config: TrainConfig,
    *,
    sweep: str = "",
    sweep_name: str = "",
    values: dict[str, Any] | None = None,
    data: str | None = None,
) -> QueueEntry:
    """A waiting entry with a frozen copy of the setup; ``data`` is the stamp of its data where that is known."""
    return QueueEntry(
        id=os.urandom(4).hex(),
        name=config.adapter_name,
        config=dump_config(config.with_value("adapter_path", "")),
        setup=setup_text(config),
        sweep=sweep,
        sweep_name=sweep_name,
        values=values or {},
        created=time.time(),
        data=data_stamp(config) if data is None else data,
    )


def setup_text(config: TrainConfig) -> str:
    """``LoRA rank 32, full · starter · chats``: what differs most between entries comes first."""
    kind = {"lora": "LoRA", "dora": "DoRA"}.get(config.fine_tune_type)
    what = (
        tr("{kind} rank {rank}, {targets}", kind=kind, rank=config.lora_parameters.rank, targets=config.targets)
        if kind
        else tr("full fine-tune")
    )
    method = "" if method_of(config).is_stock else method_of(config).label
    return joined((method, what, path_title(config.model), path_title(config.data)), " · ")


class RunQueue:
    """The queue in a folder. Reading needs no lock; every change is whole or does not happen.

    Changes raise `TaskError` if another process holds the queue too long, or its file cannot be read, and
    `OSError` if it cannot be written.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else place.data_dir() / "queue"
        self.path = self.folder / "queue.json"
        self._runner: FileLock | None = None

    # -- reading ----------------------------------------------------------------------------------------------

    def read(self) -> QueueState:
        """The queue as it is on disk; an empty one if there is none. Raises `TaskError` if it cannot be read."""
        try:
            return QueueState.model_validate(parsed_json(self.path.read_bytes()))
        except FileNotFoundError:
            return QueueState()
        except (OSError, ValueError) as error:
            said = tr("The queue in {path} cannot be read.", path=self.path)
            raise TaskError(said, tr("Move the file away to begin with an empty queue.")) from error

    def stamp(self) -> tuple[int, int]:
        """Changes whenever the file does."""
        try:
            status = self.path.stat()
        except OSError:
            return 0, 0
        return status.st_mtime_ns, status.st_ino

    # -- who works through it ---------------------------------------------------------------------------------

    def take(self, timeout_s: float = 0) -> bool:
        """Makes this process the one that works through the queue; False if another one does."""
        if self._runner is not None:
            return True
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / ".runner.lock", timeout=timeout_s)
        try:
            lock.acquire()
        except Timeout:
            return False
        self._runner = lock
        return True

    def give_back(self) -> None:
        """Lets another process work through the queue."""
        if self._runner is not None:
            self._runner.release()
            self._runner = None

    @property
    def is_mine(self) -> bool:
        """True while this object works through the queue."""
        return self._runner is not None

    def is_worked(self) -> bool:
        """True while some process works through the queue; the system says so, however the last one ended."""
        if self._runner is not None:
            return True
        if not (self.folder / ".runner.lock").exists():
            return False
        if not self.take():
            return True
        self.give_back()
        return False

    # -- changing ---------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / ".edit.lock", timeout=EDIT_TIMEOUT_S):
                yield
        except Timeout as error:
            raise TaskError(tr("Another Luthier holds the queue."), tr("Try again in a moment.")) from error

    def edit(self, change: Callable[[QueueState], QueueState]) -> QueueState:
        """Applies a change to what is on disk now, and returns the result."""
        with self._locked():
            before = self.read()
            after = change(before)
            if after != before:
                # ASCII: a path in it may hold bytes that are no UTF-8, which Python keeps as lone surrogates.
                write_text(self.path, json.dumps(after.model_dump(), indent=1))
            return after

    def add(self, entries: Sequence[QueueEntry]) -> QueueState:
        """Puts entries at the end."""
        return self.edit(lambda state: _with(state, (*state.entries, *entries)))

    def update(self, key: str, **values: Any) -> QueueState:
        """Changes one entry; one that is gone meanwhile stays gone."""
        return self.edit(lambda state: _with(state, [_changed(one, key, values) for one in state.entries]))

    def set_mode(self, mode: Mode, note: str = "") -> QueueState:
        """Says whether the queue should be worked through."""
        return self.edit(lambda state: state.model_copy(update={"mode": mode, "note": note}))

    def set_when_done(self, when_done: WhenDone) -> QueueState:
        """Chooses what happens at the end of the queue."""
        return self.edit(lambda state: state.model_copy(update={"when_done": when_done}))

    def move(self, keys: Sequence[str], place_: int) -> QueueState:
        """Puts waiting entries, in their order, at a 0-based place among those that wait; others stay."""

        def change(state: QueueState) -> QueueState:
            moved = [one for one in state.waiting if one.id in keys]
            rest = [one for one in state.waiting if one.id not in keys]
            at = min(max(place_, 0), len(rest))
            order = iter([*rest[:at], *moved, *rest[at:]])
            return _with(state, [next(order) if one.state == "waiting" else one for one in state.entries])

        return self.edit(change)

    def remove(self, keys: Sequence[str]) -> QueueState:
        """Takes entries off the list, but for the one that is being trained. Their runs stay."""
        return self.edit(lambda state: _without(state, lambda one: one.id in keys and one.state != "running"))

    def clear(self) -> QueueState:
        """Takes everything off the list that has ended; sweeps keep their results."""
        return self.edit(lambda state: _without(state, lambda one: one.is_ended))

    def forget_sweep(self, sweep: str) -> QueueState:
        """Drops a sweep's table; what of it still waits or trains stays in the list, as plain entries."""

        def change(state: QueueState) -> QueueState:
            kept = [one for one in state.entries if one.sweep != sweep or not one.is_ended]
            plain = {"sweep": "", "sweep_name": "", "values": {}}
            return _with(state, [one.model_copy(update=plain) if one.sweep == sweep else one for one in kept])

        return self.edit(change)

    def skip(self, keys: Sequence[str]) -> QueueState:
        """Leaves waiting entries in the list, not to be trained."""
        return self._restate(keys, ("waiting",), state="skipped")

    def again(self, keys: Sequence[str]) -> QueueState:
        """Has entries that ended wait once more: a stopped run goes on, others begin anew."""

        def change(state: QueueState) -> QueueState:
            found = [one for one in state.entries if one.id in keys and one.is_ended]
            kept = [one for one in state.entries if one not in found]
            return _with(state, [*kept, *(_waiting_again(one) for one in found)])

        return self.edit(change)

    def _restate(self, keys: Sequence[str], those: Sequence[EntryState], **values: Any) -> QueueState:
        def change(state: QueueState) -> QueueState:
            fits = {one.id for one in state.entries if one.id in keys and one.state in those}
            return _with(state, [one.model_copy(update=values) if one.id in fits else one for one in state.entries])

        return self.edit(change)

    # -- working through it -----------------------------------------------------------------------------------

    def recover(self) -> QueueState:
        """Brings entries up to date whose process died: for whoever holds the queue, before the first claim."""

        def change(state: QueueState) -> QueueState:
            return _with(state, [_recovered(one) if one.state == "running" else one for one in state.entries])

        return self.edit(change)

    def claim(self) -> Claim | None:
        """Takes the next waiting entry and makes its run; None if nothing waits.

        An entry whose setup cannot be read, or whose folder cannot be made, is marked as failed and passed over.
        One whose run was gone on with by hand, to its end, is done.
        """
        found: list[Claim] = []

        def change(state: QueueState) -> QueueState:
            entries = list(state.entries)
            for index, one in enumerate(entries):
                if one.state != "waiting":
                    continue
                entries[index], claim = _claimed(one)
                if claim is not None:
                    found.append(claim)
                    break
            return _with(state, entries)

        self.edit(change)
        return found[0] if found else None

    def settle(self, key: str, state: EntryState, message: str = "") -> QueueState:
        """Says how an entry ended."""
        return self.update(key, state=state, message=message)


def _with(state: QueueState, entries: Iterable[QueueEntry]) -> QueueState:
    return state.model_copy(update={"entries": tuple(entries)})


def _without(state: QueueState, gone: Callable[[QueueEntry], bool]) -> QueueState:
    """Ended entries of a sweep are hidden instead: its table still shows what they found."""
    kept = []
    for one in state.entries:
        if not gone(one):
            kept.append(one)
        elif one.sweep and one.is_ended:
            kept.append(one.model_copy(update={"hidden": True}))
    return _with(state, kept)


def _changed(one: QueueEntry, key: str, values: dict[str, Any]) -> QueueEntry:
    return one.model_copy(update=values) if one.id == key else one


def _waiting_again(one: QueueEntry) -> QueueEntry:
    run = one.run if one.state == "stopped" else ""
    data = one.data if run else _data_of(one)  # one that begins anew is asked for now
    return one.model_copy(update={"state": "waiting", "message": "", "run": run, "hidden": False, "data": data})


def _data_of(one: QueueEntry) -> str:
    try:
        return data_stamp(one.load())
    except UnusableError:  # as its turn will tell
        return ""


def _recovered(one: QueueEntry) -> QueueEntry:
    """What became of an entry that was being trained when its process died; the run's events tell. One whose worker
    went on without it is as it was."""
    if one.run and RunDir(Path(one.run)).is_running():
        return one
    state, message = ended_state(RunDir(Path(one.run))) if one.run else ("waiting", "")
    return one.model_copy(update={"state": state, "message": message})


def ended_state(run: RunDir) -> tuple[EntryState, str]:
    """What a run that nobody watched came to, with a sentence; ``waiting`` if it is to go on."""
    from app.core.run.reader import RunReader  # with its curves, for which the window's start has no use

    reader = RunReader(run)
    with contextlib.suppress(OSError):
        reader.read()
    recorded = present_state(run, reader.recorded)
    if recorded in WHOLE_STATES:
        return "done", result_text(reader.history)
    if recorded == "failed":
        failed = reader.history.failed
        return "failed", failed.text if failed is not None else ""
    return "waiting", CUT_OFF if reader.recorded != "new" else ""


def result_text(history: RunHistory) -> str:
    """``Best validation loss 1.234`` of a run that ended well; empty if it was never measured."""
    best = history.best
    if best is None or not math.isfinite(best.val_loss):
        return ""
    if history.is_rewarded:
        return tr("Best mean reward {value}", value=loss_text(-best.val_loss))
    return tr("Best validation loss {val_loss}", val_loss=loss_text(best.val_loss))


def outcome_of(last: event.Event | None) -> tuple[EntryState, str]:
    """The state and sentence of an entry whose run's last event this is.

    A run that was paused by ending its worker waits on.
    """
    if isinstance(last, event.Failed):
        return "failed", last.text
    if isinstance(last, event.Finished):
        if last.reason == "paused":
            return "waiting", last.message or tr("The run is paused; it goes on where it is.")
        return ("stopped", tr("Stopped by you.")) if last.reason == "stopped" else ("done", "")
    return "failed", tr("The worker ended without a word.")


def _claimed(one: QueueEntry) -> tuple[QueueEntry, Claim | None]:
    run = RunDir(Path(one.run)) if one.run else None
    if run is not None and _is_over(run):  # somebody went on with it by hand, to its end
        state, message = ended_state(run)
        return one.model_copy(update={"state": state, "message": message}), None
    if run is not None and _goes_on(run):
        entry = one.model_copy(update={"state": "running", "message": ""})
        return entry, Claim(entry, run, resume=True)
    try:
        config = one.load()
        run = create_run(config)
        if one.sweep_name:
            save_note(run, RunNote(tags=(one.sweep_name,)))
    except UnusableError as error:
        return one.model_copy(update={"state": "failed", "message": str(error)}), None
    except OSError as error:
        said = tr(
            "The run's folder cannot be made: {reason_of} ({filename}).",
            reason_of=reason_of(error),
            filename=error.filename,
        )
        return one.model_copy(update={"state": "failed", "message": said}), None
    known = {"state": "running", "message": "", "run": str(run.path), "trained_data": data_stamp(config)}
    entry = one.model_copy(update=known)
    return entry, Claim(entry, run, resume=False)


def _is_over(run: RunDir) -> bool:
    """True if the run has come to its own end, after which there is nothing to go on with."""
    try:
        last = None if run.is_running() else last_event(run)
    except OSError:
        return False
    return isinstance(last, event.Finished) and recorded_state(last) in WHOLE_STATES


def _goes_on(run: RunDir) -> bool:
    """True if there is something to resume from; a worker that is still saving counts."""
    return run.is_running() or (run.state.is_dir() and any(run.state.iterdir()))


def line_text(place_: int) -> str:
    """``It is next.``, ``2 runs are before it.``"""
    return (
        tr("It is next.")
        if place_ == 0
        else tr("1 run is before it.")
        if place_ == 1
        else tr("{count:,} runs are before it.", count=place_)
    )
