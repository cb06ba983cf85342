"""The task that checks data as the model will see it: rows, tokens, lengths and masks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_config_data, check_files
from app.core.data.convert import first_examples
from app.core.data.prepare import CancelledError
from app.core.data.report import DataReport, report_json, with_findings
from app.core.language import tr
from app.core.model.folder import locate_model
from app.core.problem import Severity, UnusableError
from app.core.protocol import event
from app.core.protocol.job import CheckJob, TokenizeJob
from app.core.setup.chosen_method import method_of
from app.core.source.data_file import locate_data
from app.core.source.finding import Findings
from app.worker.batch.shape import Costs
from app.worker.batch.step_count import planned_costs
from app.worker.data.preview import shown_example
from app.worker.data.rated_statistic import add_rated_findings, rated_statistics
from app.worker.data.statistic import add_length_findings, statistics
from app.worker.data.tokenized import TokenizedData, tokenize_config
from app.worker.model.inspect import inspect_model
from app.worker.process.channel import Channel
from app.worker.process.job import job_config
from app.worker.process.progress import Reporter
from app.worker.token.tokenize import add_findings, origin
from app.worker.token.tokenizer import load_tokenizer


def _found_in(data: TokenizedData, config: TrainConfig) -> Findings:
    """What tokenization tells of the rows, in the user's own files."""
    findings = Findings()
    for split, tokenized in data.tokenized.items():
        path, origins = data.prepared.path(split), data.prepared.origins.get(split)
        assert path is not None
        add_findings(findings, tokenized, path, origins)
        where = partial(origin, path, origins=origins)
        if method_of(config).data == "examples":
            add_length_findings(findings, tokenized, config.max_seq_length, where)
        else:
            add_rated_findings(findings, tokenized, config, where)
    return findings


def _statistics(data: TokenizedData, config: TrainConfig) -> dict[str, dict[str, Any]]:
    """The figures of every split, as plain JSON values."""
    costs = _costs(config)
    if method_of(config).data == "examples":
        return {split: statistics(item.token_set, config, costs) for split, item in data.tokenized.items()}
    return {split: rated_statistics(item, config, costs) for split, item in data.tokenized.items()}


def _costs(config: TrainConfig) -> Costs | None:
    """What the model's positions cost, by which batches are cut; None for one that cannot be inspected."""
    try:
        return planned_costs(inspect_model(locate_model(config.model)))
    except UnusableError:
        return None


def tokenize(channel: Channel, job_dir: Path, job: TokenizeJob) -> None:
    """The task ``tokenize``: a result of totals, lengths, padding and findings."""
    config, reporter = job_config(job.config), Reporter(channel)
    channel.emit(event.Progressed(phase=tr("Loading the tokenizer")))
    tokenizer = load_tokenizer(config.model)
    try:
        data = tokenize_config(config, job_dir / "data", tokenizer, reporter)
    except CancelledError:
        channel.emit(event.Finished(reason="stopped"))
        return
    findings = _found_in(data, config)
    result = {
        "format": data.prepared.format,
        "report": report_json(data.prepared.report),
        "problems": [p.sentence() for p in data.prepared.problems],
        "splits": _statistics(data, config),
        "counts": dict(findings.counts),
    } | {f"{s.value}s": [finding.as_dict() for finding in findings.kept(s)] for s in Severity}
    channel.emit(event.Result(name="tokenize", data=result))
    channel.emit(event.Finished())


def check(channel: Channel, job_dir: Path, job: CheckJob) -> None:
    """The task ``check``: the report as a result.

    With a model the rows also go through its tokenizer, so that refused, too long and untrained rows are told.
    """
    config, reporter = job_config(job.config), Reporter(channel)
    if job.model:
        config = config.with_value("model", job.model)
    files = list(job.files)
    try:
        report = _structure(config, job, reporter)
        if config.model and report.usable:
            report = _with_tokens(config, files, job_dir, report, reporter)
        shown = _shown(config, files, report, job.show)
    except CancelledError:
        channel.emit(event.Finished(reason="stopped"))
        return
    channel.emit(event.Result(name="check", data=report_json(report) | {"shown": shown}))
    channel.emit(event.Finished())


def _shown(config: TrainConfig, files: list[Path], report: DataReport, count: int) -> list[dict[str, Any]]:
    """The first examples as the model will see them."""
    if not (count and config.model and report.target):
        return []
    tokenizer = load_tokenizer(config.model)
    paths = files or [locate_data(config.data)]
    return [
        shown_example(row, tokenizer, config) | {"file": file, "line": line}
        for file, line, row in first_examples(paths, config, report.target, count)
    ]


def _structure(config: TrainConfig, job: CheckJob, reporter: Reporter) -> DataReport:
    progress = reporter.phase(tr("Checking the data"))
    if not job.files:
        return check_config_data(config, progress=progress, cancelled=reporter.stopped)
    return check_files(
        job.files, config=config, valid=job.valid, test=job.test, progress=progress, cancelled=reporter.stopped
    )


def _with_tokens(
    config: TrainConfig, files: list[Path], job_dir: Path, report: DataReport, reporter: Reporter
) -> DataReport:
    """The report with what the tokenizer finds. Nothing is split: every row is looked at where it is."""
    tokenizer = load_tokenizer(config.model)
    findings = Findings()
    names = [str(file) for file in files] or [
        name for name in (config.data, config.valid_data, config.test_data) if name
    ]
    try:
        for number, name in enumerate(names):
            whole = config.with_values(
                {"data": name, "valid_data": "", "test_data": "", "valid_fraction": 0.0, "test_fraction": 0.0}
            )
            data = tokenize_config(whole, job_dir / f"data-{number}", tokenizer, reporter)
            findings.extend(_found_in(data, config))
    except UnusableError as error:
        problem = error.problems[0]
        kind = "no_chat_template" if problem.path == "model" else "template_refused"
        findings.add(kind, report.splits["train"].files[0], None, problem.message)
    return with_findings(report, findings, skip_bad_rows=config.skip_bad_rows)
