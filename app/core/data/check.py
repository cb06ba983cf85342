"""The check of data: every file read row by row, every problem found with its file and line, in constant memory."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.data.contradiction import Contradictions
from app.core.data.duplicate import Fingerprints, Place
from app.core.data.format import FORMAT_LABELS, Features, Format, Layout, Target, layout_of, mlx_choice
from app.core.data.label import BAD as BAD_LABEL
from app.core.data.label import GOOD as GOOD_LABEL
from app.core.data.label import label_of
from app.core.data.rated import GOALS, OTHER_GOALS, Goal, goal_of, is_written, needs_of
from app.core.data.report import PREVIEW_ROWS, DataReport, SplitReport, shortened
from app.core.data.row_check import FastCheck, Fault, RowResult, fast_check, full_check
from app.core.problem import Severity
from app.core.source.finding import KINDS, Findings
from app.core.source.reader import OVERLAP_KEY, Chunking, RowFault, read_rows
from app.core.source.source import SPLITS, Source, Split, find_sources
from app.core.source.stream import ByteCount

Progress = Callable[[int, int], None]
Cancelled = Callable[[], bool]

# Rows between two looks at progress and cancel; a power of two minus one, used as a bit mask.
LOOK_EVERY = 2047
REMEMBERED_LAYOUTS = 5000
COLUMN_ROWS = 1000
DEFERRED_LINES = 1000
BAD = 255
FORMATS = tuple(Format)


@dataclass(slots=True)
class _Lane:
    """The rows of one format: how many, how many good ones a split, and where the first of them are."""

    format: Format
    layout: Layout | None
    count: int = 0
    good: list[int] = field(default_factory=lambda: [0, 0, 0])
    native: bool = True
    targets: set[Target] = field(default_factory=set)
    lines: list[tuple[int, int]] = field(default_factory=list)
    columns: list[tuple[Any, ...]] = field(default_factory=list)
    labels: list[Counter[bool]] = field(default_factory=lambda: [Counter(), Counter(), Counter()])


@dataclass(slots=True)
class RowRecord:
    """What a split needs of every row, in order: its format (or `BAD`), length in characters, line, group and label
    (1 good, 0 bad or none)."""

    state: array[int] = field(default_factory=lambda: array("B"))
    lengths: array[int] = field(default_factory=lambda: array("I"))
    lines: array[int] = field(default_factory=lambda: array("I"))
    groups: array[int] = field(default_factory=lambda: array("Q"))
    labels: array[int] = field(default_factory=lambda: array("B"))
    starts: list[int] = field(default_factory=list)


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
        self.native = [s.kind == "jsonl" and not s.compression and s.encoding == "utf-8" for s in sources]
        self.cancelled = False
        self._skip_bad_rows = skip_bad_rows
        self._group_of = group_of
        self._entries: dict[tuple[Any, ...], tuple[FastCheck, _Lane]] = {}
        self._lanes: dict[Format, _Lane] = {}
        self._rows = 0
        self._split_index = 0
        self._columns: dict[str, None] = {}
        self._preview: list[tuple[int, dict[str, Any]]] = []
        self._empty_lines: Counter[int] = Counter()
        self._contradictions = Contradictions()
        self._duplicates = self._leaked = 0
        self._format = Format.UNKNOWN
        self._target: Target = ""
        self._is_rated = features.train_mode in GOALS
        self._is_labelled = OTHER_GOALS.get(features.train_mode) == "labelled"
        self._goal: Goal | None = None

    # -- the pass ---------------------------------------------------------------------------------------------

    def run(self, progress: Progress | None = None, cancelled: Cancelled | None = None) -> None:
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
        self._conclude()

    def _run_source(self, index: int, source: Source, count: ByteCount, look: Callable[[], bool]) -> bool:
        """The inner loop, flat because two thirds of a check's time is spent here. True when cancelled."""
        entries, record, split = self._entries, self.record, self._split_index
        number = 0
        prints: list[int] = []
        lines: list[int] = []
        for line, row in read_rows(source, count, self.chunking):
            number += 1
            if not number & LOOK_EVERY:
                self.prints.extend(prints, lines)
                prints, lines = [], []
                if look():
                    return True
            if type(row) is not dict:
                self._no_row(index, line, row)
                continue
            self._rows += 1
            entry = entries.get(tuple(row)) or self._entry(row)
            result = entry[0](row)
            lane = entry[1]
            if result is None:
                lane, result = self._in_full(row, Place(index, line))
            lane.count += 1
            if lane.count <= DEFERRED_LINES:
                self._remember(lane, index, line, row)
            fingerprint, length, faults, native = result
            bad = lane.layout is None or (bool(faults) and self._row_faults(source, line, faults))
            if bad or not native:
                self.native[index] = False
            if not bad:
                lane.good[split] += 1
                prints.append(fingerprint)
                lines.append(line)
            if record is not None:
                self._record(record, row, lane, line, length, bad)
        self.prints.extend(prints, lines)
        return False

    def _entry(self, row: dict[str, Any]) -> tuple[FastCheck, _Lane]:
        """The layout of rows with these columns, found once."""
        if len(self._entries) > REMEMBERED_LAYOUTS:
            self._entries.clear()
        columns, layout = tuple(row), layout_of(row, self.features)
        lane = self._lane(layout)
        check: FastCheck = fast_check(layout, columns) if layout is not None else _unknown_row
        entry = self._entries[columns] = (check, lane)
        return entry

    def _lane(self, layout: Layout | None) -> _Lane:
        kind = layout.format if layout is not None else Format.UNKNOWN
        lane = self._lanes.setdefault(kind, _Lane(kind, layout))
        if layout is not None:
            lane.targets.add(layout.target)
        return lane

    def _in_full(self, row: dict[str, Any], place: Place) -> tuple[_Lane, RowResult]:
        layout = layout_of(row, self.features)
        lane = self._lane(layout)
        if layout is None:
            return lane, (0, 0, (), False)
        result = full_check(row, layout)
        is_rated = bool(layout.label or layout.chosen)  # such rows have no quick check: all of them come here
        if is_rated and all(KINDS[kind].severity is not Severity.ERROR for kind, _ in result[2]):
            if layout.label:
                lane.labels[self._split_index][bool(label_of(row[layout.label]))] += 1
            self._contradict(row, layout, place)
        return lane, result

    def _contradict(self, row: dict[str, Any], layout: Layout, place: Place) -> None:
        """Tells of a row that prefers what an earlier one rejects."""
        first = self._contradictions.take(row, layout, place)
        if first is None:
            return
        where = f"line {first.line:,}"
        if first.file != place.file:
            where += f" of {self.sources[first.file].path.name}"
        said = f"The answer has the other label in {where}."
        if layout.format is Format.PREFERENCE:
            said = f"The pair is the other way round in {where}."
        self.findings.add("contradiction", self.sources[place.file].name, place.line, said)

    def _remember(self, lane: _Lane, index: int, line: int, row: dict[str, Any]) -> None:
        lane.lines.append((index, line))
        if lane.format is Format.UNKNOWN:
            lane.columns.append(tuple(row)[:50])
        if len(self._preview) < PREVIEW_ROWS:
            self._preview.append((line, shortened({k: v for k, v in row.items() if k != OVERLAP_KEY})))
        if self._rows <= COLUMN_ROWS:
            self._columns.update(dict.fromkeys(str(k) for k in row if k != OVERLAP_KEY))

    def _no_row(self, index: int, line: int, value: Any) -> None:
        """What stands in the place of a row: a fault of reading, or JSON that is no object."""
        self.native[index] = False
        source = self.sources[index]
        if isinstance(value, RowFault):
            self.findings.add(value.kind, source.name, line, value.reason)
            if value.kind == "empty_line":
                if self.record is not None:
                    self._record(self.record, {}, None, line, 0, True)
                return
        else:
            kind = {list: "a list", str: "a text", bool: "true or false"}.get(type(value), "a number")
            said = "null" if value is None else kind
            self.findings.add("not_an_object", source.name, line, f"The row is {said}, not an object with fields.")
        self._rows += 1
        if self.record is not None:
            self._record(self.record, {}, None, line, 0, True)

    def _row_faults(self, source: Source, line: int, faults: Iterable[Fault]) -> bool:
        """Adds the faults of a row; True if one of them is an error."""
        bad = False
        for kind, reason in faults:
            self.findings.add(kind, source.name, line, reason)
            bad = bad or KINDS[kind].severity is Severity.ERROR
        return bad

    def _record(
        self, record: RowRecord, row: dict[str, Any], lane: _Lane | None, line: int, length: int, bad: bool
    ) -> None:
        record.state.append(BAD if bad or lane is None else FORMATS.index(lane.format))
        record.lengths.append(min(length, 0xFFFFFFFF))
        record.lines.append(line & 0xFFFFFFFF)
        if self._group_of is not None:
            record.groups.append(self._group_of(row) & 0xFFFFFFFFFFFFFFFF)
        if self._is_labelled:
            layout = lane.layout if lane is not None else None
            record.labels.append(bool(layout is not None and layout.label and label_of(row.get(layout.label))))

    # -- what it comes to -------------------------------------------------------------------------------------

    def _conclude(self) -> None:
        if self._lanes:
            main = max(self._lanes.values(), key=lambda lane: (lane.count, lane.format is not Format.UNKNOWN))
            known = [lane for lane in self._lanes.values() if lane.format is not Format.UNKNOWN]
            if main.format is Format.UNKNOWN and known and main.count < 20 * sum(lane.count for lane in known):
                main = max(known, key=lambda lane: lane.count)
            self._format = main.format
            self._conclude_formats(main)
            self._find_repeats()
        self._conclude_sources()
        self.findings.sort({source.name: index for index, source in enumerate(self.sources)})

    def _conclude_formats(self, main: _Lane) -> None:
        """One format is the data's; rows of others are converted with it where that is possible, else errors."""
        targets = set(main.targets)
        for lane in self._lanes.values():
            if lane is main:
                continue
            if main.format is Format.UNKNOWN or lane.format is Format.UNKNOWN:
                continue
            if _fits(lane, main):
                targets |= lane.targets
                index, line = lane.lines[0]
                rows = "1 row is" if lane.count == 1 else f"{lane.count:,} rows are"
                said = f"{rows} {FORMAT_LABELS[lane.format]}, the rest {FORMAT_LABELS[main.format]}."
                self.findings.add("converted_mix", self.sources[index].name, line, said, count=lane.count)
                self.native = [False] * len(self.native)
            elif main.format is Format.LABELLED and lane.layout is not None and lane.layout.completion:
                self._unlabelled(lane)
            else:
                self._mixed(lane, main)
        if "" not in targets and targets:
            self._target = "chat" if "chat" in targets else next(iter(targets))
        if self._is_rated:
            self._goal = goal_of(self.features.train_mode, main.format)
            self._target = self._goal or ""
        if unknown := self._lanes.get(Format.UNKNOWN):
            self._unknown(unknown, main)
        self._conclude_main(main)

    def _mixed(self, lane: _Lane, main: _Lane) -> None:
        said = f"This row is {FORMAT_LABELS[lane.format]}, the data {FORMAT_LABELS[main.format]}."
        for index, line in lane.lines:
            self.findings.add("mixed_format", self.sources[index].name, line, said)
            self.native[index] = False
        self.findings.count("mixed_format", lane.count - len(lane.lines))
        lane.good = [0, 0, 0]

    def _unlabelled(self, lane: _Lane) -> None:
        """Answers without a label among labelled ones."""
        for index, line in lane.lines:
            said = "`label` is missing, or neither true (a good answer) nor false (a bad one)."
            self.findings.add("missing_field", self.sources[index].name, line, said)
            self.native[index] = False
        self.findings.count("missing_field", lane.count - len(lane.lines))
        lane.good = [0, 0, 0]

    def _unknown(self, lane: _Lane, main: _Lane) -> None:
        """Rows of no known format: one finding when all are, else one a row that says what it lacks."""
        lane.good = [0, 0, 0]
        self.native = [False] * len(self.native)
        if main is lane:
            index, line = lane.lines[0]
            columns = ", ".join(f"`{name}`" for name in lane.columns[0][:12]) or "none"
            said = f"The columns ({columns}) are of no known format."
            self.findings.add("unknown_format", self.sources[index].name, line, said, count=lane.count)
            return
        needed = main.layout.needed if main.layout is not None else ()
        for (index, line), its_columns in zip(lane.lines, lane.columns, strict=True):
            missing = [name for name in needed if name not in its_columns]
            said = (
                ", ".join(f"`{name}`" for name in missing) + (" is" if len(missing) == 1 else " are") + " missing."
            )
            if not missing:
                said = "The row is not like the others."
            self.findings.add("missing_field", self.sources[index].name, line, said)
        self.findings.count("missing_field", lane.count - len(lane.lines))

    def _conclude_main(self, main: _Lane) -> None:
        index, line = main.lines[0]
        name = self.sources[index].name
        if self._is_rated:
            if not self._target and main.format is not Format.UNKNOWN:
                said = f"These rows are {FORMAT_LABELS[main.format]}, which the method cannot train on."
                other = " KTO trains on such rows." if main.format is Format.LABELLED else ""
                self.findings.add(
                    "not_for_method", name, line, f"{said} {needs_of(self.features.train_mode)}{other}"
                )
            elif main.format is Format.LABELLED:
                self._conclude_labels(main)
        elif main.format is Format.LABELLED:
            said = "These rows are answers labelled good or bad, and KTO trains on such rows."
            how = "To learn good and bad answers alike, choose the format `completion` (prompt and answer)."
            self.findings.add("not_supervised", name, line, f"{said} {how}")
        elif main.format is Format.PREFERENCE:
            said = "These rows are preference pairs (chosen and rejected), not examples with one answer."
            how = "To train on the better answers, choose `chosen` as the answer column."
            self.findings.add("not_supervised", name, line, f"{said} {how}")
        elif main.format is Format.GRPO and main.layout is not None:
            said = "These rows are prompts with reference answers (GRPO)."
            how = f"To train on the answers, choose `{main.layout.completion}` as the answer column."
            self.findings.add("not_supervised", name, line, f"{said} {how}")
        elif main.layout is not None and not main.layout.native and self._target:
            columns = ", ".join(f"`{column}`" for column in main.layout.needed)
            said = f"Columns {columns} ({FORMAT_LABELS[main.format]}) are trained as"
            self.findings.add("converted", name, None, f"{said} {FORMAT_LABELS[Format(self._target)]}.")

    def _conclude_labels(self, main: _Lane) -> None:
        """Both labels must be there to train on, and should be to validate on."""
        for split, counts in zip(SPLITS, main.labels, strict=True):
            if not counts or len(counts) == 2:
                continue
            only, other = ("good", "bad") if True in counts else ("bad", "good")
            rows = "The only answer is" if counts.total() == 1 else f"All {counts.total():,} answers are"
            name = next(source.name for source in self.sources if source.split == split)
            if split == "train":
                said = f"{rows} labelled {only}: KTO needs both good and bad ones."
                self.findings.add("one_label", name, None, said)
            elif split == "valid":
                said = f"{rows} labelled {only}: without {other} ones the margin cannot be measured."
                self.findings.add("one_label_held_out", name, None, said)

    def _labels(self) -> dict[str, int]:
        """The good and the bad answers among the rows to train on."""
        lane = self._lanes.get(Format.LABELLED)
        if lane is None or self._format is not Format.LABELLED:
            return {}
        return {GOOD_LABEL: lane.labels[0][True], BAD_LABEL: lane.labels[0][False]}

    def _find_repeats(self) -> None:
        within, across = self.prints.summary()
        for kind, summary in (("leakage", across), ("duplicate", within)):
            for later, first in summary.listed:
                where = f"line {first.line:,}"
                if later.file != first.file:
                    source = self.sources[first.file]
                    where += f" of {source.path.name} ({source.split})"
                self.findings.add(
                    kind, self.sources[later.file].name, later.line, f"The row is the same as {where}."
                )
            self.findings.count(kind, summary.count - len(summary.listed))
        self._leaked, self._duplicates = across.count, within.count
        if within.estimated or across.estimated:
            said = "There are very many rows, of which a sample was compared: the figures are estimates."
            self.findings.add("sampled", self.sources[0].name, None, said)

    def _conclude_sources(self) -> None:
        if self.sources and not sum(self._good()) and not self.cancelled and not self._only_unknown():
            first = self.sources[0]
            if not self.findings.total(Severity.ERROR):
                self.findings.add("no_examples", first.name, None, "There is no usable row.")
        for source in self.sources:
            if source.encoding and source.encoding not in ("utf-8", "utf-8-sig"):
                self.findings.add("encoding", source.name, None, f"Read as {_encoding_label(source.encoding)}.")
            if source.kind == "json_stream":
                self.findings.add("layout", source.name, None, "Objects over several lines, read one by one.")

    def _only_unknown(self) -> bool:
        return self._format is Format.UNKNOWN and bool(self._lanes)

    def _good(self) -> list[int]:
        return [sum(lane.good[index] for lane in self._lanes.values()) for index in range(len(SPLITS))]

    @property
    def target(self) -> Target:
        """The form that the data trains as."""
        return self._target

    @property
    def accepted(self) -> set[int]:
        """The states (numbers of formats) of rows that train."""
        return {FORMATS.index(lane.format) for lane in self._lanes.values() if any(lane.good)}

    def native_choice(self, row: dict[str, Any]) -> bool:
        """True if mlx-lm would take a file that begins with this row for what it is."""
        if self._is_rated:
            return self._goal is not None and is_written(row, self._goal)
        return mlx_choice(row, self.features) == self._target

    def report(self) -> DataReport:
        """The outcome of the pass."""
        good, findings = self._good(), self.findings
        held_back = findings.total(Severity.ERROR) > 0
        if self._skip_bad_rows:
            held_back = bool(FATAL & set(findings.counts))
        return DataReport(
            usable=not held_back and sum(good) > 0 and bool(self._target) and not self.cancelled,
            format=self._format.value,
            target=self._target,
            examples=sum(good),
            rows=self._rows,
            splits=self._splits(good),
            errors=findings.kept(Severity.ERROR),
            warnings=findings.kept(Severity.WARNING),
            notes=findings.kept(Severity.NOTE),
            counts=dict(findings.counts),
            formats={lane.format.value: lane.count for lane in self._lanes.values()},
            labels=self._labels(),
            duplicates=self._duplicates,
            leaked=self._leaked,
            columns=tuple(self._columns),
            preview=tuple(row for _, row in self._preview),
            preview_lines=tuple(line for line, _ in self._preview),
            bytes=sum(source.size for source in self.sources),
            cancelled=self.cancelled,
        )

    def _splits(self, good: list[int]) -> dict[str, SplitReport]:
        found = {}
        for split, examples in zip(SPLITS, good, strict=True):
            files = [source for source in self.sources if source.split == split]
            if files:
                sizes = sum(source.size for source in files)
                found[str(split)] = SplitReport(examples, tuple(source.name for source in files), sizes)
        return found


# Errors of a whole file or of all rows: leaving out bad rows does not help.
FATAL = frozenset(("unreadable_file", "unsupported_file", "empty_file", "damaged_file", "no_examples",
                   "unknown_format", "not_supervised", "not_for_method", "one_label"))  # fmt: skip


def _unknown_row(_row: dict[str, Any]) -> RowResult | None:
    return None


def _fits(lane: _Lane, main: _Lane) -> bool:
    """True if rows of both lanes can be trained in one form: pairs become chats, texts stay alone."""
    pairs = {"chat", "completion"}
    both = lane.targets | main.targets
    return bool(both) and "" not in both and (both <= pairs or both == {"text"})


def _encoding_label(encoding: str) -> str:
    names = {"cp1252": "Latin-1 (Windows-1252)", "latin-1": "Latin-1", "utf-16": "UTF-16", "utf-32": "UTF-32",
             "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}  # fmt: skip
    return names.get(encoding, encoding)


def check_files(
    paths: Iterable[Path | str],
    *,
    config: TrainConfig | None = None,
    valid: Iterable[Path | str] = (),
    test: Iterable[Path | str] = (),
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> DataReport:
    """Checks files and folders as one data set, without a tokenizer.

    Splits are told by names (``train``, ``validation``, ``test`` …) unless ``valid`` or ``test`` are given.
    The config gives columns, format and whether bad rows are left out. Never raises for what is in the files.
    """
    config = config or TrainConfig()
    findings = Findings()
    sources = find_sources(
        [Path(path) for path in paths], findings, valid=[Path(p) for p in valid], test=[Path(p) for p in test]
    )
    check = DataCheck(
        sources, findings, Features.of(config), skip_bad_rows=config.skip_bad_rows, chunking=chunking_of(config)
    )
    check.run(progress, cancelled)
    return check.report()


def check_config(
    config: TrainConfig, *, progress: Progress | None = None, cancelled: Cancelled | None = None
) -> DataReport:
    """Checks the data that a config names (``data``, ``valid_data``, ``test_data``)."""
    from app.core.source.source import locate_data

    named: dict[Split, list[Path]] = {
        split: [locate_data(name)] if name else []
        for split, name in zip(SPLITS, (config.data, config.valid_data, config.test_data), strict=True)
    }
    return check_files(
        named["train"], config=config, valid=named["valid"], test=named["test"], progress=progress,
        cancelled=cancelled,
    )  # fmt: skip


def chunking_of(config: TrainConfig) -> Chunking:
    """How documents are cut for a config: some three bytes a token, so that parts fit the maximum length."""
    length = max(3 * config.max_seq_length, 24)
    return Chunking(length, length // 10)
