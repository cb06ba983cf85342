"""What is known of data, said to a `DataInspector` by hand as its workers would: rows, and figures of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.core.data.report import DataReport, SplitReport, report_json
from app.core.protocol import event
from app.core.source.finding import KINDS, Finding
from app.ui.data.inspector import DataInspector
from app.ui.worker.process import WorkerOutcome

CHATS = tuple({"messages": [{"role": "user", "content": f"Q{n}"}, {"role": "assistant", "content": f"A{n}"}]}
              for n in range(3))  # fmt: skip


def finding(kind: str, line: int | None = None, reason: str = "It is so.", file: str = "/d/rows.jsonl") -> Finding:
    return Finding(file, line, reason, kind, KINDS[kind].severity)


def report(*findings: Finding, **changes: Any) -> DataReport:
    """Of twenty chats in a file, unless something else is said; each finding is counted once."""
    kept: dict[str, list[Finding]] = {"error": [], "warning": [], "note": []}
    for one in findings:
        kept[one.severity.value].append(one)
    kinds = [one.kind for one in findings]
    told: dict[str, Any] = {
        "usable": not kept["error"], "format": "chat", "target": "chat", "examples": 20, "rows": 20,
        "splits": {"train": SplitReport(20, ("/d/rows.jsonl",), 100)},
        "errors": kept["error"], "warnings": kept["warning"], "notes": kept["note"],
        "counts": {kind: kinds.count(kind) for kind in kinds}, "formats": {"chat": 20}, "columns": ("messages",),
        "preview": CHATS, "preview_lines": (1, 2, 4),
    }  # fmt: skip
    return DataReport(**(told | changes))


def split_tree(examples: int = 16, kind: str = "examples", **changes: Any) -> dict[str, Any]:
    """The figures of a split, as a worker sends them."""
    return {
        "kind": kind, "examples": examples, "tokens": 2000, "kept_tokens": 1500, "trained_tokens": 600,
        "trained_share": 0.4, "over_length": 0, "cut_tokens": 0, "untrained_examples": 0, "shortest": 8,
        "longest": 300, "longest_used": 256, "median_length": 90.0, "max_seq_length": 2048, "limit": 2048,
        "parts": {}, "histogram": {"edges": [0, 100, 200, 300], "counts": [9, 5, 2]},
        "padding_share": {"bucket": 0.25, "pack": 0.125}, "iterations_per_epoch": 8,
    } | changes  # fmt: skip


def tell_rows(inspector: DataInspector, found: DataReport) -> None:
    """Says what the rows are, as the worker does that reads them."""
    inspector._read_worker.cancel()
    inspector._read_worker.emitted.emit(event.Result(name="check", data=report_json(found)))
    inspector._read_worker.ended.emit(WorkerOutcome("check", 0, finished=event.Finished()))


def tell_tokens(
    inspector: DataInspector, splits: dict[str, dict[str, Any]], findings: Sequence[Finding] = (), **counts: int
) -> None:
    """Says what their tokens are, as the worker does that counts them."""
    inspector._token_worker.cancel()
    tree: dict[str, Any] = {"errors": [], "warnings": [], "notes": [], "splits": splits, "counts": counts}
    for one in findings:
        tree[f"{one.severity.value}s"].append(one.as_dict())
        tree["counts"].setdefault(one.kind, 1)
    inspector._token_worker.emitted.emit(event.Result(name="tokenize", data=tree))
    inspector._token_worker.ended.emit(WorkerOutcome("tokenize", 0, finished=event.Finished()))


def tell_split(inspector: DataInspector, examples: int = 16, kind: str = "examples", **changes: Any) -> None:
    """Figures of the training part alone."""
    tell_tokens(inspector, {"train": split_tree(examples, kind, **changes)})
