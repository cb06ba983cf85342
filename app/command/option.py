"""Options that many verbs have. Apart from `output`, because the overview must not wait for typer."""

from __future__ import annotations

from typing import Annotated

import typer

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
