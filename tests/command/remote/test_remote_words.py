"""``luthier remote`` for people: a run watched, stopped, fetched and listed; its place is the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.place.place import Asked, PlaceStanding
from app.core.place.ssh import SshPlace
from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.remote.record import RemoteRun
from app.core.run.folder import runs_dir
from tests.command.conftest import Luthier


class Shed(SshPlace):
    """A place that does as it is told, and writes down what that was."""

    def __init__(self) -> None:
        self.says: list[Event] = []
        self.asked: list[object] = []
        self.runs = True

    def attend(self, run: RemoteRun, lost: Callable[[str], None], *_: Any, **__: Any) -> Iterator[Event]:  # type: ignore[override]
        lost("a mouse")
        with run.events_file.open("a") as file:
            for said in self.says:
                file.write(f"{said.to_line()}\n")
                yield said

    def start(self, bundle: Path, asked: Asked, told: Callable[[str], None]) -> RemoteRun:
        told("Sending it")
        self.asked.append((bundle, asked))
        return RemoteRun(runs_dir() / "far", "ssh", {"host": "gpu-box"})

    def stop(self, run: RemoteRun) -> bool:
        self.asked.append(("stop", run.name))
        return self.runs

    def fetch(self, run: RemoteRun) -> Path:
        self.asked.append(("fetch", run.name))
        return run.path

    def release(self, run: RemoteRun) -> None:
        self.asked.append(("release", run.name))

    def standing(self, run: RemoteRun) -> PlaceStanding:
        return PlaceStanding(True, f"{run.name} goes on.", 0.5)


@pytest.fixture
def shed(monkeypatch: pytest.MonkeyPatch) -> Shed:
    found = Shed()
    monkeypatch.setattr("app.core.place.table.place_of", lambda _: found)
    monkeypatch.setattr("app.core.place.table.place_named", lambda _: found)
    return found


@pytest.fixture
def run() -> RemoteRun:
    found = RemoteRun(runs_dir() / "far away", "ssh", {"host": "gpu-box"})
    found.save()
    return found


def test_a_run_is_watched_to_its_end(luthier: Luthier, shed: Shed, run: RemoteRun) -> None:
    shed.says = [event.Warned(message="Odd."), event.Finished(iteration=5, elapsed_s=3)]
    done = luthier("remote", "watch", "gpu-box")
    assert done.stdout == f"warning: Odd.\nFinished at iteration 5 after 3\u00a0s\nIt is here  {run.path}\n"
    assert done.stderr == "The link broke (a mouse); trying again. The run goes on meanwhile.\n"
    run.with_details(closed=True)
    done = luthier("remote", "watch", run.name)
    assert done.stdout.endswith(f"It is here  {run.path}\n")
    assert done.stderr == "", "it is not asked for any more"
    lines = luthier("remote", "watch", run.name, "--json").stdout.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["warned", "finished"]


def test_a_run_that_failed_or_fell_silent_is_told(luthier: Luthier, shed: Shed, run: RemoteRun) -> None:
    said = luthier("remote", "watch", run.name, code=1).stderr
    assert said.splitlines()[1] == "error: far away ended without a word. Its log ends with:"
    (run.path / "log.txt").write_text("".join(f"line {number}\n" for number in range(20)))
    said = luthier("remote", "watch", run.name, code=1).stderr
    assert said.split("Its log ends with:\n")[1].splitlines() == [f"line {number}" for number in range(5, 20)]
    shed.says = [event.Failed(message="It is full.", hint="Make room.")]
    done = luthier("remote", "watch", run.name, code=1)
    assert (done.stdout, done.stderr.splitlines()[-1]) == ("", "error: It is full. Make room.")


def test_a_run_is_stopped_or_given_back_at_once(luthier: Luthier, shed: Shed, run: RemoteRun) -> None:
    assert luthier("remote", "stop", run.name).stdout == (
        "far away: It saves its adapter and ends.\nWatch it  luthier remote watch far away\n"
    )
    shed.runs = False
    assert luthier("remote", "stop", run.name).stdout == "far away does not run any more.\n"
    assert (
        luthier("remote", "stop", run.name, "--now").stdout == "gpu-box: given back. What was not here is lost.\n"
    )
    assert shed.asked == [("stop", "far away"), ("stop", "far away"), ("release", "far away")]


def test_what_is_fetched_is_given_back_only_where_it_has_ended(
    luthier: Luthier, shed: Shed, run: RemoteRun
) -> None:
    assert luthier("remote", "fetch", run.name).stdout == f"{run.path}\nLook at it  luthier '{run.path}'\n"
    assert shed.asked == [("fetch", "far away")]
    rows = [line.split() for line in luthier("remote", "list").stdout.splitlines()]
    assert rows == [
        ["run", "where", "heard", "last", "what", "it", "made", "is"],
        ["far", "away", "gpu-box", "new", "there"],
    ]
    run.events_file.write_text(f"{event.Finished().to_line()}\n")
    assert json.loads(luthier("remote", "fetch", run.name, "--json").stdout) == {"path": str(run.path)}
    assert shed.asked[1:] == [("fetch", "far away"), ("release", "far away")]
    luthier("remote", "fetch", run.name)
    assert len(shed.asked) == 3, "it is here, whole"
    assert luthier("remote", "list").stdout.split()[-2:] == ["finished", "here"]


def test_no_runs_elsewhere_is_said(luthier: Luthier) -> None:
    assert luthier("remote", "list").stdout == "No run was started elsewhere from here.\n"
    assert json.loads(luthier("remote", "list", "--json").stdout) == {"runs": []}


def test_a_start_by_ssh_asks_nothing_and_tells_each_step(luthier: Luthier, shed: Shed, tmp_path: Path) -> None:
    words = ("remote", "start", "ssh:gpu-box", "packed.zip", "--gpu", "x", "--user", "me", "--python", "/p")
    done = luthier(*words, "--ssh", "ssh -p 22")
    assert done.stdout == "far runs: gpu-box.\nWatch it  luthier remote watch far\n"
    assert done.stderr == "Sending it …\n"
    done = luthier("remote", "start", "gpu-box", "packed.zip", "--json")
    assert json.loads(done.stdout) == {
        "name": "far", "place": "ssh", "where": "gpu-box", "folder": str(runs_dir() / "far"),
    }  # fmt: skip
    assert done.stderr == ""
    packed = tmp_path.resolve() / "packed.zip"
    assert shed.asked == [
        (packed, Asked(offer="x", host="gpu-box", ssh="ssh -p 22", python="/p", user="me")),
        (packed, Asked(host="gpu-box", ssh="ssh")),
    ]
