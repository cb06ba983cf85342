"""Every file of the corpus goes through the check and gives the documented format, counts and lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from corpus import CASES, Case

from app.core.config import TrainConfig
from app.core.dataset import DataReport, report_json
from app.core.dataset.check import check_files


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, tmp_path: Path) -> None:
    path = tmp_path / case.name
    case.write(path)
    before = path.read_bytes() if path.is_file() else b""

    report = check_files([path], config=TrainConfig(**case.config))

    assert report.format == case.format
    assert report.target == (case.target if case.target or case.format == "unknown" else "")
    if case.examples >= 0:
        assert report.examples == case.examples
    wanted = [(line, kind) for line, kind in case.errors if line != -1]
    found = [(finding.line, finding.kind) for finding in report.errors]
    assert (found if wanted or not case.errors else []) == wanted
    assert {finding.kind for finding in report.errors} == {kind for _, kind in case.errors}
    assert [(finding.line, finding.kind) for finding in report.warnings] == case.warnings
    assert [finding.kind for finding in report.notes] == case.notes
    assert report.usable is case.usable
    for finding in (*report.errors, *report.warnings, *report.notes):
        assert finding.file.startswith(str(path))
        assert finding.reason.endswith((".", "?"))
    if case.splits:
        assert {split: part.examples for split, part in report.splits.items()} == case.splits
    assert DataReport.from_dict(json.loads(json.dumps(report_json(report)))) == report
    assert not before or path.read_bytes() == before
