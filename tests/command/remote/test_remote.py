"""``luthier remote``: places, their keys, the price that is agreed to, how a run stands; the service is local."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.command.main import run_command
from app.core.bundle.manifest import seal
from app.core.place.place import Asked, Offer
from app.core.place.runpod import RunPod
from app.core.remote.record import RemoteRun
from app.core.run.folder import runs_dir
from tests.command.conftest import Luthier
from tests.service_server import GPUS, KEY, FakeService, runpod, service_server
from tests.ssh_server import bundle
from tests.terminal import typing
from tests.worker.hub.test_keychain import Drawer, own_drawer

LARGE_BYTES = 30_000_000_000  # of weights: half as much again is more than an RTX 4090 has
REFUSED = {"title": "Payment Required", "status": 402, "detail": "Add funds."}


@pytest.fixture
def keychain() -> Iterator[Drawer]:
    with own_drawer() as mine:
        yield mine


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, keychain: Drawer) -> Iterator[FakeService]:  # noqa: ARG001
    with service_server(runpod) as state:
        monkeypatch.setenv("LUTHIER_RUNPOD_URL", state.address)
        monkeypatch.setenv("RUNPOD_API_KEY", KEY)
        yield state


@pytest.fixture
def start(tmp_path: Path, service: FakeService) -> list[str]:
    """The words that start a bundle at the service, which takes no more than the asking."""
    service.refuse["POST /pods"] = (402, REFUSED)
    (tmp_path / "mine.pub").write_text("ssh-ed25519 AAAA me\n")
    folder = bundle(tmp_path / "bundle", 1)
    return ["remote", "start", "runpod", str(folder), "--ssh", f"ssh -i {tmp_path / 'mine'}"]


def rented_gpus(service: FakeService) -> list[str]:
    return [body["gpu"]["id"] for method, path, body in service.asked if (method, path) == ("POST", "/pods")]


def test_every_place_is_listed_with_what_it_needs_and_costs_and_nobody_is_asked(
    luthier: Luthier, service: FakeService
) -> None:
    said = luthier("remote", "places")
    heads = [line for line in said.stdout.splitlines() if line and not line.startswith(" ")]
    assert heads == [
        "ssh  (A machine by ssh)", "runpod  (RunPod)", "lambda  (Lambda)", "hf  (Hugging Face Jobs)",
        "colab  (Google Colab)", "kaggle  (Kaggle)",
    ]  # fmt: skip
    assert "  needs  A machine that `ssh NAME` gets into without asking" in said.stdout
    assert "  costs  Nothing that Luthier knows of" in said.stdout
    assert "  stop   It saves its adapter and ends.\n" in said.stdout
    tree = json.loads(luthier("remote", "places", "--json").stdout)
    assert [one["name"] for one in tree["places"]] == ["ssh", "runpod", "lambda", "hf", "colab", "kaggle"]
    assert (tree["places"][1]["label"], tree["offers"]) == ("RunPod", [])
    assert "An account with credit" in tree["places"][1]["needs"]
    assert "The GPU's price an hour" in tree["places"][1]["costs"]
    assert (said.stderr, service.asked) == ("", [])


@pytest.mark.usefixtures("service")
def test_one_place_is_asked_for_its_gpus(luthier: Luthier) -> None:
    lines = luthier("remote", "places", "runpod").stdout.splitlines()
    tree = json.loads(luthier("remote", "places", "runpod", "--json").stdout)
    assert lines[0] == "runpod  (RunPod)"
    assert [line.split("  ") for line in lines[-2:]] == [
        ["NVIDIA GeForce RTX 4090", "RTX 4090 · 24\u00a0GB · $0.44 an hour"],
        ["NVIDIA H100 80GB HBM3", "", "H100 SXM · 80\u00a0GB · $2.69 an hour"],
    ]
    assert [one["name"] for one in tree["places"]] == ["runpod"]
    assert [(one["label"], one["memory_gb"], one["price"]) for one in tree["offers"]] == [
        ("RTX 4090", 24.0, 0.44), ("H100 SXM", 80.0, 2.69),
    ]  # fmt: skip
    assert json.loads(luthier("remote", "places", "ssh", "--json").stdout)["offers"] == []


def test_a_place_without_its_key_is_not_asked_and_says_where_one_is_made(
    luthier: Luthier, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNPOD_API_KEY")
    said = luthier("remote", "places", "runpod")
    assert "There is no key for RunPod" in said.stderr
    assert "console.runpod.io/user/settings" in said.stderr
    assert "gpu" not in [line.split()[0] for line in said.stdout.splitlines() if line]
    assert service.asked == []


def test_a_key_goes_into_the_keychain_and_out_of_it(luthier: Luthier, keychain: Drawer) -> None:
    said = luthier("remote", "key", "runpod", stdin=f"  {KEY} \n")
    assert said.stdout == "The key for RunPod is in the system's keychain.\n"
    assert keychain.secrets == {("Luthier", "RunPod API key"): KEY}
    said = luthier("remote", "key", "runpod", "--forget")
    assert said.stdout == "The keychain has no key for RunPod any more.\n"
    assert keychain.secrets == {}


def test_a_key_that_cannot_be_kept_is_refused_in_words(luthier: Luthier, keychain: Drawer) -> None:
    said = luthier("remote", "key", "runpod", stdin="\n", code=2).stderr
    assert "No key was given" in said
    assert "Make one at console.runpod.io/user/settings." in said
    assert "A machine by ssh needs no key of its own" in luthier("remote", "key", "ssh", code=2).stderr
    assert keychain.secrets == {}
    keychain.locked = True
    said = luthier("remote", "key", "runpod", stdin=KEY, code=2).stderr
    assert "There is no keychain here that takes it" in said
    assert "RUNPOD_API_KEY" in said
    assert KEY not in said


def test_nothing_is_rented_where_nobody_can_agree(
    luthier: Luthier, service: FakeService, start: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = luthier(*start, code=2).stderr
    assert "RunPod: RTX 4090 · 24\u00a0GB · $0.44 an hour\nThe bundle goes to RunPod's data centers.\n" in said
    assert "Luthier brings the run here and ends the pod" in said
    assert "Nobody is there to agree to the costs" in said
    assert "--yes agrees to them" in said
    monkeypatch.delenv("RUNPOD_API_KEY")
    asked = len(service.asked)
    assert "There is no key for RunPod" in luthier(*start, "--yes", code=2).stderr
    assert (rented_gpus(service), len(service.asked)) == ([], asked)


@pytest.mark.parametrize(
    "typed, rents", [("n\n", False), ("\n", False), ("yes, no\n", False), ("Y\n", True), ("yes\n", True)]
)
def test_only_a_yes_rents(
    service: FakeService, start: list[str], capfd: pytest.CaptureFixture[str], typed: str, rents: bool
) -> None:
    with typing(typed):
        assert run_command(start) == (2 if rents else 1)
    said = capfd.readouterr().err
    assert "Start it? [y/N] " in said
    assert ("Nothing was started." in said, "Add funds." in said) == (not rents, rents)
    assert rented_gpus(service) == ["NVIDIA GeForce RTX 4090"] * rents
    assert not list(runs_dir().glob("*"))


def test_what_is_rented_is_large_enough_or_what_was_asked_for(
    luthier: Luthier, service: FakeService, start: list[str], tmp_path: Path
) -> None:
    assert "Start it?" not in luthier(*start, "--yes", "--gpu", "h100 sxm", code=2).stderr
    recipe = json.loads((tmp_path / "bundle" / "recipe.json").read_text())
    recipe["model"]["bytes"] = LARGE_BYTES
    (tmp_path / "bundle" / "recipe.json").write_text(json.dumps(recipe))
    seal(tmp_path / "bundle", {})
    assert "H100 SXM · 80\u00a0GB · $2.69 an hour" in luthier(*start, "--yes", code=2).stderr
    assert rented_gpus(service) == ["NVIDIA H100 80GB HBM3"] * 2


def test_what_was_agreed_to_is_rented_even_if_a_cheaper_one_is_there_by_then(
    luthier: Luthier, service: FakeService, start: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = RunPod.chosen

    def chosen(self: RunPod, asked: Asked) -> Offer:
        found = choose(self, asked)
        there = json.loads(json.dumps(GPUS).replace('"NONE"', '"HIGH"'))
        service.refuse["GET /catalog/gpus"] = (200, {"gpus": there})
        return found

    monkeypatch.setattr(RunPod, "chosen", chosen)
    assert "RunPod: RTX 4090 · 24\u00a0GB · $0.44 an hour\n" in luthier(*start, "--yes", code=2).stderr
    assert rented_gpus(service) == ["NVIDIA GeForce RTX 4090"]
    assert "RunPod: L4 · 24\u00a0GB · $0.40 an hour\n" in luthier(*start, "--yes", code=2).stderr


def test_how_a_run_stands_is_asked_of_its_place(luthier: Luthier, service: FakeService) -> None:
    run = RemoteRun(runs_dir() / "2026-11-30_08-00-00_mine", "runpod", {"machine": "pod0"})
    run.save()
    service.machines["pod0"] = {"looks": 5, "status": "", "asked": {"name": run.name, "image": "", "gpu": {}}}
    assert luthier("remote", "status", run.name).stdout == "The pod pod0 is running, $0.44 an hour.\n"
    service.machines["pod0"]["status"] = "EXITED"
    assert json.loads(luthier("remote", "status", "runpod", "--json").stdout) == {
        "name": "2026-11-30_08-00-00_mine", "alive": False, "said": "The pod pod0 is exited, $0.00 an hour.",
        "costs": 0.0,
    }  # fmt: skip
    assert "No run elsewhere is known by" in luthier("remote", "status", "nobody", code=2).stderr
