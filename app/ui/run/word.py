"""The words for what a run is doing: on its pill, in a sentence, in the status line."""

from __future__ import annotations

from app.ui.run.session import RunState

# What the pill says, and how it looks.
PILLS: dict[RunState, tuple[str, str]] = {
    RunState.NONE: ("", "pill"),
    RunState.LOADING: ("Reading", "pill"),
    RunState.PREPARING: ("Preparing", "pill-accent"),
    RunState.RUNNING: ("Training", "pill-accent"),
    RunState.PAUSING: ("Pausing", "pill-warning"),
    RunState.PAUSED: ("Paused", "pill-warning"),
    RunState.PARKING: ("Pausing", "pill-warning"),
    RunState.PARKED: ("Paused", "pill-warning"),
    RunState.STOPPING: ("Stopping", "pill-warning"),
    RunState.COMPLETED: ("Finished", "pill-good"),
    RunState.EARLY_STOPPED: ("Stopped early", "pill-good"),
    RunState.STOPPED: ("Stopped", "pill"),
    RunState.FAILED: ("Failed", "pill-error"),
    RunState.CRASHED: ("Interrupted", "pill-error"),
    RunState.NEW: ("Not started", "pill"),
    RunState.ELSEWHERE: ("Training elsewhere", "pill-accent"),
}
SENTENCES: dict[RunState, str] = {
    RunState.LOADING: "Reading the run's history…",
    RunState.PAUSING: "Pausing after this iteration…",
    RunState.PAUSED: "Waits in place; its memory stays taken.",
    RunState.PARKING: "Saving, then the memory is free…",
    RunState.PARKED: "The memory is free. Resume goes on exactly where the run paused.",
    RunState.STOPPING: "Stopping after this iteration, then saving…",
    RunState.NEW: "Nothing was trained in this run yet.",
    RunState.ELSEWHERE: "Another process trains this run; its progress is followed here.",
}
