"""What a check of hosts tells, with replicas that only say what they are made to say."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.core.problem import Problem, UnusableError
from app.core.protocol import event
from app.core.protocol.job import HostsJob
from app.core.quantity import memory_text
from app.worker.exchange.team import MODEL
from app.worker.replica import host_check
from tests.worker.training import Collector

HELLO = event.Hello(task="x", device="M4", memory_gb=16, versions={"luthier": "9"})
ABOUT = f"M4 · {memory_text(16)} · Luthier 9"


class Crew:
    """Replicas, and how long each was waited for."""

    def __init__(self, *replicas: Any) -> None:
        self.replicas, self.waited, self.refusal = replicas, list[Any](), UnusableError([])

    def wait_for_one(self, one: Any, is_there: Any, raise_if_stopped: Any, within_s: float) -> None:
        raise_if_stopped()
        self.waited.append(
            (one.name, is_there(SimpleNamespace(ready=1)), is_there(SimpleNamespace(ready=0)), within_s)
        )

    def wait_for(self, is_there: Any, _raise_if_stopped: Any, within_s: float) -> None:
        self.waited.append((is_there(SimpleNamespace(ready=4)), is_there(SimpleNamespace(ready=3)), within_s))

    def require(self) -> None:
        if self.refusal.problems:
            raise self.refusal


class Team:
    """As the one of a run, with nobody in it."""

    crew = Crew()
    refusal: UnusableError | None = None
    closed = 0

    def __init__(self, _channel: Any, hostfile: Any, model: Path, config: Any) -> None:
        assert (hostfile, model, config) == ("hosts of ['h']", Path("/m"), None)
        if Team.refusal is not None:
            raise Team.refusal

    def connect(self, raise_if_stopped: Any) -> None:
        raise_if_stopped()
        self.crew.waited.append("connected")

    def measured(self) -> dict[str, Any]:
        return {"latency_s": 0.5, "bytes_per_s": 9.0}

    def close(self) -> None:
        Team.closed += 1


def replica(name: str, *, said: event.Hello | None = HELLO, ready: int = 1, failed: Any = None, ended: bool = False,
            results: Any = (), versions: Any = (), model: Any = ()) -> Any:  # fmt: skip
    return SimpleNamespace(
        name=name, hello=said, ready=ready, failed=failed, ended=ended, results=set(results),
        versions=list(versions),
        model=list(model), end_problem=lambda: Problem("", f"{name} ended."),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    Team.crew, Team.refusal, Team.closed = Crew(), None, 0
    monkeypatch.setattr(host_check, "Team", Team)
    monkeypatch.setattr(host_check, "hello", lambda _task: HELLO)
    monkeypatch.setattr(host_check, "model_digests", lambda _model: {"config.json": "1"})
    monkeypatch.setattr(host_check, "hostfile_of", lambda tree: f"hosts of {list(tree)}")
    monkeypatch.setattr(host_check, "locate_model", Path)
    monkeypatch.setattr(
        host_check, "differing_versions", lambda one, here: one.versions if here == {"luthier": "9"} else None
    )
    monkeypatch.setattr(
        host_check, "differing_model", lambda one, here: one.model if here == {"config.json": "1"} else None
    )


def told(tmp_path: Path, *replicas: Any, stop: bool = False) -> tuple[dict[str, Any] | None, list[str], str]:
    """The result, the phases and how it ended."""
    Team.crew.replicas = replicas
    channel = Collector(tmp_path / "events", lambda _: "stop" if stop else None)
    host_check.check_hosts(channel, tmp_path, HostsJob(hostfile={"h": 1}, model="/m"))
    result = next((said.data for said in channel.of(event.Result) if said.name == "hosts"), None)
    (last,) = channel.of(event.Finished)
    return result, [said.phase for said in channel.of(event.Progressed)], last.reason


GOOD = {"ok": True, "about": ABOUT, "problems": []}
START = "Starting a replica on each host"


def test_hosts_that_agree_join_and_are_measured(tmp_path: Path) -> None:
    found, phases, reason = told(tmp_path, replica("a"), replica("b", results={MODEL}))
    assert found == {"hosts": [GOOD] * 3, "joined": True, "problem": "", "latency_s": 0.5, "bytes_per_s": 9.0}
    assert phases == [START, "Joining them", "Measuring how fast they exchange"]
    assert (reason, Team.closed) == ("completed", 1)
    assert Team.crew.waited == [
        ("a", True, False, 120.0),
        ("b", True, False, 120.0),
        "connected",
        (True, False, 120.0),
    ]


def test_what_keeps_them_from_joining_is_told(tmp_path: Path) -> None:
    Team.crew.refusal = UnusableError([Problem("", "No.", hint="Look."), Problem("", "Nor that.")])
    found, phases, _ = told(tmp_path, replica("a"))
    assert found == {"hosts": [GOOD] * 2, "joined": False, "problem": "No. Look. Nor that."}
    assert (phases, Team.closed) == ([START, "Joining them"], 1)


def test_each_host_has_its_own_faults_the_first_of_them_where_one_follows_from_another(tmp_path: Path) -> None:
    odd, other = Problem("", "Another version."), Problem("", "Another model.")
    found, phases, _ = told(
        tmp_path, replica("a", versions=[odd], model=[other], results={MODEL}, ended=True),
        replica("b", model=[other], ended=True), replica("c", ready=0, said=None),
        replica("d", failed="x", ready=0),
        replica("e", ended=True), replica("f", said=None),
    )  # fmt: skip
    assert found is not None
    rows = [(row["ok"], row["about"], row["problems"]) for row in found["hosts"]]
    assert rows == [
        (True, ABOUT, []), (False, ABOUT, [odd.text, other.text]), (False, ABOUT, ["b ended."]),
        (False, "", ["Nothing was heard of c within 120\u00a0s."]), (False, ABOUT, ["d ended."]),
        (False, ABOUT, ["e ended."]), (False, "", []),
    ]  # fmt: skip
    assert (found["joined"], found["problem"], phases, Team.closed) == (False, "", [START], 1)


def test_a_team_that_cannot_begin_is_this_machines_fault_and_a_stop_tells_nothing(tmp_path: Path) -> None:
    assert told(tmp_path, replica("a"), stop=True) == (None, [START], "stopped")
    assert Team.closed == 1
    Team.refusal = UnusableError([Problem("", "No port.")])
    found, phases, _ = told(tmp_path)
    row = {"ok": False, "about": ABOUT, "problems": ["No port."]}
    assert found == {"hosts": [row], "joined": False, "problem": ""}
    assert (phases, Team.closed) == ([START], 1)
