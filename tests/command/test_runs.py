"""``luthier runs`` on folders without a worker: what was written about runs, compared and reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.command.main import run_command
from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.run.folder import RunDir, prepare_run
from app.core.run.note import RunNote, load_note
from tests.core.tracker.event_file import scalars


@pytest.fixture
def runs(home: Path) -> list[RunDir]:
    parent = home / "data" / "runs"
    config = TrainConfig().with_value("model", "base")
    made = [
        prepare_run(config, parent / "first"),
        prepare_run(config.with_values({"lora_parameters.rank": 8}), parent / "second"),
    ]
    for run, loss in zip(made, (1.5, 1.25), strict=True):
        found = (event.Hello(task="train"), event.Validated(iteration=5, val_loss=loss), event.Finished())
        run.events.write_text("".join(f"{one.to_line()}\n" for one in found))
    return made


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert run_command(["runs", *arguments]) == code
    found = capsys.readouterr()
    return found.out if code == 0 else found.err


def json_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    tree = json.loads(said(capsys, *arguments, "--json"))
    assert isinstance(tree, dict)
    return tree


@pytest.mark.usefixtures("runs")
def test_compare_shows_only_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "compare", "first", "second")
    assert [line.split()[:2] for line in text.splitlines()[1:]] == [["LoRA", "rank"], ["Best", "validation"]]
    assert "1.250" in text
    tree = json_of(capsys, "compare", "first", "second")
    assert tree["differences"] == [{"path": "lora_parameters.rank", "label": "LoRA rank", "values": [32, 8]}]
    assert [run["best_val_loss"] for run in tree["runs"]] == [1.5, 1.25]
    assert "The configs are the same." in said(capsys, "compare", "first", "first")
    assert "two or more" in said(capsys, "compare", "first", code=2)


@pytest.mark.usefixtures("runs")
def test_a_report_is_one_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "report.md"
    assert json_of(capsys, "report", "first", "--out", str(out))["report"] == str(out)
    assert "Best validation loss | 1.500" in out.read_text()
    assert ".html or .md" in said(capsys, "report", "first", "--out", str(tmp_path / "report.pdf"), code=2)


def test_name_notes_and_tags_are_kept_and_listed(capsys: pytest.CaptureFixture[str], runs: list[RunDir]) -> None:
    assert json_of(capsys, "rename", "first", "  the  good one ")["name"] == "the good one"
    assert said(capsys, "note", "first", "Why it is good.") == ""
    assert json_of(capsys, "tag", "first", "a", "b,c")["tags"] == ["a", "b", "c"]
    assert load_note(runs[0]) == RunNote("the good one", ("a", "b", "c"), "Why it is good.")
    listed = {one["name"]: one for one in json_of(capsys, "list")["runs"]}
    assert set(listed) == {"the good one", "mlx_finetune"}
    assert listed["the good one"]["tags"] == ["a", "b", "c"]
    assert "the good one (first)" in said(capsys, "list")
    assert json_of(capsys, "show", "the good one")["path"] == json_of(capsys, "show", "first")["path"]
    assert json_of(capsys, "show", "good")["name"] == "the good one"
    assert "the good one" in said(capsys, "show", "the gold one", code=2)
    assert "is not the whole name" in said(capsys, "delete", "good", "--yes", code=2)
    said(capsys, "rename", "first", "")
    said(capsys, "note", "first", "")
    said(capsys, "tag", "first")
    assert not runs[0].notes.exists()


def test_a_part_of_several_names_says_which_run_is_taken(
    capsys: pytest.CaptureFixture[str], runs: list[RunDir]
) -> None:
    for run, name in zip(("first", "second"), ("faq one", "faq two"), strict=True):
        said(capsys, "rename", run, name)
    assert run_command(["runs", "show", "faq", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["path"] == str(runs[1].path)
    assert told.err.startswith("note: “faq” can mean 2 runs; the newest is taken, second.\n")
    assert run_command(["runs", "show", "faq one", "--json"]) == 0
    assert capsys.readouterr().err == ""
    assert "can mean" not in said(capsys, "delete", "faq", "--yes", code=2)


def test_a_name_that_was_given_once_is_enough_to_delete(
    capsys: pytest.CaptureFixture[str], runs: list[RunDir]
) -> None:
    for run in ("first", "second"):
        said(capsys, "rename", run, "alike")
    said(capsys, "delete", "alike", "--yes", code=2)
    assert all(run.path.exists() for run in runs)
    said(capsys, "rename", "second", "other")
    said(capsys, "delete", "alike", "--yes")
    assert [run.path.exists() for run in runs] == [False, True]


@pytest.mark.usefixtures("runs")
def test_a_run_of_the_past_is_given_to_a_tracker(
    runs: list[RunDir], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with runs[0].events.open("a") as file:
        file.write(
            event.Started(iterations=5, iterations_per_epoch=5, train_examples=1, valid_examples=1).to_line()
        )
        file.write(f"\n{event.Validated(iteration=5, val_loss=0.25).to_line()}\n")
    tree = json_of(capsys, "track", "first", "--out", str(tmp_path / "out"))
    assert tree["figures"] == 2
    assert scalars(tmp_path / "out")["valid/loss"] == [(5, 0.25)]
    assert "no tracker “aim”" in said(capsys, "track", "first", "--to", "aim", code=2)
