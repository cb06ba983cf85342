"""Whether a verb may compute while a run trains: asked in a terminal, else refused without its flag."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.command import output

Beside = Annotated[
    bool, typer.Option("--beside", help="Do it also while a run trains: they share the GPU and its memory.")
]


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
