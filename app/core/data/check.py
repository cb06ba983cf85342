"""The check of data: every file read row by row, every problem found with its file and line, in constant memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.data.column import quoted, reads_as_data
from app.core.data.conclusion import Conclusion
from app.core.data.duplicate import Contradictions, Fingerprints, RepeatSummary, RowPlace
from app.core.data.format import Features, Format, Layout, Target, mlx_choice
from app.core.data.label import LABEL_COLUMNS, label_of
from app.core.data.layout import layout_of
from app.core.data.message_check import Fault
from app.core.data.rated import goal_of, is_written, prompt_of
from app.core.data.report import PREVIEW_ROWS, DataReport, SplitReport, shortened
from app.core.data.row_check import FastCheck, RowResult, fast_check, full_check, is_good
from app.core.data.row_record import FORMATS, Lane, RowRecord
from app.core.document.passage import OVERLAP_KEY, Chunking
from app.core.language import tr
from app.core.method.table import METHODS
from app.core.problem import Severity
from app.core.quantity import plural
from app.core.source.data_file import find_sources, locate_data
from app.core.source.finding import KINDS, NO_ROWS, Findings, RowFault
from app.core.source.reader import read_rows
from app.core.source.reading import FileReading
from app.core.source.source import SPLITS, Source, Split
from app.core.source.stream import ByteCount
from app.core.visible import writable_text

ByteProgress = Callable[[int, int], None]
Cancelled = Callable[[], bool]

# Rows between two looks at progress and cancel; a power of two minus one, used as a bit mask.
LOOK_EVERY = 2047
REMEMBERED_LAYOUTS = 5000
COLUMN_ROWS = 1000
DEFERRED_LINES = 1000
COUNTED_COLUMNS = 200
KEPT_REFERENCES = 200
REFERENCE_CHARACTERS = 400
EMPTY_VALUES: tuple[Any, ...] = (None, "", [], {})


# Columns that a row's example is not made of, each with whether its name says that it should be.
Unused = tuple[tuple[str, bool], ...]
CheckEntry = tuple[FastCheck, Lane, Unused]


class DataCheck:
    """One pass over all sources. `run` it, then ask for the `report`."""

    def __init__(
        self,
        sources: list[Source],
        findings: Findings,
        features: Features,
        *,
        skip_bad_rows: bool = False,
        chunking: Chunking | None = None,
        group_of: Callable[[dict[str, Any]], int] | None = None,
        record: bool = False,
    ) -> None:
        self.sources = sources
        self.findings = findings
        self.features = features
        self.chunking = chunking
        self.record = RowRecord() if record else None
        self.prints = Fingerprints(None) if record else Fingerprints()
        self.native = [
            s.kind == "jsonl" and not s.compression and s.encoding == "utf-8" and not s.container for s in sources
        ]
        self.cancelled = False
        self._skip_bad_rows = skip_bad_rows
        self._group_of = group_of
        self._entries: dict[tuple[Any, ...], CheckEntry] = {}
        self._lanes: dict[Format, Lane] = {}
        self._rows = 0
        self._split_index = 0
        self._columns: dict[str, None] = {}
        self._has_group = False
        self._preview: list[tuple[int, dict[str, Any]]] = []
        self._contradictions = Contradictions()
        self._references: list[str] = []
        self._summed: Counter[tuple[int, str, str]] = Counter()
        self._repeats = RepeatSummary(), RepeatSummary()
        self._is_labelled = METHODS[features.train_mode].takes_labels
        self._conclusion = Conclusion(self._lanes, sources, findings, features, self.native)

    # -- the pass ---------------------------------------------------------------------------------------------

    def run(self, progress: ByteProgress | None = None, cancelled: Cancelled | None = None) -> None:
        """Reads all sources once; ``progress(bytes done, of all)`` and ``cancelled()`` are asked on the way."""
        count, total = ByteCount(), sum(source.size for source in self.sources)

        def look() -> bool:
            if progress is not None:
                progress(min(count.done, total), total)
            self.cancelled = cancelled is not None and cancelled()
            return self.cancelled

        for index, source in enumerate(self.sources):
            self._split_index = SPLITS.index(source.split)
            self.prints.start_file(self._split_index)
            if self.record is not None:
                self.record.starts.append(len(self.record.state))
            if self._run_source(index, source, count, look):
                break
        look()
        self._tell_summed()
        if self.sources and self.features.prompt == self.features.completion:
            said = tr(
                "{prompt} is both the prompt column and the answer column.", prompt=quoted(self.features.prompt)
            )
            self.findings.add("same_column", self.sources[0].name, None, said)
        self._tell_no_group()
        self._repeats = self.prints.summary()
        self._conclusion.draw(*self._repeats, cancelled=self.cancelled)

    def _tell_no_group(self) -> None:
        """A column to split by that no row has: all rows would be one group, which none is set aside from."""
        is_split = all(source.split != "valid" for source in self.sources)
        if self.features.group and is_split and self._rows and not self._has_group and not self.cancelled:
            said = tr(
                "No row has the column {group}, by which rows stay together.", group=quoted(self.features.group)
            )
            self.findings.add("no_group", self.sources[0].name, None, said)

    def _run_source(self, index: int, source: Source, count: ByteCount, look: Callable[[], bool]) -> bool:
        """The inner loop, flat because two thirds of a check's time is spent here. True when cancelled."""
        entries, record, split = self._entries, self.record, self._split_index
        wants_references = "prompt" in METHODS[self.features.train_mode].goals
        number, count.is_plain = 0, False
        look_every = 0 if source.kind in ("document", "transcript") else LOOK_EVERY  # its passages take their time
        prints: list[int] = []
        lines: list[int] = []
        for line, row in read_rows(source, count, self.chunking):
            number += 1
            if not number & look_every:
                self.prints.extend(prints, lines)
                prints, lines = [], []
                if look():
                    return True
            if type(row) is not dict:
                self._no_row(index, line, row)
                continue
            self._rows += 1
            entry = entries.get(tuple(row)) or self._entry(row)
            check, lane, unused = entry
            result = check(row, count.is_plain)
            if result is None:
                lane, result, unused = self._in_full(row, RowPlace(index, line))
            lane.count += 1
            if lane.count <= DEFERRED_LINES:
                self._remember(lane, index, line, row)
            fingerprint, length, faults, native = result
            bad = lane.layout is None or (bool(faults) and self._row_faults(index, line, faults))
            if bad or not native:
                self.native[index] = False
            if not bad:
                lane.good[split] += 1
                prints.append(fingerprint)
                lines.append(line)
                if wants_references and len(self._references) < KEPT_REFERENCES:
                    self._remember_reference(row)
                if unused:
                    _count_unused(row, unused, lane.unused)
            if record is not None:
                self._record(record, row, lane, line, length, bad=bad)
        self.prints.extend(prints, lines)
        return False

    def _entry(self, row: dict[str, Any]) -> CheckEntry:
        """The layout of rows with these columns, found once."""
        if len(self._entries) > REMEMBERED_LAYOUTS:
            self._entries.clear()
        columns, layout = tuple(row), layout_of(row, self.features)
        self._has_group = self._has_group or self.features.group in row
        lane = self._lane(layout)
        check: FastCheck = fast_check(layout, columns) if layout is not None else _unknown_row
        entry = self._entries[columns] = (check, lane, self._unused(columns, layout))
        return entry

    def _unused(self, columns: Iterable[Any], layout: Layout | None) -> Unused:
        if layout is None:
            return ()
        return tuple((name, reads_as_data(name)) for name in layout.unused(columns, self.features))

    def _lane(self, layout: Layout | None) -> Lane:
        kind = layout.format if layout is not None else Format.UNKNOWN
        lane = self._lanes.setdefault(kind, Lane(kind, layout))
        if layout is not None:
            lane.targets.add(layout.target)
        return lane

    def _in_full(self, row: dict[str, Any], place: RowPlace) -> tuple[Lane, RowResult, Unused]:
        layout = layout_of(row, self.features)
        lane = self._lane(layout)
        if layout is None:
            return lane, (0, 0, (), False), ()
        result = full_check(row, layout)
        is_rated = layout.format in (
            Format.LABELLED,
            Format.PREFERENCE,
        )  # such rows have no quick check: all of them come here
        if is_rated and is_good(result):
            if layout.label:
                lane.labels[self._split_index][bool(label_of(row[layout.label]))] += 1
            self._contradict(row, layout, place)
        return lane, result, self._unused(row, layout)

    def _contradict(self, row: dict[str, Any], layout: Layout, place: RowPlace) -> None:
        """Tells of a row that prefers what an earlier one rejects."""
        first = self._contradictions.take(row, layout, place)
        if first is None:
            return
        where = tr("{unit} {line:,}", unit=self.sources[first.file].unit, line=first.line)
        if first.file != place.file:
            where += tr(" of {name}", name=self.sources[first.file].path.name)
        said = tr("The answer has the other label in {where}.", where=where)
        if layout.format is Format.PREFERENCE:
            said = tr("The pair is the other way round in {where}.", where=where)
        self.findings.add("contradiction", self.sources[place.file].name, place.line, said)

    def _remember(self, lane: Lane, index: int, line: int, row: dict[str, Any]) -> None:
        lane.lines.append((index, line))
        if lane.format is Format.UNKNOWN:
            lane.columns.append(tuple(row)[:50])
        if len(self._preview) < PREVIEW_ROWS:
            self._preview.append((line, shortened({k: v for k, v in row.items() if k != OVERLAP_KEY})))
        if self._rows <= COLUMN_ROWS:
            self._columns.update(dict.fromkeys(str(k) for k in row if k != OVERLAP_KEY))

    def _remember_reference(self, row: dict[str, Any]) -> None:
        layout = layout_of(row, self.features)
        if layout is not None and goal_of(self.features.train_mode, layout.format):
            _, reference = prompt_of(row, layout)
            half = REFERENCE_CHARACTERS // 2
            cut = f"{reference[:half]}…{reference[-half:]}" if len(reference) > 2 * half else reference
            self._references.append(writable_text(cut))

    def _no_row(self, index: int, line: int, value: Any) -> None:
        """What stands in the place of a row: a fault of reading, or JSON that is no object."""
        self.native[index] = False
        source = self.sources[index]
        if isinstance(value, RowFault):
            of_file = value.kind in OF_FILE or (source.kind == "document" and value.kind in FATAL)
            place = None if of_file else line
            self.findings.add(value.kind, source.name, place, value.reason)
            if value.kind in NO_ROWS:
                if self.record is not None:
                    self._record(self.record, {}, None, line, 0, bad=True)
                return
        else:
            kind = {list: tr("a list"), str: tr("a text"), bool: tr("true or false")}.get(
                type(value), tr("a number")
            )
            said = "null" if value is None else kind
            self.findings.add(
                "not_an_object", source.name, line, tr("The row is {said}, not an object with fields.", said=said)
            )
        self._rows += 1
        if self.record is not None:
            self._record(self.record, {}, None, line, 0, bad=True)

    def _row_faults(self, index: int, line: int, faults: Iterable[Fault]) -> bool:
        """Adds the faults of a row; True if one of them is an error."""
        bad = False
        for kind, reason in faults:
            if KINDS[kind].summed:
                self._summed[index, kind, reason] += 1
            else:
                self.findings.add(kind, self.sources[index].name, line, reason)
            bad = bad or KINDS[kind].is_out
        return bad

    def _tell_summed(self) -> None:
        """What is told once a file, with the number of its rows."""
        for (index, kind, reason), count in self._summed.items():
            said = f"{reason}: {plural(count, 'row')}."
            self.findings.add(kind, self.sources[index].name, None, said, count=count)

    def _record(
        self, record: RowRecord, row: dict[str, Any], lane: Lane | None, line: int, length: int, *, bad: bool
    ) -> None:
        record.add(None if bad or lane is None else lane.format, length, line)
        if self._group_of is not None:
            record.groups.append(self._group_of(row) & 0xFFFFFFFFFFFFFFFF)
        if self._is_labelled:
            layout = lane.layout if lane is not None else None
            record.labels.append(bool(layout is not None and layout.label and label_of(row.get(layout.label))))

    # -- the outcome ------------------------------------------------------------------------------------------

    @property
    def target(self) -> Target:
        """The form that the data trains as."""
        return self._conclusion.target

    @property
    def accepted(self) -> set[int]:
        """The states (numbers of formats) of rows that train."""
        return {FORMATS.index(lane.format) for lane in self._lanes.values() if any(lane.good)}

    @property
    def accepted_formats(self) -> set[Format]:
        """The formats of rows that train, and the one that the data has even if none of its rows is good yet."""
        return ({FORMATS[state] for state in self.accepted} | {self._conclusion.format}) - {Format.UNKNOWN}

    def native_choice(self, row: dict[str, Any]) -> bool:
        """True if mlx-lm would take a file that begins with this row for what it is."""
        if METHODS[self.features.train_mode].goals:
            goal = self._conclusion.goal
            return goal is not None and is_written(row, goal)
        return mlx_choice(row, self.features) == self.target

    def report(self) -> DataReport:
        """The outcome of the pass."""
        good, findings = self._conclusion.good(), self.findings
        held_back = findings.total(Severity.ERROR) > 0
        if self._skip_bad_rows:
            held_back = bool(FATAL & set(findings.counts))
        return DataReport(
            usable=not held_back and good[0] > 0 and bool(self.target) and not self.cancelled,
            format=self._conclusion.format.value,
            target=self.target,
            examples=sum(good),
            rows=self._rows,
            splits=self._splits(good),
            errors=findings.kept(Severity.ERROR),
            warnings=findings.kept(Severity.WARNING),
            notes=findings.kept(Severity.NOTE),
            counts=dict(findings.counts),
            formats={lane.format.value: lane.count for lane in self._lanes.values()},
            labels=self._conclusion.labels(),
            duplicates=self._repeats[0].count,
            leaked=self._repeats[1].count,
            columns=tuple(self._columns),
            preview=tuple(row for _, row in self._preview),
            preview_lines=tuple(line for line, _ in self._preview),
            bytes=sum({source.path: source.size for source in self.sources}.values()),
            cancelled=self.cancelled,
            references=tuple(self._references),
            speakers=self._speakers(),
            sheets=tuple(dict.fromkeys(name for source in self.sources for name in source.sheets)),
        )

    def _speakers(self) -> dict[str, int]:
        """The messages of each speaker of exported chats, those with the most first."""
        found: Counter[str] = Counter()
        for source in self.sources:
            found.update(dict(source.transcript.speakers if source.transcript is not None else ()))
        return dict(found.most_common())

    def _splits(self, good: list[int]) -> dict[str, SplitReport]:
        found = {}
        for split, examples in zip(SPLITS, good, strict=True):
            files = [source for source in self.sources if source.split == split]
            if files:
                sizes = sum(source.size for source in files)
                found[str(split)] = SplitReport(examples, tuple(source.name for source in files), sizes)
        return found


OF_FILE = frozenset(("contents", "no_sheet", "no_speaker"))  # told of a file, not of a row
# Errors of a whole file or of all rows: leaving out bad rows does not help.
FATAL = frozenset(("unreadable_file", "unsupported_file", "pointer", "empty_file", "damaged_file", "wrong_encoding",
                   "same_column", "no_sheet", "no_speaker", "no_group", "no_examples", "unknown_format",
                   "not_supervised", "not_for_method",
                   "one_label"))  # fmt: skip


def _count_unused(row: dict[str, Any], unused: Unused, counts: Counter[str]) -> None:
    """Counts the columns in which something stands: any value where the name tells of data, else a text."""
    for name, is_telling in unused:
        value = row[name]
        if isinstance(value, bool) and name not in LABEL_COLUMNS:
            continue  # a switch, whatever it is called
        there = value not in EMPTY_VALUES if is_telling else bool(value) and isinstance(value, (str, list, dict))
        if there and (name in counts or len(counts) < COUNTED_COLUMNS):
            counts[name] += 1


def _unknown_row(_row: dict[str, Any], _is_plain: bool = False) -> RowResult | None:
    return None


def check_files(
    paths: Iterable[Path | str],
    *,
    config: TrainConfig | None = None,
    valid: Iterable[Path | str] = (),
    test: Iterable[Path | str] = (),
    progress: ByteProgress | None = None,
    cancelled: Cancelled | None = None,
) -> DataReport:
    """Checks files and folders as one data set, without a tokenizer.

    Splits are told by names (``train``, ``validation``, ``test`` …) unless ``valid`` or ``test`` are given.
    The config gives columns, format and whether bad rows are left out. Never raises for what is in the files.
    """
    config = config or TrainConfig()
    findings = Findings()
    sources = find_sources(
        [Path(path) for path in paths], findings, valid=[Path(p) for p in valid], test=[Path(p) for p in test],
        reading=FileReading.of(config),
    )  # fmt: skip
    check = DataCheck(
        sources, findings, Features.of(config), skip_bad_rows=config.skip_bad_rows, chunking=chunking_of(config)
    )
    check.run(progress, cancelled)
    return check.report()


def check_config_data(
    config: TrainConfig, *, progress: ByteProgress | None = None, cancelled: Cancelled | None = None
) -> DataReport:
    """Checks the data that a config names (``data``, ``valid_data``, ``test_data``)."""
    named: dict[Split, list[Path]] = {
        split: [locate_data(name)] if name else []
        for split, name in zip(SPLITS, (config.data, config.valid_data, config.test_data), strict=True)
    }
    return check_files(
        named["train"], config=config, valid=named["valid"], test=named["test"], progress=progress,
        cancelled=cancelled,
    )  # fmt: skip


def chunking_of(config: TrainConfig) -> Chunking:
    """How documents are cut for a config."""
    return Chunking.for_tokens(config.max_seq_length)
