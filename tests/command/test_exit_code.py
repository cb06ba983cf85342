"""What a verb ends with: one table of exit codes, kept by all of them, in English whatever the window speaks."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from app.command.output import exit_code_text
from app.command.train import clear_run, not_for_a_run
from app.command.verb import VERBS
from app.core.config.train_config import TrainConfig
from app.core.live.training_list import listed
from app.core.protocol.client import WorkerClient
from app.core.protocol.event import Event, Started, TrainReported
from app.core.replica.hostfile import RUN_HOSTS
from app.core.run.folder import RunDir, prepare_run
from app.core.system import starter
from app.core.tracker.tracking import LOG_FOLDER
from tests import ROOT
from tests.command.conftest import CONFIG, PROGRAM, Luthier

Words = tuple[object, ...]


def test_the_codes_stand_in_the_help_and_the_reference(luthier: Luthier) -> None:
    assert exit_code_text() in luthier("--help").stdout
    assert exit_code_text() in (ROOT / "docs" / "reference" / "command.md").read_text(encoding="utf-8")


def commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A verb's commands, each with the words that call it."""
    children = getattr(command, "commands", {})
    if not children:
        yield words, command
    for name, child in children.items():
        yield from commands(child, (*words, name))


def computing() -> set[tuple[str, ...]]:
    """The words of everything that can be done beside a run that trains."""
    found = (
        one
        for name, verb in VERBS.items()
        for one in commands(get_command(importlib.import_module(verb.module).application), (name,))
    )
    return {words for words, command in found if any("--beside" in option.opts for option in command.params)}


def calls(place: Path, tmp_path: Path) -> dict[tuple[str, ...], Words]:
    model, adapter, data = place / "model", place / "adapter", place / "data"
    return {
        ("demo",): (),
        ("train",): (place / "config.yaml",),
        ("resume",): (tmp_path / "other",),
        ("generate",): ("--model", model, "--prompt", "Hello"),
        ("evaluate",): ("--model", model, "--data", data),
        ("compare",): ("--model", model, "--adapter-path", adapter, "--data", data),
        ("export",): (adapter, "--to", "fused", "--out", tmp_path / "fused"),
        ("merge",): (adapter, adapter, "--out", tmp_path / "merged"),
        ("serve",): (adapter,),
        ("bench",): ("--model", model),
        ("queue", "run"): (),
    }


def test_whatever_is_refused_beside_a_run_that_trains_says_so_alike(
    luthier: Luthier, place: Path, tmp_path: Path, home: Path
) -> None:
    run = prepare_run(TrainConfig(), home / "data" / "runs" / "a-run")
    prepare_run(TrainConfig(), tmp_path / "other")
    asked = calls(place, tmp_path)
    assert set(asked) == computing()
    with run.lock(), listed(run):
        for words, more in asked.items():
            done = luthier(*words, *more, "--json", code=1)
            tree = json.loads(done.stdout)
            assert set(tree) == {"type", "error", "message"}, words
            assert tree["type"] == "failed", words
            assert "a-run is training already" in tree["error"], words
            assert "--beside" in tree["error"], words
            assert done.stderr == f"error: {tree['error']}\n", words


# -- Ctrl-C ------------------------------------------------------------------------------------------------------


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is pressed at the first word of every worker, which may be done before it hears of it."""
    press_at(Event, monkeypatch)


def press_at(kind: type[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is pressed at the first word of a kind that each worker says."""
    events = WorkerClient.events

    def pressed(worker: WorkerClient) -> Iterator[Event]:
        waits = True
        for found in events(worker):
            if waits and isinstance(found, kind):
                waits = False
                os.kill(os.getpid(), signal.SIGINT)
            yield found

    monkeypatch.setattr(WorkerClient, "events", pressed)


@pytest.mark.usefixtures("interrupted")
@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "model"), ("check", "data", "--model", "model"),
        ("evaluate", "--model", "model", "--data", "data"),
        ("compare", "--model", "model", "--adapter-path", "adapter", "--data", "data"),
        ("export", "adapter", "--model", "model", "--to", "fused", "--out", "fused"),
        ("merge", "adapter", "adapter", "--model", "model", "--out", "merged"),
        ("generate", "--model", "model", "--prompt", "Story"), ("bench", "--model", "model"),
        ("queue", "sweep", "config.yaml", "--vary", "learning_rate=1e-4,1e-3"),
    ],
)  # fmt: skip
def test_ctrl_c_before_there_is_a_result_is_heard(
    words: Words, luthier: Luthier, place: Path, tmp_path: Path
) -> None:
    for name in ("model", "data", "adapter", "config.yaml"):
        (tmp_path / name).symlink_to(place / name)
    done = luthier(*words, "--json", code=1)
    tree = json.loads(done.stdout)
    assert set(tree) == {"type", "error", "message"}
    assert tree["error"] in ("Interrupted.", "Stopped before anything was measured.")
    assert not (tmp_path / "fused").exists()
    merged = tmp_path / "merged"  # done before it heard, it is whole
    whole = {merged / name for name in ("adapters.safetensors", "adapter_config.json")}
    assert not merged.exists() or whole <= {*merged.iterdir()}


@pytest.mark.parametrize("word", [Event, Started])
def test_a_run_that_is_stopped_before_it_trains_leaves_nothing(
    word: type[Event], luthier: Luthier, place: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it measures the untrained model already, and has a state that is as the model was."""
    press_at(word, monkeypatch)
    (row, *_) = (place / "data" / "train.jsonl").read_text().splitlines()
    (tmp_path / "valid.jsonl").write_text("\n".join([row] * 1_000))  # it hears of Ctrl-C while it measures these
    own = {"model": str(place / "model"), "data": str(place / "data"), "valid_data": str(tmp_path / "valid.jsonl")}
    (tmp_path / "config.yaml").write_text(json.dumps(CONFIG | own | {"val_batches": -1}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".DS_Store").write_bytes(b"Finder's")
    for more in ((), ("--run-dir", "new"), ("--run-dir", "new/deep/run"), ("--run-dir", "mine")):
        done = luthier("train", "config.yaml", *more, code=1)
        assert "Stopped before training." in done.stdout
        assert done.stderr == "Nothing was trained.\n"
        assert "luthier generate" not in done.stdout
    assert list((home / "data" / "runs").iterdir()) == []
    assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == [".DS_Store"]


@pytest.fixture
def endless_demo(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo on a tiny model that ends only when it is stopped."""
    root = tmp_path / "starter"
    shutil.copytree(place / "model", root / "model")
    shutil.copytree(place / "data", root / "data")
    endless = {"iters": 100_000, "steps_per_report": 1, "early_stopping": {"enabled": False}}
    (root / "demo.yaml").write_text(json.dumps(CONFIG | endless))
    monkeypatch.setattr(starter, "starter_dir", lambda: root)


@pytest.mark.usefixtures("endless_demo")
def test_a_demo_that_is_stopped_says_what_is_left_of_it(
    luthier: Luthier, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    press_at(Event, monkeypatch)
    for more in ((), ("--run-dir", "new/run")):
        said = luthier("demo", *more, code=1).stderr
        assert said.endswith("Nothing was trained, and nothing is left of the run.\n")
    assert list((home / "data" / "runs").iterdir()) == []
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("endless_demo")
def test_a_demo_that_is_stopped_on_its_way_names_its_run(
    luthier: Luthier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    press_at(TrainReported, monkeypatch)
    said = luthier("demo", "--run-dir", "mine", code=1).stderr
    run = tmp_path / "mine"
    assert f"The run is in {run}: `luthier resume {run}` goes on with it" in said
    assert luthier("runs", "delete", str(run), "--yes").stderr == ""
    assert not run.exists()


@pytest.mark.parametrize(("read", "code"), [(1, 1), (9, 0)])
def test_a_run_whose_reader_goes_is_done_only_if_it_is_saved(
    read: int, code: int, place: Path, tmp_path: Path
) -> None:
    """As behind ``| head``: without a result, a script must not take it for one."""
    own = {"model": str(place / "model"), "data": str(place / "data"), "iters": 100_000, "steps_per_report": 1}
    (tmp_path / "config.yaml").write_text(json.dumps(CONFIG | own | {"early_stopping": {"enabled": False}}))
    command = [*PROGRAM, "train", str(tmp_path / "config.yaml"), "--run-dir", str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            read -= read == 1 or line.startswith("iteration")
            if read <= 0:
                break
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(timeout=120) == code, said
    assert ("nothing was trained." in said, "luthier resume" in said) == (code == 1, code == 0)
    assert (tmp_path / "run").exists() == (code == 0)


def test_what_somebody_put_beside_a_run_that_trained_nothing_stays(tmp_path: Path) -> None:
    for name, with_note in (("noted", True), ("empty", False)):
        run = prepare_run(TrainConfig(), tmp_path / name)
        run.data.mkdir()
        (run.data / "train.jsonl").write_text("{}")
        (run.path / LOG_FOLDER).mkdir()
        for path in (run.events, run.log, run.path / ".lock", run.path / RUN_HOSTS):
            path.write_text("{}")
        if with_note:
            run.notes.write_text("Ask Ada first.")
        clear_run(run, [run.path])
    assert [path.name for path in (tmp_path / "noted").iterdir()] == ["notes.md"]
    assert not (tmp_path / "empty").exists()


# -- where a run goes --------------------------------------------------------------------------------------------


def test_a_place_where_no_run_can_be_is_an_unusable_argument(luthier: Luthier, place: Path, tmp_path: Path) -> None:
    own = {"model": str(place / "model"), "data": str(place / "data")}
    (tmp_path / "config.yaml").write_text(json.dumps(CONFIG | own))
    (tmp_path / "file").write_text("mine")
    for folder in ("file/run", "a" * 300, "new/" + "a" * 300):
        assert luthier("train", "config.yaml", "--run-dir", folder, code=2).stderr.startswith("error: --run-dir: ")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ("a file", "is a file, and a run needs a folder"),
        ("other files", "holds other files (a.txt, b.txt, c.txt, …)"),
    ],
)
def test_a_run_goes_into_a_folder_of_its_own(
    there: str, words: str, luthier: Luthier, place: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "there"
    if there == "a file":
        folder.write_text("mine")
    else:
        folder.mkdir()
        for name in "abcd":
            (folder / f"{name}.txt").write_text("mine")
    own = {"model": str(place / "model"), "data": str(place / "data")}
    (tmp_path / "config.yaml").write_text(json.dumps(CONFIG | own))
    done = luthier("train", "config.yaml", "--run-dir", folder, code=2)
    assert words in done.stderr
    assert "Errno" not in done.stderr
    assert "new or empty" in done.stderr
    assert folder.is_file() or len(list(folder.iterdir())) == 4
    assert not RunDir(folder).config.exists()


def test_a_start_that_was_killed_before_there_was_a_run_can_be_made_again(tmp_path: Path) -> None:
    """It leaves its lock, then its setup, then a config that is half written: with it the folder was another's."""
    for name in (".DS_Store", ".lock", ".setup-a1b2c3.yaml", "setup.yaml", ".config-d4e5f6.yaml"):
        (tmp_path / name).touch()
        assert not_for_a_run(tmp_path) == ""
    (tmp_path / "notes.txt").touch()
    assert "holds other files (notes.txt)" in not_for_a_run(tmp_path)
    (tmp_path / ".lock").unlink()  # somebody's own files, whatever they are called
    assert "(.config-d4e5f6.yaml, .setup-a1b2c3.yaml, notes.txt, …)" in not_for_a_run(tmp_path)


# -- English -----------------------------------------------------------------------------------------------------


def test_german_is_the_windows_alone(program: Luthier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.jsonl").write_text('{"prompt": 1, "completion": ""}\n{"prompt": "a"\n')
    said = program("check", "bad.jsonl", code=2).stdout
    assert "`completion` is empty." in said
    monkeypatch.setenv("LUTHIER_LANGUAGE", "de")
    assert program("check", "bad.jsonl", code=2).stdout == said


# Runs the program once for each line of a file: from the second on, everything is imported.
EACH_IN_TURN = """
import contextlib, io, json, sys
from tests.fork_server import forked_workers
from app.__main__ import main
with open(sys.argv[1], encoding="utf-8") as file, forked_workers():
    for line in file:
        sys.argv[1:], said = json.loads(line), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main()
        print(json.dumps([code, said.getvalue()]))
"""


@pytest.mark.slow
def test_every_verb_speaks_english(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text of the pseudo language has marks."""
    monkeypatch.setenv("LUTHIER_LANGUAGE", "xx")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    own = {"model": str(place / "model"), "data": str(place / "data")}
    (tmp_path / "config.yaml").write_text(json.dumps(CONFIG | own))
    (tmp_path / "bad.yaml").write_text(json.dumps(CONFIG | own | {"learning_rate": "fast", "iters": -1}))
    (tmp_path / "bad.jsonl").write_text('{"prompt": 1, "completion": ""}\n{"prompt": "a"\n')
    asked: list[tuple[Words, int]] = [
        (("train", "config.yaml", "--run-dir", "run"), 0), (("train", "bad.yaml"), 2), (("nothing",), 2),
        (("check", "bad.jsonl"), 2), (("check", place / "data", "--model", place / "model"), 0),
        (("inspect", place / "model"), 0), (("runs", "show", "run"), 0),
        (("runs", "report", "run", "--out", "report.md"), 0),
        (("evaluate", "--model", place / "model", "--adapter-path", "run", "--data", place / "data"), 0),
        (("compare", "--model", place / "model", "--adapter-path", "run", "--data", place / "data"), 0),
        (("export", "run", "--to", "peft", "--out", "peft"), 0), (("merge", "run", "run", "--out", "merged"), 0),
        (("generate", "--model", "nowhere", "--prompt", "Hello"), 2), (("models", "list"), 0),
        (("queue", "add", "config.yaml"), 0), (("queue", "list"), 0), (("resume", "run"), 0), (("doctor",), 0),
        (("bundle", "config.yaml", "--out", "bundle"), 2), (("import", "bad.yaml"), 2), (("attach", "run"), 0),
    ]  # fmt: skip
    (tmp_path / "asked").write_text("".join(f"{json.dumps([str(word) for word in words])}\n" for words, _ in asked))
    done = subprocess.run(
        [sys.executable, "-c", EACH_IN_TURN, "asked"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(asked), done.stderr
    for (words, code), (found, said) in zip(asked, told, strict=True):
        assert found == code, f"{words}: {said}"
        assert said, words
        assert "Traceback" not in said, f"{words}: {said}"
        assert "⟦" not in said, f"{words}: {said}"
