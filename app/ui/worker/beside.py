"""The question before a second worker computes beside a run that trains, also one that no window shows."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QApplication, QMessageBox

from app.core.language import tr
from app.core.live.training_list import BESIDE, COMPUTING, training_runs
from app.ui.platform.message_box import message_box

NOT_BEGUN = tr("Not begun: a run is training.")
_agreed: set[Path] = set()  # beside these runs it is no longer asked


def may_compute(task: str) -> bool:
    """Whether a worker with this task may begin; asks where a run trains, once for each run."""
    beside = [run for run in training_runs() if run.path not in _agreed] if task in COMPUTING else []
    if not beside:
        return True
    box = message_box(QApplication.activeWindow())
    box.setObjectName("beside_question")
    box.setText(tr("A run is training."))
    box.setInformativeText(tr("{name} is training already. {beside}", name=beside[0].name, beside=BESIDE))
    go = box.addButton(tr("Do it beside the run"), QMessageBox.ButtonRole.AcceptRole)
    stay = box.addButton(tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(stay)
    box.setEscapeButton(stay)
    box.exec()
    agrees = box.clickedButton() is go
    box.deleteLater()
    if agrees:
        _agreed.update(run.path for run in beside)
    return agrees
