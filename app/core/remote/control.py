"""A run elsewhere started, stopped and fetched: what the shell over there is asked to do."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.bundle.manifest import seal_problems
from app.core.bundle.recipe import RECIPE
from app.core.json_text import parsed_json
from app.core.problem import Problem, UnusableError
from app.core.remote.host import SshHost
from app.core.remote.record import RemoteRun, new_remote
from app.core.run.folder import runs_dir
from app.core.system.leftover import temporary_prefix

# Made once for each run: what the bundle names, to the version, and nothing else.
PREPARE = (
    "[ -x env/bin/python ] || "
    "{ python3 -m venv env && env/bin/python -m pip install -q -r requirements.txt; } || exit 1"
)
OWN_PYTHON = "env/bin/python"


# Whether the run's process lives. A number may be another's by now, after a restart of the machine.
ALIVE = (
    'p=$(cat pid 2>/dev/null) && kill -0 "$p" 2>/dev/null && '
    '{ ! command -v ps >/dev/null || ps -p "$p" -o args= | grep -q train.py; }'
)


def start_remote(bundle: Path, host: SshHost, python: str = "") -> RemoteRun:
    """Brings a bundle (a folder or an archive) to a host and starts it there, detached from this machine.

    ``python`` is one there that has what the bundle needs; without it one is made, which takes a while. Raises
    `UnusableError` for a bundle that is not as it was sealed, and for a host that cannot be reached.
    """
    with _opened(bundle) as folder:
        if problems := seal_problems(folder):
            raise UnusableError(problems)
        run = new_remote(str(parsed_json((folder / RECIPE).read_text(encoding="utf-8"))["name"]), host)
        place = shlex.quote(run.place)
        host.run(f"mkdir -p {place}")
        host.copy_there(folder, run.place)
    prepare, program = ("true", shlex.quote(python)) if python else (PREPARE, OWN_PYTHON)
    inside = f"{prepare}; exec {program} -u train.py"
    # The process's number is written before it begins; whoever reads it finds it or its end, never nothing.
    script = (
        f"cd {place} && {{ nohup sh -c {shlex.quote(inside)} >log.txt 2>&1 </dev/null & }} && echo $! >pid && "
        "test -s pid"
    )
    host.run(script)
    run.save()
    return run


def stop_remote(run: RemoteRun) -> bool:
    """Asks a run to save and end; false if it does not run."""
    script = f'cd {shlex.quote(run.place)} && if {ALIVE}; then kill -TERM "$p" && echo asked; fi'
    return run.host.run(script).strip() == "asked"


def fetch_remote(run: RemoteRun) -> Path:
    """Brings the run's folder among the runs here: config, events, log, adapters; not its checkpoints.

    Raises `UnusableError` if there is nothing yet.
    """
    place = shlex.quote(run.place)
    if run.host.run(f"test -e {place}/run/config.yaml && echo there || true").strip() != "there":
        said = f"{run.name} has written nothing yet."
        raise UnusableError([Problem("name", said, hint=f"`luthier remote watch {run.name}` shows how far it is.")])
    folder = runs_dir() / run.name
    run.host.copy_here(f"{run.place}/run", folder, ["checkpoints"])
    (folder / "log.txt").write_text(run.host.run(f"cat {place}/log.txt"), encoding="utf-8")
    return folder


def remote_log_tail(run: RemoteRun, lines: int = 15) -> str:
    """The last lines of what the script printed."""
    return run.host.run(f"tail -n {lines} {shlex.quote(run.place)}/log.txt 2>/dev/null || true")


@contextmanager
def _opened(bundle: Path) -> Iterator[Path]:
    """The folder of a bundle; of an archive one that is there only inside the ``with``."""
    if bundle.is_dir():
        yield bundle
        return
    if not bundle.is_file():
        said = f"There is no bundle at {bundle}."
        raise UnusableError([Problem("bundle", said, hint="`luthier bundle` makes one.")])
    with tempfile.TemporaryDirectory(prefix=temporary_prefix("bundle")) as temporary:
        try:
            shutil.unpack_archive(str(bundle), temporary, filter="data" if bundle.suffix != ".zip" else None)
        except (shutil.ReadError, OSError, ValueError) as error:
            raise UnusableError([Problem("bundle", f"{bundle} cannot be unpacked: {error}.")]) from error
        inner = [path for path in Path(temporary).iterdir() if path.is_dir()]
        yield inner[0] if len(inner) == 1 else Path(temporary)
