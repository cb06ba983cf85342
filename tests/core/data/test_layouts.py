"""Layouts of public data sets: each way of training reads what it should of them, or refuses them in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.convert import first_examples
from app.core.data.report import DataReport
from tests.core.data.layouts import LAYOUTS, RowLayout, says, user


def read(layout: RowLayout, folder: Path, mode: str) -> tuple[DataReport, list[dict[str, Any]]]:
    """The report, and the rows as they train."""
    path = folder / f"data{layout.suffix}"
    path.write_text("\n".join(json.dumps(row) for row in layout.rows), encoding="utf-8")
    config = TrainConfig().with_value("train_mode", mode)
    report = check_files([path], config=config)
    if not report.usable:
        assert report.errors
        assert all(finding.reason for finding in report.errors)
        return report, []
    return report, [row for _, _, row in first_examples([path], config, report.target, 9)]


def warned(report: DataReport) -> list[str]:
    return [finding.reason.split("`")[1] for finding in report.warnings if finding.kind == "unused_column"]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_supervised(layout: RowLayout, tmp_path: Path) -> None:
    report, rows = read(layout, tmp_path, "sft")
    if layout.talk is None:
        assert not report.usable
        return
    if isinstance(layout.talk, str):
        assert rows[0] == {"text": layout.talk}
    elif "messages" in rows[0]:
        assert rows[0]["messages"] == layout.talk
    else:
        assert [user(rows[0]["prompt"]), says(rows[0]["completion"])] == layout.talk
    assert warned(report) == list(layout.told)


@pytest.mark.parametrize("mode", ["dpo", "kto"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_pairs_and_labels(layout: RowLayout, mode: str, tmp_path: Path) -> None:
    report, rows = read(layout, tmp_path, mode)
    if layout.pair is not None:
        prompt, chosen, rejected = layout.pair
        assert rows[0] == {"prompt": prompt, "chosen": [says(chosen)], "rejected": [says(rejected)]}
        assert warned(report) == list(layout.told)
    elif layout.labelled is not None and mode == "kto":
        prompt, answer, label = layout.labelled
        assert rows[0] == {"prompt": prompt, "completion": [says(answer)], "label": label}
    else:
        assert not report.usable


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_rewards(layout: RowLayout, tmp_path: Path) -> None:
    report, rows = read(layout, tmp_path, "grpo")
    if layout.asked is not None:
        assert (rows[0]["prompt"], rows[0]["answer"]) == layout.asked
    elif layout.talk is None:
        assert not report.usable
