"""An endpoint that goes on without the window: how it is started, what is known of it, and how it is ended."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from app.core.export.endpoint import Endpoint
from app.core.json_text import parsed_json
from app.core.protocol.job import ServeJob
from app.core.protocol.program import own_command
from app.core.system import place
from app.core.system.atomic_file import write_text

SERVED_FILE, SERVED_LOG = "served.json", "served.log"  # in the user's data folder
ASK_S = 1.0  # what an endpoint on this machine gets to say that it is there


@dataclass(frozen=True, slots=True)
class ServedAlone:
    """``pid`` is the process that serves ``endpoint``; ``label`` is what people call what it serves."""

    endpoint: Endpoint
    pid: int
    label: str


def serve_command(job: ServeJob) -> list[str]:
    """The command line that does the job without a window."""
    values = {
        "checkpoint": job.checkpoint, "port": job.port, "key": job.key, "temp": job.temp, "top-p": job.top_p,
        "top-k": job.top_k, "min-p": job.min_p, "max-tokens": job.max_tokens, "strength": job.strength,
        "model": job.model,
    }  # fmt: skip
    options = [f"--{name}={value}" for name, value in values.items() if value != ""]
    return [*own_command(), "serve", str(job.source), *options]


def job_at(job: ServeJob, endpoint: Endpoint) -> ServeJob:
    """The job that serves the same at the address and with the key of ``endpoint``."""
    port = int(endpoint.url.rpartition(":")[2].partition("/")[0])
    return job.model_copy(update={"port": port, "key": endpoint.key})


def note_served(found: ServedAlone) -> None:
    """Keeps note of it, for the next window. Raises `OSError` if that cannot be written."""
    write_text(place.data_dir() / SERVED_FILE, json.dumps(asdict(found), indent=1) + "\n")


def served_log() -> Path:
    """The file for what it prints; its folder is there."""
    place.data_dir().mkdir(parents=True, exist_ok=True)
    return place.data_dir() / SERVED_LOG


def is_noted() -> bool:
    """Whether there is a note at all."""
    return (place.data_dir() / SERVED_FILE).is_file()


def served_alone() -> ServedAlone | None:
    """What is noted, if it answers; asks it, for `ASK_S` at most. The note of one that has ended is taken away."""
    file = place.data_dir() / SERVED_FILE
    try:
        tree = parsed_json(file.read_text(encoding="utf-8"))
        found = ServedAlone(Endpoint.from_dict(tree["endpoint"]), int(tree["pid"]), str(tree["label"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if answers(found.endpoint):
        return found
    if not _is_alive(found.pid):  # one that still loads its model keeps its note
        with suppress(OSError):
            file.unlink()
    return None


def answers(endpoint: Endpoint) -> bool:
    """Whether that model is served there to whoever has the key: nobody else could have put it there."""
    from http.client import HTTPException
    from urllib.request import Request, urlopen  # some hundredths of a second that no start should wait for

    try:
        request = Request(f"{endpoint.url}/models", headers={"Authorization": f"Bearer {endpoint.key}"})
        with urlopen(request, timeout=ASK_S) as response:  # nosec B310 # on the loopback
            listed = parsed_json(response.read())["data"]
            return [one["id"] for one in listed] == [endpoint.model]
    except (OSError, ValueError, KeyError, TypeError, OverflowError, HTTPException):  # a port may be any number
        return False


def end_served(found: ServedAlone) -> None:
    """Ends it. Raises `OSError` in the system's words if it cannot be ended."""
    if answers(found.endpoint):
        os.kill(found.pid, signal.SIGINT)
    with suppress(FileNotFoundError):
        (place.data_dir() / SERVED_FILE).unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
