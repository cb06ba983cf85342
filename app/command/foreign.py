"""``luthier import``: another trainer's config as Luthier's YAML, with the list of what has no place in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.command import output
from app.command.option import AsJson

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command(name="import")
def bring(
    config: Annotated[
        Path,
        typer.Argument(help="A config of LLaMA-Factory, axolotl, Unsloth or mlx-lm (YAML or JSON)."),
    ],
    out: Annotated[Path | None, typer.Option(help="The file to write; without it the config is printed.")] = None,
    as_json: AsJson = False,
) -> int:
    """Puts another trainer's config in Luthier's words; each setting without a counterpart is listed. What would
    train something else is refused, with exit code 2."""
    from app.core.problem import Problem, UnusableError
    from app.core.setup.config_file import dump_config, load_config
    from app.core.system.atomic_file import write_text

    loaded = load_config(config)
    if not (loaded.trainer or loaded.config.model or loaded.config.data):
        said = f"{config} names neither a model nor data in the words of a trainer that is known."
        raise UnusableError([Problem("", said, hint="Known are LLaMA-Factory, axolotl, Unsloth and mlx-lm.")])
    if out is not None and out.exists():
        raise UnusableError([Problem("", f"{out} is there already.", hint="Choose another name.")])
    text = dump_config(loaded.config)
    if out is not None:
        write_text(out, text)
    if as_json:
        output.say_json({
            "trainer": loaded.trainer, "config": loaded.config.model_dump(mode="json"), "out": str(out or ""),
            "problems": [output.problem_tree(problem) for problem in loaded.problems],
        })  # fmt: skip
        return 0
    output.say(f"Written to {out}" if out is not None else text, end="\n" if out is not None else "")
    output.complain(loaded.problems)
    return 0
