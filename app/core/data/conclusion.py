"""What all rows of a check come to: one format and target, and what does not fit them, told."""

from __future__ import annotations

from collections import Counter

from app.core.data.column import PROMPT_COLUMNS, quoted, reads_as_data
from app.core.data.duplicate import RepeatSummary
from app.core.data.format import FORMAT_LABELS, Features, Format, Layout, Target
from app.core.data.label import BAD as BAD_LABEL
from app.core.data.label import GOOD as GOOD_LABEL
from app.core.data.rated import goal_of, needs_of
from app.core.data.row_record import Lane
from app.core.language import code, joined, tr
from app.core.method.method import Goal
from app.core.method.table import METHODS
from app.core.problem import Severity
from app.core.quantity import plural
from app.core.source.finding import Findings
from app.core.source.source import SPLITS, Source

NAMED_COLUMNS = 20
WITHOUT_REFERENCE = tr(
    "Reward functions are given one: add a column `answer` (any text, for functions that do not "
    "look at it). Online DPO trains on prompts alone, where a model is the judge."
)


class Conclusion:
    """The format, target and goal of lanes of rows; `draw` it once they are full.

    What does not fit goes into ``findings``, its rows out of the lanes' good ones, and its files are no longer
    ``native`` (a flag a source).
    """

    def __init__(
        self,
        lanes: dict[Format, Lane],
        sources: list[Source],
        findings: Findings,
        features: Features,
        native: list[bool],
    ) -> None:
        self.format = Format.UNKNOWN
        self.target: Target = ""
        self.goal: Goal | None = None
        self._lanes = lanes
        self._sources = sources
        self._findings = findings
        self._features = features
        self._native = native
        self._is_rated = bool(METHODS[features.train_mode].goals)

    def draw(self, within: RepeatSummary, across: RepeatSummary, *, cancelled: bool) -> None:
        """Concludes. Repeats ``within`` one part of the data are told too, and those ``across`` its parts."""
        if self._lanes:
            main = max(self._lanes.values(), key=lambda lane: (lane.count, lane.format is not Format.UNKNOWN))
            known = [lane for lane in self._lanes.values() if lane.format is not Format.UNKNOWN]
            if main.format is Format.UNKNOWN and known and main.count < 20 * sum(lane.count for lane in known):
                main = max(known, key=lambda lane: lane.count)
            self.format = main.format
            self._conclude_formats(main)
            self._tell_unused(main)
            self._tell_repeats(within, across)
        self._conclude_sources(cancelled=cancelled)
        self._findings.sort({source.name: index for index, source in enumerate(self._sources)})

    def _conclude_formats(self, main: Lane) -> None:
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
                rows = tr("1 row is") if lane.count == 1 else tr("{count:,} rows are", count=lane.count)
                said = tr(
                    "{rows} {format_labels}, the rest {format_labels2}.",
                    rows=rows,
                    format_labels=FORMAT_LABELS[lane.format],
                    format_labels2=FORMAT_LABELS[main.format],
                )
                self._findings.add("converted_mix", self._sources[index].name, line, said, count=lane.count)
                self._native[:] = [False] * len(self._native)
            elif main.format is Format.LABELLED and lane.layout is not None and lane.layout.completion:
                self._unlabelled(lane)
            else:
                self._mixed(lane, main)
        if "" not in targets and targets:
            self.target = "chat" if "chat" in targets else next(iter(targets))
        if self._is_rated:
            self.goal = goal_of(self._features.train_mode, main.format)
            self.target = self.goal or ""
        if unknown := self._lanes.get(Format.UNKNOWN):
            self._unknown(unknown, main)
        self._conclude_main(main)

    def _mixed(self, lane: Lane, main: Lane) -> None:
        said = tr(
            "This row is {format_labels}, the data {format_labels2}.",
            format_labels=FORMAT_LABELS[lane.format],
            format_labels2=FORMAT_LABELS[main.format],
        )
        for index, line in lane.lines:
            self._findings.add("mixed_format", self._sources[index].name, line, said)
            self._native[index] = False
        self._findings.count("mixed_format", lane.count - len(lane.lines))
        lane.good = [0, 0, 0]

    def _unlabelled(self, lane: Lane) -> None:
        """Answers without a label among labelled ones."""
        for index, line in lane.lines:
            said = tr("`label` is missing, or neither true (a good answer) nor false (a bad one).")
            self._findings.add("missing_field", self._sources[index].name, line, said)
            self._native[index] = False
        self._findings.count("missing_field", lane.count - len(lane.lines))
        lane.good = [0, 0, 0]

    def _unknown(self, lane: Lane, main: Lane) -> None:
        """Rows of no known format: one finding when all are, else one a row that says what it lacks."""
        lane.good = [0, 0, 0]
        self._native[:] = [False] * len(self._native)
        if main is lane:
            index, line = lane.lines[0]
            columns = joined((quoted(name) for name in lane.columns[0][:12]), ", ") or tr("none")
            needs = needs_of(self._features.train_mode)
            said = tr(
                "The columns ({columns}) are of no known format. {needs}", columns=columns, needs=needs
            ).strip()
            if len(lane.columns[0]) == 1 and any(name.lower() in PROMPT_COLUMNS for name in lane.columns[0]):
                alone = tr("The rows are prompts alone ({columns}), without", columns=columns)
                said = tr("{alone} an answer to learn from. {needs}", alone=alone, needs=needs).strip()
                if "prompt" in METHODS[self._features.train_mode].goals:
                    said = tr(
                        "{alone} a reference answer. {without_reference}",
                        alone=alone,
                        without_reference=WITHOUT_REFERENCE,
                    )
            self._findings.add("unknown_format", self._sources[index].name, line, said, count=lane.count)
            return
        needed = main.layout.needed if main.layout is not None else ()
        for (index, line), its_columns in zip(lane.lines, lane.columns, strict=True):
            missing = [name for name in needed if name not in its_columns]
            named = joined((quoted(name) for name in missing), ", ")
            said = (
                tr("{named} is missing.", named=named)
                if len(missing) == 1
                else tr("{named} are missing.", named=named)
            )
            if not missing:
                said = tr("The row is not like the others.")
            self._findings.add("missing_field", self._sources[index].name, line, said)
        self._findings.count("missing_field", lane.count - len(lane.lines))

    def _conclude_main(self, main: Lane) -> None:
        index, line = main.lines[0]
        name = self._sources[index].name
        if self._is_rated:
            if not self.target and main.format is not Format.UNKNOWN:
                said = tr(
                    "These rows are {format_labels}, which the method cannot train on.",
                    format_labels=FORMAT_LABELS[main.format],
                )
                other = tr(" KTO trains on such rows.") if main.format is Format.LABELLED else ""
                self._findings.add(
                    "not_for_method",
                    name,
                    line,
                    joined((joined((said, needs_of(self._features.train_mode))), other), ""),
                )
            elif main.format is Format.LABELLED:
                self._conclude_labels(main)
        elif main.format is Format.LABELLED:
            said = tr("These rows are answers labelled good or bad, and KTO trains on such rows")
            form = (
                code("chat")
                if main.layout is not None and main.layout.chat
                else tr("`completion` (prompt and answer)")
            )
            where = tr(" (`--train-mode kto`; in the window, Enhanced Setup).")
            good = tr("To learn the good ones alone, leave out bad answers (`skip_bad_answers`; `check` takes ")
            both = tr("--skip-bad-answers). To learn good and bad ones alike, choose the format {form}.", form=form)
            self._findings.add("not_supervised", name, line, joined((said, where, " ", good, both), ""))
        elif main.format is Format.PREFERENCE:
            said = tr(
                "These rows are preference pairs (chosen and rejected), not examples with one "
                "answer. DPO and others train on such rows (`--train-mode dpo`; in the window, "
                "Enhanced Setup)."
            )
            self._findings.add("not_supervised", name, line, joined((said, _better_answers(main.layout))))
        elif main.format is Format.GRPO and main.layout is not None:
            said = tr(
                "These rows are prompts with reference answers, which GRPO trains on "
                "(`--train-mode grpo`; in the window, Enhanced Setup)."
            )
            column = main.layout.completion
            how = tr("To train on the answers, choose {column} as the answer column", column=quoted(column))
            key = (
                tr(" (`completion_feature: {column}`; `check` takes --completion-feature).", column=column)
                if column
                else "."
            )
            self._findings.add("not_supervised", name, line, joined((said, " ", how, key), ""))
        elif main.layout is not None and not main.layout.native and self.target:
            columns = joined((quoted(column) for column in main.layout.read), ", ")
            said = tr(
                "Columns {columns} ({format_labels}) are trained as",
                columns=columns,
                format_labels=FORMAT_LABELS[main.format],
            )
            self._findings.add(
                "converted", name, None, joined((said, " ", FORMAT_LABELS[Format(self.target)], "."), "")
            )

    def _conclude_labels(self, main: Lane) -> None:
        """Both labels must be there to train on, and should be to validate on."""
        for split, counts in zip(SPLITS, main.labels, strict=True):
            if not counts or len(counts) == 2:
                continue
            only, other = (tr("good"), tr("bad")) if True in counts else (tr("bad"), tr("good"))
            rows = (
                tr("The only answer is")
                if counts.total() == 1
                else tr("All {total:,} answers are", total=counts.total())
            )
            name = next(source.name for source in self._sources if source.split == split)
            if split == "train":
                said = tr("{rows} labelled {only}: KTO needs both good and bad ones.", rows=rows, only=only)
                self._findings.add("one_label", name, None, said)
            elif split == "valid":
                said = tr(
                    "{rows} labelled {only}: without {other} ones the margin cannot be measured.",
                    rows=rows,
                    only=only,
                    other=other,
                )
                self._findings.add("one_label_held_out", name, None, said)

    def labels(self) -> dict[str, int]:
        """The good and the bad answers among the rows to train on."""
        lane = self._lanes.get(Format.LABELLED)
        if lane is None or self.format is not Format.LABELLED:
            return {}
        return {GOOD_LABEL: lane.labels[0][True], BAD_LABEL: lane.labels[0][False]}

    def _tell_unused(self, main: Lane) -> None:
        """Names the columns that no example is made of: each alone where it looks like a part of one."""
        if main.format is Format.UNKNOWN:
            return
        counts = sum((lane.unused for lane in self._lanes.values() if any(lane.good)), Counter[str]())
        name = self._sources[main.lines[0][0]].name
        for column, count in counts.items():
            if reads_as_data(column):
                said = tr("{column} is not used: {rows}.", column=quoted(column), rows=plural(count, "row"))
                self._findings.add("unused_column", name, None, said, count=count)
        rest = [joined((quoted(column), " (", plural(count, "row"), ")"), "") for column, count in counts.items()
                if not reads_as_data(column)]  # fmt: skip
        if rest:
            more = tr(" and {rest:,} more", rest=len(rest) - NAMED_COLUMNS) if len(rest) > NAMED_COLUMNS else ""
            said = tr("Not used: {names}{more}.", names=joined(rest[:NAMED_COLUMNS], ", "), more=more)
            self._findings.add("unused_text", name, None, said)

    def _tell_repeats(self, within: RepeatSummary, across: RepeatSummary) -> None:
        for kind, summary in (("leakage", across), ("duplicate", within)):
            for later, first in summary.listed:
                source = self._sources[first.file]
                where = tr("{unit} {line:,}", unit=source.unit, line=first.line)
                if later.file != first.file:
                    where += tr(" of {name} ({split})", name=source.path.name, split=source.split)
                self._findings.add(
                    kind,
                    self._sources[later.file].name,
                    later.line,
                    tr("The row is the same as {where}.", where=where),
                )
            self._findings.count(kind, summary.count - len(summary.listed))
        if within.estimated or across.estimated:
            said = tr("There are very many rows, of which a sample was compared: the figures are estimates.")
            self._findings.add("sampled", self._sources[0].name, None, said)

    def _conclude_sources(self, *, cancelled: bool) -> None:
        if self._sources and not self.good()[0] and not cancelled and not self._only_unknown():
            first = self._sources[0]
            if not self._findings.total(Severity.ERROR):
                said = tr("There is no usable row") + (tr(" to train on.") if sum(self.good()) else ".")
                self._findings.add("no_examples", first.name, None, said)
        for source in self._sources:
            for kind, said in source.told:
                self._findings.add(kind, source.name, None, said)

    def _only_unknown(self) -> bool:
        return self.format is Format.UNKNOWN and bool(self._lanes)

    def good(self) -> list[int]:
        """The rows that train, a split."""
        return [sum(lane.good[index] for lane in self._lanes.values()) for index in range(len(SPLITS))]


def _fits(lane: Lane, main: Lane) -> bool:
    """True if rows of both lanes can be trained in one form: pairs become chats, texts stay alone."""
    pairs = {"chat", "completion"}
    both = lane.targets | main.targets
    return bool(both) and "" not in both and (both <= pairs or both == {"text"})


def _better_answers(layout: Layout | None) -> str:
    """How to train on the better answers alone, where columns can be chosen so."""
    if layout is None or layout.chat or layout.verdict:
        return ""
    if not layout.prompt:
        return tr(
            "Where they are whole conversations as messages, choose {chosen} as the chat column.",
            chosen=quoted(layout.chosen),
        )
    asked = (
        tr("{prompt} as the prompt column and ", prompt=quoted(layout.prompt)) if layout.prompt != "prompt" else ""
    )
    return tr(
        "To train on the better answers, choose {asked}{chosen} as the answer column.",
        asked=asked,
        chosen=quoted(layout.chosen),
    )
