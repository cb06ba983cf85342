"""A run elsewhere started, stopped and fetched: what the shell over there is asked to do."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from app.core.bundle.archive import unpack
from app.core.bundle.manifest import seal_problems
from app.core.bundle.recipe import RECIPE
from app.core.bundle.script import LOCK
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.protocol.job import LOG_FILE
from app.core.remote.record import RemoteRun
from app.core.system.leftover import temporary_prefix

# Made once for each machine's folder: what the bundle names, to the version and (with its lock) to the hash. uv is
# quicker where it is there, and brings a Python.
PREPARE = f"""
want=requirements.txt; [ -e {LOCK} ] && want={LOCK}
[ -e env/ready ] || {{
  if command -v uv >/dev/null; then
    uv venv -q --clear --python ">=3.11,<3.15" env && VIRTUAL_ENV="$PWD/env" uv pip install -q -r "$want"
  else
    python3 -m venv env && env/bin/python -m pip install -q -r "$want"
  fi && : >env/ready
}} || exit 1
"""
OWN_PYTHON = "env/bin/python"
CHECKPOINTS = "checkpoints"  # stay there: what a resume there needs

# Whether the run's process lives. A number may be another's by now, after a restart of the machine.
ALIVE = (
    'p=$(cat pid 2>/dev/null) && kill -0 "$p" 2>/dev/null && '
    '{ ! command -v ps >/dev/null || ps -p "$p" -o args= | grep -q train.py; }'
)


class NothingYetError(UnusableError):
    """A run elsewhere has written nothing that could be brought."""

    def __init__(self, run: RemoteRun) -> None:
        said = tr("{name} has written nothing yet.", name=run.name)
        super().__init__(
            [Problem("name", said, hint=tr("`luthier remote watch {name}` shows how far it is.", name=run.name))]
        )


class Shell(Protocol):
    """A machine whose shell runs what it is told, and to which files can be copied."""

    def run(self, script: str) -> str:
        """What a script says; raises `UnusableError` with the machine's own words where it fails."""

    def copy_there(self, folder: Path, place: str) -> None:
        """Brings what is in a folder to ``place``."""

    def copy_here(self, place: str, folder: Path, leave_out: Sequence[str] = ()) -> None:
        """Brings what is at ``place`` into a folder."""


def bundle_name(folder: Path) -> str:
    """What the setup of a bundle's folder is called. Raises `UnusableError` if it is not as it was sealed."""
    if problems := seal_problems(folder):
        raise UnusableError(problems)
    return str(parsed_json((folder / RECIPE).read_text(encoding="utf-8"))["name"])


def send_bundle(shell: Shell, folder: Path, run: RemoteRun) -> None:
    """Brings a bundle's folder to where the run will be, which must not be there yet.

    Another run of that name, begun elsewhere in the same second, would write its events into the same file.
    """
    shell.run(f"mkdir -p {shlex.quote(str(PurePosixPath(run.folder).parent))} && mkdir {shlex.quote(run.folder)}")
    shell.copy_there(folder, run.folder)


def start_there(shell: Shell, run: RemoteRun, python: str = "") -> None:
    """Starts what was sent, detached from this machine.

    ``python`` is one there that has what the bundle needs; without it one is made, which takes a while.
    """
    prepare, program = ("true", shlex.quote(python)) if python else (PREPARE, OWN_PYTHON)
    inside = f"{prepare}\nexec {program} -u train.py"
    # The process's number is written before it begins; whoever reads it finds it or its end, never nothing.
    shell.run(
        f"cd {shlex.quote(run.folder)} && "
        f"{{ nohup sh -c {shlex.quote(inside)} >log.txt 2>&1 </dev/null & }} && echo $! >pid && test -s pid"
    )


def stop_there(shell: Shell, run: RemoteRun) -> bool:
    """Asks a run to save and end; false if it does not run."""
    script = f'cd {shlex.quote(run.folder)} && if {ALIVE}; then kill -TERM "$p" && echo asked; fi'
    return shell.run(script).strip() == "asked"


def is_alive_there(shell: Shell, run: RemoteRun) -> bool:
    """Whether the run's process lives."""
    return (
        shell.run(f"cd {shlex.quote(run.folder)} 2>/dev/null && if {ALIVE}; then echo alive; fi; true").strip()
        == "alive"
    )


def fetch_there(shell: Shell, run: RemoteRun) -> Path:
    """Brings what the run made into its folder here: events, log, adapters; not its checkpoints.

    Raises `NothingYetError` if there is nothing yet.
    """
    folder = shlex.quote(run.folder)
    log = shell.run(f"cat {folder}/log.txt 2>/dev/null || true")
    if log:
        run.path.mkdir(parents=True, exist_ok=True)
        (run.path / LOG_FILE).write_text(log, encoding="utf-8")
    if shell.run(f"test -e {folder}/run/config.yaml && echo there || true").strip() != "there":
        raise NothingYetError(run)
    shell.copy_here(f"{run.folder}/run", run.path, [CHECKPOINTS])
    return run.path


def log_tail_there(shell: Shell, run: RemoteRun, lines: int = 15) -> str:
    """The last lines of what the script printed."""
    return shell.run(f"tail -n {lines} {shlex.quote(run.folder)}/log.txt 2>/dev/null || true")


@contextmanager
def opened_bundle(bundle: Path) -> Iterator[Path]:
    """The folder of a bundle; of an archive one that is there only inside the ``with``."""
    if bundle.is_dir():
        yield bundle
        return
    if not bundle.is_file():
        said = tr("There is no bundle at {bundle}.", bundle=bundle)
        raise UnusableError([Problem("bundle", said, hint=tr("`luthier bundle` makes one."))])
    with tempfile.TemporaryDirectory(prefix=temporary_prefix("bundle")) as temporary:
        try:
            unpack(bundle, Path(temporary))
        except (OSError, ValueError) as error:
            raise UnusableError(
                [Problem("bundle", tr("{bundle} cannot be unpacked: {error}.", bundle=bundle, error=error))]
            ) from error
        inner = [path for path in Path(temporary).iterdir() if path.is_dir()]
        yield inner[0] if len(inner) == 1 else Path(temporary)
