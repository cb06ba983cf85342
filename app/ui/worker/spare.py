"""The spare of this window: one process that has done a worker's imports and takes the next job over.

It is started when nothing else is at work here, and ended where memory grows short or the settings do not want it.
"""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QTimer

from app.core.launch.start import own_folder
from app.core.live.training_list import training_runs
from app.core.protocol.program import worker_environment
from app.core.protocol.spare import SPARE_TASKS, FileStamp, program_stamp, spare_command
from app.core.system.available_memory import available_memory_bytes
from app.core.system.setting import load_settings
from app.ui.worker.detachable import DetachableProcess

FIRST_MS = 3000  # from the window's start, which is not to be slower for it
CALM_MS = 1000  # without a word of any worker, after which one is started
CHECK_MS = 30_000  # how often it is seen whether there should be one
LEAST_MEMORY_BYTES = 8_000_000_000  # available; below this, all of it is the models'
MOST_LOST = 3  # that ended while they waited: then something is wrong with them here
WAIT_MS = 5000

_spare: SpareWorker | None = None


def take_spare(task: str, environment: dict[str, str]) -> DetachableProcess | None:
    """The process that waits for a job, for whoever asks to have; None where there is none, or it would not do this
    task as a process started now would."""
    return _spare.take(environment) if _spare is not None and task in SPARE_TASKS else None


def disturb() -> None:
    """Tells that a worker is at work: no spare is started for a moment."""
    if _spare is not None:
        _spare.disturb()


class SpareWorker(QObject):
    """Keeps one process ready from its making until `shutdown`. There is one in a window's process."""

    def __init__(self, parent: QObject | None = None, *, first_ms: int = FIRST_MS) -> None:
        global _spare
        super().__init__(parent)
        self._process: DetachableProcess | None = None
        self._started_in: tuple[Path | None, dict[str, str]] = (None, {})
        self._program: tuple[FileStamp, ...] = ()
        self._lost = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._look)
        self._timer.start(first_ms)
        _spare = self

    @property
    def process_id(self) -> int:
        """The system's number of the process that waits; 0 when none does."""
        return self._process.process_id if self._process is not None else 0

    def take(self, environment: dict[str, str]) -> DetachableProcess | None:
        """Hands the process over, if it has this environment and the program is what it was; ends it otherwise."""
        self.disturb()
        process = self._released()
        if process is None:
            return None
        if self._started_in == (own_folder(), environment) and self._program == program_stamp():
            return process
        _end(process)
        return None

    def disturb(self) -> None:
        """Begins to wait for a calm moment."""
        self._timer.start(CALM_MS)

    def shutdown(self) -> None:
        """Ends the process that waits, before the window closes."""
        global _spare
        _spare = None
        self._timer.stop()
        if (process := self._released()) is not None:
            process.kill()
            process.wait(WAIT_MS)

    def _look(self) -> None:
        self._timer.start(CHECK_MS)
        if not _is_wanted():
            if (process := self._released()) is not None:
                _end(process)
        elif self._process is None and self._lost < MOST_LOST and not training_runs():
            self._start()

    def _released(self) -> DetachableProcess | None:
        """The process, of which this object hears no more."""
        process, self._process = self._process, None
        if process is not None:
            process.finished.disconnect(self._on_lost)
            process.failed.disconnect(self._on_lost)
        return process

    def _start(self) -> None:
        stamp = program_stamp()
        self._program = self._program or stamp
        if stamp != self._program:
            return  # changed below this window, which speaks as the program did when it was opened
        environment = worker_environment()
        self._started_in = (own_folder(), environment)
        self._process = DetachableProcess(self)
        self._process.finished.connect(self._on_lost)
        self._process.failed.connect(self._on_lost)
        self._process.start(spare_command(), environment)

    def _on_lost(self, _how: object) -> None:
        """It ended while it waited, or did not start; the next look starts another."""
        self._lost += 1
        if (process := self._released()) is not None:
            process.deleteLater()


def _is_wanted() -> bool:
    memory = available_memory_bytes()
    return load_settings().spare_worker and memory is not None and memory >= LEAST_MEMORY_BYTES


def _end(process: DetachableProcess) -> None:
    """Ends a process that did nothing yet, without waiting for it."""
    process.finished.connect(process.deleteLater)
    process.kill()
