"""The row server: rows as they stand in the file, also those that cannot be read."""

import json
import subprocess
import sys
from pathlib import Path

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.worker.data.rows import window
from tests import ROOT
from tests.core.document.written import paragraph, word

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


def test_rows_that_are_no_lines_are_those_of_the_check(tmp_path: Path) -> None:
    document = word(tmp_path / "tides.docx", "".join(paragraph(f"{n}. The tide turns at six.") for n in range(9)))
    config = TrainConfig(max_seq_length=16)
    report = check_files([document], config=config)
    found = window(document, 1, 50, config)["rows"]
    assert [row["line"] for row in found] == list(report.preview_lines)
    assert [json.loads(row["text"]) for row in found] == list(report.preview)
    chat = tmp_path / "chat.txt"
    chat.write_text("31.12.23, 22:15 - Bo: Free?\n31.12.23, 22:16 - Ada: Yes.\n", encoding="utf-8")
    (row,) = window(chat, 1, 50)["rows"]
    assert row["fault"].startswith("It is not chosen whose words are the answers.")
    (row,) = window(chat, 1, 50, TrainConfig(answers_by="Ada"))["rows"]
    assert json.loads(row["text"])["messages"][1] == {"role": "assistant", "content": "Yes."}


def test_whoever_only_looks_at_rows_waits_for_no_library_of_models() -> None:
    script = "import sys, app.worker.data.check, app.worker.data.rows as _\n"
    script += "print({'transformers', 'mlx_lm'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
