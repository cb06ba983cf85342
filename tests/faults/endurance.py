"""Eight simulated hours of the window: a million reports, 200 runs, 2,000 changes of theme and tab; what is left?

    QT_QPA_PLATFORM=offscreen python -m tests.faults.endurance [--runs 200] [--reports 5000]

Runs are begun, reported, paused, and stopped or finished, the log scrolls, tabs and themes change; every twentieth
run is one of a real worker. After the warm-up (a tenth of the runs) memory may grow by 5 %, and no process, thread,
timer, widget or open file may be left over. Exit code 1 if one is.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from unittest import mock

from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.ui.form.store import form_store
from app.ui.run.session import RunSession
from app.ui.widget import theme
from app.ui.window.appearance import Appearance
from app.ui.window.main_window import MainWindow
from app.ui.worker.process import WorkerProcess
from tests.ui.fake_worker import FakeWorker
from tests.ui.synthetic_run import report, validated
from tests.worker.tiny_model import write_data, write_model

RUNS, REPORTS, CHANGES = 200, 5_000, 10  # changes of theme (one in a run) and tab
REAL_EVERY = 20
WARM_UP = 0.1
GROWTH = 0.05  # of memory
# What is shown at the moment (a message, a run of Qt's pool that ends) is no leak: that would be one in each run.
SLACK = {"threads": 3, "files": 3, "timers": 4, "widgets": 30}
WORKER = "app.ui.run.session.WorkerProcess"


@dataclass(frozen=True, slots=True)
class Left:
    """What a process holds: memory in MB, and counts."""

    memory_mb: float
    processes: int
    threads: int
    files: int
    timers: int
    widgets: int

    @classmethod
    def now(cls) -> Left:
        """After all that can go has gone."""
        for _ in range(3):
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            QCoreApplication.processEvents()
            gc.collect()
        _give_memory_back()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        task = Path(f"/proc/self/task/{os.getpid()}/children")
        timers = [one for widget in QApplication.topLevelWidgets() for one in widget.findChildren(QTimer)]
        return cls(
            memory_mb=pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
            processes=len(task.read_text().split()) if task.exists() else 0,
            threads=len(list(Path("/proc/self/task").iterdir())),
            files=len(list(Path("/proc/self/fd").iterdir())),
            timers=len(timers),
            widgets=len(QApplication.allWidgets()),
        )

    def leaks(self, later: Left) -> list[str]:
        """What of it has grown by then, in words."""
        said = []
        for one in fields(self):
            before, after = getattr(self, one.name), getattr(later, one.name)
            most = before * (1 + GROWTH) if one.name == "memory_mb" else before + SLACK.get(one.name, 0)
            if after > most:
                said.append(f"{one.name}: {before:,.0f} → {after:,.0f}")
        return said


def _give_memory_back() -> None:
    """The C library keeps what was freed; only what is still in use counts."""
    library = ctypes.util.find_library("c")
    if library and sys.platform == "linux":
        ctypes.CDLL(library).malloc_trim(0)


def endure(
    window: MainWindow, model: Path, data: Path, runs: int, reports: int, *, themes: bool = True
) -> Iterator[Left]:
    """Lets the window live through so many runs; what it holds after each."""
    tabs = [window.tab_bar.tabText(index) for index in range(window.tab_bar.count())]
    config = TrainConfig.model_validate({
        "model": str(model), "data": str(data), "iters": 2, "epochs": None, "steps_per_report": 1,
        "lora_parameters": {"rank": 2, "scale": 4.0, "dropout": 0.0}, "neutral_tokens": 0,
    })  # fmt: skip
    changes = 0
    for number in range(runs):
        is_real = number % REAL_EVERY == REAL_EVERY - 1
        with mock.patch(WORKER, WorkerProcess if is_real else FakeWorker):
            window.session.start(config.with_value("adapter_name", f"run {number % 7}"))
        for step in range(CHANGES):
            if not is_real:
                _live(window, range(step * reports // CHANGES, (step + 1) * reports // CHANGES), reports)
            changes += 1
            if themes and changes % CHANGES == 0:
                window.appearance.toggle()
            else:
                window.show_tab(tabs[changes % len(tabs)])
            _turn()
        if is_real:
            _wait(window)
        else:
            _end(window, number, reports)
        yield Left.now()


def _live(window: MainWindow, numbers: range, reports: int) -> None:
    """A tenth of a run: it is greeted or paused, and reports."""
    worker = FakeWorker.made[-1]
    if not numbers.start:
        worker.say(
            event.Hello(task="train", device="Test", versions={"mlx": "0"}), event.Progressed(phase="Loading")
        )
        worker.say(event.Started(
            iteration=0, iterations=reports, iterations_per_epoch=reports / 3, train_examples=200, valid_examples=20
        ))  # fmt: skip
    for iteration in numbers:
        worker.emitted.emit(report(iteration + 1, [1.0 + iteration % 7 / 10], reports))
        if iteration % 50 == 0:
            worker.logged.emit(f"line {iteration}: {'x' * 80}\n")
            _turn()
        if iteration % 500 == 499:
            worker.emitted.emit(validated(iteration + 1, reports))
    window.session.pause()
    worker.say(event.Paused(iteration=numbers.stop), event.Resumed(iteration=numbers.stop))


def _end(window: MainWindow, number: int, reports: int) -> None:
    """It finishes, is stopped, or crashes."""
    worker = FakeWorker.made[-1]
    run = window.session.run
    assert run is not None
    if number % 3 == 2:
        worker.kill()
    else:
        last = event.Finished(reason=("completed", "stopped")[number % 3], iteration=reports)
        run.events.write_text("\n".join(one.to_line() for one in (event.Hello(task="train"), last)) + "\n")
        worker.end(last)
    FakeWorker.made.clear()
    _turn()


def _wait(window: MainWindow) -> None:
    until = time.monotonic() + 120
    while window.session.is_live:
        _turn()
        time.sleep(0.01)
        assert time.monotonic() < until, "a real run did not end"


def _turn() -> None:
    QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)


def leaks_of(found: list[Left]) -> list[str]:
    """What was left over after the warm-up, by the medians of its beginning and its end."""
    warm = found[max(1, round(len(found) * WARM_UP)) - 1 :]
    few = max(1, len(warm) // 10)
    first, last = _middle(warm[:few]), _middle(warm[-few:])
    return first.leaks(last)


def _middle(found: list[Left]) -> Left:
    """The median of each figure."""
    columns = [sorted(column)[len(found) // 2] for column in zip(*map(astuple, found), strict=True)]
    return Left(*columns)


def main() -> int:
    """Prints what the window holds as it goes on; 1 if something is left over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--reports", type=int, default=REPORTS, help="in each run")
    arguments = parser.parse_args()
    application = QApplication([])
    with tempfile.TemporaryDirectory(prefix="endurance-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        os.environ |= {"LUTHIER_HOME": folder, "MLX_DISABLE_COMPILE": "1", "OPENBLAS_NUM_THREADS": "1"}
        theme.apply_theme("light")
        FakeWorker.made = []
        window = MainWindow(form_store(application), RunSession(application), Appearance(application))
        window.resize(1100, 700)
        window.show()
        model, data = write_model(place / "model", layers=1), write_data(place / "data", train=8, valid=4)
        found, began = [], time.process_time()
        print(f"| runs | {' | '.join(one.name for one in fields(Left))} |\n|{'---|' * 7}", flush=True)
        for left in endure(window, model, data, arguments.runs, arguments.reports):
            found.append(left)
            if len(found) % max(1, arguments.runs // 20) == 0:
                print(f"| {len(found)} | {' | '.join(f'{value:,.0f}' for value in astuple(left))} |", flush=True)
        leaks = leaks_of(found)
        window.dispose()
    minutes = (time.process_time() - began) / 60
    growth = "; ".join(leaks) or "nothing is left over"
    print(f"\n{arguments.runs * arguments.reports:,} reports, {minutes:.0f} minutes of the processor: {growth}")
    return bool(leaks)


if __name__ == "__main__":
    sys.exit(main())
