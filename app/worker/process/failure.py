"""Failures in words: the one place that turns what libraries raise into a sentence with cause and remedy.

What stands here are the causes that have been met; anything else is told as it is, without Python's names for it,
and the traceback is kept.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable

from app.core.language import joined, tr
from app.core.live.watchdog import is_watchdog, watchdog_failure
from app.core.problem import TaskError, UnusableError
from app.core.protocol import event
from app.core.system.disk import FULL_ERRORS
from app.core.system.kept_traceback import keep_traceback

_MEMORY = re.compile(r"(?i)allocat|insufficient memory|out of memory|bad_alloc|\[metal::malloc\]")
_RESUME = tr("The run's last saved state is whole: resume it then.")


def told_failure(error: BaseException, task: str) -> event.Failed:
    """How a task ended that raised ``error``; the sentences name neither modules nor classes."""
    if isinstance(error, UnusableError):
        first = error.problems[0]
        return event.Failed(
            message=joined((p.message if not p.where else p.sentence() for p in error.problems), "\n"),
            hint=first.hint,
            path=first.path,
            where=first.where,
            unusable=True,
        )
    if isinstance(error, TaskError):
        return event.Failed(message=error.message, hint=error.hint, iteration=error.iteration)
    if is_watchdog(str(error)):
        return watchdog_failure()
    for is_met, told in _CAUSES:
        if is_met(error):
            message, hint = told(error)
            return event.Failed(message=message, hint=_fitting(hint, task), unusable=told in _OF_FILES)
    said = " ".join(str(error).split()).rstrip(".: ")[:300] or tr("an error without a word")
    kept = keep_traceback()
    return event.Failed(message=tr("It failed in a way that Luthier does not know: {said}.", said=said), hint=kept)


Cause = tuple[str, str]


def _fitting(hint: str, task: str) -> str:
    """The hint without what only runs have."""
    return hint if task == "train" else hint.replace(_RESUME, "").strip()


def _memory(_error: BaseException) -> Cause:
    return (
        tr("The memory is not enough for this."),
        tr("Use a smaller batch or maximum length, or turn on gradient checkpointing."),
    )


def _full(error: BaseException) -> Cause:
    where = tr(" in {filename}", filename=error.filename) if isinstance(error, OSError) and error.filename else ""
    return tr("The disk is full: there was no room to write{where}.", where=where), tr(
        "Free some space. {resume}", resume=_RESUME
    )


def _denied(error: BaseException) -> Cause:
    assert isinstance(error, OSError)
    return tr("{named} may not be read or written by you.", named=_named(error)), tr(
        "Change its permissions. {resume}", resume=_RESUME
    )


def _system(error: BaseException) -> Cause:
    assert isinstance(error, OSError)
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    return tr("{named} cannot be used: {reason}.", named=_named(error), reason=reason), tr(
        "Put it back, or choose another. {resume}", resume=_RESUME
    )


def _deep(_error: BaseException) -> Cause:
    return (
        tr("A file is nested too deeply to be read."),
        tr("Look at the file that was chosen last: model, data or config."),
    )


def _no_json(error: BaseException) -> Cause:
    return tr("A file that should hold JSON does not: {error}.", error=error), tr(
        "Copy or download the model again."
    )


def _no_text(error: BaseException) -> Cause:
    return tr("A file that should hold text does not: {error}.", error=error), tr("Copy or download it again.")


def _cut_weights(error: BaseException) -> Cause:
    return tr("A weight file is not whole ({names}).", names=" ".join(str(error).split())[:120]), tr(
        "Copy or download it again."
    )


def _named(error: OSError) -> str:
    return str(error.filename) if error.filename else tr("A file or folder")


_OF_FILES = (_deep, _no_json, _no_text, _cut_weights)  # what was given is at fault, not what was done with it
# The first that is met counts.
_CAUSES: tuple[tuple[Callable[[BaseException], bool], Callable[[BaseException], Cause]], ...] = (
    (lambda e: isinstance(e, MemoryError) or bool(_MEMORY.search(str(e))), _memory),
    (lambda e: isinstance(e, OSError) and e.errno in FULL_ERRORS, _full),
    (lambda e: isinstance(e, PermissionError), _denied),
    (lambda e: isinstance(e, RecursionError), _deep),
    (lambda e: isinstance(e, json.JSONDecodeError), _no_json),
    (lambda e: isinstance(e, UnicodeDecodeError), _no_text),
    (lambda e: "[load_safetensors]" in str(e) or "Error while deserializing header" in str(e), _cut_weights),
    (lambda e: isinstance(e, OSError), _system),
)
