"""The main job on the command line: train, stop, resume, ask, measure, list, delete."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.core.setup.config_file import load_config
from app.core.system import starter
from tests.command.conftest import CONFIG, PROGRAM, Luthier


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def trained(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    run = tmp_path_factory.mktemp("trained") / "run"
    done = subprocess.run(
        [*PROGRAM, "train", str(place / "config.yaml"), "--run-dir", str(run)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "iteration 20 of 20" in done.stdout
    assert str(run / "adapters") in done.stdout
    assert "luthier generate" in done.stdout
    assert "\x1b" not in done.stdout, "plain text in a pipe"
    return run


def test_train_speaks_events_only(program: Luthier, place: Path, home: Path) -> None:
    said = events(program("train", place / "config.yaml", "--json").stdout)
    kinds = [event["type"] for event in said]
    assert kinds[0] == "hello"
    assert kinds[-1] == "finished"
    assert {"started", "train_reported", "validated", "checkpoint_saved"} <= set(kinds)
    [run] = (home / "data" / "runs").iterdir()
    assert events((run / "events.jsonl").read_text()) == said


def test_a_folder_with_a_run_is_refused(program: Luthier, place: Path, trained: Path) -> None:
    before = (trained / "events.jsonl").read_bytes()
    said = program("train", place / "config.yaml", "--run-dir", trained, code=2).stderr
    assert "already holds a run" in said
    assert "luthier resume" in said
    assert (trained / "events.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    "change, words",
    [
        ({"model": "gone"}, "gone"),
        ({"data": "gone"}, "gone"),
        ({"data": ""}, "data"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"targets": "nonsense"}, "nonsense"),
    ],
)
def test_an_unusable_config_names_the_field_and_leaves_nothing(
    luthier: Luthier, place: Path, tmp_path: Path, home: Path, change: dict[str, Any], words: str
) -> None:
    own = {"model": str(place / "model"), "data": str(place / "data")}
    (tmp_path / "bad.yaml").write_text(json.dumps(CONFIG | own | change))
    assert words in luthier("train", tmp_path / "bad.yaml", code=2).stderr
    assert not list((home / "data" / "runs").glob("*"))


def test_ctrl_c_stops_and_saves_and_resume_goes_on(luthier: Luthier, place: Path, tmp_path: Path) -> None:
    own = {"model": str(place / "model"), "data": str(place / "data"), "iters": 150, "steps_per_report": 1}
    (tmp_path / "long.yaml").write_text(json.dumps(CONFIG | own | {"steps_per_eval": 1000, "save_every": 1000}))
    run = tmp_path / "run"
    command = [*PROGRAM, "train", str(tmp_path / "long.yaml"), "--run-dir", str(run), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(json.loads(line))
            if said[-1]["type"] == "train_reported" and said[-1]["iteration"] == 3:
                os.kill(process.pid, signal.SIGINT)
    assert process.returncode == 0
    assert (said[-1]["type"], said[-1]["reason"]) == ("finished", "stopped")
    stopped = said[-1]["iteration"]
    assert 3 <= stopped < 150
    assert (run / "adapters" / "adapters.safetensors").exists()
    text = (run / "config.yaml").read_text()
    again = events(luthier("resume", run, "--json").stdout)
    assert next(e for e in again if e["type"] == "started")["iteration"] == stopped
    assert (again[-1]["reason"], again[-1]["iteration"]) == ("completed", 150)
    assert (run / "config.yaml").read_text() == text
    assert "nothing left to train" in luthier("resume", run).stdout
    longer = events(luthier("resume", run, "--extend-by", 5, "--json").stdout)
    begun = next(e for e in longer if e["type"] == "started")
    assert (begun["iteration"], begun["iterations"]) == (150, 155)
    assert (longer[-1]["reason"], longer[-1]["iteration"]) == ("completed", 155)


def test_a_run_without_a_saved_state_cannot_be_extended(luthier: Luthier, trained: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "run", ignore=shutil.ignore_patterns("state"))
    assert "no saved state" in luthier("resume", run, "--extend-by", 5, code=2).stderr
    assert "'--extend-by'" in luthier("resume", run, "--extend-by", 0, code=2).stderr


def test_resume_of_no_run(luthier: Luthier) -> None:
    assert "luthier runs list" in luthier("resume", "nothing", code=2).stderr


def stock_answer(*asked: object) -> str:
    """What mlx-lm's own program prints."""
    command = [sys.executable, "-m", "mlx_lm", "generate", *map(str, asked), "--verbose", "False"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_generate_answers_as_the_stock_program_without_an_adapter(program: Luthier) -> None:
    asked = ("--model", starter.model_dir(), "--max-tokens", 64, "--prompt", "Who built this violin?")
    answer = stock_answer(*asked)
    assert len(answer.split()) > 3
    assert program("generate", *asked).stdout == answer


def test_generate_answers_as_the_stock_program(program: Luthier, place: Path, trained: Path) -> None:
    asked = ("--model", place / "model", "--adapter-path", trained / "adapters", "--max-tokens", 20)
    prompt = 'abc "d" {e} 🎻'
    found = json.loads(program("generate", *asked, "--prompt", prompt, "--json").stdout)
    assert found["text"] + "\n" == stock_answer(*asked, "--prompt", prompt)
    assert found["generation_tokens"] == 20
    assert found["finish_reason"] == "length"
    assert found["prompt_tokens"] == len(prompt.encode()) + 3
    assert found["tokens_per_second"] > 0
    streamed = program("generate", *asked[2:], "--prompt", "-", stdin=prompt).stdout
    assert streamed == found["text"] + "\n", "the model is the adapter's own, the prompt comes from a pipe"


def test_an_adapter_answers_with_the_strength_that_it_is_given(
    luthier: Luthier, place: Path, trained: Path
) -> None:
    def answer(*more: object) -> str:
        asked = ("--model", place / "model", "--prompt", "abc", "--max-tokens", 20)
        return luthier("generate", *asked, *more).stdout

    tuned = answer("--adapter-path", trained)
    assert answer("--adapter-path", trained, "--strength", 1) == tuned
    assert answer("--adapter-path", trained, "--strength", 0) == answer() != tuned


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--prompt", "a"], "--model"),
        (["--model", "gone", "--prompt", "a"], "gone"),
        (["--model", "MODEL", "--prompt", "a", "--adapter-path", "gone"], "no such adapter"),
        (["--model", "MODEL"], "no prompt"),
    ],
)
def test_generate_without_what_it_needs(luthier: Luthier, place: Path, arguments: list[str], words: str) -> None:
    named = [str(place / "model") if word == "MODEL" else word for word in arguments]
    assert words in luthier("generate", *named, code=2).stderr


def test_evaluate_measures_base_and_adapters(luthier: Luthier, place: Path, trained: Path) -> None:
    arguments = ("--model", place / "model", "--adapter-path", trained, "--data", place / "data", "--json")
    found = json.loads(luthier("evaluate", *arguments).stdout)
    base, tuned = found["columns"]
    assert found["data"] == str(place / "data" / "valid.jsonl")
    assert (base["adapter"], tuned["adapter"]) == (None, str(trained))
    assert tuned["loss"] < base["loss"]
    assert len(tuned["per_example"]) == found["examples"] == 8


def test_runs_are_listed_shown_and_deleted(luthier: Luthier, place: Path, home: Path) -> None:
    assert "no runs" in luthier("runs", "list").stdout
    luthier("train", place / "config.yaml")
    [listed] = json.loads(luthier("runs", "list", "--json").stdout)["runs"]
    assert (listed["state"], listed["iteration"], listed["method"]) == ("finished", 20, "lora")
    name = Path(listed["path"]).name
    assert name in luthier("runs", "list").stdout
    called = listed["name"]  # after what it is, as the config has no name for it
    rank = load_config(place / "config.yaml").config.lora_parameters.rank
    assert f" · r{rank}" in called
    shown = json.loads(luthier("runs", "show", called, "--json").stdout)
    assert shown["config"]["model"] == str(place / "model")
    assert [v["iteration"] for v in shown["validations"]] == [0, 10, 20]
    assert shown["best_val_loss"] == min(v["val_loss"] for v in shown["validations"])
    assert f"{shown['best_val_loss']:.3f}" in luthier("runs", "show", name).stdout
    assert "--yes" in luthier("runs", "delete", name, code=2).stderr
    assert f"Did you mean {name}?" in luthier("runs", "delete", called, "--yes", code=2).stderr
    assert Path(listed["path"]).exists()
    deleted = json.loads(luthier("runs", "delete", name, "--yes", "--json").stdout)
    assert deleted["deleted"] == [listed["path"]]
    assert deleted["freed_bytes"] > 0
    assert not Path(listed["path"]).exists()
    assert home.exists()
    kept = home / "data" / "runs" / "kept"
    kept.mkdir(parents=True)
    (kept / "config.yaml").write_text("adapter_name: kept\n")
    (kept / "events.jsonl").write_bytes(b"x" * 1_980)
    assert luthier("runs", "delete", kept, "--yes").stdout == "Deleted 1; 2\u00a0kB are free again.\n"
