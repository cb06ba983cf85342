"""``luthier remote``: a bundle trained on a host that ssh reaches: start, watch, stop, fetch, list."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from app.command import output
from app.command.option import AsJson

application = typer.Typer(add_completion=False, rich_markup_mode=None)

RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="The name that start told, or a host: then its newest run.")
]


@application.callback()
def remote() -> None:
    """A bundle trained on a host that ssh reaches; it goes on when nobody watches."""


@application.command()
def start(
    host: Annotated[str, typer.Argument(metavar="HOST", help="What ssh takes: an alias, or user@address.")],
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="What `luthier bundle` made: folder or archive.")
    ],
    python: Annotated[
        str, typer.Option(metavar="PATH", help="A Python there that has all it needs; else one is made, with pip.")
    ] = "",
    ssh: Annotated[str, typer.Option(metavar="COMMAND", help="ssh with options, such as 'ssh -p 2222'.")] = "ssh",
    as_json: AsJson = False,
) -> int:
    """Copies a bundle to a host and starts it there. It uses the host's GPU, disk and network, and asks nothing."""
    from app.core.remote.control import start_remote
    from app.core.remote.host import SshHost

    run = start_remote(bundle.expanduser().resolve(), SshHost.of(host, ssh), python)
    if as_json:
        output.say_json({"name": run.name, "host": run.host.name, "place": run.place})
    else:
        output.say(f"{run.name} runs on {run.host.name}, in {run.place}.")
        output.say(f"Watch it  luthier remote watch {run.name}")
    return 0


@application.command()
def watch(
    name: RunName,
    as_json: Annotated[bool, typer.Option("--json", help="Print the events, one JSON object a line.")] = False,
) -> int:
    """Shows how a run goes, from its beginning. Ctrl-C leaves it running."""
    from app.command.progress import TrainProgress
    from app.core.protocol import event
    from app.core.remote.control import remote_log_tail
    from app.core.remote.follower import follow_remote, has_ended
    from app.core.remote.record import remote_run

    run = remote_run(name)

    def lost(said: str) -> None:
        output.remark(f"The link broke ({said}); trying again. The run goes on meanwhile.")

    coming = chain(run.events(), follow_remote(run, lost))
    if as_json:
        for said in coming:
            output.say(said.to_line())
    else:
        with TrainProgress() as progress:
            for said in coming:
                progress.show(said)
    events = run.events()
    if not has_ended(events):
        raise output.FailedError(f"{run.name} ended without a word. Its log ends with:\n{remote_log_tail(run)}")
    last = events[-1]
    if isinstance(last, event.Failed):
        raise output.FailedError(f"{last.message} {last.hint}".strip())
    if not as_json:
        output.say(f"Bring it here  luthier remote fetch {run.name}")
    return 0


@application.command()
def stop(name: RunName) -> int:
    """Asks a run to save and end."""
    from app.core.remote.control import stop_remote
    from app.core.remote.record import remote_run

    run = remote_run(name)
    output.say(f"{run.name} saves and ends." if stop_remote(run) else f"{run.name} does not run any more.")
    return 0


@application.command()
def fetch(name: RunName, as_json: AsJson = False) -> int:
    """Brings a run among those here: curves, log and adapters; its checkpoints stay there."""
    import shlex

    from app.core.remote.control import fetch_remote
    from app.core.remote.record import remote_run

    folder = fetch_remote(remote_run(name))
    if as_json:
        output.say_json({"path": str(folder)})
    else:
        output.say(f"{folder}\nLook at it  luthier {shlex.quote(str(folder))}")
    return 0


@application.command("list")
def list_(as_json: AsJson = False) -> int:
    """Lists the runs elsewhere that were started here, as they were heard of last."""
    from app.core.remote.record import remote_runs

    runs = remote_runs()
    if as_json:
        output.say_json({"runs": [{"name": r.name, "host": r.host.name, "state": r.state} for r in runs]})
    elif runs:
        output.table(["run", "host", "heard last"], [[run.name, run.host.name, run.state] for run in runs])
    else:
        output.say("No run was started elsewhere from here.")
    return 0
