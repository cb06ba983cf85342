"""A window lives longer than the references that PySide6 loses with every signal."""

import subprocess
import sys

from tests import ROOT

EMITS = 50_000


def test_fifty_thousand_signals_do_not_end_the_process() -> None:
    code = (
        "import app.ui\n"
        "from PySide6.QtCore import QObject, Signal\n"
        "class Source(QObject):\n"
        "    said = Signal(object)\n"
        "source = Source()\n"
        "source.said.connect(source.setObjectName)\n"
        f"for _ in range({EMITS}): source.said.emit('a')\n"
        "print('alive')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "alive", done.stderr
