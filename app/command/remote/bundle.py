"""``luthier bundle``: a setup sealed for another machine, in a folder or an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.command import output
from app.command.option import AsJson, TrustRewardFile, trust_rewards
from app.core.typed_path import typed_path

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def bundle(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The config, as `luthier train` takes it.")],
    out: Annotated[
        Path | None, typer.Option(metavar="X", help="The new folder, or an archive: .zip, .tar, .tar.gz.")
    ] = None,
    with_model: Annotated[
        bool, typer.Option(help="Take the base model's files along; else it comes from the hub there.")
    ] = False,
    torch_model: Annotated[
        str, typer.Option(metavar="NAME", help="The model on the hub that is loaded there: organization/model.")
    ] = "",
    four_bit: Annotated[bool, typer.Option(help="Load the model in 4 bit there (bitsandbytes, NVIDIA).")] = False,
    kaggle_user: Annotated[
        str, typer.Option(metavar="NAME", help="Your name on Kaggle: its client's files are written as well.")
    ] = "",
    same_start: Annotated[
        bool,
        typer.Option(help="Begin there with the very values that the adapter begins with here; takes some room."),
    ] = True,
    trust_reward_file: TrustRewardFile = False,
    as_json: AsJson = False,
) -> int:
    """Seals a setup: tokens, labels, targets and a script that trains them with torch. Ctrl-C leaves nothing."""
    from app.command.train import check_paths
    from app.command.worker import result_of
    from app.core.protocol.job import BundleJob
    from app.core.setup.config_file import load_config

    loaded = load_config(config)
    output.complain(loaded.problems)
    check_paths(loaded.config, config)
    if trust_reward_file:
        trust_rewards(loaded.config)
    place = out if out is not None else Path(f"{config.stem}-bundle")
    job = BundleJob(
        config=loaded.config.model_dump(mode="json"),
        out=typed_path(place).resolve(),
        with_model=with_model,
        torch_model=torch_model,
        four_bit=four_bit,
        kaggle_user=kaggle_user,
        same_start=same_start,
    )
    data = result_of(job, quiet=as_json)
    if as_json:
        output.say_json(data)
    else:
        _tell(data)
    return 0


def _tell(data: dict[str, Any]) -> None:
    from app.core.bundle.result import model_line, size_line
    from app.core.quantity import plural

    output.say(f"{data['path']} ({size_line(data)})")
    output.say(model_line(data))
    output.say(f"Targets: {', '.join(data['target_modules'])}, {plural(len(data['modules']), 'module')}")
    output.say("There: pip install -r requirements.txt, then python train.py; bring back the folder run.")
