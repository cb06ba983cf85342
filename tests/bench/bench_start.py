"""How long the window takes to stand there, against a bare window with a plot.

    python tests/bench/bench_start.py [--repeats 7]

Both start a process of their own in turn and end it when everything is painted and the event loop is idle. Seconds
are of the processor, from the start of Python, so that other work on the machine does not count; medians.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIZE = (1320, 840)
TURNS = 5
LIMIT = 1.5


def bare() -> None:
    """What any program with a plot needs."""
    import pyqtgraph
    from PySide6.QtWidgets import QApplication, QMainWindow

    application = QApplication([])
    window = QMainWindow()
    window.setCentralWidget(pyqtgraph.PlotWidget())
    _show(application, window)


def luthier() -> None:
    """The window as `app.ui.window.application` makes it."""
    sys.path.insert(0, str(ROOT))
    gc.disable()  # as `app.command.main` does
    import app.ui  # noqa: F401, I001  # before Qt, as there
    from PySide6.QtWidgets import QApplication

    from app.ui.form.store import form_store
    from app.ui.run.session import RunSession
    from app.ui.widget import theme
    from app.ui.window.appearance import Appearance
    from app.ui.window.main_window import MainWindow

    application = QApplication([])
    theme.apply_theme("light")
    with theme.undressed():
        window = MainWindow(form_store(), RunSession(), Appearance())
    _show(application, window)


def _show(application: object, window: object) -> None:
    window.resize(*SIZE)  # type: ignore[attr-defined]
    window.show()  # type: ignore[attr-defined]
    for _ in range(TURNS):
        application.processEvents()  # type: ignore[attr-defined]
    print(time.process_time())
    sys.stdout.flush()
    os._exit(0)  # how it ends is no part of this


def measure(what: str, home: str) -> float:
    """Seconds of one start."""
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "LUTHIER_HOME": home}
    # As installed: a program is not compiled at each start, whatever the shell of who measures says.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = str(Path(home) / "compiled")
    command = [sys.executable, __file__, "--only", what]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout.split()[-1])


def main() -> None:
    """Starts both in turn, prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", choices=("bare", "luthier"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        {"bare": bare, "luthier": luthier}[arguments.only]()
    with tempfile.TemporaryDirectory() as home:
        pairs = [(measure("bare", home), measure("luthier", home)) for _ in range(arguments.repeats + 1)][1:]
    print(f"bare window with a plot  {statistics.median(pair[0] for pair in pairs):.2f} s")
    print(f"Luthier                  {statistics.median(pair[1] for pair in pairs):.2f} s")
    print(f"ratio                    {statistics.median(b / a for a, b in pairs):.2f} (at most {LIMIT})")


if __name__ == "__main__":
    main()
