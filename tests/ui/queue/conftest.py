"""What tests of the queue share: rooms, each with a queue of its own or that of another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.core.config.train_config import TrainConfig
from app.core.queue.queue import RunQueue, make_entry
from tests.ui.fake_worker import FakeWorker
from tests.ui.queue.room import Room, Rooms


@pytest.fixture
def rooms(qapp: object, workers: list[FakeWorker]) -> Iterator[Rooms]:
    """Makes rooms, and closes them."""
    assert qapp
    assert workers == []
    made: list[Room] = []

    def make(queue: RunQueue | None = None) -> Room:
        made.append(Room(queue))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def room(rooms: Rooms) -> Room:
    found = rooms(None)
    found.queue.add([make_entry(TrainConfig(model="/m", data="/d", adapter_name=name)) for name in "abc"])
    return found
