"""Commands to a running task: each is met once and in its turn, and progress is told rarely, and hears a stop."""

from __future__ import annotations

import io
import queue
from types import SimpleNamespace

import pytest

from app.core.data.prepare import CancelledError
from app.core.protocol.command import Command, EndOfInput, GiveToken, Park, Pause, Resume, Save, Stop
from app.core.protocol.event import Progressed, Warned, parse_event
from app.worker.process import progress
from app.worker.process.channel import Channel
from app.worker.process.control import Control, StoppedError
from app.worker.process.progress import Reporter, reported_progress


class Ends(Channel):
    """A channel that nobody is at: what is said stays, and what is put is heard."""

    def __init__(self, *commands: Command) -> None:
        self.said, self.heard = io.StringIO(), queue.Queue[Command]()
        super().__init__(self.said, self.heard)
        for command in commands:
            self.heard.put(command)

    def told(self) -> list[tuple[str, int, int, bool]]:
        found = [parse_event(line) for line in self.said.getvalue().splitlines()]
        return [(e.phase, e.done, e.total, e.in_bytes) for e in found if isinstance(e, Progressed)]


def taken(*commands: Command) -> tuple[bool, bool, bool, bool]:
    """Whether a control that heard these stops, pauses, leaves and saves; each but the first is met only once."""
    control = Control(Ends(*commands))
    found = (control.is_stopping(), control.take_pause(), control.take_park(), control.take_save())
    assert (control.take_pause(), control.take_park(), control.take_save()) == (False, False, False)
    assert control.is_stopping() == found[0]
    return found


def test_each_command_is_met_once_and_a_stop_outlasts_them() -> None:
    assert taken() == (False, False, False, False)
    assert taken(Stop()) == taken(EndOfInput()) == (True, False, False, False)
    assert taken(Pause()) == (False, True, False, False)
    assert taken(Park()) == (False, False, True, False)
    assert taken(Save()) == (False, False, False, True)
    assert taken(Pause(), Resume()) == taken(Park(), Resume()) == (False, False, False, False)
    assert taken(Park(), Pause()) == (False, True, False, False)
    assert taken(Pause(), Park(), Save(), Stop()) == (True, False, False, True)
    with pytest.raises(StoppedError):
        Control(Ends(Stop())).raise_if_stopped()
    Control(Ends(Pause())).raise_if_stopped()


def test_a_paused_task_hears_what_ends_its_pause() -> None:
    control = Control(Ends(Park(), Resume()))
    assert isinstance(control.wait(), Park)
    assert isinstance(control.wait(), Resume)
    assert not control.take_park(), "it was taken back"
    assert not control.is_stopping()
    control = Control(Ends(Park()))
    control.wait()
    assert control.take_park()
    control = Control(Ends(EndOfInput(), Resume()))
    control.wait()
    control.wait()
    assert control.is_stopping()


def test_what_means_nothing_to_a_task_is_told() -> None:
    ends = Ends(GiveToken(token="secret"), Stop())
    assert Control(ends).is_stopping()
    (said,) = (parse_event(line) for line in ends.said.getvalue().splitlines())
    assert isinstance(said, Warned)
    assert said.message == "The command `give_token` means nothing to this task."


def test_progress_is_told_every_half_percent_and_hears_a_stop() -> None:
    ends = Ends()
    reporter = Reporter(ends)
    report = reporter.phase("Reading", in_bytes=True)
    for done in (0, 1, 2, 3, 4, 400):
        report(done, 400)
    reporter.phase("Writing")(0, 0)
    assert ends.told() == [
        ("Reading", 0, 400, True), ("Reading", 2, 400, True), ("Reading", 4, 400, True),
        ("Reading", 400, 400, True), ("Writing", 0, 0, False),
    ]  # fmt: skip
    ends.heard.put(Pause())
    assert not reporter.stopped()
    assert [type(one) for one in reporter.pending] == [Pause], "it is for whoever goes on"
    ends.heard.put(Stop())
    with pytest.raises(CancelledError):
        report(401, 400)


def test_progress_of_a_long_task_is_told_ten_times_a_second_and_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([50.0, 50.25, 50.5, 50.75, 50.76])
    monkeypatch.setattr(progress, "PROGRESS_EVERY_S", 0.5)
    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: next(times)))
    ends, checked = Ends(), list[int]()
    report = reported_progress(ends, "Measuring", lambda: checked.append(1))
    for done in (1, 2, 3, 4, 5):
        report(done, 5)
    assert ends.told() == [("Measuring", done, 5, False) for done in (1, 3, 5)]
    assert len(checked) == 5
