"""A queue in a window whose workers are made by hand, for the tests of the queue."""

from __future__ import annotations

from collections.abc import Callable

from pytestqt.qtbot import QtBot

from app.core.protocol import event
from app.core.queue.queue import EntryState, RunQueue
from app.ui.message.bar import Notice
from app.ui.queue.session import QueueSession
from app.ui.run.session import RunSession
from tests.ui.fake_worker import FakeWorker

FAILED = event.Failed(message="The training data are gone.", hint="Choose others.", path="data", unusable=True)

STARTED = event.Started(iterations=10, iterations_per_epoch=5, train_examples=5, valid_examples=1)


class Room:
    """A queue session on a session whose workers are made by hand, and what it told."""

    def __init__(self, queue: RunQueue | None = None) -> None:
        self.session = RunSession()
        self.queue = QueueSession(self.session, self.session, queue=queue)
        self.told: list[Notice] = []
        self.queue.told.connect(self.told.append)

    def close(self) -> None:
        """Ends its timers here: Python may collect what is only dropped in a thread, where Qt cannot."""
        self.queue.leave()
        self.session.deleteLater()

    def states(self) -> list[EntryState]:
        return [one.state for one in self.queue.state.entries]


Rooms = Callable[[RunQueue | None], Room]


def end(workers: list[FakeWorker], last: event.Event | None) -> None:
    workers[-1].say(event.Hello(task="train"), STARTED)
    workers[-1].end(last)


def until_workers(qtbot: QtBot, workers: list[FakeWorker], count: int) -> None:
    qtbot.waitUntil(lambda: len(workers) == count)
