"""Edits: rows changed, dropped or added, written as a new file; the file they came from is never changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.data.check import LOOK_EVERY, DataCheck, chunking_of
from app.core.data.column import as_list
from app.core.data.format import Features, Format, Layout
from app.core.data.layout import layout_of
from app.core.data.message import usual_role
from app.core.data.prepare import WRITE_BUFFER_BYTES, CancelledError, dump_row
from app.core.data.row_check import full_check, is_good
from app.core.document.passage import OVERLAP_KEY, Chunking
from app.core.language import tr
from app.core.problem import Problem, Severity, UnusableError
from app.core.source.archive import outer_file
from app.core.source.data_file import find_sources
from app.core.source.finding import ABOUT_FILE, NO_ROWS, Findings, RowFault
from app.core.source.reader import read_rows
from app.core.source.reading import FileReading
from app.core.source.source import SPLITS, Source, UnusableFileError, inspect_file
from app.core.source.stream import ByteCount
from app.core.system.atomic_file import write_with

EditedRow = dict[str, Any]


@dataclass(slots=True)
class Edits:
    """What is to become of a file: rows by the line that the check tells (1-based).

    ``roles`` are other names for the roles of all rows, ``appended`` other files whose rows come at the end.
    """

    changed: dict[int, EditedRow] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)
    added: list[EditedRow] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)
    appended: list[Path] = field(default_factory=list)

    def change(self, line: int, row: EditedRow) -> None:
        """Puts another row in the place of one (also of one that cannot be read)."""
        self.dropped.discard(line)
        self.changed[line] = row

    def drop(self, line: int) -> None:
        """Leaves a row out."""
        self.changed.pop(line, None)
        self.dropped.add(line)

    def restore(self, line: int) -> None:
        """Takes back what was to become of a row."""
        self.changed.pop(line, None)
        self.dropped.discard(line)

    def add(self, row: EditedRow) -> None:
        """Adds a row at the end."""
        self.added.append(row)

    def __bool__(self) -> bool:
        return bool(self.changed or self.dropped or self.added or self.roles or self.appended)

    def copy(self) -> Edits:
        """The same edits, to be changed apart from these."""
        return Edits(dict(self.changed), set(self.dropped), list(self.added), dict(self.roles), list(self.appended))


class EditHistory:
    """Edits with those before them: each `step` can be undone, and done again."""

    def __init__(self) -> None:
        self.edits = Edits()
        self._before: list[Edits] = []
        self._after: list[Edits] = []

    def step(self) -> Edits:
        """The edits, to be changed now; `undo` comes back to what they are."""
        self._before.append(self.edits.copy())
        self._after.clear()
        return self.edits

    @property
    def can_undo(self) -> bool:
        """True if there is a step to take back."""
        return bool(self._before)

    @property
    def can_redo(self) -> bool:
        """True if a step was taken back."""
        return bool(self._after)

    def undo(self) -> None:
        """Takes the last step back."""
        if self._before:
            self._after.append(self.edits)
            self.edits = self._before.pop()

    def redo(self) -> None:
        """Does again what was taken back last."""
        if self._after:
            self._before.append(self.edits)
            self.edits = self._after.pop()


def with_roles(row: EditedRow, roles: Mapping[str, str]) -> EditedRow:
    """The row with other names for the roles of its messages; itself where nothing changes."""
    if not roles:
        return row
    renamed = {
        name: [turn | {"role": roles[turn["role"]]} if _is_of(turn, roles) else turn for turn in turns]
        for name, turns in _message_columns(row)
        if any(_is_of(turn, roles) for turn in turns)
    }
    return row | renamed if renamed else row


def _is_of(turn: Any, roles: Mapping[str, str]) -> bool:
    return _has_role(turn) and turn["role"] in roles


def _message_columns(row: EditedRow) -> Iterator[tuple[str, list[Any]]]:
    for name, value in row.items():
        turns = as_list(value)
        if isinstance(turns, list) and any(isinstance(turn, dict) and "role" in turn for turn in turns):
            yield name, turns


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file holds: its rows, in how many of them each role stands, the lines of rows that repeat an earlier
    one, and the format of the first row that has one."""

    rows: int
    roles: dict[str, int]
    repeats: tuple[int, ...]
    format: str


def survey(path: Path, config: TrainConfig, roles: Mapping[str, str]) -> Survey:
    """Looks at all rows of a file, with other names for roles. Raises `UnusableError`."""
    features, counts, repeats, found = Features.of(config), Counter[str](), list[int](), ""
    seen: set[int] = set()
    rows = 0
    for line, value in read_rows(_source(path, config), None, chunking_of(config)):
        if not isinstance(value, dict):
            continue
        row = with_roles(value, roles)
        rows += 1
        counts.update(
            {str(turn["role"]) for _, turns in _message_columns(row) for turn in turns if _has_role(turn)}
        )
        layout = layout_of(row, features)
        if layout is None:
            continue
        found = found or layout.format
        key = full_check(row, layout)[0]
        if key in seen:
            repeats.append(line)
        seen.add(key)
    return Survey(rows, dict(counts), tuple(repeats), found)


def _has_role(turn: Any) -> bool:
    return isinstance(turn, dict) and isinstance(turn.get("role"), str)


@dataclass(frozen=True, slots=True)
class EditOutcome:
    """What was written: rows in all, and how many were changed, dropped, added, or left out as unreadable."""

    rows: int
    changed: int
    dropped: int
    added: int
    unreadable: int
    appended: int = 0


def read_window(
    path: Path, first_line: int, count: int, config: TrainConfig | None = None
) -> list[tuple[int, Any]]:
    """Up to ``count`` rows from ``first_line`` on, as (line, value or `RowFault`), read as the config says. Raises
    `UnusableError`."""
    config = config or TrainConfig()
    rows = (
        (line, value)
        for line, value in read_rows(_source(path, config), None, chunking_of(config))
        if line >= first_line and not (isinstance(value, RowFault) and value.kind in ABOUT_FILE)
    )
    return [(line, _plain(value)) for line, value in islice(rows, count)]


def save_edited(
    path: Path,
    edits: Edits,
    target: Path,
    *,
    config: TrainConfig | None = None,
    drop_bad_rows: bool = False,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> EditOutcome:
    """Writes ``path``, read as the config says, with the edits as JSONL to ``target``, completely or not at all.

    Rows that cannot be read must be changed or dropped, unless ``drop_bad_rows``; empty lines go. Raises
    `UnusableError` (a row that cannot be read, a line that is not there, ``target`` is the file itself), `OSError`.
    """
    config = config or TrainConfig()
    source = _source(path, config)
    if target.exists() and target.samefile(outer_file(path)):
        said = tr("The edited rows go into a new file; the original stays as it is.")
        raise UnusableError([Problem("", said, hint=tr("Choose another name."), file=str(target))])
    counts = {"changed": 0, "dropped": 0, "unreadable": 0, "rows": 0}
    rows = [_edited(source, chunking_of(config), edits, drop_bad_rows, counts, progress, cancelled), edits.added]
    for other in edits.appended:
        if target.exists() and target.samefile(outer_file(other)):
            said = tr("The rows go into a new file; the appended one stays as it is.")
            raise UnusableError([Problem("", said, hint=tr("Choose another name."), file=str(target))])
        theirs = _source(other, config)
        rows.append(_edited(theirs, chunking_of(config), Edits(), drop_bad_rows, counts, progress, cancelled))
    write_with(target, lambda temporary: _write(temporary, rows, edits, counts, path))
    before = counts["own"] + len(edits.added)
    return EditOutcome(
        counts["rows"], counts["changed"], counts["dropped"], len(edits.added), counts["unreadable"],
        counts["rows"] - before,
    )  # fmt: skip


def _write(
    temporary: Path, parts: Sequence[Iterable[EditedRow]], edits: Edits, counts: dict[str, int], path: Path
) -> None:
    with temporary.open("wb", WRITE_BUFFER_BYTES) as file:
        for part in parts:
            for row in part:
                file.write(dump_row(with_roles(row, edits.roles)))
                counts["rows"] += 1
            counts.setdefault("own", counts["rows"])  # of the file itself, which comes first
    done = counts["changed"] + counts["dropped"]
    if done != len(edits.changed) + len(edits.dropped):
        missing = len(edits.changed) + len(edits.dropped) - done
        said = tr(
            "{missing} of the edited lines are not in the file; it has changed since it was read.", missing=missing
        )
        raise UnusableError([Problem("", said, hint=tr("Open it again."), file=str(path))])


def _edited(
    source: Source,
    chunking: Chunking,
    edits: Edits,
    drop_bad_rows: bool,
    counts: dict[str, int],
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> Iterator[EditedRow]:
    count = ByteCount()
    bad: list[Problem] = []
    for number, (line, value) in enumerate(read_rows(source, count, chunking), 1):
        if not number & LOOK_EVERY:
            if progress is not None:
                progress(count.done, source.size)
            if cancelled is not None and cancelled():
                raise CancelledError
        if isinstance(value, RowFault) and value.kind in ABOUT_FILE:
            continue  # it stands before a row of the same line
        if line in edits.changed:
            counts["changed"] += 1
            yield edits.changed[line]
        elif line in edits.dropped:
            counts["dropped"] += 1
        elif isinstance(value, dict):
            yield _plain(value)
        elif not (isinstance(value, RowFault) and value.kind in NO_ROWS):
            counts["unreadable"] += 1
            if not drop_bad_rows:
                said = value.reason if isinstance(value, RowFault) else tr("The row is no object with fields.")
                bad.append(Problem("", said, hint=tr("Repair or drop the row."), file=source.name, line=line))
    if bad:
        raise UnusableError(bad[:1000])


def _plain(value: Any) -> Any:
    return {k: v for k, v in value.items() if k != OVERLAP_KEY} if isinstance(value, dict) else value


def _source(path: Path, config: TrainConfig) -> Source:
    try:
        return inspect_file(path, FileReading.of(config))
    except UnusableFileError as error:
        raise UnusableError([Problem("data", error.reason, file=str(path))]) from error


# -- repair ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Repair:
    """A repaired copy: its files with their numbers of rows, and how many rows were left out as bad or as repeats,
    or had a role put right."""

    files: dict[Path, int]
    bad: int
    repeated: int
    renamed: int


def save_repaired(paths: Iterable[Path], config: TrainConfig, target: Path) -> Repair:
    """Writes the good rows of a data set as JSONL, one of each, with the roles of messages by their usual names.

    ``target`` is a file, or a folder of ``train.jsonl``, ``valid.jsonl`` and ``test.jsonl`` where the data has such
    parts; columns stay as they are. The files themselves are never changed. Raises `UnusableError` (rows of no
    known format, ``target`` is one of the files), `OSError`.
    """
    findings = Findings()
    sources = find_sources(paths, findings, reading=FileReading.of(config))
    check = DataCheck(sources, findings, Features.of(config), chunking=chunking_of(config))
    check.run()
    if not check.accepted_formats:
        raise UnusableError(findings.problems(Severity.ERROR))
    splits = {source.split for source in sources}
    files = {
        split: target if len(splits) == 1 else target / f"{split}.jsonl" for split in SPLITS if split in splits
    }
    if any(
        file.exists() and file.samefile(outer_file(source.path)) for file in files.values() for source in sources
    ):
        said = tr("The repaired rows go into a new file; the original stays as it is.")
        raise UnusableError([Problem("", said, hint=tr("Choose another name."), file=str(target))])
    repairer = _Repairer(check)
    for split, file in files.items():
        write_with(file, partial(repairer.write, [source for source in sources if source.split == split]))
    rows = {file: repairer.rows[split] for split, file in files.items()}
    counts = repairer.counts
    return Repair(rows, counts["bad"], counts["repeated"], counts["renamed"])


class _Repairer:
    """Writes the rows of sources that are good, or can be put right, and were not written before."""

    def __init__(self, check: DataCheck) -> None:
        self._check = check
        self._seen: set[int] = set()
        self.counts: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()

    def write(self, sources: list[Source], file: Path) -> None:
        """Fills a file with the rows of sources of one split."""
        with file.open("wb", WRITE_BUFFER_BYTES) as stream:
            for source in sources:
                for _, value in read_rows(source, None, self._check.chunking):
                    if isinstance(value, RowFault) and value.kind in NO_ROWS:
                        continue
                    row = self._repaired(value)
                    if row is not None:
                        stream.write(dump_row(row))
                        self.rows[source.split] += 1

    def _repaired(self, value: Any) -> EditedRow | None:
        layout = layout_of(value, self._check.features) if isinstance(value, dict) else None
        if layout is None or layout.format not in self._check.accepted_formats:
            self.counts["bad"] += 1
            return None
        row = _with_usual_roles(value, layout)
        result = full_check(row, layout)
        if not is_good(result):
            self.counts["bad"] += 1
        elif result[0] in self._seen:
            self.counts["repeated"] += 1
        else:
            self._seen.add(result[0])
            self.counts["renamed"] += row is not value
            plain: EditedRow = _plain(row)
            return plain
        return None


def _with_usual_roles(row: EditedRow, layout: Layout) -> EditedRow:
    """The row with the usual names of the roles of its messages; itself where nothing changes."""
    turns = as_list(row.get(layout.chat)) if layout.chat and layout.format is not Format.SHAREGPT else None
    if not isinstance(turns, list):
        return row
    usual = [turn | {"role": usual_role(turn["role"])} if isinstance(turn, dict) and "role" in turn else turn
             for turn in turns]  # fmt: skip
    return row if usual == turns else row | {layout.chat: usual}
