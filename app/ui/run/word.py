"""The words for what a run is doing: on its pill, in a sentence, in the status line."""

from __future__ import annotations

from app.core.language import tr
from app.ui.run.session import RunState

# What the pill says, and how it looks.
PILLS: dict[RunState, tuple[str, str]] = {
    RunState.NONE: ("", "pill"),
    RunState.LOADING: (tr("Reading"), "pill"),
    RunState.PREPARING: (tr("Preparing"), "pill-accent"),
    RunState.RUNNING: (tr("Training"), "pill-accent"),
    RunState.PAUSING: (tr("Pausing"), "pill-warning"),
    RunState.PAUSED: (tr("Paused"), "pill-warning"),
    RunState.PARKING: (tr("Pausing"), "pill-warning"),
    RunState.PARKED: (tr("Paused"), "pill-warning"),
    RunState.STOPPING: (tr("Stopping"), "pill-warning"),
    RunState.COMPLETED: (tr("Finished"), "pill-good"),
    RunState.EARLY_STOPPED: (tr("Stopped early"), "pill-good"),
    RunState.STOPPED: (tr("Stopped"), "pill"),
    RunState.FAILED: (tr("Failed"), "pill-error"),
    RunState.CRASHED: (tr("Interrupted"), "pill-error"),
    RunState.NEW: (tr("Not started"), "pill"),
    RunState.ELSEWHERE: (tr("Training elsewhere"), "pill-accent"),
}
SENTENCES: dict[RunState, str] = {
    RunState.LOADING: tr("Reading the run's history…"),
    RunState.PAUSING: tr("Pausing after this iteration…"),
    RunState.PAUSED: tr("Waits in place; its memory stays taken."),
    RunState.PARKING: tr("Saving, then the memory is free…"),
    RunState.PARKED: tr("The memory is free. Resume goes on exactly where the run paused."),
    RunState.STOPPING: tr("Stopping after this iteration, then saving…"),
    RunState.NEW: tr("Nothing was trained in this run yet."),
    RunState.ELSEWHERE: tr("Another process trains this run; its progress is followed here."),
}
