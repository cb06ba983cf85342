"""The row server: rows as they stand in the file, also those that cannot be read."""

import json
from pathlib import Path

from app.worker.data.rows import window

GOOD = {"prompt": "Was?", "completion": "Größe"}


def test_broken_lines_come_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    lines = [json.dumps(GOOD, ensure_ascii=False), '{"prompt": "ö', "", json.dumps(GOOD)]
    path.write_text("\r\n".join(lines), encoding="utf-8")
    found = window(path, 1, 3)
    assert found["more"]
    rows = found["rows"]
    assert [row["line"] for row in rows] == [1, 2, 3]
    assert json.loads(rows[0]["text"]) == GOOD
    assert (rows[1]["text"], rows[2]["text"]) == ('{"prompt": "ö', "")
    assert [bool(row["fault"]) for row in rows] == [False, True, True]


def test_a_stretch_from_the_middle_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("question,answer\n" + "".join(f"q{n},a{n}\n" for n in range(9)), encoding="utf-8")
    found = window(path, 9, 50)
    assert not found["more"]
    assert [json.loads(row["text"])["question"] for row in found["rows"]] == ["q7", "q8"]
