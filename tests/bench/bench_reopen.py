"""How fast the window shows a long run that is opened again, and whether that grows with its length alone.

    QT_QPA_PLATFORM=offscreen python tests/bench/bench_reopen.py [--events 5000 50000] [--width 430]

Seconds are of the processor, from the click to the painted end of the curves; the click itself makes the page of
a window that has none. The longest turn of the window's loop after it is by the clock, its median over the repeats,
and then what the processor worked in one turn at most: on a machine with other work the clock counts that too. The
exponent is that between the shortest and the longest run: 1 is proportional to the number of events. The last
columns are of a run that goes on from there: what one more report takes, and what the picture with it, painted.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QApplication

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.run.folder import RunDir, create_run
from app.ui.run.panel import RunPanel
from app.ui.run.session import RunSession, RunState
from app.ui.widget import theme
from tests.ui.synthetic_run import report, validated

LIVE_REPORTS = 100
REST_S = 1.5  # of the loop after the last event was read: the last frame is painted by then


def write_run(parent: Path, events: int) -> RunDir:
    """A finished run that reported every iteration, with a validation every hundred."""
    noise = np.random.default_rng(0)
    run = create_run(TrainConfig(adapter_name=f"long {events}"), parent)
    losses = 0.8 + 3 * np.exp(-np.arange(events) / (events / 5)) + noise.normal(size=events) * 0.3
    with run.events.open("w", encoding="utf-8") as file:
        file.write(event.Hello(task="train").to_line() + "\n")
        started = event.Started(
            iterations=events, iterations_per_epoch=events / 3, train_examples=9, valid_examples=9
        )
        file.write(started.to_line() + "\n")
        for iteration, loss in enumerate(losses.tolist(), start=1):
            file.write(report(iteration, [loss], events).to_line() + "\n")
            if iteration % 100 == 0:
                file.write(validated(iteration, events).to_line() + "\n")
        file.write(event.Finished(iteration=events).to_line() + "\n")
    return run


@dataclass(frozen=True)
class Opened:
    """Seconds of the processor that opening took, and of it the click alone; the longest turn after it, by the
    clock and of the processor; what a report and a picture take then."""

    took: float
    click: float
    turn: float
    hardest: float
    report: float
    frame: float


def opened(run: RunDir, count: int, width: int) -> Opened:
    """Opens a run of ``count`` reports in a panel, and lets it go on."""
    session = RunSession()
    panel = RunPanel(session)
    panel.resize(width, 800)
    panel.show()
    settle(1.5)  # the page's modules are read beside the window, before there is a run
    began, longest, hardest = time.process_time(), 0.0, 0.0
    session.open(run.path)
    click, until = time.process_time() - began, math.inf
    while time.perf_counter() < until:
        turn, work = time.perf_counter(), time.thread_time()
        QCoreApplication.processEvents()
        longest, hardest = max(longest, time.perf_counter() - turn), max(hardest, time.thread_time() - work)
        if until == math.inf and session.state is not RunState.LOADING:
            until = time.perf_counter() + REST_S
        time.sleep(0.0005)  # the idle loop's own cost is not the window's
    took = time.process_time() - began
    assert len(session.history) == count
    report_s, frame_s = lived(session, panel)
    panel.close()
    panel.deleteLater()
    settle(0.1)
    return Opened(took, click, longest, hardest, report_s, frame_s)


def lived(session: RunSession, panel: RunPanel) -> tuple[float, float]:
    """Seconds of the processor that one more report takes, and the picture with it; medians."""
    chart, points, told, painted = panel.page.chart, len(session.history), [], []
    for number in range(1, LIVE_REPORTS + 1):
        found = report(points + number, [0.5], points)
        began = time.thread_time()
        session._take(found)
        told.append(time.thread_time() - began)
        began = time.thread_time()
        chart._redraw()
        chart._view.viewport().repaint()
        painted.append(time.thread_time() - began)
    assert len(session.history) == points + LIVE_REPORTS
    return float(np.median(told)), float(np.median(painted))


def settle(seconds: float) -> None:
    """Runs the window's loop for so long."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        QCoreApplication.processEvents()


def main() -> None:
    """Prints the table."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--events", type=int, nargs="+", default=[5_000, 50_000])
    asked.add_argument("--width", type=int, default=430)
    asked.add_argument("--repeats", type=int, default=1)
    options = asked.parse_args()
    _app = QApplication([])
    theme.apply_theme("light")
    took = {}
    print("| events | processor | the click | longest turn | of the processor | a report more | its picture |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="luthier-bench-reopen-") as temporary:
        for count in options.events:
            run = write_run(Path(temporary), count)
            found = [opened(run, count, options.width) for _ in range(options.repeats)]
            took[count], click, turn, work, told, painted = (
                float(np.median(one)) for one in zip(*map(astuple, found), strict=True)
            )
            turns = " | ".join(f"{1000 * one:.0f} ms" for one in (click, turn, work))
            live = f"{1000 * told:.2f} ms | {1000 * painted:.1f} ms"
            print(f"| {count:,} | {took[count]:.2f} s | {turns} | {live} |", flush=True)
    few, many = min(took), max(took)
    if few < many:
        print(f"exponent {math.log(took[many] / took[few]) / math.log(many / few):.2f}")


if __name__ == "__main__":
    main()
