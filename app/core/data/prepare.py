"""Preparation: whatever the config names as data becomes the folder of files that stock mlx-lm trains on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from app.core.config.train_config import TrainConfig
from app.core.data.check import ByteProgress, Cancelled, DataCheck, chunking_of
from app.core.data.column import as_list
from app.core.data.convert import RowConverter
from app.core.data.format import Features
from app.core.data.label import imbalance
from app.core.data.report import DataReport
from app.core.data.row_check import dumped
from app.core.data.row_record import BAD_ROW, RowRecord
from app.core.data.split import LEFT_OUT, SMALL_ROWS, TRAIN, SplitPlan, assign
from app.core.document.passage import OVERLAP_KEY, Chunking
from app.core.json_text import json_bytes
from app.core.language import tr
from app.core.problem import Problem, Severity, UnusableError
from app.core.quantity import count_text, plural
from app.core.source.data_file import find_sources, locate_data
from app.core.source.finding import Findings
from app.core.source.reader import read_rows
from app.core.source.reading import FileReading
from app.core.source.source import SPLITS, Source, Split
from app.core.source.stream import ByteCount
from app.core.system.disk import flush_to_disk

WRITE_BUFFER_BYTES = 1 << 20


class CancelledError(Exception):
    """The preparation was cancelled; nothing of it is left in the folder."""


@dataclass(frozen=True, slots=True)
class Origins:
    """Where the rows of one written file come from: indices into ``files`` and lines there, one of each a row."""

    files: tuple[str, ...]
    file: npt.NDArray[np.int32]
    line: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PreparedData:
    """Data as it trains: ``folder`` is what goes into mlx-lm's ``data``; ``format`` is chat, completion, text,
    preference, labelled or prompt.

    ``problems`` are warnings and notes (all errors were raised). ``written`` is False when the user's own folder is
    used as it is.
    """

    folder: Path
    train: Path
    valid: Path | None
    test: Path | None
    format: str
    counts: dict[str, int]
    problems: list[Problem]
    report: DataReport
    origins: dict[str, Origins] = field(default_factory=dict)
    written: bool = True

    def path(self, split: str) -> Path | None:
        """The file of a split."""
        found: Path | None = getattr(self, split)
        return found


def prepare_data(
    config: TrainConfig,
    folder: Path,
    progress: ByteProgress | None = None,
    cancelled: Cancelled | None = None,
) -> PreparedData:
    """Reads, checks, converts and splits the config's data.

    A folder that is already in mlx-lm's layout, form and encoding and needs no split is used as it is; otherwise
    ``train.jsonl``, ``valid.jsonl`` and ``test.jsonl`` are written into ``folder``, under the config's own column
    names, so that stock mlx-lm reads them with the same config. The user's files are never changed. With
    ``valid_fraction`` and ``test_fraction`` a part is set aside only when no validation data is given and, for the
    test, only when there is neither test nor validation data. ``progress(done, total)`` counts bytes, each file
    read twice. Raises `UnusableError` with every problem (file and line), `CancelledError` when ``cancelled()``.
    """
    findings = Findings()
    sources = _sources(config, findings)
    check = DataCheck(
        sources, findings, Features.of(config), skip_bad_rows=config.skip_bad_rows, chunking=chunking_of(config),
        group_of=_group_of(config.group_feature), record=True,
    )  # fmt: skip
    check.run(_half(progress, 0), cancelled)
    if check.cancelled:
        raise CancelledError
    report = check.report()
    if not report.usable:
        raise UnusableError(_reasons(findings, report))
    if uneven := imbalance(report.labels, config.desirable_weight, config.undesirable_weight):
        findings.add("unbalanced_labels", check.sources[0].name, None, uneven.reason)
    own = _own_folder(config, check, report)
    if own is not None:
        return own
    sides = _sides(config, check, report, findings)
    return _write(config, folder, check, sides, findings, _half(progress, 1), cancelled)


def _half(progress: ByteProgress | None, half: int) -> ByteProgress | None:
    """ByteProgress of one of the two passes over all bytes."""
    if progress is None:
        return None
    return lambda done, total: progress(done + half * total, 2 * total)


def _sources(config: TrainConfig, findings: Findings) -> list[Source]:
    if not config.data.strip():
        raise UnusableError(
            [Problem("data", tr("No training data is chosen."), hint=tr("Choose a file or folder."))]
        )
    data = locate_data(config.data)
    if not data.exists():
        raise UnusableError(
            [
                Problem(
                    "data", tr("There is nothing at {data}.", data=config.data), hint=tr("Choose a file or folder.")
                )
            ]
        )
    given = {}
    for key in ("valid_data", "test_data"):
        name = config.value(key)
        given[key] = [locate_data(name)] if name else []
        if given[key] and not given[key][0].exists():
            raise UnusableError(
                [Problem(key, tr("There is nothing at {name}.", name=name), hint=tr("Choose a file or folder."))]
            )
    return find_sources(
        [data], findings, valid=given["valid_data"], test=given["test_data"], reading=FileReading.of(config)
    )


def _reasons(findings: Findings, report: DataReport) -> list[Problem]:
    problems = findings.problems(Severity.ERROR)
    if not problems:
        problems = [Problem("data", tr("There is no usable row."), hint=tr("Choose data with examples."))]
    if report.examples and not any(findings.counts[kind] for kind in ("not_supervised", "not_for_method")):
        good = tr(
            "{examples:,} of {rows:,} rows are good; 'Leave out bad rows' trains on these.",
            examples=report.examples,
            rows=report.rows,
        )
        problems.append(Problem("skip_bad_rows", good, Severity.NOTE))
    return problems


def _own_folder(config: TrainConfig, check: DataCheck, report: DataReport) -> PreparedData | None:
    """The user's folder when mlx-lm reads exactly this data from it and nothing is to be set aside."""
    folder = locate_data(config.data)
    wanted = {split: folder / f"{split}.jsonl" for split in SPLITS}
    its = {source.split: source.path for source in check.sources}
    if not all(check.native) or len(its) != len(check.sources) or "train" not in its:
        return None
    if any(path != wanted[split] for split, path in its.items()) or (
        "valid" not in its and config.valid_fraction > 0
    ):
        return None
    if not all(check.native_choice(next(_rows(source))) for source in check.sources):
        return None
    counts = {split: part.examples for split, part in report.splits.items()}
    problems = [*check.findings.problems(Severity.WARNING, Severity.NOTE), *_text_mask(config, report.target)]
    if "valid" not in its:
        problems.append(_no_validation())
    return PreparedData(
        folder, its["train"], its.get("valid"), its.get("test"), report.target, counts, problems, report,
        _own_origins(check), written=False,
    )  # fmt: skip


def _rows(source: Source) -> Iterator[dict[str, Any]]:
    return (row for _, row in read_rows(source) if isinstance(row, dict))


def _own_origins(check: DataCheck) -> dict[str, Origins]:
    record, bounds = _record(check), _bounds(check)
    lines = np.frombuffer(record.lines, np.uint32)
    return {
        source.split: Origins(
            (source.name,), np.zeros(end - start, np.int32), lines[start:end].astype(np.int64)
        )
        for source, (start, end) in zip(check.sources, bounds, strict=True)
    }  # fmt: skip


def _record(check: DataCheck) -> RowRecord:
    assert check.record is not None  # asked for by `prepare_data`
    return check.record


def _bounds(check: DataCheck) -> list[tuple[int, int]]:
    """The first and after-last row of each source."""
    record = _record(check)
    return list(zip(record.starts, [*record.starts[1:], len(record.state)], strict=True))


def _no_validation() -> Problem:
    return Problem(
        "valid_data", tr("There is no validation data: overfitting cannot be seen, nor training stopped early."),
        Severity.NOTE, tr("Give validation data or a validation share."),
    )  # fmt: skip


def _text_mask(config: TrainConfig, target: str) -> list[Problem]:
    if not (config.mask_prompt and target == "text"):
        return []
    said = tr("Text has no prompt to mask: all of it is trained (mlx-lm itself refuses mask_prompt for text).")
    return [Problem("mask_prompt", said, Severity.WARNING, tr("Turn it off for text."))]


# -- groups --------------------------------------------------------------------------------------------------


def _group_of(column: str) -> Callable[[dict[str, Any]], int] | None:
    """The group of a row: its value in the column; for a list of messages, the opening of the conversation."""
    if not column:
        return None

    def group(row: dict[str, Any]) -> int:
        value = as_list(row.get(column))
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = _opening(value)
        return hash(dumped(value))

    return group


def _opening(messages: list[Any]) -> list[Any]:
    """The messages up to the first one that is not of the system."""
    for number, message in enumerate(messages, 1):
        speaker = message.get("role", message.get("from")) if isinstance(message, dict) else None
        if speaker not in ("system", "developer"):
            return messages[:number]
    return messages


# -- the split -----------------------------------------------------------------------------------------------


def _sides(config: TrainConfig, check: DataCheck, report: DataReport, findings: Findings) -> npt.NDArray[np.int8]:
    """The side of every row of every source: as the files say, with what is set aside from the training rows."""
    record = _record(check)
    state = np.frombuffer(record.state, np.uint8)
    usable = np.isin(state, list(check.accepted))
    side = np.full(len(state), LEFT_OUT, np.int8)
    for source, (start, end) in zip(check.sources, _bounds(check), strict=True):
        side[start:end] = SPLITS.index(source.split)
    side[~usable] = LEFT_OUT
    splits = {source.split for source in check.sources}
    plan = SplitPlan(
        0.0 if "valid" in splits else config.valid_fraction,
        0.0 if splits & {"valid", "test"} else config.test_fraction,
        config.seed,
        config.batch_size,
    )
    if plan.valid_fraction or plan.test_fraction:
        _set_aside(check, side, state, plan, findings)
    if config.valid_fraction == 0 and "valid" not in splits:
        findings.add("no_validation", report.splits["train"].files[0], None, tr("There is no validation data."))
    return side


def _set_aside(
    check: DataCheck,
    side: npt.NDArray[np.int8],
    state: npt.NDArray[np.uint8],
    plan: SplitPlan,
    findings: Findings,
) -> None:
    """Splits the training rows in place, one of each group of equal rows left in."""
    record = _record(check)
    good = np.flatnonzero(state != BAD_ROW)
    repeats = check.prints.repeats()
    removed = good[repeats.later]
    name = check.sources[0].name
    doubles = int((side[removed] == TRAIN).sum())
    side[removed[side[removed] == TRAIN]] = LEFT_OUT
    if doubles:
        said = tr(
            "{rows} left out that repeat an earlier one: one of each was kept, so that no part holds the other's.",
            rows=plural(doubles, "row"),
        )
        findings.add("kept_once", name, None, said)
    rows = np.flatnonzero(side == TRAIN)
    lengths = np.frombuffer(record.lengths, np.uint32)[rows]
    groups = np.frombuffer(record.groups, np.uint64)[rows] if record.groups else None
    labels = np.frombuffer(record.labels, np.uint8)[rows] if check.target == "labelled" else None
    side[rows] = assign(lengths, groups, plan, labels)
    if len(rows) < SMALL_ROWS:
        said = tr(
            "{examples} to train on: the validation loss will say little.", examples=plural(len(rows), "example")
        )
        findings.add("small_data", name, None, said)
    parts = " / ".join(count_text(int((side[rows] == part).sum())) for part in range(len(SPLITS)))
    findings.add(
        "split",
        name,
        None,
        tr("Split by seed {seed} into train / valid / test: {parts}.", seed=plan.seed, parts=parts),
    )


# -- writing -------------------------------------------------------------------------------------------------


def _write(
    config: TrainConfig,
    folder: Path,
    check: DataCheck,
    sides: npt.NDArray[np.int8],
    findings: Findings,
    progress: ByteProgress | None,
    cancelled: Cancelled | None,
) -> PreparedData:
    folder.mkdir(parents=True, exist_ok=True)
    if any(source.path.resolve().parent == folder.resolve() for source in check.sources):
        said = tr("The data lies in {folder}, where the prepared files go; it would be overwritten.", folder=folder)
        raise UnusableError([Problem("data", said, hint=tr("Choose another folder for the run."))])
    counts = {split: int((sides == part).sum()) for part, split in enumerate(SPLITS)}
    target_files: dict[Split, Path] = {split: folder / f"{split}.jsonl" for split in SPLITS if counts[split]}
    with tempfile.TemporaryDirectory(prefix=".preparing-", dir=folder) as temporary:
        _write_rows(Path(temporary), config, check, sides, progress, cancelled)
        for split in SPLITS:
            final = folder / f"{split}.jsonl"
            if split in target_files:
                (Path(temporary) / f"{split}.jsonl").replace(final)
            else:
                final.unlink(missing_ok=True)
    problems = findings.problems(Severity.WARNING, Severity.NOTE)
    problems += _skipped(findings, config) + _text_mask(config, check.target)
    return PreparedData(
        folder, target_files["train"], target_files.get("valid"), target_files.get("test"), check.target,
        {split: count for split, count in counts.items() if count}, problems, check.report(),
        _origins(check, sides),
    )  # fmt: skip


def _skipped(findings: Findings, config: TrainConfig) -> list[Problem]:
    """With the user's word bad rows are left out; how many is still told."""
    count = findings.total(Severity.ERROR)
    if not count or not config.skip_bad_rows:
        return []
    first = findings.kept(Severity.ERROR)[0]
    said = tr("{count:,} faults in rows that are left out; the first: {reason}", count=count, reason=first.reason)
    return [Problem("skip_bad_rows", said, Severity.WARNING, "", first.file, first.line)]


def _write_rows(
    folder: Path,
    config: TrainConfig,
    check: DataCheck,
    sides: npt.NDArray[np.int8],
    progress: ByteProgress | None,
    cancelled: Cancelled | None,
) -> None:
    converter, chunking = RowConverter(check.target, Features.of(config)), chunking_of(config)
    count, total = ByteCount(), sum(source.size for source in check.sources)
    files = [(folder / f"{split}.jsonl").open("wb", WRITE_BUFFER_BYTES) for split in SPLITS]
    try:
        for source, (start, end) in zip(check.sources, _bounds(check), strict=True):
            side = sides[start:end]
            for number, row in enumerate(_kept_rows(source, side, chunking, count)):
                if not number & 2047:
                    if progress is not None:
                        progress(min(count.done, total), total)
                    if cancelled is not None and cancelled():
                        raise CancelledError
                if row is None:
                    continue
                files[row[0]].write(dump_row(converter.convert(row[1])))
        for file in files:
            file.flush()
            flush_to_disk(file.fileno())
    finally:
        for file in files:
            file.close()


def dump_row(tree: dict[str, Any]) -> bytes:
    """One line of JSONL."""
    return json_bytes(tree, orjson.OPT_APPEND_NEWLINE)


def _kept_rows(
    source: Source, side: npt.NDArray[np.int8], chunking: Chunking, count: ByteCount
) -> Iterator[tuple[int, dict[str, Any]] | None]:
    """Side and row for each row that is kept, None for the others."""
    sides = side.tolist()
    number = -1
    for number, (_, row) in enumerate(read_rows(source, count, chunking)):
        if number >= len(sides):
            break
        its = sides[number]
        if its == LEFT_OUT or not isinstance(row, dict):
            yield None
            continue
        if row.get(OVERLAP_KEY) and number and sides[number - 1] != its:
            # What a part repeats from the one before must not be on both sides of the split.
            text = row["text"][row[OVERLAP_KEY] :].lstrip()
            row = row | {"text": text or row["text"]}
        yield its, row
    if number + 1 != len(sides):
        said = tr("The file changed while it was read.")
        raise UnusableError([Problem("data", said, hint=tr("Try again."), file=source.name)])


def _origins(check: DataCheck, sides: npt.NDArray[np.int8]) -> dict[str, Origins]:
    lines = np.frombuffer(_record(check).lines, np.uint32)
    names = tuple(source.name for source in check.sources)
    starts = np.array(_record(check).starts)
    found = {}
    for part, split in enumerate(SPLITS):
        rows = np.flatnonzero(sides == part)
        if len(rows):
            file = (np.searchsorted(starts, rows, side="right") - 1).astype(np.int32)
            found[str(split)] = Origins(names, file, lines[rows].astype(np.int64))
    return found
