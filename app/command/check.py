"""``luthier check``: is this data usable, as what, how much of it, and what is wrong in which line."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.command import output
from app.command.check_output import (
    ShownExample,
    config_of,
    mapping_options,
    marked_example,
    plain_example,
    repaired,
    without_parts,
)
from app.core.method.table import MODES
from app.core.typed_path import typed_path

if TYPE_CHECKING:
    from app.core.config.train_config import TrainConfig
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
    mask_turns: Annotated[str, typer.Option(help="Of several answers in a row: last or all.")] = "last",
    train_mode: Annotated[str, typer.Option(help=f"What it is to train: {', '.join(MODES)}.")] = "sft",
    reward_functions: Annotated[
        str, typer.Option(help="With grpo: the reward functions, by name, with commas between them.")
    ] = "",
    data_format: Annotated[
        str, typer.Option("--format", "--data-format", help="How rows are read: auto, chat, completion or text.")
    ] = "auto",
    prompt_feature: Annotated[str, typer.Option(help="Column that holds the prompt.")] = "prompt",
    completion_feature: Annotated[str, typer.Option(help="Column that holds the answer.")] = "completion",
    chat_feature: Annotated[str, typer.Option(help="Column that holds the messages.")] = "messages",
    text_feature: Annotated[str, typer.Option(help="Column that holds the text.")] = "text",
    system_feature: Annotated[str, typer.Option(help="Column that holds the system prompt.")] = "",
    encoding: Annotated[
        str, typer.Option(help="Encoding of texts, such as cp1250; found by what they hold if none is named.")
    ] = "",
    sheet: Annotated[str, typer.Option(help="Sheet of a workbook that is read.")] = "",
    answers_by: Annotated[
        str, typer.Option(help="Whose words are the answers, of a chat that a program has exported.")
    ] = "",
    group_feature: Annotated[
        str, typer.Option("--group-by", "--group-feature", help="Column whose equal values stay on one side.")
    ] = "",
    skip_bad_answers: Annotated[
        bool, typer.Option("--skip-bad-answers", help="Of answers labelled good or bad, learn the good ones alone.")
    ] = False,
    skip_bad_rows: Annotated[bool, typer.Option("--skip-bad-rows", help="Leave out rows with errors.")] = False,
    show: Annotated[
        int, typer.Option(min=0, max=1000, help="Print so many examples as they train, what is learned marked.")
    ] = 0,
    fix: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write a repaired copy: bad rows and repeats left out, roles put right."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Checks data line by line. Exit code 2 if it is not usable; with --fix, if the repaired copy is not."""
    from app.core.data.report import report_json

    values: dict[str, Any] = {
        "max_seq_length": max_seq_length, "mask_prompt": mask_prompt, "mask_turns": mask_turns,
        "skip_bad_rows": skip_bad_rows, "train_mode": train_mode, "data_format": data_format,
        "prompt_feature": prompt_feature, "completion_feature": completion_feature, "chat_feature": chat_feature,
        "text_feature": text_feature, "system_feature": system_feature, "group_feature": group_feature,
        "sheet": sheet, "answers_by": answers_by,
        "encoding": encoding, "skip_bad_answers": skip_bad_answers,
    }  # fmt: skip
    if reward_functions:
        values["reward_functions"] = tuple(name.strip() for name in reward_functions.split(","))
    config = config_of(values)
    if reward_functions:
        _check_rewards(config)
    files = [typed_path(path).resolve() for path in data]
    _check_kinds(files)
    report, examples = _with_model(files, model, config, show) if model else _plain(files, config, show)
    report = _with_config(report, config)
    repair = None if fix is None else repaired(files, config, typed_path(fix).resolve())
    # The columns of pairs and of prompts have names of their own, which no option changes.
    mapping = mapping_options(report) if train_mode == "sft" else []
    if as_json:
        tree = report_json(report) | ({"mapping": mapping} if mapping else {})
        tree |= {"preview": [without_parts(example) for example in examples]} if show else {}
        output.say_json(tree | ({"fixed": repair.as_dict()} if repair is not None else {}))
    else:
        _show(report)
        if mapping:
            output.say(f"  Add: {shlex.join(mapping)}")
        for number, example in enumerate(examples, 1):
            output.say(marked_example(number, example))
        if repair is not None:
            output.say(repair.sentence())
    return 0 if (report.usable if repair is None else repair.usable) else 2


def _check_kinds(files: list[Path]) -> None:
    """Raises `UnusableError` for a config: its words are no examples."""
    from app.core.problem import Problem, UnusableError
    from app.core.setup.path_kind import PathKind, sort_path

    hint = "Name the data that it trains on."
    if found := [path for path in files if sort_path(path).kind is PathKind.CONFIG]:
        raise UnusableError(
            [Problem("", "This is a config, not data.", hint=hint, file=str(path)) for path in found]
        )


def _check_rewards(config: TrainConfig) -> None:
    """Raises `UnusableError` for functions that there are not."""
    from app.core.problem import UnusableError, errors
    from app.core.setup.method_check import check_rewards

    if found := errors(check_rewards(config)):
        raise UnusableError(found)


def _plain(files: list[Path], config: TrainConfig, show: int) -> tuple[DataReport, list[ShownExample]]:
    from app.core.data.check import check_files
    from app.core.data.convert import first_examples

    report = check_files(files, config=config)
    found = first_examples(files, config, report.target, show) if show and report.target else ()
    examples = []
    for file, line, row in found:
        example = plain_example(row, config)
        example["file"], example["line"] = file, line
        examples.append(example)
    return report, examples


def _with_model(
    files: list[Path], model: str, config: TrainConfig, show: int
) -> tuple[DataReport, list[ShownExample]]:
    from app.command.worker import absolute, result_of
    from app.core.data.report import DataReport
    from app.core.protocol.job import CheckJob

    job = CheckJob(files=tuple(files), model=absolute(model), config=config.model_dump(mode="json"), show=show)
    found = result_of(job)
    return DataReport.from_dict(found), found["shown"]


def _with_config(report: DataReport, config: TrainConfig) -> DataReport:
    """The report with what a config makes of the data: uneven labels, rewards that answers hardly get."""
    from app.core.data.label import imbalance
    from app.core.data.report import with_findings
    from app.core.method.reward import reward_doubts
    from app.core.source.finding import Findings

    findings = Findings()
    uneven = imbalance(report.labels, 1, 1) if report.target == "labelled" else None
    if uneven is not None:
        findings.add("unbalanced_labels", report.splits["train"].files[0], None, uneven.reason)
    if report.target == "prompt":
        for doubt in reward_doubts(config.reward_functions, report.references):
            findings.add("reward_doubt", report.splits["train"].files[0], None, doubt)
    return with_findings(report, findings) if findings.counts else report


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
