"""``luthier attach``: shows a run that trains already as it goes on, and pauses or stops it."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from app.command import output

if TYPE_CHECKING:
    from app.core.live.door import DoorCommand
    from app.core.protocol.event import Event
    from app.core.run.folder import RunDir

application = typer.Typer(add_completion=False, rich_markup_mode=None)

KEY_HELP = "p pauses or continues, s saves and stops, d or Ctrl-C lets go of it (it goes on)"
ANSWER_S = 0.05  # how often the keyboard is looked at


@application.command()
def attach(
    run: Annotated[
        str,
        typer.Argument(help="The run's folder, or its name as `luthier runs list` shows it; the one that trains."),
    ] = "",
    pause: Annotated[bool, typer.Option("--pause", help="Pause it after this iteration.")] = False,
    go_on: Annotated[bool, typer.Option("--continue", help="End its pause.")] = False,
    park: Annotated[
        bool, typer.Option("--park", help="Pause it and free its memory; `luthier resume` goes on.")
    ] = False,
    save: Annotated[bool, typer.Option("--save", help="Save a checkpoint after this iteration.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop it after this iteration; it saves.")] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print the run's events from its first on, one JSON object a line; with one of the options, what "
            "it was told.",
        ),
    ] = False,
) -> int:
    """Shows a run that a window or another command line trains. Ctrl-C lets go of it: it goes on.

    In a terminal the keys p (pause, continue), s (save and stop) and d (detach) work as well. With one of the
    options it is told that, and nothing is shown.
    """
    from app.core.protocol.command import Park, Pause, Resume, Save, Stop

    _refuse_contradiction({"--pause": pause, "--continue": go_on, "--park": park, "--stop": stop})
    found = _trained(run)
    asked: list[tuple[bool, DoorCommand]] = [
        (pause, Pause()), (go_on, Resume()), (park, Park()), (save, Save()), (stop, Stop()),
    ]  # fmt: skip
    told = [command for is_asked, command in asked if is_asked]
    if told:
        return _tell(found, told, as_json=as_json)
    try:
        last = _show_json(found) if as_json else _show(found)
    except KeyboardInterrupt:
        from app.command.resume import run_word

        output.remark(f"\nLet go of it: the run goes on if it was training.\n  luthier attach {run_word(found)}")
        return 0
    return _exit_code(found, last, as_json=as_json)


def _trained(name: str) -> RunDir:
    """The run of that name, without one the run that trains now. Raises `UnusableError`."""
    from app.command.resume import known_run
    from app.core.live.training_list import training_runs
    from app.core.problem import Problem, UnusableError

    if name:
        found = known_run(name)
        if found.is_elsewhere():
            said = f"{found.name} trains on another machine."
            hint = f"`luthier remote watch {shlex.quote(found.name)}` shows it."
            raise UnusableError([Problem("run", said, hint=hint)])
        return found
    training = training_runs()
    if len(training) == 1:
        return training[0]
    said = "Several runs train." if training else "No run trains now."
    hint = f"Name one: {', '.join(one.name for one in training)}." if training else "`luthier runs list` has all."
    raise UnusableError([Problem("run", said, hint=hint)])


def _refuse_contradiction(asked: dict[str, bool]) -> None:
    """Of what a run does next only one can be asked; raises `UnusableError`."""
    from app.core.problem import Problem, UnusableError

    told = [option for option, is_asked in asked.items() if is_asked]
    if len(told) > 1:
        said = f"{' and '.join(told)} cannot be asked together."
        raise UnusableError([Problem("run", said, hint="Ask for one; --save may stand beside it.")])


def _tell(run: RunDir, commands: list[DoorCommand], *, as_json: bool) -> int:
    from app.core.live.door import tell_run

    for command in commands:
        if not tell_run(run, command):
            raise output.FailedError(_not_training(run))
        if not as_json:
            output.remark(f"{run.name} was told: {command.command}.")
    if as_json:
        output.say_json({"run": run.name, "path": str(run.path), "told": [one.command for one in commands]})
    return 0


def _not_training(run: RunDir) -> str:
    from app.command.resume import run_word

    if run.is_running():  # of an earlier version, or in a folder where there can be no door
        return f"{run.name} is trained by a process that hears nobody else: pause or stop it there."
    return f"Nobody trains {run.name} now. `luthier resume {run_word(run)}` goes on with it."


def _show_json(run: RunDir) -> Event | None:
    from app.core.live.following import followed_events

    last = None
    for said in followed_events(run, _Life(run).goes_on):
        output.say(said.to_line())
        last = said
    return last


class _Life:
    """Whether a worker trains a run, or another does from now on: one that macOS ended is followed by the next.

    Whoever supervises the run starts that. Where nobody does, it is started here, if it was seen to train.
    """

    def __init__(self, run: RunDir) -> None:
        self._run, self._has_trained = run, False

    def goes_on(self) -> bool:
        """Looks, and starts the next worker where it is this process's to do."""
        from app.core.live.supervisor import awaits_worker, go_on_alone

        if self._run.is_running() or awaits_worker(self._run):
            self._has_trained = True
            return True
        told = go_on_alone(self._run) if self._has_trained else ""
        if told:
            output.remark(f"warning: {told}")
        return bool(told)


def _show(run: RunDir) -> Event | None:
    """What it did so far in a few lines, then everything as it comes; the keys are its commands."""
    from app.command.progress import TrainProgress
    from app.core.live.following import EventFollower

    follower = EventFollower(run)
    last, so_far = None, _Latest()
    for last in follower.fresh():
        so_far.take(last)
    life = _Life(run)
    lives = life.goes_on()
    with TrainProgress() as progress:
        for said in so_far.events():
            progress.show(said)
        if not lives:
            return last
        with _Keyboard() as keyboard:
            if keyboard.is_there:
                output.remark(f"{run.name}: {KEY_HELP}.")
            paused = so_far.is_paused
            while True:
                lives = life.goes_on()
                for last in follower.fresh():
                    progress.show(last)
                    paused = _paused_after(last, paused)
                if not lives:
                    return last
                _obey(run, keyboard.pressed(), paused)


class _Latest:
    """The events that tell where a run is: the last one of each kind that has not been overtaken."""

    SHOWN = ("hello", "started", "validated", "train_reported", "paused", "finished")

    def __init__(self) -> None:
        self._events: dict[str, Event] = {}
        self.is_paused = False

    def take(self, said: Event) -> None:
        if said.type == "hello":
            self._events.clear()
        if said.type in self.SHOWN:
            self._events[said.type] = said
        self.is_paused = _paused_after(said, self.is_paused)
        if not self.is_paused:
            self._events.pop("paused", None)

    def events(self) -> list[Event]:
        return [self._events[kind] for kind in self.SHOWN if kind in self._events]


def _paused_after(said: Event, before: bool) -> bool:
    if said.type in ("paused", "resumed", "hello"):
        return said.type == "paused"
    return before


def _obey(run: RunDir, key: str, paused: bool) -> None:
    from app.core.live.door import tell_run
    from app.core.protocol.command import Pause, Resume, Stop

    acts: dict[str, Callable[[], DoorCommand]] = {"p": Resume if paused else Pause, "s": Stop}
    if key == "d":
        raise KeyboardInterrupt
    if key in acts and not tell_run(run, acts[key]()) and run.is_running():
        output.remark(_not_training(run))


class _Keyboard(AbstractContextManager["_Keyboard"]):
    """Single keys of a terminal, without waiting for the end of a line; none where standard input is none."""

    def __init__(self) -> None:
        self.is_there = output.is_live() and sys.stdin is not None and sys.stdin.isatty()
        self._before: list[Any] = []

    def __enter__(self) -> Self:
        if self.is_there:
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self.is_there:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def pressed(self) -> str:
        """The key that was pressed meanwhile; waits a moment for one. Empty if there is none."""
        from app.core.live.following import FOLLOW_EVERY_S

        if not self.is_there:
            time.sleep(FOLLOW_EVERY_S)
            return ""
        import os
        import select

        readable, _, _ = select.select([sys.stdin], [], [], ANSWER_S)
        return os.read(sys.stdin.fileno(), 1).decode("ascii", "ignore").lower() if readable else ""


def _exit_code(run: RunDir, last: Event | None, *, as_json: bool) -> int:
    """Tells how it ended; 0 where it did as it should."""
    from app.command.resume import run_word
    from app.command.train import exit_code
    from app.core.protocol import event

    if not isinstance(last, (event.Finished, event.Failed)):
        said = f"{run.name} ended without saying why, or never began."
        raise output.FailedError(f"{said} `luthier resume {run_word(run)}` goes on with it.")
    if not as_json and isinstance(last, event.Failed):
        output.remark(f"error: {last.text}")
    return exit_code(last)
