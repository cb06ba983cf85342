"""``luthier queue``: setups that are trained one after the other: adds, lists, orders and runs them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.command import output
from app.command.option import AsJson, Beside, TrustRewardFile, trust_rewards

if TYPE_CHECKING:
    from app.core.config.train_config import TrainConfig
    from app.core.problem import Problem
    from app.core.queue.queue import Claim, EntryState, QueueEntry, QueueState, RunQueue
    from app.core.run.folder import RunDir

application = typer.Typer(add_completion=False, rich_markup_mode=None)

SAVING_S = 120  # how long a worker whose parent died may take to save and end

ConfigFile = Annotated[Path, typer.Argument(help="The config: a YAML file with mlx-lm's keys.")]
EntryNames = Annotated[
    list[str], typer.Argument(metavar="ENTRY…", help="Ids, or whole names, as `luthier queue list` shows them.")
]
ConfigChanges = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Changes one value of the config; may be repeated.")
]


@application.callback()
def queue() -> None:
    """Setups that are trained one after the other: adds, lists, orders and runs them."""


@application.command()
def add(
    config: ConfigFile,
    settings: ConfigChanges = [],  # noqa: B006  # typer's form
    trust_reward_file: TrustRewardFile = False,
    as_json: AsJson = False,
) -> int:
    """Puts a setup, as the file says now, at the end of the queue."""
    from app.core.problem import UnusableError, errors
    from app.core.queue.queue import RunQueue, make_entry
    from app.core.setup.check import check_config

    found = _load(config, settings)
    if trust_reward_file:
        trust_rewards(found)
    if problems := errors(check_config(found)):
        raise UnusableError(problems)
    entry = make_entry(found)
    state = RunQueue().add([entry])
    _tell_added([entry], state, as_json)
    return 0


@application.command()
def sweep(
    config: ConfigFile,
    vary: Annotated[
        list[str],
        typer.Option(metavar="KEY=A,B,C", help="A field and its values; up to three times. A ; divides, too."),
    ],
    settings: ConfigChanges = [],  # noqa: B006  # typer's form
    trust_reward_file: TrustRewardFile = False,
    as_json: AsJson = False,
) -> int:
    """Queues a setup once for every combination of the values. All of them are checked first."""
    from app.command.worker import inspected
    from app.core.data.check import check_config_data
    from app.core.problem import UnusableError
    from app.core.queue.queue import RunQueue
    from app.core.queue.sweep import check_variant, entries, expand, sweep_name, variant_errors

    base = _load(config, settings)
    if trust_reward_file:
        trust_rewards(base)
    axes = _axes(vary)
    variants = expand(base, axes)
    inspection, data = inspected(base.model), check_config_data(base)
    if problems := variant_errors(variants, [check_variant(one, inspection, data) for one in variants]):
        raise UnusableError(problems)
    found = entries(variants, sweep_name(base, axes))
    state = RunQueue().add(found)
    _tell_added(found, state, as_json)
    return 0


@application.command("list")
def list_entries(
    everything: Annotated[
        bool, typer.Option("--all", help="Also what was cleared and belongs to a sweep.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Lists the queue in its order, and says whether somebody works through it."""
    from app.core.queue.queue import RunQueue

    queue = RunQueue()
    state = queue.read()
    shown = list(state.entries) if everything else state.shown
    mode = _mode_text(queue, state)
    if as_json:
        head = {"mode": state.mode, "worked": queue.is_worked(), "note": state.note, "when_done": state.when_done}
        output.say_json(head | {"entries": [_tree(one) for one in shown]})
    elif shown:
        rows = [[one.id, one.state, one.name, one.setup, one.outcome] for one in shown]
        output.table(["id", "state", "name", "setup", ""], rows)
        output.say(mode)
    else:
        output.say("The queue is empty.")
    return 0


@application.command()
def run(
    beside: Beside = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the runs' events and each entry's state, a JSON object a line.")
    ] = False,
) -> int:
    """Works through the queue here. Ctrl-C stops the run in progress, saves it, and pauses the queue."""
    from app.core.queue.queue import RunQueue, queue_tally

    queue = RunQueue()
    if not queue.take(timeout_s=1):
        raise output.FailedError("Another Luthier is working through the queue. `luthier queue pause` pauses it.")
    worked: list[str] = []
    try:
        queue.recover()
        queue.set_mode("running")
        stopped = _work_through(queue, worked, as_json, beside)
    finally:
        queue.give_back()
    found = queue_tally(one for one in queue.read().entries if one.id in worked)
    if not as_json:
        halted = f"{found.waiting:,} waits to go on" if found.waiting else ""
        said = ", ".join(filter(None, (found.sentence(), halted))) or "nothing waited"
        output.say(f"\nThe queue is {'paused' if stopped else 'at its end'}: {said}.")
    return 1 if found.failed else 0


@application.command()
def pause(as_json: AsJson = False) -> int:
    """Starts no further run; the one in progress ends as it should."""
    return _set_mode("paused", "Paused on the command line.", as_json)


@application.command()
def resume(as_json: AsJson = False) -> int:
    """Ends a pause, where a window or another terminal still attends to the queue."""
    return _set_mode("running", "", as_json)


@application.command()
def move(
    entry: EntryNames,
    to: Annotated[int, typer.Option(min=1, help="The place among those that wait; 1 is the next.")],
    as_json: AsJson = False,
) -> int:
    """Moves waiting entries to another place."""
    from app.core.queue.queue import RunQueue

    queue = RunQueue()
    keys = _known(queue.read(), entry, "waiting", "does not wait: it cannot be moved")
    return _tell_state(queue.move(keys, to - 1), as_json)


@application.command()
def remove(entry: EntryNames, as_json: AsJson = False) -> int:
    """Takes entries off the list; their runs stay."""
    from app.core.queue.queue import RunQueue

    queue = RunQueue()
    keys = _known(queue.read(), entry, "", "")
    return _tell_state(queue.remove(keys), as_json)


@application.command()
def clear(as_json: AsJson = False) -> int:
    """Takes everything off the list that has ended; runs and the results of sweeps stay."""
    from app.core.queue.queue import RunQueue

    return _tell_state(RunQueue().clear(), as_json)


# -- working through it --------------------------------------------------------------------------------------


def _work_through(queue: RunQueue, worked: list[str], as_json: bool, beside: bool) -> bool:
    """Trains what waits until nothing does, or the queue is paused; true if it was paused."""
    from app.core.language import tr

    while queue.read().mode == "running":
        if not beside:
            _refuse_beside(queue)
        waiting = {one.id for one in queue.read().waiting}
        claim = queue.claim()
        for one in queue.read().entries:
            if one.id in waiting and one.is_ended:  # it could not even begin, or had come to its end meanwhile
                worked.append(one.id)
                _say_passed_over(one, as_json)
        if claim is None:
            queue.set_mode("idle")
            return False
        worked.append(claim.entry.id)
        state, message = _train(claim, as_json)
        queue.settle(claim.entry.id, state, message)
        _say_entry(claim, state, message, as_json)
        if state == "stopped":
            queue.set_mode("paused", tr("Paused, because you stopped {name}.", name=claim.entry.name))
        elif state == "waiting":  # by somebody, or because the disk is full: the entry says so
            queue.set_mode("paused", tr("Paused together with {name}.", name=claim.entry.name))
    return True


def _refuse_beside(queue: RunQueue) -> None:
    """Pauses the queue where a run trains that is none of it, and raises `FailedError`."""
    from app.core.live.training_list import BESIDE, training_runs

    own = {Path(entry.run) for entry in queue.read().entries if entry.run}
    other = next((run for run in training_runs() if run.path not in own), None)
    if other is None:
        return
    said = f"Paused: {other.name} is training already. {BESIDE}"
    queue.set_mode("paused", said)
    raise output.FailedError(f"{said} `luthier queue run --beside` trains beside it.")


def _train(claim: Claim, as_json: bool) -> tuple[EntryState, str]:
    """Trains one entry and shows it as ``luthier train`` does."""
    from app.command.train import follow
    from app.core.protocol.job import TrainJob, write_job
    from app.core.queue.queue import outcome_of, result_text
    from app.core.run.reader import RunReader

    _say_entry(claim, "running", "", as_json)
    if claim.resume:
        _await_worker(claim.run)
        write_job(claim.run.path, TrainJob(resume=True))
    elif claim.entry.has_other_data:
        write_job(claim.run.path, TrainJob(data_changed=True))
    state, message = outcome_of(follow(claim.run, as_json=as_json))
    if state == "done":
        reader = RunReader(claim.run)
        reader.read()
        message = result_text(reader.history)
    return state, message


def _await_worker(run: RunDir) -> None:
    """A worker whose parent died may still be saving the run."""
    from filelock import Timeout

    try:
        with run.lock(timeout_s=SAVING_S):
            pass
    except Timeout as error:
        raise output.FailedError(f"{run.name} is being trained by another process.") from error


def _say_passed_over(one: QueueEntry, as_json: bool) -> None:
    if as_json:
        _say_entry_json(one, one.state, one.message)
    else:
        output.say(f"\n{one.name} {one.state} · {one.message}".rstrip(" ·"))


def _say_entry_json(one: QueueEntry, state: EntryState, message: str) -> None:
    tree = _tree(one) | {"state": state, "message": message}
    output.say_json({"type": "queue_entry", "time": time.time()} | tree)


def _say_entry(claim: Claim, state: EntryState, message: str, as_json: bool) -> None:
    if as_json:
        _say_entry_json(claim.entry, state, message)
    elif state == "running":
        word = "goes on" if claim.resume else "begins"
        output.say(f"\n{claim.entry.name} {word} · {claim.run.path}")


# -- what is asked for ---------------------------------------------------------------------------------------


def _load(file: Path, settings: list[str]) -> TrainConfig:
    """The config with values changed; raises `UnusableError` with every fault."""
    import yaml
    from pydantic import ValidationError

    from app.command.train import check_paths
    from app.core.problem import UnusableError
    from app.core.run.name import with_name
    from app.core.setup.config_file import load_config, validation_problems, with_base
    from app.core.system.yaml_text import bounded_yaml

    loaded = load_config(file)
    output.complain(loaded.problems)
    config, problems = loaded.config, []
    for text in settings:
        key, value = _pair(text, "--set")
        try:
            config.value(key)
            config = config.with_value(key, bounded_yaml(value) if value else "")
        except KeyError:
            problems.append(_unknown_key(key))
        except (ValidationError, yaml.YAMLError) as error:
            problems += (
                validation_problems(error, name="--set")
                if isinstance(error, ValidationError)
                else [_fault(key, f"{value!r} cannot be read.")]
            )
    if problems:
        raise UnusableError(problems)
    # What was typed is meant from here, wherever the queue is worked through.
    config = with_base(config, Path.cwd())
    check_paths(config, file)
    return with_name(config, loaded.named)


def _axes(vary: list[str]) -> list[Any]:
    from app.core.problem import UnusableError
    from app.core.queue.sweep import parse_axis

    axes, problems = [], []
    for text in vary:
        try:
            axes.append(parse_axis(*_pair(text, "--vary")))
        except UnusableError as error:
            problems += error.problems
    if problems:
        raise UnusableError(problems)
    return axes


def _pair(text: str, option: str) -> tuple[str, str]:
    from app.core.problem import UnusableError

    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UnusableError([_fault("", f"{option} takes KEY=VALUE, not {text!r}.")])
    return key.strip(), value.strip()


def _fault(path: str, said: str, hint: str = "") -> Problem:
    from app.core.problem import Problem

    return Problem(path, said, hint=hint)


def _unknown_key(key: str) -> Problem:
    from app.core.config.spec import field_specs

    return _fault(key, f"There is no config key “{key}”.", output.near_misses(key, field_specs()))


def _known(state: QueueState, names: list[str], wanted: str, said: str) -> list[str]:
    """The ids of entries by id or name; raises `UnusableError` for each that is not one, or not in that state."""
    from app.core.problem import UnusableError

    found, problems = [], []
    for name in names:
        matches = [one for one in state.shown if name in (one.id, one.name)]
        if not matches:
            near = output.near_misses(name, [*(one.name for one in state.shown), *(one.id for one in state.shown)])
            problems.append(_fault("", f"There is no entry “{name}”.", near or "`luthier queue list` shows all."))
        elif len(matches) > 1:
            ids = ", ".join(one.id for one in matches)
            problems.append(_fault("", f"Several entries are called “{name}”.", f"Name one by its id: {ids}."))
        elif wanted and matches[0].state != wanted:
            problems.append(_fault("", f"{name} {said}."))
        elif matches[0].state == "running":
            problems.append(_fault("", f"{name} is being trained.", "Stop it first."))
        else:
            found.append(matches[0].id)
    if problems:
        raise UnusableError(problems)
    return found


def _set_mode(mode: Any, note: str, as_json: bool) -> int:
    from app.core.queue.queue import RunQueue

    queue = RunQueue()
    state = queue.set_mode(mode, note)
    if as_json:
        output.say_json({"mode": state.mode, "worked": queue.is_worked()})
        return 0
    output.say(_mode_text(queue, state))
    return 0


# -- what is told --------------------------------------------------------------------------------------------


def _mode_text(queue: RunQueue, state: QueueState) -> str:
    """Whether somebody works through the queue, in a sentence."""
    waiting = f"{len(state.waiting):,} waiting"
    if queue.is_worked():
        return f"Pauses after the run in progress · {waiting}" if state.mode == "paused" else f"Running · {waiting}"
    start = "`luthier queue run` trains what waits." if state.waiting or state.running else ""
    if state.is_interrupted:
        return f"Nobody works through it now · {waiting}. {start}"
    return f"{'Paused' if state.mode == 'paused' else 'Not running'} · {waiting}. {start}".strip()


def _tell_added(entries: list[QueueEntry], state: QueueState, as_json: bool) -> None:
    if as_json:
        output.say_json({"added": [_tree(one) for one in entries], "waiting": len(state.waiting)})
        return
    for one in entries:
        output.say(f"{one.id}  {one.name}")
    output.say(f"{len(state.waiting):,} waiting. `luthier queue run` trains what waits.")


def _tell_state(state: QueueState, as_json: bool) -> int:
    if as_json:
        output.say_json({"entries": [_tree(one) for one in state.shown]})
    else:
        for one in state.shown:
            output.say(f"{one.id}  {one.state:8} {one.name}")
    return 0


def _tree(one: QueueEntry) -> dict[str, Any]:
    """An entry as plain JSON; its config is in the run's folder once there is one."""
    return one.model_dump(exclude={"config"}) | {"data_changed": one.has_other_data}
