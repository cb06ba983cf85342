"""The collector of the window: in the window's thread, and as often as Python would."""

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QObject, QTimer
from pytestqt.qtbot import QtBot

from app.ui.window.garbage_collector import GarbageCollector


@pytest.fixture
def collector(qtbot: QtBot) -> Iterator[GarbageCollector]:  # noqa: ARG001
    found = GarbageCollector()
    yield found
    del found
    gc.unfreeze()
    gc.collect()
    gc.freeze()  # as tests/conftest.py


def loop_with_timer() -> weakref.ref[QObject]:
    """An object with a running timer that only a collection can end."""
    holder, timer = QObject(), QTimer()
    timer.start(1)
    holder.__dict__["timer"], timer.__dict__["holder"] = timer, holder
    return weakref.ref(holder)


def allocate() -> None:
    for _ in range(20):
        kept: list[list[object]] = [[] for _ in range(1000)]
        assert len(kept) == 1000


def test_nothing_is_collected_in_another_thread(collector: GarbageCollector) -> None:
    assert collector.parent() is None
    lost = loop_with_timer()
    thread = threading.Thread(target=allocate)
    thread.start()
    thread.join()
    assert lost() is not None
    gc.collect()
    assert lost() is None


def test_it_collects_by_itself_once_enough_was_made(qtbot: QtBot, collector: GarbageCollector) -> None:
    gc.collect()
    assert collector.collect() == -1
    lost = loop_with_timer()
    kept: list[list[object]] = [[] for _ in range(gc.get_threshold()[0] + 100)]
    qtbot.waitUntil(lambda: lost() is None)
    assert kept
