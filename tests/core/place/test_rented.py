"""Rented machines: what they cost is asked, they are always given back, and no key is left anywhere.

The services are local ones of the same shape; the machine that they rent out is this one, by an sshd of the test's
own.
"""

from __future__ import annotations

import getpass
import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.place.lambda_cloud import LambdaCloud
from app.core.place.place import Asked
from app.core.place.rented import RentedPlace
from app.core.place.runpod import RunPod
from app.core.place.service import Service
from app.core.place.table import PLACE_CLASSES, all_places
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.remote.follower import Link
from app.core.remote.host import SshHost
from app.core.remote.record import RemoteRun, remote_runs
from app.core.run.folder import runs_dir
from tests.service_server import KEY, FakeService, lambda_cloud, runpod, service_server
from tests.ssh_server import bundle, home

pytestmark = pytest.mark.usefixtures("own_home")

SERVICES = {"runpod": (RunPod, runpod), "lambda": (LambdaCloud, lambda_cloud)}
RENTS = {"runpod": "POST /pods", "lambda": "POST /instance-operations/launch"}
ENDS = {"runpod": "DELETE /pods/pod0", "lambda": "POST /instance-operations/terminate"}


@pytest.fixture(params=SERVICES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def service(name: str, sshd: SshHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeService]:
    port = int(sshd.ssh[sshd.ssh.index("-p") + 1])
    with service_server(SERVICES[name][1], getpass.getuser(), port) as state:
        monkeypatch.setenv(f"LUTHIER_{name.upper()}_URL", state.address)
        monkeypatch.setenv(f"{name.upper()}_API_KEY", KEY)
        yield state


@pytest.fixture
def place(name: str, service: FakeService, monkeypatch: pytest.MonkeyPatch, sshd: SshHost) -> RentedPlace:  # noqa: ARG001
    found = SERVICES[name][0]()
    found.pause_s, found.boots_within_s, found.waits_s = 0.01, 20.0, (0.0,)
    if isinstance(found, RunPod):
        folder = str(home(sshd) / "luthier")
        monkeypatch.setattr(found, "_folder", lambda run: {"folder": f"{folder}/{run.name}"})
    return found


def asked(sshd: SshHost) -> Asked:
    words = [*sshd.ssh, "-l", getpass.getuser()]  # here nobody is called ubuntu
    return Asked(ssh=shlex.join(words), python=sys.executable)


def rented(place: RentedPlace, sshd: SshHost, tmp_path: Path, count: int) -> RemoteRun:
    return place.start(bundle(tmp_path / "bundle", count), asked(sshd), lambda _: None)


def test_a_run_is_rented_followed_brought_and_given_back(
    name: str, place: RentedPlace, service: FakeService, sshd: SshHost, tmp_path: Path
) -> None:
    steps: list[str] = []
    run = place.start(bundle(tmp_path / "bundle", 3), asked(sshd), steps.append)
    cheapest = {
        "runpod": "RTX 4090 · 24\u00a0GB · $0.44 an hour",
        "lambda": "1x A10 (24 GB PCIe) · 24\u00a0GB · $0.75 an hour",
    }
    assert steps[0] == f"Renting {cheapest[name]}"
    assert [steps[-2], steps[-1]] == ["Sending the bundle", "Starting it there"]
    assert remote_runs() == [run]
    assert place.standing(run).alive
    kinds = [said.type for said in place.attend(run, lambda _: None, pause_s=0.02)]
    assert kinds == ["hello", "warned", "warned", "warned", "finished"]
    assert (run.path / "log.txt").read_text() == "a word for the log\n"
    assert (run.path / "adapters").is_dir()
    assert not (run.path / "checkpoints").exists()
    assert remote_runs()[0].is_closed
    assert service.paths()[-1] == ENDS[name]
    assert place.standing(run).is_gone


def test_what_is_asked_for_is_what_a_service_needs(
    name: str, place: RentedPlace, service: FakeService, sshd: SshHost, tmp_path: Path
) -> None:
    run = rented(place, sshd, tmp_path, 1)
    (body,) = [body for method, path, body in service.asked if f"{method} {path}" == RENTS[name]]
    public = Path(sshd.ssh[sshd.ssh.index("-i") + 1]).with_name("mine.pub").read_text().strip()
    assert body["name"] == run.name
    if name == "runpod":
        assert body["gpu"] == {"id": "NVIDIA GeForce RTX 4090", "count": 1, "minCudaVersion": "13.0"}
        assert (body["ports"], body["env"]) == (["22/tcp"], {"PUBLIC_KEY": public})
        assert "runpodctl" in body["args"]
    else:
        assert (body["region_name"], body["instance_type_name"]) == ("us-east-1", "gpu_1x_a10")
        assert [(key["name"], key["public_key"]) for key in service.keys] == [("luthier-1", public)]
        assert body["ssh_key_names"] == ["luthier-1"]
    place.close(run)


def test_a_stopped_run_is_brought_and_given_back(
    name: str, place: RentedPlace, service: FakeService, sshd: SshHost, tmp_path: Path
) -> None:
    run = rented(place, sshd, tmp_path, 100_000)
    coming = place.attend(run, lambda _: None, pause_s=0.02)
    assert isinstance(next(coming), event.Hello)
    assert place.stop(run)
    *_, last = coming
    assert isinstance(last, event.Finished)
    assert last.reason == "stopped"
    assert service.paths()[-1] == ENDS[name]


@pytest.mark.parametrize("broken", ["start", "bundle"])
def test_a_run_that_does_not_start_costs_nothing_more(
    name: str, place: RentedPlace, service: FakeService, sshd: SshHost, tmp_path: Path, broken: str
) -> None:
    """Whatever goes wrong behind the renting, the user's own stop too, the machine is given back."""

    def told(said: str) -> None:
        if broken == "start" and said == "Sending the bundle":
            raise KeyboardInterrupt

    given = bundle(tmp_path / "bundle", 1)
    python = "/nowhere/python" if broken == "start" else ""
    if broken == "bundle":
        place.boots_within_s = 0.0  # it never comes up
    with pytest.raises((KeyboardInterrupt, UnusableError)):
        place.start(given, Asked(ssh=asked(sshd).ssh, python=python), told)
    assert service.paths()[-1] == ENDS[name]
    assert not list(runs_dir().glob("*"))


def test_what_could_not_be_given_back_is_not_forgotten(
    name: str, place: RentedPlace, service: FakeService, sshd: SshHost, tmp_path: Path
) -> None:
    place.boots_within_s = 0.0
    service.refuse[ENDS[name]] = (503, {"title": "Service Unavailable", "status": 503, "detail": "later"})
    with pytest.raises(UnusableError, match="was not reached in"):
        rented(place, sshd, tmp_path, 1)
    (run,) = remote_runs()
    assert not run.is_closed
    assert "could not be given back" in run.details["trouble"]
    service.refuse.clear()
    place.close(run)
    assert place.standing(run).is_gone


def test_a_machine_whose_answer_was_lost_is_found_again(
    name: str, place: RentedPlace, service: FakeService, sshd: SshHost, tmp_path: Path
) -> None:
    """The service rented one and the connection broke before it said so: it is not rented twice."""
    service.drop.add(RENTS[name])
    run = rented(place, sshd, tmp_path, 1)
    assert len(service.machines) == 1
    assert [path for path in service.paths() if path == RENTS[name]] == [RENTS[name]]
    assert run.details["machine"] in service.machines
    place.close(run)


@pytest.mark.parametrize(
    "status, tree, said",
    [
        (402, {"title": "Payment Required", "status": 402, "detail": "Add funds."}, "is too low. Add funds"),
        (400, {"title": "Bad Request", "status": 400, "detail": "There are no instances"}, "are no instances"),
        (400, {"error": {"code": "instance-operations/launch/insufficient-capacity",
                         "message": "Not enough capacity to fulfill launch request.",
                         "suggestion": "Choose an instance type with more availability."}}, "Not enough capacity"),
        (403, {"error": {"code": "global/quota-exceeded", "message": "Quota exceeded."}}, "Quota exceeded"),
        (429, {"title": "Too Many Requests", "status": 429, "detail": "slow down"}, "asked too often"),
    ],
)  # fmt: skip
def test_refusals_are_told_in_words(
    name: str,
    place: RentedPlace,
    service: FakeService,
    sshd: SshHost,
    tmp_path: Path,
    status: int,
    tree: dict[str, object],
    said: str,
) -> None:
    service.refuse[RENTS[name]] = (status, tree)
    with pytest.raises(UnusableError, match=said):
        rented(place, sshd, tmp_path, 1)
    assert not list(runs_dir().glob("*"))


def test_answers_of_another_form_are_told_in_words(
    place: RentedPlace, sshd: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = rented(place, sshd, tmp_path, 1)
    said = f"{place.label} answered something that Luthier does not know|ended before"
    trees: list[object] = [None, {}, [], "text", {"data": [3]}, {"gpus": [{"id": "x"}], "pods": [{}]}]
    for tree in trees:  # of one machine: to rent it takes far longer than to ask
        with monkeypatch.context() as patched:
            patched.setattr(Service, "_asked", lambda *_, tree=tree: tree)
            for ask in (place.offers, lambda: place._address(run), lambda: place._find(run)):
                with pytest.raises(UnusableError, match=said):
                    ask()
    assert place._find(run) == run.details["machine"]
    place.close(run)


def test_a_rented_machine_whose_number_is_not_told_is_found(
    name: str,
    place: RentedPlace,
    service: FakeService,
    sshd: SshHost,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ask = Service._asked

    def renamed(self: Service, method: str, path: str, body: Any) -> Any:
        answer = ask(self, method, path, body)
        return {"identifier": answer} if f"{method} {path}" == RENTS[name] else answer

    monkeypatch.setattr(Service, "_asked", renamed)
    run = rented(place, sshd, tmp_path, 1)
    assert len(service.machines) == 1
    assert run.details["machine"] in service.machines
    place.close(run)


def test_a_wrong_key_is_told_and_shown_nowhere(
    name: str, place: RentedPlace, sshd: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{name.upper()}_API_KEY", "wrong-key")
    with pytest.raises(UnusableError, match="does not accept the key") as told:
        rented(place, sshd, tmp_path, 1)
    assert "wrong-key" not in str(told.value.problems)
    monkeypatch.delenv(f"{name.upper()}_API_KEY")
    with pytest.raises(UnusableError, match="There is no key for"):
        rented(place, sshd, tmp_path, 1)


def test_the_key_is_in_no_file(name: str, place: RentedPlace, sshd: SshHost, tmp_path: Path) -> None:  # noqa: ARG001
    run = rented(place, sshd, tmp_path, 2)
    list(place.attend(run, lambda _: None, pause_s=0.02))
    folders = [run.path, home(sshd) / "luthier"]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def test_a_pod_that_stopped_itself_is_started_for_the_fetch(
    sshd: SshHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(sshd.ssh[sshd.ssh.index("-p") + 1])
    with service_server(runpod, getpass.getuser(), port) as state:
        monkeypatch.setenv("LUTHIER_RUNPOD_URL", state.address)
        monkeypatch.setenv("RUNPOD_API_KEY", KEY)
        place = RunPod()
        place.pause_s, place.waits_s = 0.01, (0.0,)
        monkeypatch.setattr(place, "_folder", lambda run: {"folder": str(home(sshd) / "luthier" / run.name)})
        run = rented(place, sshd, tmp_path, 2)
        list(place.follow(run, lambda _: None, pause_s=0.02))
        state.machines["pod0"]["status"] = "EXITED"
        assert not place.standing(run).alive
        place.bring(run)
        assert state.paths()[-2:] == ["POST /pods/pod0/action", "DELETE /pods/pod0"]
        assert (run.path / "adapters").is_dir()


def test_a_run_without_a_link_is_given_up_only_when_its_place_says_that_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken(Link):
        def pieces(self, at: int) -> Iterator[tuple[int, bytes]]:  # noqa: ARG002
            return iter(())

    with service_server(runpod) as state:
        monkeypatch.setenv("LUTHIER_RUNPOD_URL", state.address)
        monkeypatch.setenv("RUNPOD_API_KEY", KEY)
        place = RunPod()
        place.waits_s = (0.0,)
        monkeypatch.setattr(place, "connect", lambda *_: Broken())
        run = RemoteRun(runs_dir() / "mine", "runpod", {"machine": "pod0"})
        state.machines["pod0"] = {"looks": 5, "status": "", "asked": {"name": run.name, "image": "", "gpu": {}}}
        told: list[str] = []

        def lost(said: str) -> None:
            """The pod runs at first; then nobody is told how it is; then it has ended."""
            told.append(said)
            if len(told) == 3:
                state.refuse["GET /pods/pod0"] = (403, {"title": "Forbidden", "status": 403, "detail": "later"})
            elif len(told) == 4:
                state.refuse.clear()
                state.machines["pod0"]["status"] = "EXITED"

        assert list(place.follow(run, lost)) == []
        assert told == ["the connection was closed"] * 4
        assert len([path for _, path, _ in state.asked if path == "/pods/pod0"]) == 3


def test_a_pods_run_is_on_the_volume_that_stays_when_the_pod_stops() -> None:
    run = RemoteRun(runs_dir() / "2026-11-30_mine", "runpod")
    assert RunPod()._folder(run) == {"folder": "/workspace/luthier/2026-11-30_mine"}
    assert LambdaCloud()._folder(run) == {}


def test_offers_are_those_with_room_the_cheapest_first(place: RentedPlace, name: str) -> None:
    names = {"runpod": ["RTX 4090", "H100 SXM"], "lambda": ["1x A10 (24 GB PCIe)"]}
    assert [offer.label for offer in place.offers()] == names[name]
    with pytest.raises(UnusableError, match="no GPU with 500\u00a0GB"):
        place.chosen(Asked(need_gb=500))
    with pytest.raises(UnusableError, match="has no “TPU” now"):
        place.chosen(Asked(offer="TPU"))


def test_keys_go_over_https_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_RUNPOD_URL", "http://example.org")
    with pytest.raises(UnusableError, match="not spoken to over HTTPS"):
        Service("runpod", "RunPod", "https://api.runpod.io/v2", {})


def test_every_place_says_what_it_needs_and_costs() -> None:
    for place in all_places():
        assert place.name in PLACE_CLASSES
        assert min(map(len, (place.needs, place.costs, place.stops, place.label))) > 4
    assert json.dumps(list(PLACE_CLASSES)) == '["ssh", "runpod", "lambda", "hf", "colab", "kaggle"]'
