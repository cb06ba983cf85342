"""What an edit in the window costs, each step against its budget.

``python tests/bench/bench_edit.py`` prints the median of some repeats, the budget (50 ms for what a key press waits
for) and their ratio. The exit code is 1 if a step is over its budget.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

import numpy as np
from PySide6.QtWidgets import QApplication

from app.core.config.train_config import TrainConfig
from app.core.model.inspection import (
    Inspection,
    MatrixRow,
    Module,
)
from app.core.model.module_group import Group
from app.core.protocol import event
from app.core.run.history import RunHistory
from app.core.run.smoothing import smooth
from app.core.setup.memory import estimate
from app.core.target.selection import resolve
from app.ui.form.store import ConfigStore
from app.ui.run.log_view import LogView
from app.ui.run.loss_chart import LossChart
from app.ui.setup.setup_tab import SetupTab
from app.ui.target.coverage_matrix import CoverageMatrix
from app.ui.widget import theme
from app.ui.worker.inspector import Inspector
from app.worker.model.inspect import inspect_model
from tests.ui import synthetic_run
from tests.ui.tiny_form_model import write_model
from tests.worker.architectures import giant

REPEATS, KEY_PRESS_MS = 5, 50.0
EDITS: dict[str, tuple[Any, ...]] = {
    "lora_parameters.rank": (8, 64, 16), "num_layers": (8, -1), "targets": ("attention", "mlp", "full"),
    "batch_size": (2, 1), "fine_tune_type": ("dora", "lora"),
}  # fmt: skip
Step = tuple[str, Callable[[], object], float]


def giant_steps(place: Path, inspector: Inspector) -> Iterator[Step]:
    """What is worked out of a giant's structure after each edit, and the edits themselves."""
    place.mkdir()
    (place / "config.json").write_text(json.dumps(giant()), encoding="utf-8")
    inspection = Inspection.model_validate(inspect_model(place).model_dump(mode="json"))
    chosen = TrainConfig()
    selection = resolve(inspection, chosen)
    yield "480 billion parameters: targets resolved", lambda: resolve(inspection, chosen), KEY_PRESS_MS
    options: dict[str, Any] = {"working_set_gb": 1000}
    yield "its memory estimated", lambda: estimate(inspection, chosen, selection, **options), KEY_PRESS_MS
    yield from edit_steps(place, inspector, "in the Setup tab")


def edit_steps(model: Path, inspector: Inspector, name: str) -> Iterator[Step]:
    """Edits in the Setup tab, each until the new numbers stand there."""
    tab = SetupTab(ConfigStore(), inspector)
    tab.resize(1000, 900)
    tab.show()
    tab.store.set("model", str(model))
    while tab.estimate.estimate is None:
        QApplication.processEvents()
        time.sleep(0.01)
    for path, values in EDITS.items():
        cycle = itertools.cycle(values)

        def edit(path: str = path, cycle: Iterator[Any] = cycle) -> None:
            tab.store.set(path, next(cycle))
            QApplication.processEvents()

        yield f"{path} edited {name}", edit, KEY_PRESS_MS
    tab.shutdown()
    tab.close()


def matrix_step() -> Step:
    """128 layers of 40 matrices, every other layer chosen."""
    names = [f"block.matrix_{number}" for number in range(40)]
    cells = {
        name: tuple(
            Module(path=f"model.layers.{layer}.{name}", key=name, layer=layer, group=Group.OTHER, type="Linear",
                   shape=(8, 8), parameters=64, bytes=128, cost=0)
            for layer in range(128)
        )
        for name in names
    }  # fmt: skip
    matrix = CoverageMatrix()
    matrix.set_rows([MatrixRow(name, Group.OTHER, cells[name]) for name in names])
    chosen = {f"model.layers.{layer}.{name}" for layer in range(0, 128, 2) for name in names}
    matrix.set_selected(frozenset(chosen))
    matrix.resize(860, matrix.minimumSizeHint().height())
    return "the coverage matrix painted, 128 × 40", matrix.grab, KEY_PRESS_MS


def chart_step() -> Step:
    """A run of 100,000 iterations with smoothing."""
    history = RunHistory()
    history.feed(event.Started(iterations=100_000, iterations_per_epoch=1, train_examples=1, valid_examples=1))
    history.feed(synthetic_run.report(100_000, np.random.default_rng(0).random(100_000).tolist()))
    chart = LossChart(history)
    chart.resize(420, 320)
    chart.show()
    chart.view.set_smoothing(0.9)

    def draw() -> None:
        chart.refresh()
        chart._redraw()
        chart.grab()

    return "the loss chart redrawn, 100,000 iterations", draw, 500


def log_step() -> Step:
    log = LogView()
    text = "".join(f"line {number}\n" for number in range(300_000))

    def flood() -> None:
        log.append(text)
        log.flush()

    return "300,000 lines into the log", flood, 2000


def main() -> int:
    application = QApplication([])
    theme.apply_theme("light")
    values = np.random.default_rng(0).normal(size=1_000_000)
    command = [sys.executable, "-m", "app", "--help"]
    over = False
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LUTHIER_HOME"] = str(Path(folder, "home"))
        inspector = Inspector()

        def steps() -> Iterator[Step]:
            yield from giant_steps(Path(folder, "giant"), inspector)
            yield from edit_steps(
                write_model(Path(folder, "deep"), num_hidden_layers=64), inspector, "for 64 layers"
            )
            yield matrix_step()
            yield chart_step()
            yield log_step()
            yield "a million values smoothed", lambda: smooth(values, 0.9), 1000
            yield (
                "luthier --help",
                lambda: subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True),
                500,
            )

        for name, work, budget in steps():
            took = statistics.median(_milliseconds(work) for _ in range(REPEATS))
            over |= took > budget
            print(f"{name:52} {took:8.1f} ms of {budget:5.0f}  {took / budget:5.2f} ×")
        inspector.stop()
    application.quit()
    return int(over)


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
