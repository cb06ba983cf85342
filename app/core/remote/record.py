"""What this machine knows of runs elsewhere: for each a folder with where it is, and what was heard of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.core.json_text import parsed_json
from app.core.problem import Problem, UnusableError
from app.core.protocol.event import Event, read_events
from app.core.protocol.job import EVENTS_FILE
from app.core.remote.host import SshHost
from app.core.run.folder import recorded_state
from app.core.run.name import folder_word
from app.core.system import place
from app.core.system.atomic_file import write_text

RECORD = "remote.json"
THERE = "luthier"  # the folder of all runs over there, in the home of whoever logs in


@dataclass(frozen=True, slots=True)
class RemoteRun:
    """One run elsewhere. ``path`` is its folder here: ``remote.json``, and ``events.jsonl`` as far as it came."""

    path: Path
    host: SshHost

    @property
    def name(self) -> str:
        """What it is called, here and there."""
        return self.path.name

    @property
    def place(self) -> str:
        """Its folder over there, from the home folder on."""
        return f"{THERE}/{self.name}"

    @property
    def events_file(self) -> Path:
        """What was heard of it."""
        return self.path / EVENTS_FILE

    def events(self) -> list[Event]:
        """The same, read."""
        return read_events(self.events_file)

    @property
    def state(self) -> str:
        """As it was heard last: new, running, finished, stopped or failed."""
        state = "new"
        for said in self.events():
            state = recorded_state(said, state)
        return state

    def save(self) -> None:
        """Writes where it is."""
        tree = {"host": self.host.name, "ssh": list(self.host.ssh)}
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.path / RECORD, json.dumps(tree, indent=1) + "\n")


def remote_dir() -> Path:
    """Where the records lie."""
    return place.data_dir() / "remote"


def new_remote(title: str, host: SshHost) -> RemoteRun:
    """A run that is not there yet, named like those here: by time and title."""
    word = folder_word(title)
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    path, number = remote_dir() / f"{stamp}_{word}", 1
    while path.exists():
        number += 1
        path = remote_dir() / f"{stamp}_{word}-{number}"
    return RemoteRun(path, host)


def remote_runs() -> list[RemoteRun]:
    """All that are known here, the newest first."""
    found = []
    for path in sorted(remote_dir().glob(f"*/{RECORD}"), reverse=True):
        try:
            tree = parsed_json(path.read_text(encoding="utf-8"))
            found.append(RemoteRun(path.parent, SshHost(str(tree["host"]), tuple(map(str, tree["ssh"])))))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def remote_run(name: str) -> RemoteRun:
    """The run of that name, else the newest on the host of that name. Raises `UnusableError`."""
    known = remote_runs()
    for run in known:
        if name in (run.name, run.host.name):
            return run
    said = f"No run elsewhere is known by “{name}”, and none on a host of that name."
    raise UnusableError([Problem("name", said, hint="`luthier remote list` names those that are.")])
