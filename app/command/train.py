"""``luthier train``: one run from a config file, through the same worker as the window's."""

from __future__ import annotations

import errno
import shlex
import shutil
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from app.command import output
from app.command.option import Beside, TrustRewardFile, ask_beside, trust_rewards
from app.command.output import DONE, FAILED, UNUSABLE
from app.core.typed_path import typed_path

if TYPE_CHECKING:
    from app.core.config.train_config import TrainConfig
    from app.core.protocol.event import Event, Failed
    from app.core.replica.hostfile import Hostfile
    from app.core.run.folder import RunDir

application = typer.Typer(add_completion=False, rich_markup_mode=None)

# Where there can be no folder, whatever is tried again; a full disk is another matter.
NO_PLACE = (errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENAMETOOLONG, errno.EILSEQ)


@application.command()
def train(
    config: Annotated[
        Path, typer.Argument(help="The config: a YAML file with mlx-lm's keys, as the window saves it.")
    ],
    run_dir: Annotated[
        Path | None, typer.Option(help="The folder of the run; a new one among the runs unless given.")
    ] = None,
    trust_reward_file: TrustRewardFile = False,
    hosts: Annotated[
        Path | None,
        typer.Option(help="Train on the machines of this hostfile (mlx.launch's), this one first."),
    ] = None,
    replicas: Annotated[
        int | None, typer.Option(min=2, help="Train in so many processes on this machine, which share each batch.")
    ] = None,
    beside: Beside = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the run's events, one JSON object a line.")
    ] = False,
) -> int:
    """Trains as the config says. Ctrl-C stops after the current iteration and saves; a second one ends at once."""
    from app.core.run.folder import missing_folders
    from app.core.run.name import with_name
    from app.core.setup.config_file import load_config

    loaded = load_config(config)
    output.complain(loaded.problems)
    check_paths(loaded.config, config)
    hostfile = chosen_hosts(hosts, replicas)
    check_replicas(loaded.config, hostfile)
    if trust_reward_file:
        trust_rewards(loaded.config)
    ask_beside(beside)
    new = missing_folders(typed_path(run_dir)) if run_dir is not None else []
    run = make_run(with_name(loaded.config, loaded.named), run_dir)
    last: Event | None = None
    is_kept = False
    try:
        put_hosts(run, hostfile)
        last = follow(run, as_json=as_json)
        is_kept = exit_code(last) == FAILED or has_trained(run, last)
    finally:
        # An empty run would only stand in the way of the next try at this place.
        if not is_kept and not has_trained(run, last):
            clear_run(run, new if run_dir is not None else [run.path])
    code = exit_code(last)
    return code if is_kept or code == UNUSABLE else FAILED  # it was stopped before there was a result


def has_trained(run: RunDir, last: Event | None) -> bool:
    """True if a run has an adapter, or a state to go on from; not if its last event says that it was stopped before
    its first iteration: what it saved then is as before."""
    from app.core.protocol import event

    if isinstance(last, event.Finished) and last.reason == "stopped" and not last.iteration:
        return False
    return any(folder.is_dir() and any(folder.iterdir()) for folder in (run.adapters, run.state))


def clear_run(run: RunDir, new: Iterable[Path]) -> None:
    """Takes away what a run that trained nothing has written, and of the folders that are new those empty then."""
    from app.core.replica.hostfile import RUN_HOSTS
    from app.core.run.folder import remove_empty

    for path in (*run.written, run.path / RUN_HOSTS):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    remove_empty(new)


def chosen_hosts(hosts: Path | None, replicas: int | None) -> Hostfile | None:
    """Where the replicas of a run are to be; None for one process. Raises `UnusableError`."""
    from app.core.problem import Problem, UnusableError
    from app.core.replica.hostfile import hosts_here, read_hostfile

    if hosts is not None and replicas is not None:
        raise UnusableError([Problem("hosts", "Give --hosts or --replicas: a hostfile says how many there are.")])
    if hosts is not None:
        return read_hostfile(hosts)
    return hosts_here(replicas) if replicas is not None and replicas > 1 else None


def check_replicas(config: TrainConfig, hostfile: Hostfile | None) -> None:
    """Raises `UnusableError` for what several replicas cannot train."""
    from app.core.problem import UnusableError
    from app.core.replica.problem import replica_problems

    if hostfile is not None and (problems := replica_problems(config, len(hostfile))):
        raise UnusableError(problems)


def put_hosts(run: RunDir, hostfile: Hostfile | None) -> None:
    """Says in a run's folder where its replicas are; None: nowhere but here."""
    from app.core.replica.hostfile import RUN_HOSTS, save_hostfile
    from app.core.setup.config_file import load_config

    check_replicas(load_config(run.config).config, hostfile)
    if hostfile is None:
        (run.path / RUN_HOSTS).unlink(missing_ok=True)
    else:
        save_hostfile(hostfile, run.path / RUN_HOSTS)


def check_paths(config: TrainConfig, file: Path) -> None:
    """Raises `UnusableError` if the model or data are not where the config says: before a run is made for them."""
    from app.core.model.folder import locate_model
    from app.core.problem import Problem, UnusableError

    problems = []
    try:
        locate_model(config.model)
    except UnusableError as error:
        problems += error.problems
    for field in ("data", "valid_data", "test_data", "reward_functions_file"):
        value = str(config.value(field))
        if value and not typed_path(value).exists():
            problems.append(Problem(field, f"`{field}`: {value} does not exist.", file=str(file)))
    if not config.data:
        problems.append(Problem("data", "`data`: No training data is given.", file=str(file)))
    if problems:
        raise UnusableError(problems)


def make_run(config: TrainConfig, run_dir: Path | None) -> RunDir:
    """The folder of a new run; raises `UnusableError` if there already is one in ``run_dir``, or anything else."""
    from app.core.problem import Problem, UnusableError
    from app.core.refusal import reason_of
    from app.core.run.folder import create_run, prepare_run

    if run_dir is None:
        return create_run(config)
    folder = typed_path(run_dir)
    try:
        if not holds_run(folder) and (said := not_for_a_run(folder)):
            raise UnusableError([Problem("--run-dir", said, hint="Name a folder that is new or empty.")])
        return prepare_run(config, folder)
    except FileExistsError as error:
        hint = f"`luthier resume {shlex.quote(str(run_dir))}` goes on with it; choose another folder for a new one."
        raise UnusableError([Problem("", f"{error}.", hint=hint)]) from error
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        raise UnusableError([Problem("--run-dir", f"{folder}: {reason_of(error)}.")]) from error


def holds_run(folder: Path) -> bool:
    """True if a folder is a run's."""
    from app.core.run.folder import RunDir

    return RunDir(folder).events.exists() or RunDir(folder).config.exists()


def not_for_a_run(path: Path) -> str:
    """Why a run cannot have a path as its folder; empty for one that is new or empty."""
    if not path.exists():
        return ""
    if not path.is_dir():
        return f"{path} is a file, and a run needs a folder."
    others = sorted(_others({found.name for found in path.iterdir()}))
    if not others:
        return ""
    named = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
    return f"{path} holds other files ({named}), among which a run would write its own."


def _others(names: set[str]) -> set[str]:
    """Those names that are neither the system's nor what a start leaves that is killed before there is a run: its
    lock, its setup, and a config in writing."""
    from app.core.run.folder import RUN_LOCK, RUN_SETUP

    own = {RUN_LOCK, RUN_SETUP} if RUN_LOCK in names else set[str]()
    written = (".setup-", ".config-") if own else ()
    return {name for name in names - own - {".DS_Store"} if not name.startswith(written)}


def follow(run: RunDir, *, as_json: bool) -> Event | None:
    """Trains ``run`` in a worker, tells how it goes and how it ended; returns its last event.

    Where Metal's watchdog ended it, it goes on by itself with smaller pieces, as often as these get smaller.
    """
    from app.core.live.supervisor import supervise
    from app.core.live.watchdog import prepare_smaller, was_ended_by_watchdog
    from app.core.run.folder import last_event

    lock = supervise(run)
    try:
        while True:
            last = _follow_once(run, as_json=as_json)
            lock = lock or supervise(run)
            if lock is None or not was_ended_by_watchdog(run, last) or not (told := prepare_smaller(run)):
                return last
            output.remark(f"warning: {told}")
    except output.ReaderGoneError as gone:  # the worker was told to stop, and has ended
        is_saved = has_trained(run, last_event(run))
        gone.code = DONE if is_saved else FAILED
        how = f"it is saved. Go on with: luthier resume {shlex.quote(str(run.path))}"
        output.remark(f"Nobody reads what the run says: {how if is_saved else 'nothing was trained.'}")
        raise
    finally:
        if lock is not None:
            lock.release()


def _follow_once(run: RunDir, *, as_json: bool) -> Event | None:
    from app.command.progress import TrainProgress
    from app.core.protocol import event

    if as_json:
        return work(run, lambda said: output.say(said.to_line()))
    with TrainProgress() as progress:
        last = work(run, progress.show)
    if isinstance(last, event.Failed):
        _tell_failure(run, last)
    elif isinstance(last, event.Finished) and last.reason == "paused":
        output.remark(f"{last.message}\n  Go on with: luthier resume {shlex.quote(str(run.path))}")
    elif has_trained(run, last):
        output.say(next_steps(run, stopped=isinstance(last, event.Finished) and last.reason == "stopped"))
    else:
        output.remark("Nothing was trained.")
    return last


def work(run: RunDir, show: Callable[[Event], None]) -> Event | None:
    """Trains ``run`` in a worker that Ctrl-C stops, shows each event, and returns the last."""
    from app.core.protocol.client import WorkerClient

    last: Event | None = None
    with WorkerClient(run.path, run.log) as worker, worker.stopped_by_interrupt(), Silence() as silence:
        for said in worker.events():
            silence.broken()
            last = said
            show(said)
    return last


class Silence(AbstractContextManager["Silence"]):
    """Tells when a worker has not said a word for as long as the settings allow; once for each silence."""

    def __init__(self) -> None:
        from app.core.system.setting import load_settings

        self._seconds = load_settings().silence_s
        self._heard, self._over = threading.Event(), False

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, daemon=True, name="silence").start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over = True
        self._heard.set()

    def broken(self) -> None:
        """The worker said something."""
        self._heard.set()

    def _watch(self) -> None:
        from app.core.quantity import duration_text

        while not self._over:
            if self._heard.wait(self._seconds):
                self._heard.clear()
                continue
            took = duration_text(self._seconds)
            said = f"The worker has not said a word for {took}: a long step, or it is stuck."
            output.remark(f"warning: {said}\n  Ctrl-C asks it to save and end; pressed again, it ends it at once.")
            self._heard.wait()


def _tell_failure(run: RunDir, failed: Failed) -> None:
    output.remark(f"error: {failed.message}")
    if failed.hint and failed.hint not in failed.message:
        output.remark(f"  {failed.hint}")
    if not failed.unusable:
        output.remark(f"  The log is {run.log}")


def exit_code(last: Event | None) -> int:
    """Done for a run that ended as it should, unusable if its input was at fault, else failed (also where it waits
    for room)."""
    from app.core.protocol import event

    if isinstance(last, event.Finished):
        return FAILED if last.reason == "paused" else DONE
    return UNUSABLE if isinstance(last, event.Failed) and last.unusable else FAILED


def next_steps(run: RunDir, *, stopped: bool = False) -> str:
    """Where the adapter is, and what can be done with it."""
    from app.core.setup.config_file import load_config

    model = shlex.quote(load_config(run.config).config.model)
    adapters, folder = shlex.quote(str(run.adapters)), shlex.quote(str(run.path))
    lines = [
        f"\nThe adapter is in {run.adapters}\n",
        f"Ask it      luthier generate --model {model} --adapter-path {adapters} --prompt 'Hello'",
        f"Look at it  luthier {folder}",
    ]
    return "\n".join([*lines, f"Go on       luthier resume {folder}"] if stopped else lines)
