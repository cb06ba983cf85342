"""Options that many verbs have, and what is asked where one of them is missing. Apart from `output`, because the
overview must not wait for typer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.command import output

if TYPE_CHECKING:
    from app.core.config.train_config import TrainConfig

TopP = Annotated[float, typer.Option(min=0.0, max=1.0, help="Sample from the likeliest of this share; 0, 1: all.")]
TopK = Annotated[int, typer.Option(min=0, help="Sample from this many likeliest tokens; 0 is all.")]
MinP = Annotated[float, typer.Option(min=0.0, max=1.0, help="Least probability, relative to the best.")]
_MOST = 10.0


def strength_of(text: str) -> float:
    """An adapter's strength as it was typed. "nan" and "inf" are floats for Python, but no strength."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _MOST:
        raise typer.BadParameter(f"“{text}” is no strength: a number from 0 to {_MOST:g}.")
    return value


AdapterStrength = Annotated[
    float,
    typer.Option(
        parser=strength_of, metavar="0..10", help="How much of the adapter is put on the base; 0 is the base."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
TrustRewardFile = Annotated[
    bool, typer.Option(help="The config's reward_functions_file may run: it is code that you have read.")
]
Beside = Annotated[
    bool, typer.Option("--beside", help="Do it also while a run trains: they share the GPU and its memory.")
]


def check_place(option: str, file: Path) -> None:
    """Raises `UnusableError` where there can be no new file: told before that which it holds has taken its time."""
    import tempfile

    from app.core.problem import Problem, UnusableError
    from app.core.refusal import reason_of

    if file.is_dir():
        raise UnusableError([Problem(option, f"{file} is a folder, and a file's name is needed.")])
    folder = next((parent for parent in file.parents if parent.exists()), file.parent)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UnusableError([Problem(option, f"{file} cannot be written: {reason_of(error)}.")]) from error


def ask_beside(beside: bool, *, own: Path | None = None) -> None:
    """Asks before this is done beside a run that trains, other than the one in ``own``.

    Raises `FailedError` where the answer is no, or nobody can be asked.
    """
    from app.core.live.training_list import BESIDE, training_beside

    other = training_beside(own)
    if other is None:
        return
    said = f"{other.name} is training already. {BESIDE}"
    if beside:
        output.remark(f"warning: {said}")
        return
    if sys.stdin is not None and sys.stdin.isatty() and output.is_live():
        output.remark(f"warning: {said}")
        output.remark("Do it all the same? [y/N] ")
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
        raise output.FailedError("Not done.")
    raise output.FailedError(f"{said} Not done: `--beside` does it all the same.")


def trust_rewards(config: TrainConfig) -> None:
    """Lets the config's reward file run, as it is now: a person said so."""
    from app.core.system.reward_trust import trust

    if config.reward_functions_file:
        trust(Path(config.reward_functions_file))
