"""What a test gives to the check and what comes of it: rows written to a file, checked and prepared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.prepare import prepare_data
from app.core.data.report import DataReport

Row = dict[str, Any]


def file_of(folder: Path, rows: list[Any], name: str = "rows.jsonl") -> Path:
    """A file of these rows, one a line."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def checked(folder: Path, rows: list[Any], mode: str = "sft", **values: Any) -> DataReport:
    """The report on a file of these rows."""
    config = TrainConfig().with_values({"train_mode": mode} | values)
    return check_files([file_of(folder, rows)], config=config)


def trained(folder: Path, rows: list[Any], mode: str = "sft", **values: Any) -> list[Row]:
    """The rows as they are trained, none of them set aside; raises `UnusableError`."""
    given = {"train_mode": mode, "data": str(file_of(folder, rows)), "valid_fraction": 0.0, "test_fraction": 0.0}
    prepared = prepare_data(TrainConfig().with_values(given | values), folder / "prepared")
    return [json.loads(line) for line in prepared.train.read_text(encoding="utf-8").splitlines()]


def told(report: DataReport) -> list[tuple[str, str]]:
    """Kind and reason of everything that a report says."""
    return [(finding.kind, finding.reason) for finding in (*report.errors, *report.warnings, *report.notes)]
