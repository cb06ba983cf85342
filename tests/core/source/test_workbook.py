"""Workbooks are read as tables: the first sheet that holds something, numbers as they are in CSV."""

from __future__ import annotations

import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.edit import Edits, read_window, save_edited
from app.core.data.prepare import prepare_data
from app.core.source.workbook import SheetCell, cell_text
from tests.core.data.written import told

Sheet = list[list[str | int | float | None]]
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_TIDES: Sheet = [["prompt", "completion", "id"], ["High water?", "At six.", 7], [], ["Low water?", "At noon.", 7.5]]


def workbook(path: Path, sheets: dict[str, Sheet]) -> Path:
    """The smallest workbook that Excel opens, with texts in their cells."""
    names = list(enumerate(sheets, 1))
    listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, name in names)
    linked = "".join(
        f'<Relationship Id="rId{n}" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n, _ in names
    )
    package = "http://schemas.openxmlformats.org/package/2006"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{package}/content-types"/>')
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
            f'Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>{listed}</sheets></workbook>',
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/relationships">{linked}</Relationships>',
        )
        for number, sheet in enumerate(sheets.values(), 1):
            archive.writestr(f"xl/worksheets/sheet{number}.xml", _sheet(sheet))
    return path


def _sheet(rows: Sheet) -> str:
    lines = []
    for number, row in enumerate(rows, 1):
        cells = [_cell(f"{chr(65 + at)}{number}", value) for at, value in enumerate(row) if value is not None]
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'


def _cell(place: str, value: str | float) -> str:
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f'<c r="{place}"><v>{value}</v></c>'


def test_the_rows_of_the_sheet_are_those_of_the_file(tmp_path: Path) -> None:
    path = workbook(tmp_path / "tides.xlsx", {"Tides": _TIDES})
    assert read_window(path, 1, 9) == [
        (2, {"prompt": "High water?", "completion": "At six.", "id": "7"}),
        (4, {"prompt": "Low water?", "completion": "At noon.", "id": "7.5"}),
    ]
    config = TrainConfig(data=str(path), valid_fraction=0, test_fraction=0)
    prepared = prepare_data(config, tmp_path / "out")
    assert prepared.train.read_text().splitlines()[1] == '{"prompt":"Low water?","completion":"At noon."}'
    edits = Edits()
    edits.drop(2)
    assert save_edited(path, edits, tmp_path / "good.jsonl").rows == 1


def test_faults_have_the_numbers_of_the_sheet(tmp_path: Path) -> None:
    path = workbook(tmp_path / "tides.xlsx", {"Tides": [[], *_TIDES, ["Neap?", None, 1]]})
    (error,) = check_files([path]).errors
    assert (error.line, error.reason) == (6, "`completion` is empty.")


def test_the_first_sheet_with_something_in_it_is_read_and_others_are_named(tmp_path: Path) -> None:
    path = workbook(tmp_path / "tides.xlsx", {"Empty": [], "Tides": _TIDES, "Ports": [["a"], ["b"]]})
    report = check_files([path])
    assert report.examples == 2
    assert ("layout", "The sheet `Tides` is read; not used: `Ports`.") in told(report)


def test_a_sheet_is_chosen_by_its_name(tmp_path: Path) -> None:
    ports: Sheet = [["prompt", "completion"], ["Where?", "At the pier."]]
    path = workbook(tmp_path / "tides.xlsx", {"Tides": _TIDES, "Ports": ports})
    config = TrainConfig(data=str(path), sheet="Ports", valid_fraction=0, test_fraction=0)
    report = check_files([path], config=config)
    assert (report.examples, report.sheets) == (1, ("Ports", "Tides"))
    assert read_window(path, 1, 9, config) == [(2, {"prompt": "Where?", "completion": "At the pier."})]
    assert '"At the pier."' in prepare_data(config, tmp_path / "out").train.read_text()


def test_a_sheet_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    path = workbook(tmp_path / "tides.xlsx", {"Tides": _TIDES, "Ports": [["a"], ["b"]]})
    report = check_files([path], config=TrainConfig(sheet="ports"))
    assert (report.usable, report.sheets) == (False, ("Tides", "Ports"))
    ((kind, said),) = told(report)
    assert (kind, said) == ("no_sheet", "No sheet `ports` holds anything; there are `Tides`, `Ports`.")


def test_a_sheet_without_names_loses_no_row(tmp_path: Path) -> None:
    rows: Sheet = [["Is it high water?", "Yes"], ["Is it low water?", "No"], ["Is it neap tide?", "No"]]
    report = check_files([workbook(tmp_path / "tides.xlsx", {"Tides": rows})])
    assert (report.rows, report.columns) == (3, ("column 1", "column 2"))
    assert [finding.kind for finding in report.warnings] == ["unusual_header"]


def test_names_of_columns_that_stand_again_are_no_row(tmp_path: Path) -> None:
    report = check_files([workbook(tmp_path / "tides.xlsx", {"Tides": [*_TIDES, *_TIDES[:1]]})])
    assert (report.rows, report.examples) == (2, 2)
    last = len(_TIDES) + 1
    assert [(f.line, f.kind) for f in report.warnings] == [(last, "repeated_header")]


def test_a_workbook_of_a_folder_is_its_data(tmp_path: Path) -> None:
    workbook(tmp_path / "train.xlsx", {"Tides": _TIDES})
    assert check_files([tmp_path]).examples == 2


def test_a_damaged_workbook_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "tides.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<broken")
    ((kind, said),) = told(check_files([path]))
    assert kind == "unsupported_file"
    assert said.startswith("This is an Excel workbook. Save it as CSV UTF-8.")


def test_an_empty_workbook_is_told(tmp_path: Path) -> None:
    ((_, said),) = told(check_files([workbook(tmp_path / "tides.xlsx", {"Tides": []})]))
    assert "no sheet holds anything" in said


@pytest.mark.parametrize(
    "cell, expected",
    [
        (3.0, "3"), (2.5, "2.5"), (True, "true"), ("a", "a"), (date(2024, 1, 2), "2024-01-02"),
        (datetime(2024, 1, 2, 3), "2024-01-02T03:00:00"), (timedelta(hours=2), "2:00:00"), (1e300, "1e+300"),
    ],
)  # fmt: skip
def test_cells_are_the_texts_of_a_table(cell: SheetCell, expected: str) -> None:
    assert cell_text(cell) == expected
