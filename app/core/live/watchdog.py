"""Metal's watchdog: macOS ends a GPU's work that takes long while the display is used, and the process with it.

Known by what the process says last (https://github.com/ml-explore/mlx/issues/3267). A run goes on from its saved
state with smaller pieces: each time it meets the watchdog, the bound on a piece's positions is halved.
"""

from __future__ import annotations

import re

from app.core.language import joined, tr
from app.core.protocol import event
from app.core.protocol.job import TrainJob, read_job, write_job
from app.core.protocol.wire import RefusedError
from app.core.run.folder import RunDir
from app.core.setup.memory_term import LARGEST_PIECE

BY_WATCHDOG = "watchdog"  # the path of a `Failed` that tells of it
SMALLEST_PIECE = 64  # positions; below it a step takes no less of the GPU's time at once
LAST_LINES = 20  # where its words are: those before are of an earlier worker
_WORDS = re.compile(
    r"Impacting\s?Interactivity|kIOGPUCommandBufferCallbackError(?:Timeout|Hang)|Caused GPU (?:Timeout|Hang) Error"
    r"|GPU Timeout Error|\[metal::malloc\] Resource limit|Resource limit \(\d+\) exceeded"
)
WATCHDOG_TOLD = tr("macOS ended the GPU's work: it held up the display for too long, or used too much at once.")
WATCHDOG_REMEDY = tr(
    "Let the display sleep while it trains; or let a run hold it up for longer (Settings › "
    "General), which costs smoothness; or use a smaller maximum length."
)


def is_watchdog(said: str) -> bool:
    """Whether a process that said this last was ended by Metal's watchdog."""
    return _WORDS.search("\n".join(said.splitlines()[-LAST_LINES:])) is not None


def watchdog_failure(iteration: int | None = None) -> event.Failed:
    """How such an end is told."""
    return event.Failed(message=WATCHDOG_TOLD, hint=WATCHDOG_REMEDY, iteration=iteration, path=BY_WATCHDOG)


def was_ended_by_watchdog(run: RunDir, last: event.Event | None) -> bool:
    """Whether that ended a run whose last event this is: told as such, or without a word but in the log."""
    if isinstance(last, event.Failed):
        return last.path == BY_WATCHDOG or is_watchdog(last.message)
    return not isinstance(last, event.Finished) and is_watchdog(run.log_tail(LAST_LINES))


def smaller_pieces(most: int) -> int | None:
    """The next bound on a piece's positions (0: none of its own yet); None where smaller ones are no help."""
    halved = (most or LARGEST_PIECE) // 2
    return halved if halved >= SMALLEST_PIECE else None


def kept_pieces(run: RunDir) -> int:
    """The bound with which a run is resumed: its last worker's, or a smaller one if the watchdog ended that."""
    try:
        job = read_job(run.path)
    except (OSError, RefusedError):
        return 0
    most = job.most_positions if isinstance(job, TrainJob) else 0
    return (smaller_pieces(most) or most) if is_watchdog(run.log_tail(LAST_LINES)) else most


def prepare_smaller(run: RunDir) -> str:
    """Lets the run's next worker go on with smaller pieces; what is told of it. Empty where none would help."""
    try:
        job = read_job(run.path)
    except (OSError, RefusedError):
        return ""
    if not isinstance(job, TrainJob) or (most := smaller_pieces(job.most_positions)) is None:
        return ""
    resumed = job.model_copy(update={"resume": job.extend_to is None, "most_positions": most})
    write_job(run.path, resumed)
    goes_on = tr("It goes on from its last saved state, in pieces of at most {most} positions.", most=most)
    return joined((WATCHDOG_TOLD, goes_on, WATCHDOG_REMEDY))
