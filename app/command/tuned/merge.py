"""``luthier merge``: several adapters of one base become one, measured beside them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from app.command import output
from app.command.option import AsJson, Beside, ask_beside
from app.core.typed_path import typed_path

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def merge(
    adapters: Annotated[
        list[str], typer.Argument(metavar="A B…", help="Two or more: runs, adapters' folders or checkpoints.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The new folder; without it all are only measured.")
    ] = None,
    weights: Annotated[str, typer.Option(help="One for each, with commas: 0.7,0.3. All 1 unless given.")] = "",
    method: Annotated[str, typer.Option(help="linear, ties, dare_linear or dare_ties.")] = "linear",
    density: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Share of each adapter's changes that TIES and DARE keep.")
    ] = 0.5,
    rank: Annotated[
        int | None, typer.Option(min=1, help="Of the result; else the sum of the ranks (linear) or the largest.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what DARE drops.")] = 0,
    data: Annotated[
        Path | None, typer.Option(help="Held-out examples to measure with; those of the first run unless given.")
    ] = None,
    mask_prompt: Annotated[bool, typer.Option("--mask-prompt", help="Measure the answers only.")] = False,
    model: Annotated[str, typer.Option(help="The base model, if it is not where the adapters say.")] = "",
    beside: Beside = False,
    as_json: AsJson = False,
) -> int:
    """Merges adapters into one and measures the base, each of them and the result on the same examples."""
    from app.command.evaluate import test_file
    from app.command.tuned.export import run_or_path
    from app.command.worker import absolute, result_of
    from app.core.export.merge import merge_method, merge_sources
    from app.core.protocol.job import MergeJob

    ask_beside(beside)
    merge_method(method)
    paths = tuple(run_or_path(name) for name in adapters)
    merge_sources(paths, model)
    place = typed_path(out).resolve() if out is not None else None
    found = result_of(
        MergeJob(
            adapters=paths, weights=numbers(weights), method=method, density=density, rank=rank, seed=seed,
            model=absolute(model) if model else "", data=test_file(data) if data is not None else None,
            config={"mask_prompt": mask_prompt}, out=place,
        )
    )  # fmt: skip
    if as_json:
        output.say_json(found)
        return 0
    show(found)
    return 0


def numbers(text: str) -> tuple[float, ...]:
    """The weights of a list with commas; raises `UnusableError`."""
    from app.core.problem import Problem, UnusableError

    try:
        found = tuple(float(part) for part in text.split(",") if part.strip())
        if not all(map(math.isfinite, found)):
            raise ValueError(text)  # "nan" and "inf" are floats, but no weights
        return found
    except ValueError as error:
        said = f"“{text}” is no list of numbers."
        raise UnusableError([Problem("--weights", said, hint="Such as 0.7,0.3.")]) from error


def show(found: dict[str, Any]) -> None:
    """The figures as a table, and where the adapter is."""
    rows = [
        [
            str(one["name"]),
            "–" if one["weight"] is None else f"{one['weight']:g}",
            f"{one['rank']:,}" if one["rank"] else "–",
            "–" if one["loss"] is None else f"{one['loss']:.4f}",
        ]
        for one in found["columns"]
    ]
    output.table(["adapter", "weight", "rank", "held-out loss"], rows)
    if found["data"]:
        from app.core.quantity import plural

        output.say(f"\n{plural(found['examples'], 'example')} of {found['data']}")
    output.say(
        f"\nThe merged adapter is in {found['path']}" if found["path"] else "\nNothing was written: give --out."
    )
