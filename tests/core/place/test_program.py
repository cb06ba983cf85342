"""Colab and Kaggle, through programs on the PATH that do on this machine what theirs do there."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from app.core.bundle.notebook import notebook_of
from app.core.place.colab import ColabPlace
from app.core.place.kaggle import KagglePlace
from app.core.place.place import Asked, Place
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.remote.record import remote_runs
from app.core.run.folder import runs_dir
from tests.ssh_server import bundle

TOKEN = "kaggle-secret-of-the-test"
COLAB = """#!PYTHON
import os, shutil, sys
from pathlib import Path
state = Path(STATE)
words = sys.argv[1:]
with (state / "asked").open("a") as file:
    print(*words, file=file)
name = words[words.index("-s") + 1]
session = state / name
if words[0] == "new":
    if (state / "full").exists():
        sys.exit("[colab] Error: no T4 is to be had now")
    session.mkdir()
    print("[colab] Session READY.")
elif not session.is_dir():
    print(f"[colab] Session '{name}' not found.")
    sys.exit(0 if words[0] in ("status", "stop") else 1)
elif words[0] == "exec":
    exec(sys.stdin.read())
elif words[0] in ("upload", "download"):
    shutil.copyfile(*words[3:])
elif words[0] == "stop":
    session.rmdir()
else:
    print(f"[colab] Session: {name} | Status: RUNNING | Hardware: T4")
"""
KAGGLE = """#!PYTHON
import json, os, shutil, subprocess, sys, time
from pathlib import Path
state = Path(STATE)
words = sys.argv[1:]
with (state / "asked").open("a") as file:
    print(*words, file=file)
if os.environ.get("KAGGLE_API_TOKEN") != TOKEN:
    sys.exit("401 - Unauthorized - Unauthenticated")
where = Path(words[words.index("-p") + 1]) if "-p" in words else None
log, done = state / "log", state / "done"
if words[:2] == ["datasets", "create"]:
    if (state / "full").exists():
        sys.exit(print("Dataset creation error: You have reached your maximum number of private datasets"))
    shutil.copytree(where, state / "data")
    print("Your private Dataset is being created. Please check progress at https://www.kaggle.com/datasets/me/it")
elif words[:2] == ["datasets", "status"]:
    print("ready")
elif words[:2] == ["kernels", "push"]:
    told = json.loads((where / "kernel-metadata.json").read_text())
    assert (where / told["code_file"]).is_file()
    (state / "told").write_text(json.dumps(told))
    script = "cd data && RELAY PYTHON -u train.py >../log; cd .. && touch done".replace("RELAY", "LUTHIER_RELAY=1")
    subprocess.Popen(["sh", "-c", script], cwd=state, start_new_session=True, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)
    print("Kernel version 1 successfully pushed.  Please check progress at https://www.kaggle.com/code/me/it")
elif words[:2] == ["kernels", "status"]:
    print(f'{words[2]} has status "KernelWorkerStatus.{"COMPLETE" if done.exists() else "RUNNING"}"')
elif words[:2] == ["kernels", "logs"]:
    at = 0
    while True:
        over = done.exists()
        text = log.read_text() if log.exists() else ""
        whole = text[at : text.rfind(chr(10)) + 1]
        sys.stdout.write(whole)
        sys.stdout.flush()
        at += len(whole)
        if (over and not whole) or "--follow" not in words:
            break
        time.sleep(0.01)
elif words[:2] == ["kernels", "output"]:
    shutil.copytree(state / "data" / "run", where / "run")
    shutil.copyfile(log, where / "it.log")
elif words[0] == "quota":
    print("resource  used    remaining  total   refreshAt")
    print("GPU       12.50h  17.50h     30.00h  2026-12-05T00:00:00")
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of both programs, which are on the PATH."""
    found, programs = tmp_path / "state", tmp_path / "bin"
    found.mkdir()
    programs.mkdir()
    for name, text in (("colab", COLAB), ("kaggle", KAGGLE)):
        script = text.replace("PYTHON", sys.executable).replace("STATE", repr(str(found)))
        (programs / name).write_text(script.replace("!= TOKEN", f"!= {TOKEN!r}"))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    return found


def colab(tmp_path: Path) -> ColabPlace:
    place = ColabPlace()
    place.home, place.polls_s, place.waits_s = str(tmp_path / "content"), 0.01, (0.0,)
    Path(place.home).mkdir()
    return place


def kaggle() -> KagglePlace:
    place = KagglePlace()
    place.pause_s, place.waits_s = 0.01, (0.0,)
    return place


def asked(state: Path) -> list[str]:
    return [" ".join(line.split()[:2]) for line in (state / "asked").read_text().splitlines()]


def test_a_session_of_colab_is_made_followed_brought_and_ended(state: Path, tmp_path: Path) -> None:
    place = colab(tmp_path)
    run = place.start(bundle(tmp_path / "bundle", 4), Asked(python=sys.executable), lambda _: None)
    assert place.standing(run).said == f"Session: luthier-{run.name} | Status: RUNNING | Hardware: T4"
    kinds = [said.type for said in place.attend(run, lambda _: None, pause_s=0.01)]
    assert kinds == ["hello", *["warned"] * 4, "finished"]
    there = tmp_path / "content" / "luthier" / run.name / "run" / "events.jsonl"
    assert run.events_file.read_bytes() == there.read_bytes()
    assert (run.path / "adapters").is_dir()
    assert not (run.path / "checkpoints").exists()
    assert (run.path / "log.txt").read_text() == "a word for the log\n"
    assert asked(state)[-1] == "stop -s"
    assert place.standing(run).is_gone


def test_a_run_on_colab_is_left_found_again_and_stopped(state: Path, tmp_path: Path) -> None:  # noqa: ARG001
    place = colab(tmp_path)
    run = place.start(bundle(tmp_path / "bundle", 1_000_000), Asked(python=sys.executable), lambda _: None)
    coming = place.attend(run, lambda _: None, pause_s=0.01)
    next(coming)
    coming.close()
    found = run.events()
    coming = place.attend(remote_runs()[0], lambda _: None, pause_s=0.01)
    found.append(next(coming))
    assert place.stop(run)
    found += coming
    numbers = [int(said.message.partition(" ")[0]) for said in found if isinstance(said, event.Warned)]
    assert numbers == list(range(len(numbers)))
    assert isinstance(found[-1], event.Finished)
    assert found[-1].reason == "stopped"


def test_a_kernel_of_kaggle_is_pushed_followed_brought_and_deleted(state: Path, tmp_path: Path) -> None:
    place = kaggle()
    assert place.offers()[0].sentence == "T4 · 16\u00a0GB · $0.00 an hour · 17.50 of 30.00 hours are left this week"
    run = place.start(bundle(tmp_path / "bundle", 4), Asked(user="me"), lambda _: None)
    told = json.loads((state / "told").read_text())
    assert told["id"] == run.details["kernel"]
    assert told["id"].startswith("me/luthier-")
    assert (told["dataset_sources"], told["enable_gpu"], told["is_private"]) == ([run.details["data"]], True, True)
    assert len(told["title"]) <= 50
    kinds = [said.type for said in place.attend(run, lambda _: None)]
    assert kinds == ["hello", *["warned"] * 4, "finished"]
    assert run.events_file.read_bytes() == (state / "data" / "run" / "events.jsonl").read_bytes()
    assert (run.path / "log.txt").read_text() == "a word for the log\n"
    assert not (run.path / "checkpoints").exists()
    assert asked(state)[-2:] == ["kernels delete", "datasets delete"]
    assert place.log_tail(run) == "a word for the log"
    assert TOKEN not in (state / "asked").read_text()
    assert not any(TOKEN.encode() in path.read_bytes() for path in run.path.rglob("*") if path.is_file())


def test_who_comes_back_to_kaggle_hears_the_rest_once(state: Path, tmp_path: Path) -> None:
    place = kaggle()
    run = place.start(bundle(tmp_path / "bundle", 1_000_000), Asked(user="me"), lambda _: None)
    coming = place.attend(run, lambda _: None)
    next(coming)
    coming.close()
    found = run.events()
    with pytest.raises(
        UnusableError, match=r"cannot stop a session\. Stop it at https://www\.kaggle\.com/code/me/"
    ):
        place.stop(run)
    (state / "data" / "enough").touch()  # as its page does
    found += place.attend(run, lambda _: None)
    numbers = [int(said.message.partition(" ")[0]) for said in found if isinstance(said, event.Warned)]
    assert numbers == list(range(len(numbers)))
    assert isinstance(found[-1], event.Finished)


def test_how_a_kernel_stands_and_what_it_printed_last_is_asked(state: Path, tmp_path: Path) -> None:
    place = kaggle()
    run = place.start(bundle(tmp_path / "bundle", 1_000_000), Asked(user="me"), lambda _: None)
    found = place.standing(run)
    assert (found.alive, found.costs, found.is_gone) == (True, 0.0, False)
    assert found.said == f"The kernel {run.details['kernel']} says running."
    (state / "data" / "enough").touch()
    *_, last = place.follow(run, lambda _: None)
    assert isinstance(last, event.Finished)
    found = place.standing(run)
    assert (found.alive, found.said) == (False, f"The kernel {run.details['kernel']} says complete.")
    assert place.log_tail(run) == "a word for the log"
    with (state / "log").open("a") as log:
        log.write("".join(f'line {number}\n@luthier {number} {{"type": "x"}}\n' for number in range(20)))
    assert place.log_tail(run) == "\n".join(f"line {number}" for number in range(5, 20))
    assert not place.stop(run)


def test_what_a_run_on_colab_printed_last_is_asked(state: Path, tmp_path: Path) -> None:  # noqa: ARG001
    place = colab(tmp_path)
    run = place.start(bundle(tmp_path / "bundle", 1), Asked(python=sys.executable), lambda _: None)
    *_, last = place.follow(run, lambda _: None, pause_s=0.01)
    assert isinstance(last, event.Finished)
    log = tmp_path / "content" / "luthier" / run.name / "log.txt"
    log.write_text("".join(f"line {number}\n" for number in range(16)))
    assert place.log_tail(run) == "".join(f"line {number}\n" for number in range(1, 16))


@pytest.mark.parametrize("name, said", [("colab", "no T4 is to be had"), ("kaggle", "maximum number of private")])
def test_a_quota_that_is_used_up_is_told(state: Path, tmp_path: Path, name: str, said: str) -> None:
    place: Place = colab(tmp_path) if name == "colab" else kaggle()
    (state / "full").touch()
    with pytest.raises(UnusableError, match=said):
        place.start(bundle(tmp_path / "bundle", 1), Asked(user="me"), lambda _: None)
    assert not list(runs_dir().glob("*"))


def test_what_is_missing_is_said_before(state: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:  # noqa: ARG001
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert [problem.message for problem in ColabPlace().missing()] == [
        "Google's program `colab` is not on this machine."
    ]
    assert [problem.path for problem in KagglePlace().missing()] == ["key", "place"]
    (tmp_path / ".kaggle").mkdir()
    (tmp_path / ".kaggle" / "access_token").touch()
    assert [problem.path for problem in KagglePlace().missing()] == ["place"]


def test_kaggle_needs_a_name_and_the_right_token(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnusableError, match="the account's name"):
        kaggle().start(bundle(tmp_path / "bundle", 1), Asked(), lambda _: None)
    monkeypatch.setenv("KAGGLE_API_TOKEN", "wrong")
    with pytest.raises(UnusableError, match="401 - Unauthorized"):
        kaggle().start(bundle(tmp_path / "bundle", 1), Asked(user="me"), lambda _: None)
    assert state.is_dir()


def test_a_notebook_on_kaggle_prints_the_events_for_those_who_follow() -> None:
    model = {"id": "o/n", "folder": "", "bytes": 1, "licence": "", "four_bit": False}
    cells = notebook_of({"name": "it", "label": "SFT", "iterations": 1, "model": model})["cells"]
    (train,) = [cell for cell in cells if cell["id"] == "train"]
    assert '{"LUTHIER_RELAY": "1"} if Path("/kaggle/working").is_dir()' in "".join(train["source"])
