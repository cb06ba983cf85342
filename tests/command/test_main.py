"""The command line as a whole: fast, helpful about mistakes, and without tracebacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from app import __version__
from app.command import main as command
from app.command.verb import VERBS
from app.core.system import place as places
from tests import ROOT
from tests.command.conftest import PROGRAM, Luthier

HEAVY = "{'mlx', 'mlx_lm', 'PySide6', 'pyqtgraph', 'transformers', 'pydantic', 'numpy', 'typer', 'rich'}"


def test_help_lists_every_verb(program: Luthier) -> None:
    said = program("--help").stdout
    assert all(f"\n  {verb} " in said for verb in VERBS)


def test_the_overview_imports_nothing_heavy() -> None:
    script = (
        f"import sys; sys.path[0] = {str(ROOT)!r}\n"
        "from app.command.main import run_command\nrun_command(['--help'])\n"
        f"assert not {HEAVY} & set(sys.modules), {HEAVY} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run_command([verb, "--help"]) == 0
    assert f"Usage: luthier {verb}" in capsys.readouterr().out


def test_version(program: Luthier) -> None:
    assert program("--version").stdout == f"luthier {__version__}\n"
    assert json.loads(program("--version", "--json").stdout) == {"luthier": __version__}


def test_with_json_only_what_is_wrong_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """It was said besides that ``--json`` is no option, and ``--selftest`` as well."""
    for words, wrong in ((["trian", "--json"], "trian"), (["--json", "--hlep"], "--hlep")):
        assert command.run_command(words) == 2
        [told] = json.loads(capsys.readouterr().out)["problems"]
        assert f"“{wrong}” is no" in told["message"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["trian"], "Did you mean train?"),
        (["--hlep"], "Did you mean --help?"),
        (["something"], "luthier --help"),
        (["train"], "config"),
        (["train", "a", "b"], "b"),
        (["inspect", "x", "--rank", "0"], "rank"),
        (["generate", "--frobnicate"], "--frobnicate"),
        (["runs"], "command"),
        (["runs", "lst"], "lst"),
        (["check"], "DATA"),
    ],
)
def test_mistakes_are_told_with_what_to_do(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.run_command(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert words.lower() in said.err.lower()
    assert "Traceback" not in said.err


def test_with_json_a_mistake_is_an_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run_command(["inspect", "--json"]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["problems"][0]["severity"] == "error"
    assert command.run_command(["train", "--json", "nowhere.yaml"]) == 2
    failed = json.loads(capsys.readouterr().out)
    assert (failed["type"], failed["unusable"]) == ("failed", True)
    assert "nowhere.yaml" in failed["message"]


def test_files_and_folders_open_the_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[list[str]] = []

    def run(files: list[str]) -> int:
        opened.append(files)
        return 0

    monkeypatch.setitem(sys.modules, "app.ui.window.application", SimpleNamespace(run_window=run))
    file = tmp_path / "train.jsonl"
    file.touch()
    monkeypatch.chdir(tmp_path)
    assert command.run_command([]) == 0
    assert command.run_command(["train.jsonl", str(tmp_path)]) == 0
    assert opened == [[], [str(file), str(tmp_path)]]
    assert command.run_command(["train.jsonl", "gone.jsonl"]) == 2
    assert len(opened) == 2


def test_what_nobody_foresaw_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: list[str]) -> int:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(command, "_without_verb", fail)
    assert command.run_command(["x"]) == 1
    said = capsys.readouterr().err
    assert "does not know: division by zero. The details are in" in said
    assert "Traceback" not in said
    details = places.cache_dir() / "last_error.txt"
    assert str(details) in said
    assert "Traceback" in details.read_text()


def test_a_reader_that_goes_away_is_no_failure() -> None:
    with subprocess.Popen(
        [*PROGRAM, "runs", "list", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_closed_outputs_end_it_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    monkeypatch.setattr(os, "dup2", lambda *_: 1)
    assert command.run_command(["--version"]) == 0
    assert command.run_command(["nothing-of-this-name"]) == 2
