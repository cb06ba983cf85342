"""The program starts by its file alone: no `.pth` of an editable install is needed, which macOS may hide."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from app import __main__ as entry
from app.command import main as command
from app.command.verb import VERBS
from app.core.launch import alert
from app.core.problem import Problem, UnusableError
from tests import ROOT

# `-S` reads no `.pth` file, as Python does for hidden ones; packages are found, `app` is not.
WITHOUT_PTH = """
import importlib.util, io, json, runpy, sys
from contextlib import redirect_stdout
sys.path.append(sys.argv[1])
found = importlib.util.find_spec("app")
assert found is None or found.origin is None, found
said = {}
for verb in json.loads(sys.argv[3]):
    sys.argv = [sys.argv[0], *verb, "--help"]
    with redirect_stdout(io.StringIO()) as out:
        try:
            runpy.run_path(MAIN, run_name="__main__")
        except SystemExit as end:
            said[" ".join(verb)] = [end.code, out.getvalue()]
print(json.dumps(said))
"""


def test_every_verb_starts_without_the_pth_file() -> None:
    main = str(ROOT / "app" / "__main__.py")
    verbs = json.dumps([[], *([verb] for verb in VERBS)])
    packages = sysconfig.get_path("purelib")
    program = WITHOUT_PTH.replace("MAIN", repr(main))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, packages, main, verbs], capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert set(said) == {"", *VERBS}
    for verb, (code, text) in said.items():
        assert code == 0, verb
        assert f"luthier {verb}".strip() in text


def test_a_part_of_the_program_that_is_missing_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(alert, "alert_if_unseen", shown.append)
    monkeypatch.setitem(sys.modules, "app.command.main", None)
    monkeypatch.setattr(sys, "argv", ["luthier"])
    assert entry.main() == 1
    (said,) = shown
    assert said.startswith("Luthier cannot start: ModuleNotFoundError: ")
    assert said.endswith(f"In {ROOT}, run: python3 packaging/dev.py setup")
    assert capsys.readouterr().err == f"error: {said}\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [(UnusableError([Problem("", "It is so.")]), 2), (OSError(28, "No space left"), 1), (KeyError("x"), 1)],
)
def test_a_window_that_does_not_open_is_told_in_an_alert_and_a_verb_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, code: int
) -> None:
    shown: list[str] = []
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path))
    monkeypatch.setattr(command, "alert_if_unseen", shown.append)

    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(command, "_without_verb", fail)
    monkeypatch.setattr(command, "_run_verb", fail)
    assert command.run_command([]) == code
    assert len(shown) == 1
    assert str(error.args[-1]) in shown[0] or "It is so." in shown[0]
    assert command.run_command(["doctor"]) == code
    assert len(shown) == 1


def test_a_command_in_a_folder_that_was_deleted_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert command.run_command(["check", "data"]) == 1
    assert "the folder that this shell is in was deleted" in capsys.readouterr().err
