"""How long it takes to go from light to dark with every tab open, against setting one style sheet after the other.

    python tests/bench/bench_theme.py [--repeats 6]

Both ways in turn in one process; seconds of the processor until everything is painted; medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TURNS = 5


def main() -> None:
    """Builds the window, switches, prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=6)
    repeats = parser.parse_args().repeats
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path.insert(0, str(ROOT))
    from PySide6.QtWidgets import QApplication

    from app.ui.form.store import form_store
    from app.ui.run.session import RunSession
    from app.ui.widget import theme
    from app.ui.window.appearance import Appearance
    from app.ui.window.main_window import MainWindow

    application = QApplication([])
    theme.apply_theme("light")
    sheets = {"light": application.styleSheet()}
    theme.apply_theme("dark")
    sheets["dark"] = application.styleSheet()

    def paint() -> None:
        for _ in range(TURNS):
            application.processEvents()

    def seconds(switch: Callable[[], None]) -> float:
        began = time.process_time()
        switch()
        paint()
        return time.process_time() - began

    with tempfile.TemporaryDirectory() as home:
        os.environ["LUTHIER_HOME"] = home
        window = MainWindow(form_store(), RunSession(), Appearance())
        window.show()
        for tab in ("Enhanced Setup", "Compare", "Runs", "Setup"):
            window.show_tab(tab)
            paint()
        pairs = []
        for _ in range(repeats):
            plain = seconds(lambda: application.setStyleSheet(sheets["light"]))
            pairs.append((plain, seconds(lambda: theme.apply_theme("dark"))))
        widgets = len(application.allWidgets())
        window.dispose()
    print(f"{widgets:,} widgets")
    print(f"one sheet after the other  {statistics.median(pair[0] for pair in pairs):.2f} s")
    print(f"Luthier                    {statistics.median(pair[1] for pair in pairs):.2f} s")
    print(f"ratio                      {statistics.median(b / a for a, b in pairs):.2f}")


if __name__ == "__main__":
    main()
