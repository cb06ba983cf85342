"""Disk space: about how many bytes a run will write, and whether they are free."""

from __future__ import annotations

from pathlib import Path

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.model.inspection import Inspection
from app.core.problem import Problem, Severity
from app.core.quantity import bytes_text, plural
from app.core.setup.memory_term import optimizer_items
from app.core.system.disk import free_bytes
from app.core.target.selection import Selection

_ADAPTER_BYTES = 4  # a parameter; adapters are trained and kept in float32
_STATES = 2  # the new one is complete before the old one goes
_WORDS_BYTES = 8_000_000  # events, log, and what file systems round up


def checkpoint_count(config: TrainConfig, iterations: int) -> int:
    """Numbered checkpoints that a run leaves behind: every ``save_every`` iterations, and at its end."""
    return -(-iterations // config.save_every)


def run_bytes(
    config: TrainConfig, selection: Selection, inspection: Inspection, iterations: int, data_bytes: int = 0
) -> int:
    """About how many bytes the run's folder takes at most: adapters, states, the prepared copy of the data."""
    parameters = selection.trainable_parameters
    item = _ADAPTER_BYTES
    if config.fine_tune_type == "full":
        item = 4 if inspection.dtype == "float32" else 2
    weights = parameters * item
    state = weights + optimizer_items(config, selection) * item
    if config.grad_accumulation_steps > 1:
        state += weights  # the gradient that is being summed
    kept = checkpoint_count(config, iterations) + 2  # the adapter itself and the best
    # The room that is set aside for the last state counts as one more.
    return kept * weights + (_STATES + 1) * state + data_bytes + _WORDS_BYTES


def disk_text(needed: int, folder: Path) -> str:
    """``It writes up to 240 MB; 12 GB are free.``"""
    return tr(
        "It writes up to {needed}; {free_bytes} are free.",
        needed=bytes_text(needed),
        free_bytes=bytes_text(free_bytes(folder)),
    )


def disk_problem(config: TrainConfig, needed: int, iterations: int, folder: Path) -> Problem | None:
    """A warning where the disk of the runs' ``folder`` has not the room that the run needs."""
    free = free_bytes(folder)
    if needed <= free:
        return None
    saved = plural(checkpoint_count(config, iterations), "checkpoint")
    said = tr("The run writes up to {needed}, with {saved}", needed=bytes_text(needed), saved=saved)
    said += tr("; only {free} are free in {folder}.", free=bytes_text(free), folder=folder)
    hint = tr("Save less often, or free some space. A full disk pauses the run with its state safe.")
    return Problem("save_every", said, Severity.WARNING, hint)
