"""The question before a run is stopped of which nothing has been saved yet."""

from __future__ import annotations

from PySide6.QtWidgets import QMessageBox, QWidget

from app.ui.platform.message_box import message_box
from app.ui.run.session import RunSession, RunState


def stop_run(session: RunSession, parent: QWidget) -> None:
    """Stops the run; before its first save only after a question, which goes by itself when the run has ended."""
    waiting = (RunState.PREPARING, RunState.STOPPING)
    if not session.is_live or session.state in waiting or session.has_saved or not session.history.iteration:
        session.stop()
        return
    if parent.findChild(QMessageBox, "stop_question") is not None:
        return
    box = message_box(parent)
    box.setObjectName("stop_question")
    box.setText("Stop before the first save?")
    done = f"{session.history.iteration:,} of {session.history.iterations:,}"
    box.setInformativeText(
        f"The run has trained {done} iterations, and no checkpoint is on disk yet. What it has learned is saved "
        "as it stops, and nothing was measured on the way that could tell whether it is any good."
    )
    stop = box.addButton("Stop and save", QMessageBox.ButtonRole.AcceptRole)
    stay = box.addButton("Keep training", QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(stay)
    box.setEscapeButton(stay)

    def on_state() -> None:
        if not session.is_live:
            box.reject()

    def on_finished() -> None:
        if box.clickedButton() is stop:
            session.stop()
        box.deleteLater()

    session.state_changed.connect(on_state)
    box.destroyed.connect(lambda: session.state_changed.disconnect(on_state))
    box.finished.connect(on_finished)
    box.open()
