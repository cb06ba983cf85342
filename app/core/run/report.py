"""A run's report: one self-contained HTML or Markdown file with its figures, curves, config and environment."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import __version__
from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.quantity import (
    bytes_text,
    count_text,
    duration_text,
    loss_text,
    memory_text,
    percent_text,
    plural,
    token_rate_text,
)
from app.core.resource import resource
from app.core.run.benchmark import benchmark_figures, column_name, load_benchmarks
from app.core.run.curve_svg import curve_svg
from app.core.run.difference import asked_config, config_differences, run_config
from app.core.run.folder import RunDir
from app.core.run.reader import RunReader
from app.core.run.summary import RunSummary, summary_of
from app.core.setup.config_file import dump_config
from app.core.setup.duration import extent_of
from app.core.system.atomic_file import write_text
from app.core.system.title import path_title
from app.core.visible import writable_text

if TYPE_CHECKING:
    from jinja2 import Environment

    from app.core.protocol.event import NeutralMeasured, Started

SUFFIXES = (".html", ".md")
SHOWN_ROWS = 40  # validations and checkpoints of a long run: the last ones
STATE_WORDS = {
    "new": tr("Not started"),
    "preparing": tr("Preparing"),
    "running": tr("Training"),
    "paused": tr("Paused"),
    "finished": tr("Finished"),
    "early_stopping": tr("Stopped early"),
    "stopped": tr("Stopped"),
    "failed": tr("Failed"),
    "crashed": tr("Interrupted"),
    "elsewhere": tr("Training elsewhere"),
}
Rows = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a report: a table, preformatted text, or plain text under a title."""

    title: str
    head: tuple[str, ...] = ()
    rows: Sequence[tuple[str, ...]] = ()
    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a report says, before it is HTML or Markdown."""

    title: str
    line: str
    svg: str
    sections: tuple[Section, ...]
    footer: str


def make_report(reader: RunReader) -> RunReport:
    """The report of a run whose events were read; a broken config is told in its place."""
    run, summary = reader.run, summary_of(reader)
    when = datetime.fromtimestamp(summary.created).strftime("%Y-%m-%d %H:%M")
    parts = [STATE_WORDS[summary.state], when, path_title(summary.base) or tr("no base model"), *summary.tags]
    sections = [
        Section(tr("Notes"), text=summary.note),
        Section(tr("What happened"), text=summary.message),
        Section(tr("Figures"), rows=_figures(summary, reader)),
        *_config_sections(run),
        _validations(reader),
        _checkpoints(reader),
        *_benchmarks(run),
        Section(tr("Warnings"), text="\n".join(found.text for found in reader.warnings)),
        Section(tr("Environment"), rows=_environment(run, reader)),
    ]
    return RunReport(
        title=summary.name,
        line=" · ".join(parts),
        svg=curve_svg(reader.history),
        sections=tuple(part for part in sections if part.rows or part.code or part.text),
        footer=tr(
            "Written by Luthier {version} on {strftime}.",
            version=__version__,
            strftime=datetime.now().strftime("%Y-%m-%d %H:%M"),
        ),
    )


def save_report(reader: RunReader, path: Path) -> None:
    """Writes the report of a run whose events were read; the suffix says the format (.html or .md).

    Raises `UnusableError` for another suffix and `OSError` if the file cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        said = tr("{name}: the ending says the format of the report.", name=path.name)
        raise UnusableError([Problem("", said, hint=tr("Use {suffixes}.", suffixes=tr(" or ").join(SUFFIXES)))])
    report = make_report(reader)
    write_text(path, report_html(report) if path.suffix.lower() == ".html" else report_markdown(report))


# -- the two formats ---------------------------------------------------------------------------------------------


def report_html(report: RunReport) -> str:
    """One page without any other file, font or script; light or dark as the reader's system."""
    return writable_text(_templates().get_template("report.html").render(report=report))


def report_markdown(report: RunReport) -> str:
    """Markdown with the picture in the file itself, as a data address."""
    return writable_text(_templates().get_template("report.md").render(report=report))


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # 40 ms that no start should wait for

    found = Environment(  # nosec B701 # HTML is escaped; Markdown has filters of its own
        loader=FileSystemLoader(resource("templates")),
        autoescape=lambda name: name is None or not name.endswith(".md"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters.update(inline=_inline, fenced=_fenced, picture_address=_picture_address)
    return found


def _inline(text: str) -> str:
    """Text in one line, in a table or a title."""
    return " ".join(text.replace("|", "\\|").split())


def _fenced(code: str) -> str:
    """A block of YAML between fences longer than any in it."""
    fence = "`" * 3
    while fence in code:
        fence += "`"
    return f"{fence}yaml\n{code}\n{fence}"


def _picture_address(svg: str) -> str:
    """The picture as an address; alone on whatever page it is shown on, it needs a ground of its own."""
    picture = svg.replace(">", '><rect width="100%" height="100%" fill="#fff"/>', 1)
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode('ascii')}"


# -- what it says ------------------------------------------------------------------------------------------------


def _figures(summary: RunSummary, reader: RunReader) -> Rows:
    started = reader.history.started
    rows: Rows = [
        (
            tr("Iterations"),
            tr("{iteration:,} of {iterations:,}", iteration=summary.iteration, iterations=summary.iterations),
        )
    ]
    if summary.best_val_loss is not None and summary.best_figure is not None:
        rows.append(
            (
                summary.best_label,
                tr(
                    "{best_figure} at iteration {best_iteration:,}",
                    best_figure=loss_text(summary.best_figure),
                    best_iteration=summary.best_iteration,
                ),
            )
        )
        if summary.best_val_loss < 50 and not summary.rewarded:
            rows.append((tr("Perplexity there"), loss_text(math.exp(summary.best_val_loss))))
    if summary.last_train_loss is not None:
        rows.append((tr("Last training loss"), loss_text(summary.last_train_loss)))
    if (traded := reader.history.traded) is not None:
        rows.append((tr("Learned and forgot"), f"{traded.text()}, {neutral_words(reader.history.neutral)}"))
    if started is not None:
        rows.append((tr("Trained"), _trained_text(started.trainable_parameters, started.total_parameters)))
        rows.append((tr("Adapted modules"), count_text(started.adapted_modules)))
        rows.append((tr("Examples"), _examples_text(reader.run, started)))
    if reader.history.last_report is not None:
        rows.append((tr("Trained tokens"), count_text(reader.history.last_report.trained_tokens)))
        rows.append((tr("Speed"), token_rate_text(summary.tokens_per_second)))
        rows.append((tr("Peak memory"), memory_text(summary.peak_memory_gb)))
        rows.append((tr("Time"), duration_text(summary.elapsed_s)))
    rows.append((tr("On disk"), bytes_text(summary.size_bytes)))
    return rows


def _examples_text(run: RunDir, started: Started) -> str:
    """How many examples train, and how many of the others its validations measured: always the same ones."""
    train, valid = started.train_examples, started.valid_examples
    try:
        measured = extent_of(run_config(run), started.iterations, train, valid).measured
    except UnusableError:  # told in the place of the config
        measured = valid
    if measured >= valid:
        return tr(
            "{train_examples:,} to train on, {valid_examples:,} to validate",
            train_examples=train,
            valid_examples=valid,
        )
    return tr(
        "{train_examples:,} to train on, {measured:,} of {valid_examples:,} to validate",
        train_examples=train,
        measured=measured,
        valid_examples=valid,
    )


def neutral_words(measured: NeutralMeasured | None) -> str:
    """What forgetting was measured on, in words."""
    if measured is None:
        return tr("nats a token")
    whose = tr("the starter's own plain answers") if measured.source == "starter" else tr("text of the base's own")
    return tr("nats a token, on {tokens} of {whose}", tokens=plural(measured.tokens, "token"), whose=whose)


def _trained_text(trainable: int, total: int) -> str:
    share = (
        tr(", {trainable} of {total}", trainable=percent_text(100 * trainable / total), total=count_text(total))
        if total
        else ""
    )
    return f"{plural(trainable, 'parameter')}{share}"


def _config_sections(run: RunDir) -> list[Section]:
    try:
        config = run_config(run)
    except UnusableError as error:
        return [Section(tr("Config"), text=str(error))]
    changed = config_differences([TrainConfig(), asked_config(run) or config])
    rows = [(found.label, found.path, found.texts()[1]) for found in changed]
    return [
        Section(tr("Other than the defaults"), (tr("Field"), tr("Key"), tr("Value")), rows),
        Section(tr("Config"), code=dump_config(config).rstrip()),
    ]


def _validations(reader: RunReader) -> Section:
    history = reader.history
    pairs = list(zip(history.valid_x("iterations").tolist(), history.valid_losses.tolist(), strict=True))
    best = history.best.iteration if history.best else None
    forgot = dict(zip(history.forgot_x("iterations").tolist(), history.forgot.tolist(), strict=True))
    if not forgot:
        rows = [
            (count_text(x), loss_text(loss), tr("best") if x == best else "") for x, loss in pairs[-SHOWN_ROWS:]
        ]
        return Section(_title(tr("Validations"), len(pairs)), (tr("Iteration"), tr("Loss"), ""), rows)
    losses = dict(pairs)
    places = sorted(losses | forgot)
    full = [
        (count_text(x), _cell(losses.get(x)), _cell(forgot.get(x)), tr("best") if x == best else "")
        for x in places[-SHOWN_ROWS:]
    ]
    return Section(_title(tr("Validations"), len(places)), (tr("Iteration"), tr("Loss"), tr("Forgot"), ""), full)


def _cell(value: float | None) -> str:
    return "" if value is None else loss_text(value)


def _checkpoints(reader: RunReader) -> Section:
    found = reader.checkpoints
    rows = [(count_text(one.iteration), one.kind, one.path) for one in found[-SHOWN_ROWS:]]
    return Section(_title(tr("Checkpoints"), len(found)), (tr("Iteration"), tr("Kind"), tr("File")), rows)


def _benchmarks(run: RunDir) -> list[Section]:
    """What lm-eval measured of it, each time in a table of its own."""
    return [_benchmark(found) for found in load_benchmarks(run)]


def _benchmark(found: dict[str, Any]) -> Section:
    columns = found["columns"]
    heads = [column_name(column) for column in columns]
    rows = [(figure.task, figure.metric, *figure.texts()) for figure in benchmark_figures(columns)]
    more = [tr("{limit:,} examples of each task", limit=found["limit"])] if found.get("limit") else []
    more += [tr("{shots} shots", shots=found["shots"])] if found.get("shots") is not None else []
    title = " · ".join(
        [
            tr(
                "Benchmarks of {replace} (lm-eval {harness})",
                replace=found["time"].replace("T", " "),
                harness=found["harness"],
            ),
            *more,
        ]
    )
    return Section(title, (tr("Task"), tr("Metric"), *heads), rows)


def _title(name: str, count: int) -> str:
    return (
        name
        if count <= SHOWN_ROWS
        else tr("{name} (the last {shown_rows} of {count:,})", name=name, shown_rows=SHOWN_ROWS, count=count)
    )


def _environment(run: RunDir, reader: RunReader) -> Rows:
    rows: Rows = [(tr("Folder"), str(run.path))]
    hello = reader.hello
    if hello is not None:
        rows += [(tr("Device"), hello.device)] if hello.device else []
        rows += [(tr("Memory"), memory_text(hello.memory_gb))] if hello.memory_gb else []
        rows += [(name, version) for name, version in hello.versions.items()]
    return rows
