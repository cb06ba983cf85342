"""The row server: rows as they stand in the file, also those that cannot be read."""

import io
import json
import queue
import subprocess
import sys
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.protocol.command import Command, EndOfInput, Pause, ReadRows, SaveRows, Stop, SurveyRows
from app.core.protocol.job import RowsJob
from app.worker.data.rows import rows, window
from app.worker.process.channel import Channel
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


def asked(path: Path, *commands: Command) -> list[dict[str, Any]]:
    """What the task says to these commands, after that it is ready and before its end."""
    out, waiting = io.StringIO(), queue.Queue[Command]()
    for command in (*commands, EndOfInput()):
        waiting.put(command)
    rows(Channel(out, waiting), path.parent, RowsJob(file=path, config={"max_seq_length": 64}))
    first, *told, last = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["type"], last["type"], last["reason"]) == ("ready", "finished", "stopped")
    return told


def test_the_task_answers_what_it_can_and_says_why_it_cannot(tmp_path: Path) -> None:
    path, other = tmp_path / "data.jsonl", tmp_path / "other.jsonl"
    path.write_text("".join(json.dumps(GOOD | {"n": n}) + "\n" for n in range(4)))
    chat = {"messages": [{"role": "human", "content": "a"}, {"role": "assistant", "content": "b"}]}
    other.write_text((json.dumps(chat) + "\n") * 2 + "{\n")
    target = tmp_path / "new.jsonl"
    good: dict[str, Any] = GOOD
    changed = {2: good | {"completion": "neu"}}
    (tmp_path / "file").touch()
    told = asked(
        path, ReadRows(line=2, count=2), ReadRows(line=9), SurveyRows(file=other),
        SurveyRows(file=other, roles={"human": "user"}), Pause(),
        SaveRows(target=target, changed=changed, dropped=(3,), added=(good,)),
        SaveRows(target=tmp_path / "file" / "new.jsonl"), SurveyRows(file=tmp_path / "nothing.jsonl"),
    )  # fmt: skip
    shown, empty, found, renamed, declined, saved, *refused = told
    assert (shown["name"], [row["line"] for row in shown["data"]["rows"]]) == ("rows", [2, 3])
    assert (shown["data"]["first"], shown["data"]["more"]) == (2, True)
    assert empty["data"] == {"first": 9, "rows": [], "more": False}
    assert found["name"] == renamed["name"] == "survey"
    seen = {"rows": 2, "roles": {"human": 2, "assistant": 2}, "repeats": [2], "format": "chat", "file": str(other)}
    assert found["data"] == seen
    assert renamed["data"] == seen | {"roles": {"user": 2, "assistant": 2}}
    assert (declined["type"], declined["message"]) == ("warned", "The command `pause` means nothing to this task.")
    assert saved["data"] == {"target": str(target), "rows": 4, "unreadable": 0}
    written = [json.loads(line) for line in target.read_text().splitlines()]
    assert written == [GOOD | {"n": 0}, changed[2], GOOD | {"n": 3}, GOOD]
    assert [one["name"] for one in refused] == ["refused", "refused"]
    (full,), (gone,) = (one["data"]["problems"] for one in refused)
    assert full == f"{tmp_path / 'file'}: File exists."
    assert gone == f"{tmp_path / 'nothing.jsonl'}: There is no file of this name."


def test_a_save_that_is_stopped_writes_nothing_and_ends(tmp_path: Path) -> None:
    path, target = tmp_path / "data.jsonl", tmp_path / "new.jsonl"
    path.write_text((json.dumps(GOOD) + "\n") * 3000)
    assert {one["type"] for one in asked(path, SaveRows(target=target), Stop(), ReadRows())} <= {"progressed"}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data.jsonl"]
