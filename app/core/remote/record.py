"""The record of a run elsewhere: a file in the run's own folder that says where it trains, and what finds it again.

The folder stands among the runs from the beginning: config and setup of the bundle, the events as far as they came,
and at the end what was brought. No secret is in it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.protocol.event import Event, read_events
from app.core.protocol.job import EVENTS_FILE, RUN_CONFIG
from app.core.remote.host import SshHost
from app.core.run.folder import OPEN_STATES, RUN_REMOTE, RUN_SETUP, make_folder, recorded_state, runs_dir
from app.core.run.name import folder_word
from app.core.system.atomic_file import write_text

THERE = "luthier"  # the folder of all runs over there, in the home of whoever logs in


@dataclass(frozen=True, slots=True)
class RemoteRun:
    """One run elsewhere. ``path`` is its folder here, ``place`` the name of where it trains; ``details`` are what
    that place needs to find it: a host, the number of a machine or a job, its folder there."""

    path: Path
    place: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it is called, here and there."""
        return self.path.name

    @property
    def folder(self) -> str:
        """Its folder over there, from the home folder on or whole."""
        return str(self.details.get("folder", f"{THERE}/{self.name}"))

    @property
    def host(self) -> SshHost:
        """The machine, where ssh reaches it. Raises `UnusableError` while it has none."""
        if not self.details.get("host"):
            said = tr("{name} has no machine yet.", name=self.name)
            raise UnusableError(
                [Problem("name", said, hint=tr("`luthier remote status {name}` asks the place.", name=self.name))]
            )
        ssh = tuple(map(str, self.details.get("ssh") or ("ssh",)))
        return SshHost(str(self.details["host"]), ssh)

    @property
    def where(self) -> str:
        """The place in words."""
        return str(self.details.get("where") or self.details.get("host") or self.place)

    @property
    def is_closed(self) -> bool:
        """Whether nothing of it is elsewhere any more that could be brought, or could cost."""
        return bool(self.details.get("closed", False))

    @property
    def events_file(self) -> Path:
        """What was heard of it."""
        return self.path / EVENTS_FILE

    def events(self) -> list[Event]:
        """The same, read."""
        return read_events(self.events_file)

    @property
    def state(self) -> str:
        """As it was heard last: new, running, finished, stopped or failed.

        Crashed if all of it is here, and no word of its end is among it.
        """
        state = "new"
        for said in self.events():
            state = recorded_state(said, state)
        return "crashed" if self.is_closed and state in OPEN_STATES else state

    def save(self) -> None:
        """Writes where it is."""
        self.path.mkdir(parents=True, exist_ok=True)
        tree = {"place": self.place, **self.details}
        write_text(self.path / RUN_REMOTE, json.dumps(tree, indent=1) + "\n")

    def discard(self) -> None:
        """Takes the folder away again, of a run that never was."""
        shutil.rmtree(self.path, ignore_errors=True)

    def with_details(self, **details: Any) -> RemoteRun:
        """The same run with more known of it, written."""
        run = replace(self, details=dict(self.details) | details)
        run.save()
        return run

    def take_setup(self, bundle: Path) -> None:
        """Copies what a run's folder holds of its setup out of a bundle's folder."""
        self.path.mkdir(parents=True, exist_ok=True)
        for name in (RUN_CONFIG, RUN_SETUP):
            if (bundle / name).is_file():
                shutil.copyfile(bundle / name, self.path / name)


def new_remote(title: str, place: str, details: Mapping[str, Any] | None = None) -> RemoteRun:
    """A run that is not there yet, named like those here: by time and title. Its folder here is made at once."""
    runs_dir().mkdir(parents=True, exist_ok=True)
    return RemoteRun(make_folder(runs_dir(), folder_word(title)), place, dict(details or {}))


def read_remote(path: Path) -> RemoteRun | None:
    """The record in a run's folder; None if there is none that can be read."""
    try:
        tree = parsed_json((path / RUN_REMOTE).read_text(encoding="utf-8"))
        place = str(tree.pop("place"))
        if not isinstance(tree.get("ssh", []), list):
            return None
        return RemoteRun(path, place, tree)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def remote_runs() -> list[RemoteRun]:
    """All that are known here, the newest first."""
    paths = sorted((path.parent for path in runs_dir().glob(f"*/{RUN_REMOTE}")), reverse=True)
    return [run for path in paths if (run := read_remote(path)) is not None]


def remote_run(name: str) -> RemoteRun:
    """The run of that name, else the newest at the place or on the host of that name. Raises `UnusableError`."""
    for run in remote_runs():
        if name in (run.name, run.place, run.where, str(run.details.get("host", ""))):
            return run
    said = tr("No run elsewhere is known by “{name}”, and none at a place or on a host of that name.", name=name)
    raise UnusableError([Problem("name", said, hint=tr("`luthier remote list` names those that are."))])
