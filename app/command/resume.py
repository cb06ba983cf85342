"""``luthier resume``: goes on with a run that was stopped or cut off, exactly where it was."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.command import output
from app.command.option import Beside, ask_beside

if TYPE_CHECKING:
    from app.core.run.folder import RunDir

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def resume(
    run: Annotated[str, typer.Argument(help="The run's folder, or its name as `luthier runs list` shows it.")],
    extend_by: Annotated[
        int | None,
        typer.Option(
            min=1, help="Train so many iterations more than the run has trained, also when it is complete."
        ),
    ] = None,
    as_before: Annotated[
        bool,
        typer.Option("--as-before", help="Put a changed config.yaml back as the run was trained with so far."),
    ] = False,
    hosts: Annotated[
        Path | None, typer.Option(help="Go on on the machines of this hostfile instead of those so far.")
    ] = None,
    replicas: Annotated[
        int | None, typer.Option(min=1, help="Go on in so many processes on this machine; 1 is without others.")
    ] = None,
    beside: Beside = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the run's events, one JSON object a line.")
    ] = False,
) -> int:
    """Goes on with a run from its last saved state, on the machines that it was trained on."""
    from app.command.train import chosen_hosts, exit_code, follow, put_hosts
    from app.core.live.watchdog import kept_pieces
    from app.core.protocol import event
    from app.core.protocol.event import read_events
    from app.core.protocol.job import TrainJob, write_job

    found = known_run(run)
    if hosts is not None or replicas is not None:
        put_hosts(found, chosen_hosts(hosts, replicas))
    ask_beside(beside, own=found.path)
    most = kept_pieces(found)
    if extend_by is not None:
        end = extended_end(found, extend_by)
        write_job(found.path, TrainJob(extend_to=end, as_before=as_before, most_positions=most))
        return exit_code(follow(found, as_json=as_json))
    last = next((e for e in reversed(read_events(found.events)) if isinstance(e, event.Finished)), None)
    if last is not None and is_complete(found):
        output.say(last.to_line() if as_json else f"{found.name} is complete; there is nothing left to train.")
        return 0
    write_job(found.path, TrainJob(resume=True, as_before=as_before, most_positions=most))
    return exit_code(follow(found, as_json=as_json))


def known_run(name: str, *, quiet: bool = False) -> RunDir:
    """The run of that path or name, which is told where several could be meant unless ``quiet``; raises
    `UnusableError` with near misses."""
    from app.core.problem import Problem, Severity, UnusableError
    from app.core.run.catalog import meant_runs
    from app.core.run.folder import find_runs
    from app.core.run.note import load_note

    meant = meant_runs(name)
    if not meant:
        names = [each for run in find_runs() for each in (run.name, load_note(run).name) if each]
        near = output.near_misses(name, names)
        raise UnusableError(
            [Problem("", f"There is no run “{name}”.", hint=near or "`luthier runs list` shows all of them.")]
        )
    if len(meant) > 1 and not quiet:
        said = f"“{name}” can mean {len(meant)} runs; the newest is taken, {meant[0].name}."
        output.complain([Problem("", said, Severity.NOTE, hint="A whole name, or a folder, means one.")])
    return meant[0]


def run_word(run: RunDir) -> str:
    """A run as a verb takes it: its name where that finds it, else its folder. Quoted for a shell."""
    from app.core.run.catalog import find_run

    found = find_run(run.name)
    whole = run.path.resolve()
    return shlex.quote(run.name if found is not None and found.path.resolve() == whole else str(whole))


def extended_end(run: RunDir, more: int) -> int:
    """The last iteration of a run that trains ``more``; raises `UnusableError` if it has no state to go on from."""
    from app.core.problem import Problem, UnusableError
    from app.core.run.summary import summarize

    summary = summarize(run)
    if not summary.has_saved_state:
        said = f"{run.name} has no saved state to go on from."
        raise UnusableError(
            [Problem("", said, hint=f"`luthier train {shlex.quote(str(run.config))}` starts it again.")]
        )
    return summary.iteration + more


def is_complete(run: RunDir) -> bool:
    """True if the run ended by itself: every iteration trained, or stopped early for lack of improvement."""
    from app.core.protocol.event import read_events
    from app.core.run.folder import run_state

    return run_state(run, read_events(run.events)) in ("finished", "early_stopping")
