"""``luthier runs``: lists, shows, compares, names, reports and deletes runs."""

from __future__ import annotations

import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.command import output
from app.command.option import AsJson
from app.core.typed_path import typed_path

if TYPE_CHECKING:
    from app.core.run.folder import RunDir
    from app.core.run.note import RunNote
    from app.core.run.summary import RunSummary

application = typer.Typer(add_completion=False, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="RUN", help="The run's folder, or its name or part of it.")]


@application.callback()
def runs() -> None:
    """Lists, shows, compares, names, reports and deletes runs."""


@application.command("list")
def list_runs(as_json: AsJson = False) -> int:
    """Lists all runs, the newest first."""
    from app.core.run.catalog import RunCatalog
    from app.core.run.folder import runs_dir

    summaries = RunCatalog().refresh()
    if as_json:
        output.say_json({"runs_dir": str(runs_dir()), "runs": [summary.as_dict() for summary in summaries]})
    elif summaries:
        headers = ["run", "state", "base", "method", "iterations", "validation loss", "tokens/s"]
        output.table(headers, [_row(summary) for summary in summaries])
    else:
        output.say(f"There are no runs in {runs_dir()}.")
    return 0


@application.command()
def show(run: Name, as_json: AsJson = False) -> int:
    """Shows one run: its state, its config and its figures."""
    from app.command.resume import known_run
    from app.core.run.summary import summarize
    from app.core.setup.config_file import dump_config, load_config

    found = known_run(run)
    summary = summarize(found)
    config = load_config(found.config).config
    if as_json:
        tree = {"config": config.model_dump(mode="json"), **_history(found), "size_bytes": _size(found)}
        output.say_json(summary.as_dict() | tree)
        return 0
    for name, value in _facts(summary, found):
        output.say(f"{name:16} {value}")
    output.say(f"\n{dump_config(config).rstrip()}")
    return 0


@application.command()
def compare(
    run: Annotated[list[str], typer.Argument(metavar="RUN RUN…", help="Two runs or more.")], as_json: AsJson = False
) -> int:
    """Shows the config values in which runs differ, and their best validation losses."""
    from app.command.resume import known_run
    from app.core.problem import Problem, UnusableError
    from app.core.run.difference import config_differences, run_config
    from app.core.run.summary import summarize

    if len(run) < 2:
        raise UnusableError([Problem("", "One run has nothing to be compared with.", hint="Name two or more.")])
    found = [known_run(name) for name in run]
    differ = config_differences([run_config(one) for one in found])
    summaries = [summarize(one) for one in found]
    if as_json:
        tree = [{"path": one.path, "label": one.label, "values": list(one.values)} for one in differ]
        output.say_json({"runs": [one.as_dict() for one in summaries], "differences": tree})
        return 0
    losses = [f"{_figure(s.best_figure)}{' reward' if s.rewarded else ''}" for s in summaries]
    rows = [[one.label, *one.texts()] for one in differ]
    traded = [
        ["Learned", *(_figure(s.learned) for s in summaries)],
        ["Forgot", *(_figure(s.forgot) for s in summaries)],
    ]
    rows += [["Best validation loss", *losses], *(traded if any(s.forgot is not None for s in summaries) else [])]
    output.table(["", *(one.name for one in found)], rows)
    if not differ:
        output.say("The configs are the same.")
    return 0


@application.command()
def report(
    run: Name,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write: .html or .md says the format.")],
    as_json: AsJson = False,
) -> int:
    """Writes a run's report: one file with its figures, curves, config and environment."""
    from app.command.resume import known_run
    from app.core.run.reader import RunReader
    from app.core.run.report import save_report

    reader = RunReader(known_run(run))
    reader.read()
    save_report(reader, out)
    if as_json:
        output.say_json({"run": str(reader.run.path), "report": str(out.resolve())})
    else:
        output.say(f"Saved as {out}.")
    return 0


@application.command()
def track(
    run: Name,
    to: Annotated[str, typer.Option(help="tensorboard, wandb or trackio; several with commas.")] = "tensorboard",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where files go; in the run's own folder unless given.")
    ] = None,
    project: Annotated[str, typer.Option(help="What wandb and trackio file the run under.")] = "",
    as_json: AsJson = False,
) -> int:
    """Gives the figures of a run of the past to a tracker, as `report_to` does while it trains."""
    from app.command.resume import known_run
    from app.command.worker import result_of
    from app.core.protocol.job import TrackJob

    place = typed_path(out).resolve() if out is not None else None
    found = result_of(TrackJob(run=known_run(run).path, report_to=to, project=project, out=place), quiet=as_json)
    if as_json:
        output.say_json(found)
    else:
        output.say(f"{found['figures']:,} figures are in {to} now. Files, if any, are in {found['out']}.")
    return 0


@application.command()
def rename(
    run: Name,
    name: Annotated[str, typer.Argument(help="The new name; empty for that of the adapter.")],
    as_json: AsJson = False,
) -> int:
    """Gives a run another name in lists. Its folder stays."""
    from app.core.run.note import NAME_LENGTH

    return _write_note(run, as_json, name=" ".join(name.split())[:NAME_LENGTH])


@application.command()
def note(
    run: Name,
    text: Annotated[str, typer.Argument(help="The notes, in place of those before; - reads standard input.")],
    as_json: AsJson = False,
) -> int:
    """Writes a run's notes."""
    return _write_note(run, as_json, text=sys.stdin.read() if text == "-" else text)


@application.command()
def tag(
    run: Name,
    tags: Annotated[list[str], typer.Argument(metavar="TAG…", help="The tags, in place of those before.")] = [],  # noqa: B006  # typer's own form of "none given"
    as_json: AsJson = False,
) -> int:
    """Gives a run tags to find it by; none removes them."""
    from app.core.run.note import parse_tags

    return _write_note(run, as_json, tags=parse_tags(",".join(tags)))


def _write_note(which: str, as_json: bool, **values: Any) -> int:
    from dataclasses import replace

    from app.command.resume import known_run
    from app.core.run.note import load_note, save_note

    run = known_run(which)
    written: RunNote = replace(load_note(run), **values)
    save_note(run, written)
    if as_json:
        tree = {"name": written.name, "tags": list(written.tags), "note": written.text}
        output.say_json({"path": str(run.path)} | tree)
    return 0


@application.command()
def delete(
    run: Annotated[list[str], typer.Argument(metavar="RUN…", help="Folders or exact names of runs.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> int:
    """Deletes runs with everything in their folders, adapters included."""
    from app.core.quantity import bytes_text

    found = _deletable(run)
    sizes = {one: _size(one) for one in found}
    if not yes:
        _confirm("\n".join(f"{one.path}  {bytes_text(size)}" for one, size in sizes.items()))
    for one in found:
        shutil.rmtree(one.path)
    if as_json:
        output.say_json({"deleted": [str(one.path) for one in found], "freed_bytes": sum(sizes.values())})
    else:
        output.say(f"Deleted {len(found)}; {bytes_text(sum(sizes.values()))} are free again.")
    return 0


def _deletable(names: list[str]) -> list[RunDir]:
    """The runs of these names, each once; only exact ones, since a wrong guess could not be undone."""
    from app.command.resume import known_run
    from app.core.problem import Problem, UnusableError
    from app.core.run.folder import find_runs
    from app.core.run.note import load_note

    found: dict[str, RunDir] = {}
    problems = []
    for name in names:
        try:
            run = known_run(name, quiet=True)  # no guess is taken
        except UnusableError as error:
            problems += error.problems
            continue
        given = [one.path for one in find_runs() if load_note(one).name == name]
        if name.rstrip("/").rsplit("/", 1)[-1] != run.name and given != [run.path]:
            problems.append(
                Problem("", f"“{name}” is not the whole name of a run.", hint=f"Did you mean {run.name}?")
            )
        elif run.is_running():
            problems.append(Problem("", f"{run.name} is being trained.", hint="Stop it first."))
        elif run.is_elsewhere():
            hint = f"`luthier remote fetch {run.name}` brings it here, `luthier remote stop` ends it."
            problems.append(Problem("", f"{run.name} is on another machine.", hint=hint))
        found[str(run.path)] = run
    if problems:
        raise UnusableError(problems)
    return list(found.values())


def _confirm(what: str) -> None:
    from app.core.problem import Problem, UnusableError

    if not sys.stdin.isatty():
        raise UnusableError(
            [Problem("", "Nobody is there to be asked.", hint="Give --yes to delete without asking.")]
        )
    output.remark(f"{what}\nDelete for ever? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise output.FailedError("Nothing was deleted.")


def _figure(value: float | None) -> str:
    from app.core.quantity import loss_text

    return loss_text(value) if value is not None else "–"


def _row(summary: RunSummary) -> list[str]:
    from app.core.quantity import loss_text
    from app.core.run.note import load_note
    from app.core.system.title import path_title

    loss = loss_text(summary.best_figure) if summary.best_figure is not None else "–"
    loss += " reward" if summary.rewarded else ""
    speed = f"{summary.tokens_per_second:,.0f}" if summary.tokens_per_second else "–"
    base = path_title(summary.base)
    done = f"{summary.iteration:,} of {summary.iterations:,}"
    given = load_note(summary.run).name
    name = f"{given} ({summary.run.name})" if given else summary.run.name
    return [name, summary.state, base, summary.method or "–", done, loss, speed]


def _facts(summary: RunSummary, run: RunDir) -> list[tuple[str, str]]:
    from app.core.quantity import bytes_text, duration_text, loss_text, memory_text
    from app.core.run.history import Traded

    facts = [
        ("run", str(run.path)),
        ("state", f"{summary.state}{f': {summary.message}' if summary.message else ''}"),
        ("started", datetime.fromtimestamp(summary.created).isoformat(" ", "seconds")),
        ("base model", summary.base),
        ("iterations", f"{summary.iteration:,} of {summary.iterations:,}"),
        ("trained for", duration_text(summary.elapsed_s)),
        ("parameters", f"{summary.trainable_parameters:,}"),
    ]
    if summary.last_train_loss is not None:
        facts.append(("training loss", loss_text(summary.last_train_loss)))
    if summary.best_figure is not None:
        what = "mean reward" if summary.rewarded else "validation loss"
        facts.append((what, f"{loss_text(summary.best_figure)} at best"))
    if summary.forgot is not None:
        facts.append(("trade", f"{Traded(summary.learned, summary.forgot).text()} (nats a token)"))
    facts += [("peak memory", memory_text(summary.peak_memory_gb)), ("on disk", bytes_text(_size(run)))]
    return [(name, value) for name, value in facts if value]


def _history(run: RunDir) -> dict[str, Any]:
    from app.core.protocol import event
    from app.core.protocol.event import read_events

    events = read_events(run.events)
    return {
        "validations": [
            {"iteration": e.iteration, "val_loss": e.val_loss} for e in events if isinstance(e, event.Validated)
        ],
        "forgetting": [
            {"iteration": e.iteration, "learned": e.learned, "forgot": e.forgot}
            for e in events
            if isinstance(e, event.NeutralMeasured)
        ],
        "checkpoints": [
            {"iteration": e.iteration, "path": e.path, "kind": e.kind}
            for e in events
            if isinstance(e, event.CheckpointSaved)
        ],
    }


def _size(run: RunDir) -> int:
    return sum(path.lstat().st_size for path in run.path.rglob("*") if path.is_file())
