"""Workers as the verbs use them: asked for one thing, with their progress shown and their failures raised."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from app.command import output
from app.command.output import FailedError
from app.core.problem import Problem, UnusableError
from app.core.protocol import event
from app.core.protocol.client import started_job
from app.core.protocol.event import Event
from app.core.protocol.job import InspectJob, Job
from app.core.typed_path import typed_path

if TYPE_CHECKING:
    from app.core.model.inspection import Inspection


def checked(events: Iterable[Event], *, quiet: bool = False) -> Iterator[Event]:
    """The same events, with warnings told on stderr and a failure raised as `UnusableError` or `FailedError`."""
    for found in events:
        if isinstance(found, event.Failed):
            raise failure(found)
        if isinstance(found, event.Warned) and not quiet:
            output.remark(f"warning: {found.message}{f' {found.hint}' if found.hint else ''}")
        yield found


def failure(failed: event.Failed) -> UnusableError | FailedError:
    """The exception that a `Failed` event stands for."""
    if failed.unusable:
        return UnusableError(_problems(failed))
    return FailedError(failed.text)


def _problems(failed: event.Failed) -> list[Problem]:
    """The problems of a failure: one has its field and hint, of several there is a line each."""
    lines = failed.message.splitlines() or [""]
    if len(lines) > 1:
        return [Problem("", line) for line in lines]
    said = lines[0].removeprefix(f"{failed.where}: ").removesuffix(f" {failed.hint}")
    in_file = failed.where if failed.where != failed.path else ""
    return [Problem(failed.path, said, hint=failed.hint, file=in_file)]


def result_of(job: Job, *, quiet: bool = False) -> dict[str, Any]:
    """Runs a job that ends with one `Result` and gives its data. Ctrl-C stops it, and is a `KeyboardInterrupt`."""
    found: dict[str, Any] | None = None
    with started_job(job) as worker, worker.stopped_by_interrupt() as interrupt:
        for said in checked(worker.events(), quiet=quiet):
            if isinstance(said, event.Result):
                found = said.data
    if interrupt.pressed:
        raise KeyboardInterrupt
    if found is None:
        raise FailedError("Stopped before there was a result.")
    return found


def inspected(model: str) -> Inspection:
    """Everything about a model that can be known without its weights; raises `UnusableError`, and after Ctrl-C
    `KeyboardInterrupt`."""
    from app.core.model.inspection import Inspection

    found: dict[str, Any] | None = None
    with started_job(InspectJob(model=model)) as worker, worker.stopped_by_interrupt() as interrupt:
        for said in checked(worker.events()):
            if isinstance(said, event.Inspected):
                found = said.inspection
    if interrupt.pressed:
        raise KeyboardInterrupt
    if found is None:
        raise FailedError("Stopped before there was a result.")
    return Inspection.model_validate(found)


def absolute(name: str) -> str:
    """A path as the worker must get it (it may have another working folder); a model's hub name as it is."""
    path = typed_path(name)
    return str(path.resolve()) if path.exists() else name
