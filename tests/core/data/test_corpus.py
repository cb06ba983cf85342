"""Every file of the corpus goes through the check and gives the documented format, counts and lines."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from app.command.main import run_command
from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.report import DataReport, report_json, save_findings
from tests.core.data.corpus import CASES, Case


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


@pytest.mark.parametrize("case", [case for case in CASES if not case.config], ids=lambda case: case.name)
def test_command(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same through ``luthier check --json``: one object on stdout, exit code 0 or 2."""
    path = tmp_path / case.name
    case.write(path)

    code = run_command(["check", str(path), "--json"])

    tree = json.loads(capsys.readouterr().out)
    assert code == (0 if case.usable else 2)
    assert (tree["usable"], tree["format"]) == (case.usable, case.format)
    if (-1, "damaged_file") not in case.errors:
        assert tree["examples"] == case.examples
        assert [(item["line"], item["kind"]) for item in tree["errors"]] == case.errors
    assert [(item["line"], item["kind"]) for item in tree["warnings"]] == case.warnings
    assert all({"file", "line", "reason"} <= set(item) for item in (*tree["errors"], *tree["warnings"]))


def test_findings_are_saved_as_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"prompt": "a", "completion": "b"}\n{\n')
    report = check_files([path])
    save_findings(report, tmp_path / "findings.csv")
    with (tmp_path / "findings.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["severity"], row["line"], row["kind"]) for row in rows] == [("error", "2", "broken_json")]
    save_findings(report, tmp_path / "findings.json")
    assert json.loads((tmp_path / "findings.json").read_text(encoding="utf-8")) == report_json(report)
