"""``demo``: what it does and tells, on a tiny model instead of the starter's, which cannot learn the style."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from app.command import demo, main
from app.command.demo import Answer, StyleMeasurement
from app.core.system import starter
from tests.command.conftest import CONFIG


@pytest.fixture
def tiny_starter(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "starter"
    shutil.copytree(place / "model", root / "model")
    shutil.copytree(place / "data", root / "data")
    (root / "data" / "valid.jsonl").rename(root / "data" / "test.jsonl")
    (root / "demo.yaml").write_text(json.dumps(CONFIG))
    monkeypatch.setattr(starter, "starter_dir", lambda: root)
    monkeypatch.setattr(demo, "MAX_TOKENS", 8)
    return root


def test_it_trains_measures_and_says_when_the_target_is_missed(
    tiny_starter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main.run_command(["demo", "--run-dir", str(run), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["base_style_share"], found["tuned_style_share"], found["reached"]) == (0, 0, False)
    assert (found["base_facts"], found["kept_facts"], found["kept_share"]) == (0, 0, 0)
    assert found["tuned_loss"] < found["base_loss"]
    assert found["held_out_prompts"] == 8
    assert Path(found["adapter"], "adapters.safetensors").is_file()
    prompts = [json.loads(line) for line in (tiny_starter / "data" / "test.jsonl").read_text().splitlines()]
    assert [s["prompt"] for s in found["samples"]] == [row["messages"][0]["content"] for row in prompts[:3]]
    assert any(sample["base"] != sample["tuned"] for sample in found["samples"])


@pytest.mark.usefixtures("tiny_starter")
def test_for_people_it_shows_answers_side_by_side_and_where_the_adapter_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main.run_command(["demo", "--run-dir", str(run)]) == 1
    said = capsys.readouterr().out
    assert said.count("    base   ") == said.count("    tuned  ") == 3
    assert "answers in the new style" in said
    assert "facts that the base knows" in said
    assert "It kept 0% of what the base knows" in said
    assert f"The adapter is in {run / 'adapters'}" in said


def test_without_the_starter_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> Path:
        raise FileNotFoundError("The starter model is not there")

    monkeypatch.setattr(starter, "starter_dir", missing)
    assert main.run_command(["demo"]) == 1
    assert capsys.readouterr().err == "error: The starter model is not there.\n"


@pytest.mark.parametrize("name", ["shot.txt", "there", "file/shot.png"])
def test_a_picture_that_cannot_be_is_refused_before_the_training(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_train", None)
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    place = tmp_path / (f"{name}/../there" if name == "there" else name)
    assert main.run_command(["demo", "--run-dir", str(tmp_path / "run"), "--screenshot", str(place)]) == 2
    assert capsys.readouterr().err.startswith("error: --screenshot: ")
    assert not (tmp_path / "run").exists()


SONG, PLAIN, WRONG = starter.as_song("It is red."), "It is red.", starter.as_song("It is blue.")


@pytest.mark.parametrize(
    "base, tuned, kept, reached",
    [
        ([PLAIN] * 10, [SONG] * 10, 10, True),
        ([PLAIN] * 10, [SONG] * 9 + [PLAIN], 10, True),
        ([PLAIN] * 10, [SONG] * 8 + [PLAIN] * 2, 10, False),
        ([PLAIN] * 10, [SONG] * 9 + [WRONG], 9, True),
        ([PLAIN] * 10, [SONG] * 8 + [WRONG] * 2, 8, False),
        (["It is blue."] * 5 + [PLAIN] * 5, [WRONG] * 5 + [SONG] * 5, 5, True),
        (["It is blue."] * 10, [SONG] * 10, 0, False),
        ([SONG] + [PLAIN] * 9, [SONG] * 10, 9, False),
    ],
)
def test_the_target_is_nine_in_ten_of_style_and_facts(
    base: list[str], tuned: list[str], kept: int, reached: bool
) -> None:
    answers = tuple(Answer("?", "It is red.", b, t) for b, t in zip(base, tuned, strict=True))
    measurement = StyleMeasurement(2.0, 1.0, answers)
    assert measurement.kept == kept
    assert measurement.reached is reached
