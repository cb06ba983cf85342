"""``luthier check``: is this data usable, as what, how much of it, and what is wrong in which line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.command import output
from app.core.method.table import MODES

if TYPE_CHECKING:
    from app.core.data.report import DataReport
    from app.core.source.finding import Finding

application = typer.Typer(add_completion=False, rich_markup_mode=None)

EXAMPLES_LIMIT = 20


@application.command()
def check(
    data: Annotated[list[Path], typer.Argument(metavar="DATA…", help="Files and folders that make one data set.")],
    model: Annotated[
        str, typer.Option(help="Also look at the examples as this model's tokenizer and chat template see them.")
    ] = "",
    max_seq_length: Annotated[int, typer.Option(min=8, help="Longest example, in tokens (with --model).")] = 1024,
    mask_prompt: Annotated[bool, typer.Option("--mask-prompt", help="Only answers are trained.")] = False,
    train_mode: Annotated[str, typer.Option(help=f"What it is to train: {', '.join(MODES)}.")] = "sft",
    skip_bad_rows: Annotated[bool, typer.Option("--skip-bad-rows", help="Leave out rows with errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Checks data line by line. Exit code 2 if it is not usable."""
    from app.core.data.report import report_json

    config = {
        "max_seq_length": max_seq_length, "mask_prompt": mask_prompt, "skip_bad_rows": skip_bad_rows,
        "train_mode": train_mode,
    }  # fmt: skip
    files = [path.expanduser().resolve() for path in data]
    report = _with_balance(_with_model(files, model, config) if model else _plain(files, config))
    if as_json:
        output.say_json(report_json(report))
    else:
        _show(report)
    return 0 if report.usable else 2


def _plain(files: list[Path], config: dict[str, Any]) -> DataReport:
    from app.core.config.train_config import TrainConfig
    from app.core.data.check import check_files

    return check_files(files, config=TrainConfig().with_values(config))


def _with_model(files: list[Path], model: str, config: dict[str, Any]) -> DataReport:
    from app.command.worker import absolute, result_of
    from app.core.data.report import DataReport
    from app.core.protocol.job import CheckJob

    return DataReport.from_dict(result_of(CheckJob(files=tuple(files), model=absolute(model), config=config)))


def _with_balance(report: DataReport) -> DataReport:
    """The report with a warning if there are far more good or bad answers, as the usual weights of 1 count them."""
    from app.core.data.label import imbalance
    from app.core.data.report import with_findings
    from app.core.source.finding import Findings

    uneven = imbalance(report.labels, 1, 1) if report.target == "labelled" else None
    if uneven is None:
        return report
    findings = Findings()
    findings.add("unbalanced_labels", report.splits["train"].files[0], None, uneven.reason)
    return with_findings(report, findings)


def _show(report: DataReport) -> None:
    from app.core.quantity import plural

    verdict = "usable" if report.usable else "not usable"
    form = f"{report.format}, trained as {report.target}" if report.target else report.format
    splits = " · ".join(f"{name} {part.examples:,}" for name, part in report.splits.items())
    output.say(f"{verdict}: {plural(report.examples, 'example')} of {plural(report.rows, 'row')} · {form}")
    output.say(f"{splits}\n" if splits else "")
    _list("error", report.errors, report.error_count)
    _list("warning", report.warnings, report.warning_count)
    _list("note", report.notes, len(report.notes))


def _list(word: str, findings: list[Finding], total: int) -> None:
    """The first findings, each with its place, and how many more there are."""
    for finding in findings[:EXAMPLES_LIMIT]:
        where = f"{finding.file}:{finding.line}" if finding.line is not None else finding.file
        output.say(f"{word}: {where}: {finding.reason}")
    if total > EXAMPLES_LIMIT:
        output.say(f"{word}: {total - min(EXAMPLES_LIMIT, len(findings)):,} more; --json lists up to 1,000.")
    hints = dict.fromkeys(finding.hint for finding in findings if finding.hint)
    for hint in hints:
        output.say(f"  {hint}")
