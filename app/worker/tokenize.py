"""Tokenization: prepared files as token sets, cached on disk, with what is to be said of their rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from app.core import event
from app.core.config import TrainConfig
from app.core.config_file import parse_config
from app.core.dataset.check import check_config, check_files
from app.core.dataset.finding import Findings
from app.core.dataset.prepare import CancelledError, Origins, PreparedData, prepare_data
from app.core.dataset.report import DataReport, report_json, with_findings
from app.core.dataset.source import SPLITS
from app.core.problem import Problem, Severity, UnusableError
from app.worker import token_cache
from app.worker.channel import Channel
from app.worker.encode import Encoded, RowEncoder
from app.worker.rated_statistic import add_rated_findings, rated_statistics
from app.worker.token_cache import CacheWriter, Fault, Tokenized
from app.worker.token_set import TokenSet
from app.worker.token_statistic import add_length_findings, statistics

Progress = Callable[[int, int], None]

BATCH_ROWS = 512
KEPT_FAULTS = 1000


def load_tokenizer(model: str) -> Any:
    """mlx-lm's tokenizer of a model (folder or cached hub id), without the weights. Raises `UnusableError`."""
    from mlx_lm.utils import load_tokenizer as load

    from app.core.model_folder import locate_model

    folder = locate_model(model)
    try:
        return load(folder)
    except (OSError, ValueError, KeyError, ImportError) as error:
        said = f"The tokenizer cannot be loaded: {str(error).splitlines()[0] if str(error) else error!r}"
        raise UnusableError([Problem("model", said, hint="Download the model again.", file=str(folder))]) from error


def tokenize_file(path: Path, tokenizer: Any, config: TrainConfig, progress: Progress | None = None) -> TokenSet:
    """The examples of a prepared file (`prepare_data`), from the cache when it was tokenized before.

    Tokens and masks are those of stock mlx-lm's data sets; with ``mask_turns: all`` every turn of the assistant is
    trained. ``progress(done, total)`` counts bytes. Raises `UnusableError` for rows that the chat template refuses
    (unless ``skip_bad_rows``), and for a model without a template where one is needed.
    """
    tokenized = tokenize_rows(path, tokenizer, config, progress)
    refuse(tokenized, path, config)
    return tokenized.token_set


def tokenize_rows(path: Path, tokenizer: Any, config: TrainConfig, progress: Progress | None = None) -> Tokenized:
    """The same with everything that is to be said of the rows; refused rows are left out and told, not raised."""
    key = token_cache.cache_key(path, tokenizer, config)
    cached = token_cache.load(key)
    if cached is not None:
        return cached
    total = path.stat().st_size
    writer = CacheWriter(key)
    faults: list[Fault] = []
    counts: Counter[str] = Counter()
    encoder: RowEncoder | None = None
    try:
        for rows, lines, done in row_batches(path):
            if encoder is None:
                encoder = RowEncoder(tokenizer, config, rows[0], file=str(path))
            encoded = encoder.encode(rows)
            writer.add(encoded, lines)
            _collect(encoded, lines, faults, counts)
            if progress is not None:
                progress(done, total)
        return writer.finish(encoder.target if encoder else "", faults, dict(counts))
    except BaseException:
        writer.discard()
        raise


def row_batches(path: Path) -> Iterator[tuple[list[dict[str, Any]], list[int], int]]:
    """Rows of a JSONL file with their lines, some hundred at a time, and the bytes read so far."""
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    done = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            done += len(line)
            rows.append(_row(line, path, number))
            lines.append(number)
            if len(rows) == BATCH_ROWS:
                yield rows, lines, done
                rows, lines = [], []
    if rows:
        yield rows, lines, done


def _row(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        said = f"This is not JSON: {error}."
        problem = Problem("data", said, hint="Prepare the data first.", file=str(path), line=number)
        raise UnusableError([problem]) from error
    if not isinstance(row, dict):
        raise UnusableError([Problem("data", "The row is no object with fields.", file=str(path), line=number)])
    return row


def _collect(encoded: list[Encoded], lines: list[int], faults: list[Fault], counts: Counter[str]) -> None:
    for item, line in zip(encoded, lines, strict=True):
        told = [*item.faults, *([("template_refused", item.refused)] if item.refused else [])]
        for kind, reason in told:
            counts[kind] += 1
            if counts[kind] <= KEPT_FAULTS:
                faults.append((kind, line, reason))


def refuse(tokenized: Tokenized, path: Path, config: TrainConfig, origins: Origins | None = None) -> None:
    """Raises `UnusableError` if the chat template refused rows and they may not be left out."""
    count = tokenized.counts.get("template_refused", 0)
    if not count or (config.skip_bad_rows and len(tokenized.token_set)):
        return
    findings = Findings()
    add_findings(findings, tokenized, path, origins)
    raise UnusableError(findings.problems(Severity.ERROR))


def add_findings(findings: Findings, tokenized: Tokenized, path: Path, origins: Origins | None) -> None:
    """The faults of a tokenized file as findings, in the user's own files where the origins tell."""
    shown: Counter[str] = Counter()
    for kind, line, reason in tokenized.faults:
        shown[kind] += 1
        findings.add(kind, *origin(path, line, origins), reason)
    for kind, count in tokenized.counts.items():
        findings.count(kind, count - shown[kind])


def origin(path: Path, line: int, origins: Origins | None) -> tuple[str, int]:
    """File and line that a row of a prepared file came from."""
    if origins is None or line > len(origins.line):
        return str(path), line
    return origins.files[int(origins.file[line - 1])], int(origins.line[line - 1])


# -- tasks ---------------------------------------------------------------------------------------------------


class Reporter:
    """Progress of a task as events, at most every half percent; a stop command ends the task."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._told = ("", -1)
        self.pending: list[dict[str, Any]] = []  # commands that came meanwhile and are not for the preparation

    def phase(self, name: str) -> Progress:
        """The progress callback of one phase."""

        def report(done: int, total: int) -> None:
            step = 200 * done // max(total, 1)
            if self._told != (name, step):
                self._told = (name, step)
                self._channel.emit(event.Progressed(phase=name, done=done, total=total))
            if self.stopped():
                raise CancelledError

        return report

    def stopped(self) -> bool:
        """True when the parent asked to stop, or is gone."""
        while (command := self._channel.poll()) is not None:
            if command["command"] in ("stop", "end_of_input"):
                return True
            self.pending.append(command)
        return False


def job_config(job: dict[str, Any]) -> TrainConfig:
    """The config of a job: a tree of values, or YAML text, under ``config``. Raises `UnusableError`."""
    given = job.get("config") or {}
    text = given if isinstance(given, str) else json.dumps(given)
    return parse_config(text, name="config").config


@dataclass(frozen=True, slots=True)
class TokenizedData:
    """Prepared data and its token sets by split."""

    prepared: PreparedData
    tokenized: dict[str, Tokenized]

    def findings(self, config: TrainConfig) -> Findings:
        """What tokenization tells of the rows, in the user's own files."""
        findings = Findings()
        for split, tokenized in self.tokenized.items():
            path, origins = self.prepared.path(split), self.prepared.origins.get(split)
            assert path is not None
            add_findings(findings, tokenized, path, origins)
            where = partial(origin, path, origins=origins)
            if config.train_mode == "sft":
                add_length_findings(findings, tokenized, config.max_seq_length, where)
            else:
                add_rated_findings(findings, tokenized, config, where)
        return findings

    def statistics(self, config: TrainConfig) -> dict[str, dict[str, Any]]:
        """The figures of every split, as plain JSON values."""
        if config.train_mode == "sft":
            return {split: statistics(item.token_set, config) for split, item in self.tokenized.items()}
        return {split: rated_statistics(item, config) for split, item in self.tokenized.items()}


def tokenize_config(config: TrainConfig, folder: Path, tokenizer: Any, reporter: Reporter) -> TokenizedData:
    """Prepares the config's data into ``folder`` and tokenizes every split; the cache then serves training.

    Pairs and prompts are tokenized as their method does it, which does so again when it runs.
    """
    from app.worker.rated_token import tokenize_rated  # it reads rows as this module does

    prepared = prepare_data(config, folder, reporter.phase("Reading the data"), reporter.stopped)
    found = {}
    for split in SPLITS:
        path = prepared.path(split)
        if path is not None:
            tokenize_split = tokenize_rows if config.train_mode == "sft" else tokenize_rated
            found[str(split)] = tokenize_split(path, tokenizer, config, reporter.phase("Tokenizing"))
    return TokenizedData(prepared, found)


def tokenize(channel: Channel, job_dir: Path, job: dict[str, Any]) -> None:
    """The task ``tokenize``: {"config": {…}} → a result of totals, lengths, padding and findings."""
    config, reporter = job_config(job), Reporter(channel)
    channel.emit(event.Progressed(phase="Loading the tokenizer"))
    tokenizer = load_tokenizer(config.model)
    try:
        data = tokenize_config(config, job_dir / "data", tokenizer, reporter)
    except CancelledError:
        channel.emit(event.Finished(reason="stopped"))
        return
    findings = data.findings(config)
    result = {
        "format": data.prepared.format,
        "report": report_json(data.prepared.report),
        "problems": [p.sentence() for p in data.prepared.problems],
        "splits": data.statistics(config),
        "counts": dict(findings.counts),
    } | {f"{s.value}s": [finding.as_dict() for finding in findings.kept(s)] for s in Severity}
    channel.emit(event.Result(name="tokenize", data=result))
    channel.emit(event.Finished())


def check(channel: Channel, job_dir: Path, job: dict[str, Any]) -> None:
    """The task ``check``: {"files": […]} or {"config": {…}}, optionally "model" → the report as a result.

    With a model the rows also go through its tokenizer, so that refused, too long and untrained rows are told.
    """
    config, reporter = job_config(job), Reporter(channel)
    if job.get("model"):
        config = config.with_value("model", str(job["model"]))
    files = [Path(name) for name in job.get("files") or []]
    try:
        report = _structure(config, files, job, reporter)
        if config.model and report.usable:
            report = _with_tokens(config, files, job_dir, report, reporter)
    except CancelledError:
        channel.emit(event.Finished(reason="stopped"))
        return
    channel.emit(event.Result(name="check", data=report_json(report)))
    channel.emit(event.Finished())


def _structure(config: TrainConfig, files: list[Path], job: dict[str, Any], reporter: Reporter) -> DataReport:
    progress = reporter.phase("Checking the data")
    if not files:
        return check_config(config, progress=progress, cancelled=reporter.stopped)
    valid, test = ([Path(name) for name in job.get(key) or []] for key in ("valid", "test"))
    return check_files(files, config=config, valid=valid, test=test, progress=progress, cancelled=reporter.stopped)


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
            findings.extend(data.findings(config))
    except UnusableError as error:
        problem = error.problems[0]
        kind = "no_chat_template" if problem.path == "model" else "template_refused"
        findings.add(kind, report.splits["train"].files[0], None, problem.message)
    return with_findings(report, findings, skip_bad_rows=config.skip_bad_rows)
