"""``luthier hosts``: whether the machines of a hostfile can train together, and how fast they exchange."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.command import output
from app.command.option import AsJson

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def hosts(
    hostfile: Annotated[Path, typer.Argument(help="mlx.launch's hostfile, this machine first.")],
    model: Annotated[str, typer.Option(help="The base model: a folder, or a name in the hub's cache.")],
    as_json: AsJson = False,
) -> int:
    """Starts a replica on each host, compares versions and the base model, joins all of them, and measures what an
    exchange costs. Exit code 1 if they cannot train together."""
    from app.command.worker import absolute, result_of
    from app.core.protocol.job import HostsJob
    from app.core.replica.hostfile import read_hostfile

    found = read_hostfile(hostfile)
    said = result_of(HostsJob(hostfile=found.tree(), model=absolute(model)))
    if as_json:
        output.say_json(said)
        return 0 if said["joined"] else 1
    for number, row in enumerate(said["hosts"]):
        name = "this machine" if number == 0 else found.hosts[number].ssh
        output.say(f"{'ok     ' if row['ok'] else 'NOT OK '}  {number}  {name}  {row['about']}".rstrip())
        for problem in row["problems"]:
            output.say(f"{'':12}{problem}")
    output.say(joined_line(said))
    return 0 if said["joined"] else 1


def joined_line(said: dict[str, Any]) -> str:
    """Whether they can train together, and what it costs."""
    from app.core.replica.hostfile import speed_text

    if said["joined"]:
        return f"They join: {speed_text(said['latency_s'], said['bytes_per_s'])}"
    return said["problem"] or "They cannot train together yet."
