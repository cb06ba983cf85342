"""How long the window stands still, at most, while a large file is dropped, checked, browsed and given up.

    python tests/bench/bench_window.py [--megabytes 1000] [--keep FILE]

Each line is a phase: its length, the longest turn of the window's event loop by the clock, and that turn's share
of processor time (a turn that only waits for a core of a busy machine has almost none). The first line is the
baseline: the same window while nothing happens.
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

from PySide6.QtCore import QCoreApplication, QEventLoop
from PySide6.QtWidgets import QApplication

from app.core.problem import Severity
from app.core.system.starter import model_dir
from app.ui.data.example_page import DataExamplePage
from app.ui.form.store import form_store
from app.ui.run.session import RunSession
from app.ui.widget import theme
from app.ui.window.appearance import Appearance
from app.ui.window.main_window import MainWindow
from tests.bench.bench_check import write

LIMIT_S = 180


class Stopwatch:
    """The longest turn of the event loop in each phase."""

    def phase(self, name: str, act: Callable[[], object], until: Callable[[], bool]) -> None:
        """Does ``act`` in a turn of its own and runs the loop until it is so; prints the phase's line."""
        began = time.perf_counter()
        worst = self._turn(act)
        while not until():
            worst = max(worst, self._turn(lambda: None))
            if time.perf_counter() - began > LIMIT_S:
                raise SystemExit(f"{name}: nothing came of it in {LIMIT_S} s.")
        for _ in range(5):  # what the phase left to be painted
            worst = max(worst, self._turn(lambda: None))
        wall, processor = (seconds * 1000 for seconds in worst)
        print(f"| {name} | {time.perf_counter() - began:.1f} s | {wall:.0f} ms | {processor:.0f} ms |", flush=True)

    def _turn(self, act: Callable[[], object]) -> tuple[float, float]:
        wall, processor = time.perf_counter(), time.thread_time()
        act()
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 0)
        turn = (time.perf_counter() - wall, time.thread_time() - processor)
        time.sleep(0.001)
        return turn


def with_faults(path: Path, megabytes: int) -> None:
    """Chats that are all different, and a broken line in a few thousand."""
    write(path, megabytes, "chat")
    with path.open("r+b") as file:
        for at in range(5_000_000, path.stat().st_size - 1_000_000, 5_000_000):
            file.seek(at)
            file.write(b'"')


def measure(window: MainWindow, path: Path) -> None:
    """All phases on one file."""
    watch, panel = Stopwatch(), window.setup_tab.data_panel
    idle = time.perf_counter() + 5
    watch.phase("nothing happens", lambda: None, lambda: time.perf_counter() > idle)
    values = {"model": str(model_dir()), "skip_bad_rows": True}
    watch.phase("model chosen", lambda: window.store.set_many(values), lambda: not window.is_busy)
    watch.phase("dropped, checked for a moment", lambda: panel.take([path]), lambda: panel.inspector.share > 0.3)
    watch.phase("given up", panel.summary.cancel_button.click, lambda: not panel.is_busy)
    watch.phase(
        "dropped again, checked",
        lambda: panel.take([path]),
        lambda: panel.report is not None and not panel.inspector.is_reading,
    )
    print(f"\n{panel.summary.headline.text()}\n", flush=True)
    watch.phase("faults looked at", lambda: panel.show_problems(Severity.ERROR), lambda: True)
    dialog = panel.look()
    second = time.perf_counter() + 1
    watch.phase("other pages built", lambda: None, lambda: time.perf_counter() > second)
    examples = dialog.examples
    watch.phase("examples opened", lambda: dialog.pages.setCurrentWidget(examples), lambda: examples.count > 0)
    for number in (1, 1000, examples.count // 2, examples.count - 1):
        watch.phase(
            f"example {number + 1:,}", partial(examples.show_index, number), partial(shown, examples, number)
        )
    half_minute = time.perf_counter() + 30
    watch.phase("tokens being counted", lambda: None, lambda: time.perf_counter() > half_minute)
    for at in range(dialog.pages.count()):
        page = dialog.pages.widget(at)
        assert page is not None
        name = type(page).__name__
        watch.phase(f"page {name}", partial(dialog.pages.setCurrentWidget, page), lambda: True)
    examples.search_edit.setText("café über café")
    watch.phase("searched", lambda: examples.search_edit.returnPressed.emit(), lambda: bool(examples._hits.text()))


def shown(examples: DataExamplePage, index: int) -> bool:
    """True once that example stands on the page."""
    return bool(examples.example) and examples.index == index and examples.example.get("index") == index


def main() -> None:
    """Makes the file, opens the window, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--keep", type=Path, help="the file to use; made if it is not there, and not removed")
    arguments = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LUTHIER_HOME"] = folder
        path = arguments.keep or Path(folder) / "large.jsonl"
        if not path.exists():
            with_faults(path, arguments.megabytes)
        application = QApplication([])
        theme.apply_theme("light")
        window = MainWindow(form_store(), RunSession(), Appearance())
        window.resize(1440, 900)
        window.show()
        print(f"{path.stat().st_size / 1e6:,.0f} MB\n\n| phase | length | longest turn | of it computing |")
        print("|---|---|---|---|")
        measure(window, path)
        window.close()
        application.quit()


if __name__ == "__main__":
    main()
