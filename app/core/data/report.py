"""The report of a check: is this data usable, as what, how much of it, and what is wrong where."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.core.json_text import WrittenNumber
from app.core.problem import Severity
from app.core.source.finding import KINDS, Finding, Findings
from app.core.system.atomic_file import write_text
from app.core.visible import writable_text

PREVIEW_ROWS = 20
PREVIEW_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class SplitReport:
    """The rows of one split and the files that they came from; ``bytes`` is the size of these on disk."""

    examples: int
    files: tuple[str, ...]
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class DataReport:
    """What a check found.

    ``format`` is what rows are (chat, sharegpt, alpaca, completion, text, preference, labelled, grpo, unknown),
    ``target`` the form that they train as (chat, completion, text, preference, labelled, prompt; empty if none).
    ``examples`` counts rows without errors, ``rows`` all rows, ``labels`` good and bad answers to train on.
    ``errors``, ``warnings`` and ``notes`` hold at most 1,000 findings each; ``counts`` by kind is complete.
    ``preview`` are the first rows as they stand in the files, texts shortened; ``references`` the first reference
    answers where prompts are rewarded, their middles left out; ``sheets`` those of workbooks that hold anything;
    ``speakers`` those of exported chats with their messages; ``counted`` the examples of each part, as the data are
    divided, that have something to learn: where their tokens were counted.
    """

    usable: bool
    format: str
    target: str
    examples: int
    rows: int
    splits: dict[str, SplitReport]
    errors: list[Finding]
    warnings: list[Finding]
    notes: list[Finding]
    counts: dict[str, int]
    formats: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    leaked: int = 0
    columns: tuple[str, ...] = ()
    preview: tuple[dict[str, Any], ...] = ()
    preview_lines: tuple[int, ...] = ()
    bytes: int = 0
    cancelled: bool = False
    references: tuple[str, ...] = ()
    sheets: tuple[str, ...] = ()
    speakers: dict[str, int] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)

    @property
    def error_count(self) -> int:
        """All errors, kept or not."""
        return _total(self.counts, Severity.ERROR)

    @property
    def warning_count(self) -> int:
        """All warnings, kept or not."""
        return _total(self.counts, Severity.WARNING)

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> DataReport:
        """The opposite of `report_json`; keys of newer versions are dropped."""
        known = {name: tree[name] for name in cls.__slots__ if name in tree}
        for name in ("errors", "warnings", "notes"):
            known[name] = [Finding.from_dict(item) for item in tree[name]]
        known["splits"] = {
            name: SplitReport(part["examples"], tuple(part["files"]), part["bytes"])
            for name, part in tree["splits"].items()
        }
        for name in ("columns", "preview", "preview_lines", "references", "sheets"):
            known[name] = tuple(tree.get(name, ()))
        return cls(**known)


def _total(counts: dict[str, int], severity: Severity) -> int:
    return sum(count for kind, count in counts.items() if KINDS[kind].severity is severity)


def report_json(report: DataReport) -> dict[str, Any]:
    """The report as plain JSON values: what ``luthier check --json`` prints and the worker sends."""
    tree: dict[str, Any] = {name: getattr(report, name) for name in report.__slots__}
    for name in ("errors", "warnings", "notes"):
        tree[name] = [finding.as_dict() for finding in tree[name]]
    tree["splits"] = {
        name: {"examples": part.examples, "files": list(part.files), "bytes": part.bytes}
        for name, part in report.splits.items()
    }
    for name in ("columns", "preview", "preview_lines", "references", "sheets"):
        tree[name] = list(tree[name])
    return tree | {"error_count": report.error_count, "warning_count": report.warning_count}


def save_findings(report: DataReport, path: Path) -> None:
    """Writes the kept findings as a table (``.csv``) or, under any other name, the whole report as JSON."""
    if path.suffix.lower() != ".csv":
        write_text(path, json.dumps(report_json(report), ensure_ascii=False, indent=1) + "\n")
        return
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("severity", "file", "line", "kind", "reason", "hint"))
    for finding in (*report.errors, *report.warnings, *report.notes):
        line = "" if finding.line is None else finding.line
        table.writerow((finding.severity.value, finding.file, line, finding.kind, finding.reason, finding.hint))
    write_text(path, text.getvalue())


def with_findings(report: DataReport, more: Findings, *, skip_bad_rows: bool = False) -> DataReport:
    """The report with what a later check (with a tokenizer) found; errors make it unusable."""
    merged = Findings()
    merged.extend(more)
    counts = Counter(report.counts)
    counts.update(more.counts)
    held_back = more.total(Severity.ERROR) > 0 and not skip_bad_rows
    tree = {name: getattr(report, name) for name in report.__slots__} | {
        "errors": [*report.errors, *merged.kept(Severity.ERROR)][:1000],
        "warnings": [*report.warnings, *merged.kept(Severity.WARNING)][:1000],
        "notes": [*report.notes, *merged.kept(Severity.NOTE)][:1000],
        "counts": dict(counts),
        "usable": report.usable and not held_back,
    }
    return DataReport(**tree)


def shortened(value: Any, limit: int = PREVIEW_CHARACTERS, depth: int = 6) -> Any:
    """A JSON-able copy of a row for display: texts, lists and depth bounded."""
    if isinstance(value, str):
        text = value if len(value) <= limit else value[:limit] + "…"
        return writable_text(text)
    if isinstance(value, WrittenNumber):
        return value.literal  # as it is trained
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if depth == 0:
        return "…"
    if isinstance(value, dict):
        return {str(shortened(str(k), 200)): shortened(v, limit, depth - 1) for k, v in list(value.items())[:100]}
    if isinstance(value, (list, tuple)):
        return [shortened(item, limit, depth - 1) for item in value[:100]]
    return shortened(str(value), limit)
