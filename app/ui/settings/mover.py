"""A folder moved in a thread, so that gigabytes that are copied never hold up the window."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QRunnable, QThreadPool, Signal

from app.core.data.prepare import CancelledError
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.refusal import reason_of
from app.core.upkeep.moving import move_folder

STEP_BYTES = 32 * 1024 * 1024  # between two words about the progress


class FolderMover(QObject):
    """One move at a time. ``ended(moved, text)``: whether it was moved, and what there is to be said of it."""

    progressed = Signal(float, float)  # bytes done and in all, which are more than Qt's integers hold
    ended = Signal(bool, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._cancelled = threading.Event()

    @property
    def is_busy(self) -> bool:
        return self._pool.activeThreadCount() > 0

    def move(self, source: Path, destination: Path, settle: Callable[[], None]) -> None:
        """Moves a folder that was checked; ``settle`` is called in the thread once all of it is there."""
        self._cancelled.clear()
        self._pool.start(_Move(self, source, destination, settle, self._cancelled))

    def cancel(self) -> None:
        """Stops copying: everything stays where it was."""
        self._cancelled.set()

    def shutdown(self) -> None:
        """Stops, and waits until what was copied is gone again."""
        self.cancel()
        self._pool.waitForDone()


class _Move(QRunnable):
    def __init__(
        self,
        mover: FolderMover,
        source: Path,
        destination: Path,
        settle: Callable[[], None],
        cancelled: threading.Event,
    ) -> None:
        super().__init__()
        self._mover, self._settle, self._cancelled = mover, settle, cancelled
        self._source, self._destination = source, destination
        self._told = 0

    def run(self) -> None:
        # Signals of the pool's thread: Qt queues them for the window's own.
        try:
            said = move_folder(self._source, self._destination, self._settle, self._tell, self._cancelled.is_set)
        except CancelledError:
            self._mover.ended.emit(False, tr("Stopped: everything is where it was."))
        except UnusableError as error:
            self._mover.ended.emit(False, " ".join(one.sentence() for one in error.problems))
        except OSError as error:
            self._mover.ended.emit(
                False, tr("Nothing was moved: {reason_of}. Everything is where it was.", reason_of=reason_of(error))
            )
        else:
            self._mover.ended.emit(
                True, tr("Moved to {folder}. {said}", folder=self._destination, said=said).strip()
            )

    def _tell(self, done: int, total: int) -> None:
        if done - self._told >= STEP_BYTES or done == total:
            self._told = done
            self._mover.progressed.emit(done, total)
