"""The place that is a host of one's own: whatever the system's ssh reaches without asking."""

from __future__ import annotations

from pathlib import Path

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
    label = "A machine by ssh"
    needs = (
        "A machine that `ssh NAME` gets into without asking, with rsync, and Python 3.11 or uv; what else the "
        "training needs is installed there, in the run's own folder, from its package index."
    )
    costs = "Nothing that Luthier knows of: the machine's GPU, disk and network are used."
    stops = "It saves its adapter and ends."
    needs_host = True

    def _start(self, folder: Path, run: RemoteRun, asked: Asked, told: Tell) -> RemoteRun:
        host = SshHost.of(asked.host, asked.ssh)
        told(f"Sending the bundle to {host.name}")
        run = RemoteRun(run.path, run.place, {"host": host.name, "ssh": list(host.ssh)})
        try:
            send_bundle(host, folder, run)
        except BaseException:
            run.discard()
            raise
        told("Starting it there")
        run.save()
        start_there(host, run, asked.python)
        return run

    def standing(self, run: RemoteRun) -> PlaceStanding:
        try:
            alive = is_alive_there(run.host, run)
        except UnusableError as error:
            return PlaceStanding(True, error.problems[0].message)
        return PlaceStanding(
            alive, f"It runs on {run.where}." if alive else f"It does not run on {run.where} any more."
        )
