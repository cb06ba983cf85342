"""The questions before a run is stopped: of which nothing has been saved yet, or whose window is closed."""

from __future__ import annotations

from typing import Literal

from PySide6.QtWidgets import QMessageBox, QWidget

from app.core.language import tr
from app.core.power.awake import LID
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
    box.setText(tr("Stop before the first save?"))
    done = tr(
        "{iteration:,} of {iterations:,}",
        iteration=session.history.iteration,
        iterations=session.history.iterations,
    )
    box.setInformativeText(
        tr(
            "The run has trained {done} iterations, and no checkpoint is on disk yet. What it has "
            "learned is saved as it stops, and nothing was measured on the way that could tell "
            "whether it is any good.",
            done=done,
        )
    )
    stop = box.addButton(tr("Stop and save"), QMessageBox.ButtonRole.AcceptRole)
    stay = box.addButton(tr("Keep training"), QMessageBox.ButtonRole.RejectRole)
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


# What becomes of a run whose window closes; in some states it is called otherwise.
KEEP = tr("Keep training")
KEEPS = {
    RunState.PAUSED: tr("Leave it paused"),
    RunState.PAUSING: tr("Leave it paused"),
    RunState.STOPPING: tr("Quit, it saves alone"),
    RunState.PARKING: tr("Quit, it saves alone"),
}


def ask_leaving(session: RunSession, parent: QWidget, *, is_leaving: bool) -> Literal["keep", "stop", "stay"]:
    """Asks what becomes of the live run when the window closes; ``is_leaving`` once it was asked to stop."""
    saving = session.state in (RunState.STOPPING, RunState.PARKING)
    box = message_box(parent)
    box.setObjectName("leave_question")
    if saving:
        box.setText(tr("The run is still being saved."))
        box.setInformativeText(tr("It saves to its end, with the window or without."))
    else:
        box.setText(tr("A run is paused.") if session.state in KEEPS else tr("A run is training."))
        box.setInformativeText(
            tr(
                "It stays paused without the window, and holds its memory: the next start of Luthier shows it, "
                "and “luthier attach” shows it in a terminal.\n\nStopped, it saves all, so that you can resume "
                "it later."
            )
            if session.state in KEEPS
            else tr(
                "It can go on without the window: the next start of Luthier shows it with all that "
                "happened, and “luthier attach” shows it in a terminal. The computer stays awake for "
                "it. {lid}\n\nStopped, it ends after the iteration in progress and saves all, so "
                "that you can resume it later.",
                lid=LID,
            )
        )
    keep = box.addButton(KEEPS.get(session.state, KEEP), QMessageBox.ButtonRole.AcceptRole)
    stop = None if saving else box.addButton(tr("Stop and save"), QMessageBox.ButtonRole.DestructiveRole)
    stay = box.addButton(tr("Keep waiting") if is_leaving else tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(stay if is_leaving else keep)
    box.setEscapeButton(stay)
    box.exec()
    clicked = box.clickedButton()
    box.deleteLater()
    if clicked is keep:
        return "keep"
    return "stop" if stop is not None and clicked is stop else "stay"
