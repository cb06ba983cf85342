"""The place that is a host of one's own: whatever the system's ssh reaches without asking."""

from __future__ import annotations

from pathlib import Path

from app.core.language import tr
from app.core.place.place import Asked, PlaceStanding, ShellPlace, Tell
from app.core.problem import UnusableError
from app.core.remote.control import (
    is_alive_there,
    send_bundle,
    start_there,
)
from app.core.remote.host import SshHost
from app.core.remote.record import RemoteRun


class SshPlace(ShellPlace):
    """A machine of one's own: it is neither rented nor given back."""

    name = "ssh"
    label = tr("A machine by ssh")
    needs = tr(
        "A machine that `ssh NAME` gets into without asking, with rsync, and Python 3.11 or uv; "
        "what else the training needs is installed there, in the run's own folder, from its "
        "package index."
    )
    costs = tr("Nothing that Luthier knows of: the machine's GPU, disk and network are used.")
    stops = tr("It saves its adapter and ends.")
    needs_host = True

    def _start(self, folder: Path, run: RemoteRun, asked: Asked, told: Tell) -> RemoteRun:
        host = SshHost.of(asked.host, asked.ssh)
        told(tr("Sending the bundle to {name}", name=host.name))
        run = RemoteRun(run.path, run.place, {"host": host.name, "ssh": list(host.ssh)})
        try:
            send_bundle(host, folder, run)
        except BaseException:
            run.discard()
            raise
        told(tr("Starting it there"))
        run.save()
        start_there(host, run, asked.python)
        return run

    def standing(self, run: RemoteRun) -> PlaceStanding:
        try:
            alive = is_alive_there(run.host, run)
        except UnusableError as error:
            return PlaceStanding(True, error.problems[0].message)
        return PlaceStanding(
            alive,
            tr("It runs on {where}.", where=run.where)
            if alive
            else tr("It does not run on {where} any more.", where=run.where),
        )
