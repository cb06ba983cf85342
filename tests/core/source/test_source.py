"""Of a folder the data files are read, and what is left out is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.core.data.check import check_files
from app.core.source import data_file
from app.core.source.data_file import find_sources
from app.core.source.finding import Findings
from tests.core.data.written import Row, file_of, told

PAIRS: list[Row] = [{"prompt": f"Lamp {n}?", "completion": "Lit."} for n in range(2)]


def test_files_that_are_no_data_are_named(tmp_path: Path) -> None:
    file_of(tmp_path, PAIRS, "lamps.jsonl")
    for name in ("notes.docx", "photo.png", "thoughts.txt", "README.md", ".hidden"):
        (tmp_path / name).write_text("x")
    report = check_files([tmp_path])
    assert report.examples == 2
    assert ("ignored_file", "Not used: `notes.docx`, `photo.png`, `thoughts.txt`.") in told(report)


def test_files_beside_the_splits_of_mlx_lm_are_named(tmp_path: Path) -> None:
    for name in ("train.jsonl", "valid.jsonl", "more.jsonl"):
        file_of(tmp_path, [{"prompt": f"{name} {n}?", "completion": "Lit."} for n in range(2)], name)
    report = check_files([tmp_path])
    assert report.examples == 4
    assert ("ignored_file", "Not used: `more.jsonl`.") in told(report)


MODEL = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors",
         "model.safetensors.index.json", "vocab.json", "merges.txt", "README.md")  # fmt: skip


@pytest.mark.parametrize("place", ["Qwen3-0.6B", ""])
def test_a_model_beside_the_examples_is_left_alone(place: str, tmp_path: Path) -> None:
    """A tokenizer's words were rows of the data, and not usable with them."""
    (tmp_path / place).mkdir(exist_ok=True)
    for name in MODEL:
        (tmp_path / place / name).write_text('{"added_tokens": [{"content": "<|end|>"}]}')
    file_of(tmp_path, PAIRS, "lamps.jsonl")
    report = check_files([tmp_path])
    assert (report.usable, report.examples, report.target) == (True, 2, "completion")
    left = ", ".join(f"`{name}`" for name in sorted(MODEL) if name not in ("README.md", "config.json"))
    assert told(report) == [("ignored_file", f"Not used: {left}.")]
    (tmp_path / "lamps.jsonl").unlink()
    said = [reason for kind, reason in told(check_files([tmp_path / place])) if kind == "no_examples"]
    assert said == ["This is a model, not data."]


def test_a_run_beside_the_examples_is_left_alone(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    (run / "adapters").mkdir(parents=True)
    for name in ("config.yaml", "events.jsonl", "job.json", "notes.json", "adapters/rows.jsonl"):
        (run / name).write_text('{"type": "hello"}\n')
    file_of(tmp_path, PAIRS, "lamps.jsonl")
    report = check_files([tmp_path])
    assert (report.usable, report.examples) == (True, 2)
    left = "`rows.jsonl`, `events.jsonl`, `job.json`, `notes.json`"
    assert told(report) == [("ignored_file", f"Not used: {left}.")]
    (run / "config.yaml").unlink()
    assert check_files([tmp_path]).usable is False, "what only looks like a run is read"


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.json", "trainer_state.json"])
def test_a_name_like_a_models_is_data_where_there_is_no_model(name: str, tmp_path: Path) -> None:
    file_of(tmp_path, PAIRS, name)
    assert check_files([tmp_path]).examples == 2


@pytest.mark.parametrize(
    "name", ["config.jsonl", "state.csv", "license-plates.jsonl", "README.parquet.jsonl", "state-capitals.json"]
)
def test_rows_are_data_whatever_they_are_called(name: str, tmp_path: Path) -> None:
    """They were left out, and nothing was said of it."""
    file_of(tmp_path, PAIRS, "lamps.jsonl")
    (tmp_path / name).write_text(
        "prompt,completion\nPort?,Left.\n" if name.endswith("csv") else '{"prompt": "Port?", "completion": "Left."}'
    )
    report = check_files([tmp_path])
    assert (report.usable, report.examples, told(report)) == (True, 3, [])


def test_what_is_about_the_data_is_no_row_of_it(tmp_path: Path) -> None:
    file_of(tmp_path, PAIRS, "lamps.jsonl")
    for name in ("README.md", "LICENSE", "dataset_info.json", "state.json", "config.json", "CITATION.cff"):
        (tmp_path / name).write_text('{"name": "lamps"}')
    assert (check_files([tmp_path]).examples, told(check_files([tmp_path]))) == (2, [])
    (tmp_path / "package.json").write_text('{"name": "lamps"}')
    (tmp_path / "license-plates.txt").write_text("White.")
    report = check_files([tmp_path])
    assert (report.usable, report.examples) == (True, 2)
    assert told(report) == [("ignored_file", "Not used: `license-plates.txt`, `package.json`.")]


def test_a_link_that_leads_back_gives_no_row_twice(tmp_path: Path) -> None:
    file_of(tmp_path, PAIRS, "lamps.jsonl")
    (tmp_path / "ports").mkdir()
    file_of(tmp_path / "ports", [{"prompt": "Port?", "completion": "Left."}], "ports.jsonl")
    (tmp_path / "ports" / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "itself").symlink_to("itself")
    report = check_files([tmp_path])
    assert (report.examples, told(report)) == (3, [("ignored_file", "Not used: `itself`.")])


@pytest.mark.parametrize("name, usable", [("ports.jsonl", False), ("ports.png", True)])
def test_a_link_that_leads_nowhere_is_told(name: str, usable: bool, tmp_path: Path) -> None:
    file_of(tmp_path, PAIRS, "lamps.jsonl")
    (tmp_path / name).symlink_to(tmp_path / "gone")
    report = check_files([tmp_path])
    assert report.usable is usable
    if usable:
        assert told(report) == [("ignored_file", "Not used: `ports.png`.")]
    else:
        assert told(report) == [("unreadable_file", "There is no file of this name.")]


def test_a_pipe_among_the_examples_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert told(check_files([tmp_path])) == [("no_examples", "The folder holds no data file.")]
    os.mkfifo(tmp_path / "pipe.jsonl")
    file_of(tmp_path, PAIRS, "lamps.jsonl")
    assert ("unreadable_file", "This is not a regular file.") in told(check_files([tmp_path]))


def test_what_lies_too_deep_or_is_too_much_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "a" / "b" / "c" / "d"
    (deep / "e").mkdir(parents=True)
    for number, folder in enumerate((tmp_path, deep, deep / "e")):
        file_of(folder, [{"prompt": f"Lamp {number}?", "completion": "Lit."}], "lamps.jsonl")
    report = check_files([tmp_path])
    assert report.examples == 2
    assert told(report) == [("ignored_file", "Not looked into, more than 4 folders deep: `e`.")]
    monkeypatch.setattr(data_file, "FOLDER_FILES", 2)
    for number in range(4):
        file_of(deep, [{"prompt": f"Port {number}?", "completion": "Left."}], f"p{number}.jsonl")
    report = check_files([deep.parent])
    assert report.examples == 3, "of the five of one folder two are read, and the one below it"
    said = "Of the files here the first 2 by name are read, and 3 are not."
    assert told(report) == [("too_many_files", said)]


def test_many_are_counted(tmp_path: Path) -> None:
    file_of(tmp_path, PAIRS, "lamps.jsonl")
    for number in range(11):
        (tmp_path / f"{number:02}.png").write_text("x")
    (said,) = [reason for kind, reason in told(check_files([tmp_path])) if kind == "ignored_file"]
    assert said.endswith("`07.png` and 3 more.")


ROW = '{"prompt": "Lamp?", "completion": "Lit."}'
WHATSAPP = "31/12/2023, 22:15 - Bo: Is the boat free?\n31/12/2023, 22:16 - Ada: Yes.\n"
TELEGRAM = """{"name": "Bo", "type": "personal_chat", "id": 1, "messages": [
{"id": 1, "type": "message", "date": "2024-01-01T10:00:00", "date_unixtime": "1", "from": "Bo", "from_id": "user1",
"text": "Is the boat free?"}]}"""


@pytest.mark.parametrize(
    "name, content, unit",
    [
        ("a.jsonl", f"{ROW}\n{ROW}\n", "line"),
        ("a.json", f"[{ROW},\n{ROW}]", "line"),
        ("a.json", f"[{ROW}, {ROW}]", "row"),
        ("a.json", f"[{ROW}, {ROW}]\n", "row"),
        ("a.csv", "prompt,completion\nLamp?,Lit.\n", "line"),
        ("a.md", "# Lamps\n\nAll of them are lit.\n", "line"),
        ("chat.txt", WHATSAPP, "line"),
        ("result.json", TELEGRAM, "row"),
    ],
)
def test_places_are_counted_by_what_a_person_finds_there(
    name: str, content: str, unit: str, tmp_path: Path
) -> None:
    """An editor shows lines. Where all rows stand in one, and where a row is no line of the file, rows count."""
    (tmp_path / name).write_text(content, encoding="utf-8")
    (source,) = find_sources([tmp_path / name], Findings())
    assert source.unit == unit
