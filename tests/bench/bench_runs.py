"""How fast the list of runs is at 5,000 runs, and how smoothly 20 long curves move.

    python tests/bench/bench_runs.py [--runs 5000] [--curves 20] [--points 100000] [--keep FOLDER]

Seconds are of the processor, so that other work on the machine does not count; Python collects its garbage as it
does in the window. Prints the time until the Runs tab shows everything (with its index, and the first time ever),
the longest turn of the window's loop meanwhile, the time of a search and of a sort, and the frames a second while
the overlay is panned.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QApplication

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.run.catalog import RunCatalog
from app.core.run.history import RunHistory
from app.core.setup.config_file import dump_config
from app.ui.runs.overlay import OverlayRun, RunOverlay
from app.ui.runs.tab import RunsTab
from app.ui.widget import theme
from app.ui.window.garbage_collector import GarbageCollector

BASES = ("Qwen2.5-0.5B", "Llama-3.2-1B", "SmolLM2-360M", "gemma-3-1b")
METHODS = ("lora", "dora", "full")
FRAMES = 90


def write_runs(parent: Path, count: int) -> None:
    """Finished, stopped and failed runs of 1,000 iterations each."""
    text = dump_config(TrainConfig())
    for number in range(count):
        folder = parent / f"2026-01-01_{number:06d}_run-{number}"
        folder.mkdir(parents=True)
        base, method = BASES[number % 4], METHODS[number % 3]
        own = text.replace("model: ''", f"model: /models/{base}").replace("mlx_finetune", f"run {number}")
        (folder / "config.yaml").write_text(own.replace("fine_tune_type: lora", f"fine_tune_type: {method}"))
        (folder / "events.jsonl").write_text("".join(f"{e.to_line()}\n" for e in events(number)))


def events(number: int) -> list[event.Event]:
    """What a worker says of one run, in ten reports."""
    began = 1.7e9 + 600 * number
    found: list[event.Event] = [
        event.Hello(task="train", time=began),
        event.Started(iterations=1000, iterations_per_epoch=100, train_examples=100, valid_examples=10, time=began,
                      trainable_parameters=17_596_416),
    ]  # fmt: skip
    for iteration in range(100, 1001, 100):
        loss = 1 + 2 / (1 + iteration / 200) + number % 7 / 10
        found.append(report(iteration, [loss] * 10))
        found.append(event.Validated(iteration=iteration, val_loss=loss + 0.1))
    ends: list[event.Event] = [
        event.Finished(), event.Finished(reason="stopped"), event.Failed(message="The loss is not a number.")
    ]  # fmt: skip
    return [*found, ends[number % 3]]


def report(iteration: int, losses: list[float]) -> event.TrainReported:
    return event.TrainReported(
        iteration=iteration, train_loss=losses[-1], losses=losses, learning_rate=1e-4, iterations_per_second=9,
        tokens_per_second=1500 + iteration, trained_tokens=iteration * 100, elapsed_s=iteration / 9,
        epoch=iteration / 100, peak_memory_gb=2.5,
    )  # fmt: skip


def wait(until: Callable[[], bool]) -> tuple[float, float]:
    """Runs the window's loop; seconds until it was so, and the longest turn of the loop."""
    began = time.process_time()
    last, longest = began, 0.0
    while not until():
        QCoreApplication.processEvents()
        now = time.process_time()
        last, longest = now, max(longest, now - last)
    return time.process_time() - began, longest


def open_tab(parent: Path, index: Path) -> tuple[RunsTab, float, float]:
    """A new tab, shown; seconds until all runs stand in it."""
    began = time.process_time()
    tab = RunsTab(RunCatalog(parent, index))
    tab.resize(640, 660)
    tab.show()
    built = time.process_time() - began
    waited, pause = wait(lambda: not tab.is_busy)
    return tab, built + waited, pause


def long_history(points: int, seed: int) -> RunHistory:
    """A run of so many iterations."""
    noise, history = np.random.default_rng(seed), RunHistory()
    history.feed(
        event.Started(iterations=points, iterations_per_epoch=points / 3, train_examples=9, valid_examples=9)
    )
    steps = np.arange(1, points + 1)
    losses = 0.8 + seed / 20 + 3 * np.exp(-steps / 9000) + noise.normal(size=points) * 0.2
    for end in range(1000, points + 1, 1000):
        history.feed(report(end, losses[end - 1000 : end].tolist()))
    return history


def pan(curves: int, points: int) -> float:
    """Frames a second while the overlay is moved, every frame painted."""
    overlay = RunOverlay()
    overlay.resize(640, 300)
    overlay.show()
    overlay.show_runs([OverlayRun(str(i), f"run {i}", long_history(points, i)) for i in range(curves)])
    wait(lambda: not overlay.is_busy)
    picture = overlay.grab()
    overlay.zoom(points * 0.2, points * 0.7)
    overlay.render(picture)
    began = time.process_time()
    for frame in range(FRAMES):
        shift = points * 0.3 * frame / FRAMES
        overlay.zoom(points * 0.2 + shift, points * 0.7 + shift)
        overlay.render(picture)
    return FRAMES / (time.process_time() - began)


def timed(act: Callable[[], object]) -> float:
    """Milliseconds until it is done and painted."""
    began = time.process_time()
    act()
    QCoreApplication.processEvents()
    return (time.process_time() - began) * 1000


def main() -> None:
    """Makes the runs, measures, prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--curves", type=int, default=20)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="a folder for the runs; made if not there, and not removed")
    arguments = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    application = QApplication([])
    theme.apply_theme("light")
    collector = GarbageCollector(application)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LUTHIER_HOME"] = folder
        parent, index = (arguments.keep or Path(folder)) / "runs", Path(folder) / "index.jsonl"
        if not parent.exists():
            write_runs(parent, arguments.runs)
        tab, first_s, first_pause_s = open_tab(parent, index)
        tab.close()
        tab, opened_s, pause_s = open_tab(parent, index)
        print(f"{arguments.runs:,} runs: opened in {opened_s:.2f} s (at most 1)")
        print(f"  longest pause of the window {pause_s * 1000:.0f} ms (at most 50)")
        print(f"  without an index: {first_s:.1f} s, longest pause {first_pause_s * 1000:.0f} ms")
        searches = [timed(partial(tab.search, word)) for word in ("llama", "run 49", "", "nothing", "dora")]
        print(f"search: {max(searches):.0f} ms at most (under 100)")
        sorts = [
            timed(partial(tab.table.sortByColumn, column, tab.table.horizontalHeader().sortIndicatorOrder()))
            for column in range(5)
        ]
        print(f"sort: {max(sorts):.0f} ms at most")
        tab.close()
    frames = pan(arguments.curves, arguments.points)
    print(f"{arguments.curves} curves of {arguments.points:,} points: {frames:.0f} frames a second (at least 30)")
    collector.deleteLater()
    application.quit()


if __name__ == "__main__":
    main()
