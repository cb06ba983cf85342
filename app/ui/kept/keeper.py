"""The keeper of the comparison that is shown: on disk a moment after it changed, and back at the next start.

A thread writes, so that a set of hundreds of prompts holds nothing up; what is written is a copy, which takes the
window no more than a millisecond or two.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from PySide6.QtCore import QObject, QRunnable, QThreadPool, QTimer, Signal

from app.core.compare.kept_comparison import ComparisonHead, KeptComparison, present_candidate
from app.core.compare.shelf import ComparisonShelf, new_key
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.refusal import reason_of
from app.ui.widget.sliced_work import SlicedWork

TOUCH_DELAY_MS = 400  # after the first change; what changes meanwhile is written with it
REST = 20  # so many times as long as a write took the disk rests before the next
PAGES_A_SLICE = 4  # read between two events of the window


class ComparisonKeeper(QObject):
    """Keeps what ``take`` gives (its head without key and times) whenever it was `touch`ed.

    `begin` leaves what is shown on the shelf and goes on with a comparison of its own.
    """

    restored = Signal(object)  # KeptComparison: to be shown
    failed = Signal(str)  # why a kept comparison cannot be shown
    warned = Signal(str)  # what could not be written
    reading_changed = Signal()

    def __init__(
        self,
        take: Callable[[], KeptComparison],
        parent: QObject | None = None,
        *,
        shelf: ComparisonShelf | None = None,
    ) -> None:
        super().__init__(parent)
        self.shelf = shelf if shelf is not None else ComparisonShelf()
        self._take = take
        self._key, self._made, self._answered = new_key(), time.time(), 0.0
        self._last: KeptComparison | None = None
        self._reader = SlicedWork(self)
        self._reader.stepped.connect(self._on_read)
        self._reader.finished.connect(self.reading_changed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.keep)
        self._writer = _Writer(self)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)

    @property
    def is_reading(self) -> bool:
        """Whether a comparison is on its way from the disk; what is shown meanwhile is not kept."""
        return self._reader.is_busy

    @property
    def key(self) -> str:
        """The file's name of what is shown."""
        return self._key

    # -- keeping ----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """What is shown now is how a comparison begins: it is written once it is another."""
        self._last = self._taken()

    def touch(self) -> None:
        """Something may have changed: it is written soon."""
        if not self._timer.isActive() and not self.is_reading:
            self._timer.start(max(TOUCH_DELAY_MS, int(1000 * REST * self._writer.cost_s)))

    def keep(self) -> None:
        """Has it written now, beside the window's work, if it is not on disk yet."""
        self._timer.stop()
        if self.is_reading:
            return
        found, last = self._taken(), self._last
        if last is not None and found.is_same(last):
            return
        if last is None or found.pages != last.pages:
            self._answered = found.head.taken
            found = replace(found, head=replace(found.head, answered=self._answered))
        self._last = found
        self._write(found.head.key, found)

    def flush(self) -> None:
        """Has it written, and waits until it is on disk: before the window closes."""
        self.keep()
        self._pool.waitForDone()

    def begin(self) -> None:
        """What is shown stays on the shelf, if it has answers; what is shown next is another comparison."""
        if self.is_reading:
            self._reader.stop()
            self.reading_changed.emit()
        self._leave()
        self._key, self._made, self._answered, self._last = new_key(), time.time(), 0.0, None
        self.touch()

    def _leave(self) -> None:
        """What is shown goes from the desk: with answers it stays on the shelf, a draft is of no use there."""
        self.keep()
        if self._last is not None and not self._last.has_answers:
            self._write(self._key, None)

    def _taken(self) -> KeptComparison:
        found = self._take()
        head = replace(found.head, key=self._key, made=self._made, answered=self._answered, taken=time.time())
        return replace(found, head=head)

    def _write(self, key: str, kept: KeptComparison | None) -> None:
        if self._writer.take(key, kept):
            self._pool.start(_Writing(self._writer))

    # -- reading ----------------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Brings back what Compare showed last."""
        if key := self.shelf.shown:
            self._read(key)

    def open(self, key: str) -> None:
        """Brings back an earlier comparison; what is shown by then stays on the shelf."""
        self._pool.waitForDone()  # it may have been left just now
        self._read(key)

    def earlier(self) -> list[ComparisonHead]:
        """Those on the shelf that are not shown, the newest first."""
        self._pool.waitForDone()
        return [_as_called_now(head) for head in self.shelf.heads() if head.key != self._key]

    def remove(self, key: str) -> None:
        """Takes one off the shelf for good."""
        self._pool.waitForDone()
        try:
            self.shelf.remove(key)
        except OSError as error:
            self.warned.emit(
                tr("The kept comparison could not be taken away: {reason_of}.", reason_of=reason_of(error))
            )

    def _read(self, key: str) -> None:
        self._reader.start(self._pages(key))
        self.reading_changed.emit()

    def _pages(self, key: str) -> Iterator[KeptComparison | UnusableError | None]:
        try:
            for number, found in enumerate(self.shelf.read(key)):
                if found is not None or number % PAGES_A_SLICE == 0:
                    yield found
        except UnusableError as error:
            yield error

    def _on_read(self, found: object) -> None:
        if isinstance(found, UnusableError):
            self._reader.stop()
            self.reading_changed.emit()
            self.failed.emit(found.problems[0].sentence())
        elif isinstance(found, KeptComparison):
            self._reader.stop()
            self._leave()
            self._key, self._made, self._answered = new_key(), found.head.made, found.head.answered
            self.restored.emit(found)
            # A file that was not read whole, or not shown whole, stays as it is; what is made of it is another.
            if found.is_whole and self._taken().pages == found.pages:
                self._key = found.head.key
            self._last = self._taken()
            self._note_shown(found.head.key)
            self.reading_changed.emit()

    def _note_shown(self, key: str) -> None:
        try:
            self.shelf.show(key)
        except OSError:
            self.touch()  # the next write tells why


def _as_called_now(head: ComparisonHead) -> ComparisonHead:
    """The same under the names that its runs have by now."""
    return replace(head, columns=tuple(present_candidate(one) for one in head.columns))


class _Writer:
    """What is to be written, the newest state of each comparison once; None takes a file away."""

    def __init__(self, keeper: ComparisonKeeper) -> None:
        self._keeper = keeper
        self._waiting: dict[str, KeptComparison | None] = {}
        self._lock = threading.Lock()
        self._is_told = False
        self.cost_s = 0.0  # of the last write

    def take(self, key: str, kept: KeptComparison | None) -> bool:
        """Whether somebody has to be sent for it."""
        with self._lock:
            self._waiting.pop(key, None)
            self._waiting[key] = kept
            return len(self._waiting) == 1

    def work(self) -> None:
        """Writes until there is nothing left, in the pool's thread."""
        while True:
            with self._lock:
                if not self._waiting:
                    return
                key = next(iter(self._waiting))
                kept = self._waiting[key]
            self._write(key, kept)
            with self._lock:
                if self._waiting.get(key) is kept:
                    del self._waiting[key]

    def _write(self, key: str, kept: KeptComparison | None) -> None:
        begun = time.perf_counter()
        try:
            if kept is None:
                self._keeper.shelf.remove(key)
            else:
                self._keeper.shelf.write(kept)
        except OSError as error:
            if not self._is_told:
                self._is_told = True
                told = tr("The comparison could not be kept: {reason_of}.", reason_of=reason_of(error))
                self._keeper.warned.emit(told)  # queued: this is another thread
        else:
            self._is_told = False
        self.cost_s = time.perf_counter() - begun


class _Writing(QRunnable):
    def __init__(self, writer: _Writer) -> None:
        super().__init__()
        self._writer = writer

    def run(self) -> None:
        self._writer.work()
