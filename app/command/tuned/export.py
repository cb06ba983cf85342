"""``luthier export``: a run's model, or an adapter, in the format of another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.command import output
from app.command.option import AsJson, Beside, ask_beside
from app.core.typed_path import typed_path

if TYPE_CHECKING:
    from app.core.export.format import ExportFormat
    from app.core.protocol.job import ExportJob

application = typer.Typer(add_completion=False, rich_markup_mode=None)


@application.command()
def export(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run (its folder or name), an adapter's folder, or a checkpoint.")
    ] = "",
    to: Annotated[str, typer.Option(metavar="FORMAT", help="The format; --list tells them.")] = "",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The new folder; it must not exist.", file_okay=False)
    ] = None,
    checkpoint: Annotated[
        str, typer.Option(help="best, last, kept or the number of an iteration; else what the run keeps.")
    ] = "",
    scale: Annotated[
        float | None, typer.Option(min=0.0, help="How strongly the adapter acts: 1 as trained, 0 as the base.")
    ] = None,
    bits: Annotated[str | None, typer.Option(help="How the weights are stored; --list tells the choices.")] = None,
    option: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Another option; may be repeated.")
    ] = None,
    prompts: Annotated[
        int, typer.Option(min=0, max=50, help="Prompts that the certificate is made with; 0 makes none.")
    ] = 50,
    model: Annotated[str, typer.Option(help="The base model, if it is not where the run found it.")] = "",
    formats: Annotated[
        bool, typer.Option("--list", help="List the formats, their options and who opens them.")
    ] = False,
    beside: Beside = False,
    as_json: AsJson = False,
) -> int:
    """Writes a tuned model for other programs, into a new folder. Ctrl-C stops it and leaves nothing behind."""
    from app.command.worker import result_of

    if formats:
        return _list(as_json)
    job = _job(run, to, out, checkpoint, model, {"scale": scale, "bits": bits}, option or [])
    ask_beside(beside)
    data = result_of(job.model_copy(update={"prompts": prompts}), quiet=as_json)
    return _tell(data, as_json, prompts)


def _job(
    run: str,
    to: str,
    out: Path | None,
    checkpoint: str,
    model: str,
    given: dict[str, Any],
    more: list[str],
) -> ExportJob:
    from app.command.worker import absolute
    from app.core.export.destination import free_destination
    from app.core.export.format import export_format
    from app.core.export.option import option_values
    from app.core.export.source import export_source
    from app.core.problem import Problem, UnusableError
    from app.core.protocol.job import ExportJob

    if not run or not to:
        hint = "Such as `luthier export RUN --to adapter --out DIR`; `luthier export --list` tells the formats."
        raise UnusableError([Problem("", "A run and --to FORMAT are needed.", hint=hint)])
    chosen = export_format(to)
    options = {name: value for name, value in given.items() if value is not None}
    options |= dict(_option(text, chosen) for text in more)
    option_values(chosen.options, options)
    source = export_source(run_or_path(run), checkpoint)
    place = typed_path(out).resolve() if out is not None else free_destination(source.word, chosen.name)
    return ExportJob(
        source=run_or_path(run),
        checkpoint=checkpoint,
        model=absolute(model) if model else "",
        format=to,
        out=place,
        options=options,
    )


def run_or_path(name: str) -> Path:
    """A path as it is, else the run of that name. Raises `UnusableError`."""
    from app.command.resume import known_run

    path = typed_path(name)
    return path.resolve() if path.exists() else known_run(name).path


def _option(text: str, chosen: ExportFormat) -> tuple[str, str | float | bool]:
    """The name and value of ``name=value``, as the type that the format's option has."""
    from app.core.problem import Problem, UnusableError

    name, equals, value = text.partition("=")
    if not equals:
        raise UnusableError([Problem("--set", f"“{text}” is not of the form name=value.")])
    default = next((one.default for one in chosen.options if one.name == name), "")
    if isinstance(default, bool):
        return name, {"yes": True, "true": True, "no": False, "false": False}.get(value.lower(), value)
    if isinstance(default, float):
        try:
            return name, float(value)
        except ValueError:
            return name, value
    return name, value


def _list(as_json: bool) -> int:
    from app.core.export.format import EXPORT_FORMATS

    if as_json:
        output.say_json({"formats": [_tree(one) for one in EXPORT_FORMATS.values()]})
        return 0
    for one in EXPORT_FORMATS.values():
        output.say(f"{one.name}: {one.title}. {one.what}\n  opened by {', '.join(one.opens)}\n  {one.refuses}")
        for option in one.options:
            choices = f" ({', '.join(choice.value for choice in option.choices)})" if option.choices else ""
            output.say(f"  {option.name}={option.default}{choices}  {option.what}")
        output.say()
    return 0


def _tree(one: ExportFormat) -> dict[str, Any]:
    options = [
        {
            "name": option.name,
            "label": option.label,
            "what": option.what,
            "default": option.default,
            "choices": [choice.value for choice in option.choices],
        }
        for option in one.options
    ]
    words = {"name": one.name, "title": one.title, "what": one.what, "opens": list(one.opens)}
    return words | {"refuses": one.refuses, "options": options}


def _tell(data: dict[str, Any], as_json: bool, prompts: int) -> int:
    """Exit code 1 if the export is not what the run's model is."""
    from app.core.installation import package_hint
    from app.core.quantity import bytes_text

    certificate = data["certificate"]
    if as_json:
        output.say_json(data)
    else:
        output.say(f"{data['path']} ({bytes_text(data['bytes'])})")
        if page := data.get("page"):
            output.say(f"Uploaded: {page}")
        for finding in certificate["findings"] if certificate else ():
            output.say(f"  {'agrees ' if finding['agrees'] else 'differs'} {finding['name']}: {finding['said']}")
        none = "It was not opened again: there is no certificate."
        none += f" {package_hint('xllamacpp')}" if prompts else " None was asked for (--prompts 0)."  # llama.cpp
        output.say(certificate["sentence"] if certificate else none)
        if remark := data.get("remark"):
            output.remark(f"warning: {remark}")
    return 0 if certificate is None or certificate["agrees"] else 1
