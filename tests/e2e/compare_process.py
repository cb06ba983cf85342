"""Compare in a process of its own: asks a base model for an answer without an end, until it is killed."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PySide6.QtCore import QTimer

from app.core.compare.candidate import BASE
from app.ui.compare.answerer import Answerer
from app.ui.compare.tab import CompareTab
from app.ui.window.application import make_application


def ask() -> None:
    """As a person does who has time."""
    tab.columns[1].set_candidate(BASE)
    tab._base.choose(sys.argv[1])
    tab.question.sampler.show_settings({"max_tokens": 100_000, "temp": 1.0, "seed": 3})
    tab.prompt.setPlainText("Tell a long story.")
    tab.compare()


if __name__ == "__main__":
    application = make_application()
    tab = CompareTab(Answerer(application))
    QTimer.singleShot(0, ask)
    sys.exit(application.exec())
