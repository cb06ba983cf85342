"""What places answer, without any machine behind it: refusals in words, how a machine stands, what is asked for."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.core.place.colab import ColabPlace, ColabShell
from app.core.place.hub_job import HubJobPlace, _in_words
from app.core.place.kaggle import KagglePlace, _slug
from app.core.place.lambda_cloud import LambdaCloud
from app.core.place.log_link import LogLink, plain_log
from app.core.place.place import Asked, Offer, PlaceStanding
from app.core.place.program import last_words, program_environment, program_problem, run_client
from app.core.place.rented import RentedPlace, own_public_key, rent_once
from app.core.place.runpod import RunPod, volume_gb
from app.core.place.service import NotReachedError, RefusedByServiceError, Service, understood, wait_until
from app.core.place.ssh import SshPlace
from app.core.place.table import place_named, place_of
from app.core.problem import Problem, UnusableError
from app.core.remote.control import NothingYetError
from app.core.remote.record import RemoteRun
from app.core.run.folder import runs_dir
from app.core.system.setting import Settings, save_settings
from tests.service_server import GPUS, TYPES


@pytest.fixture
def run() -> RemoteRun:
    return RemoteRun(runs_dir() / "2026-11-30_mine", "lambda", {"machine": "m1", "price": 0.75})


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a service says to ``GET /path``; an exception is raised. What it was asked is kept beside it."""
    found: dict[str, Any] = {"asked": []}

    def asked(_service: Service, method: str, path: str, body: Any) -> Any:
        found["asked"].append((f"{method} {path}", body))
        answer = found[f"{method} {path}"]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Service, "_asked", asked)
    monkeypatch.setenv("LAMBDA_API_KEY", "key")
    monkeypatch.setenv("RUNPOD_API_KEY", "key")
    return found


def refused(status: int, code: str = "") -> RefusedByServiceError:
    return RefusedByServiceError(Problem("place", f"It answered {status}."), status, code)


# -- services ----------------------------------------------------------------------------------------------------

REFUSALS: list[tuple[int, Any, str, str, str]] = [
    (
        401, {"detail": "x"}, "",
        "Shed does not accept the key.", "Make a new one there, then `luthier remote key shed`.",
    ),
    (
        402, {"detail": "Pay."}, "",
        "Shed: the account's balance is too low. Pay.", "Add credit there, then start again.",
    ),
    (402, None, "", "Shed: the account's balance is too low.", "Add credit there, then start again."),
    (
        403, {}, "",
        "Shed: the key or the account may not do this.", "Give the key the right to make and end machines.",
    ),
    (
        403, {"error": {"code": "c/d", "message": "No.", "suggestion": "Ask."}}, "c/d",
        "Shed: the key or the account may not do this. No.", "Ask.",
    ),
    (429, [], "", "Shed is asked too often, or the account's quota is used up.", "Try again in a while."),
    (
        429, {"error": {"message": "Slow.", "suggestion": "Wait."}}, "",
        "Shed is asked too often, or the account's quota is used up. Slow.", "Wait.",
    ),
    (500, {"message": "Oh."}, "", "Shed has a fault of its own (500). Oh.", "Try again in a while."),
    (503, {"error": {"suggestion": "Wait."}}, "", "Shed has a fault of its own (503).", "Wait."),
    (404, {"title": "Gone", "errors": [1, "b"]}, "Gone", "Shed: Gone 1; b", ""),
    (400, {"error": "Bad.", "errors": "b"}, "", "Shed: Bad.", ""),
    (499, "text", "", "Shed: it answered 499.", ""),
    (300, {"title": "T", "detail": "d" * 500}, "T", f"Shed: {'d' * 400}", ""),
]  # fmt: skip


@pytest.mark.parametrize(("status", "tree", "code", "said", "hint"), REFUSALS)
def test_a_refusal_is_told_with_what_to_do(status: int, tree: Any, code: str, said: str, hint: str) -> None:
    found = Service("shed", "Shed", "https://shed", {})._refusal(status, tree)
    assert found.problems == [Problem("place", said, hint=hint)]
    assert (found.status, found.code) == (status, code)


def test_only_what_asks_is_tried_again_and_not_for_ever(
    answers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    shed = Service("shed", "Shed", "https://shed", {})
    for error in (NotReachedError([Problem("place", "Gone.")]), refused(429), refused(500)):
        answers |= {"asked": [], "GET /x": error, "POST /x": error, "DELETE /x": error}
        with pytest.raises(type(error)):
            shed.get("/x")
        assert (len(answers["asked"]), waited) == (4, [1.0, 2.0, 3.0])
        waited.clear()
        answers["asked"] = []
        with pytest.raises(type(error)):
            shed.post("/x", {})
        with pytest.raises(type(error)):
            shed.delete("/x")
        assert (len(answers["asked"]), waited) == (2, [])
    answers |= {"asked": [], "GET /x": refused(404), "DELETE /x": refused(404)}
    with pytest.raises(RefusedByServiceError):
        shed.get("/x")
    assert (len(answers["asked"]), waited, shed.delete("/x")) == (1, [], None)


@pytest.mark.parametrize(
    ("base", "is_safe"),
    [("https://shed", True), ("http://127.0.0.1:9", True), ("http://localhost", True), ("http://[::1]:9", True),
     ("http://shed", False), ("ftp://shed", False)],
)  # fmt: skip
def test_only_this_machine_is_spoken_to_in_the_clear(base: str, is_safe: bool) -> None:
    if is_safe:
        Service("shed", "Shed", base, {})
        return
    with pytest.raises(UnusableError) as told:
        Service("shed", "Shed", base, {})
    assert told.value.problems == [
        Problem(
            "place", f"Shed at {base} is not spoken to over HTTPS: the key could be read.",
            hint="Give an address that begins with https://.",
        )
    ]  # fmt: skip


def test_an_answer_that_is_not_understood_may_have_done_something() -> None:
    for error, what in ((KeyError("id"), "no `id` in it"), (ValueError("no number"), "no number")):
        with pytest.raises(NotReachedError) as told, understood("Shed"):
            raise error
        assert told.value.problems[0].message == (f"Shed answered something that Luthier does not know ({what}).")


def test_a_wait_ends_with_what_came_or_with_nothing() -> None:
    left = [None, None, 0]
    assert wait_until(lambda: left.pop(0), 60.0, 0.0) == 0
    assert wait_until(lambda: None, 0.0, 0.0) is None


# -- rented machines ---------------------------------------------------------------------------------------------


def test_a_lambda_machine_as_it_stands(answers: dict[str, Any], run: RemoteRun) -> None:
    place, path = LambdaCloud(), "GET /instances/m1"
    answers[path] = {"data": {"id": "m1", "status": "active", "ip": "1.2.3.4"}}
    assert place.standing(run) == PlaceStanding(True, "The machine m1 is active, $0.75 an hour.", 0.75)
    assert place._address(run) == ("ubuntu@1.2.3.4", 22)
    assert place.standing(replace(run, details={"machine": "m1"})) == PlaceStanding(
        True, "The machine m1 is active."
    )
    for status, ip in (("booting", "1.2.3.4"), ("active", None)):
        answers[path] = {"data": {"id": "m1", "status": status, "ip": ip}}
        assert place._address(run) is None
    gone = PlaceStanding(False, "The machine is terminated.", 0.0, is_gone=True)
    answers[path] = {"data": {"id": "m1", "status": "terminated"}}
    assert place.standing(run) == gone
    for status in ("terminated", "terminating", "unhealthy"):
        answers[path] = {"data": {"id": "m1", "status": status, "ip": "1.2.3.4"}}
        with pytest.raises(UnusableError, match=rf"ended before it was reached \({status}\)"):
            place._address(run)
    answers[path] = refused(404)
    assert place.standing(run) == gone
    with pytest.raises(UnusableError, match=r"ended before it was reached \(gone\)"):
        place._address(run)
    answers[path] = refused(403)
    with pytest.raises(RefusedByServiceError):
        place.standing(run)
    unknown = replace(run, details={})
    answers["GET /instances"] = {"data": [{"id": "m0"}, {"id": "m2", "name": "other"}]}
    assert place.standing(unknown) == gone
    answers["GET /instances"] = {"data": [{"id": "m2", "name": run.name}]}
    answers["GET /instances/m2"] = {"data": {"id": "m2", "status": "active", "ip": "1.2.3.4"}}
    assert place.standing(unknown).said == "The machine m2 is active."


def test_a_lambda_machine_is_ended_once(answers: dict[str, Any]) -> None:
    terminate = "POST /instance-operations/terminate"
    said: list[object] = [{"data": {}}, refused(404)]
    for answer in said:
        answers[terminate] = answer
        LambdaCloud()._end("m1")
    assert answers["asked"] == [(terminate, {"instance_ids": ["m1"]})] * 2
    answers[terminate] = refused(403)
    with pytest.raises(RefusedByServiceError):
        LambdaCloud()._end("m1")


def test_a_key_that_lambda_knows_is_used_and_another_gets_a_free_name(
    answers: dict[str, Any], run: RemoteRun
) -> None:
    launch = "POST /instance-operations/launch"
    known = {"name": "mine", "public_key": "ssh-ed25519 AAAA me@elsewhere"}
    answers |= {
        "GET /instance-types": {"data": TYPES}, launch: {"data": {"instance_ids": [7]}}, "POST /ssh-keys": {},
        "GET /ssh-keys": {"data": [{"name": "luthier-1", "public_key": "ssh-rsa BBBB"}, known]},
    }  # fmt: skip
    offer = Offer("gpu_1x_a10", "A10")
    assert LambdaCloud()._rent(run, offer, "ssh-ed25519 AAAA me") == "7"
    body = {"region_name": "us-east-1", "instance_type_name": "gpu_1x_a10", "name": run.name}
    assert answers["asked"][-1] == (launch, body | {"ssh_key_names": ["mine"]})
    LambdaCloud()._rent(run, offer, "ssh-ed25519 CCCC me")
    assert answers["asked"][-2:] == [
        ("POST /ssh-keys", {"name": "luthier-2", "public_key": "ssh-ed25519 CCCC me"}),
        (launch, body | {"ssh_key_names": ["luthier-2"]}),
    ]
    with pytest.raises(UnusableError, match="H100 was taken meanwhile") as told:
        LambdaCloud()._rent(run, Offer("gpu_1x_h100_pcie", "H100"), "ssh-ed25519 AAAA me")
    assert told.value.problems[0].hint == "Choose another."


def test_offers_of_lambda_and_runpod(answers: dict[str, Any]) -> None:
    kinds = json.loads(json.dumps(TYPES))
    kinds["gpu_1x_h100_pcie"]["regions_with_capacity_available"] = [{"name": "us-west-1"}]
    kinds["odd"] = json.loads(json.dumps(kinds["gpu_1x_a10"]))
    kinds["odd"]["instance_type"] |= {"name": "cpu_4x", "description": "4 cores"}
    kinds["plain"] = json.loads(json.dumps(kinds["gpu_1x_a10"]))
    kinds["plain"]["instance_type"] |= {"name": "gpu_1x_a", "description": "1x A"}
    answers["GET /instance-types"] = {"data": kinds}
    assert LambdaCloud().offers() == [
        Offer("gpu_1x_a", "1x A", 0.0, 0.75), Offer("gpu_1x_a10", "1x A10 (24 GB PCIe)", 24.0, 0.75),
        Offer("gpu_1x_h100_pcie", "1x H100 (80 GB PCIe)", 80.0, 2.49),
    ]  # fmt: skip
    catalog = "GET /catalog/gpus?include=AVAILABILITY&product=POD&cloud=SECURE"
    gpus: list[dict[str, Any]] = json.loads(json.dumps(GPUS))
    others = [gpus[0] | {"id": "x", "manufacturer": "AMD"}, gpus[0] | {"id": "y", "secure": False}]
    unsaid = {name: value for name, value in gpus[0].items() if name != "availability"}
    same = gpus[1] | {"id": "A"}
    answers[catalog] = {"gpus": [*GPUS, *others, unsaid, same]}
    assert RunPod().offers() == [
        Offer("A", "RTX 4090", 24.0, 0.44), Offer("NVIDIA GeForce RTX 4090", "RTX 4090", 24.0, 0.44),
        Offer("NVIDIA H100 80GB HBM3", "H100 SXM", 80.0, 2.69),
    ]  # fmt: skip


def test_a_pod_as_it_stands(answers: dict[str, Any], run: RemoteRun) -> None:
    place, path = RunPod(), "GET /pods/m1"
    direct = {"username": "root", "host": "1.2.3.4", "port": "2222"}
    pod = {"id": "m1", "status": "RUNNING", "cost": 0.44, "ssh": {"direct": direct}}
    answers[path] = pod
    assert place.standing(run) == PlaceStanding(True, "The pod m1 is running, $0.44 an hour.", 0.44)
    assert place._address(run) == ("root@1.2.3.4", 2222)
    others: list[dict[str, Any]] = [{"status": "PROVISIONING"}, {"ssh": None}, {"ssh": {}}]
    for other in others:
        answers[path] = pod | other
        assert place._address(run) is None
    for status, is_gone in (("EXITED", False), ("ERROR", False), ("TERMINATED", True)):
        answers[path] = pod | {"status": status}
        found = place.standing(run)
        assert (found.alive, found.is_gone) == (False, is_gone)
        with pytest.raises(UnusableError, match=rf"ended before it was reached \({status}\)"):
            place._address(run)
    answers[path] = refused(404)
    assert place.standing(run) == PlaceStanding(False, "The pod is gone.", 0.0, is_gone=True)
    assert place._is_up(run)
    with pytest.raises(UnusableError, match=r"ended before it was reached \(gone\)"):
        place._address(run)
    answers[path] = refused(403)
    with pytest.raises(RefusedByServiceError):
        place.standing(run)
    answers["GET /pods"] = {"pods": [pod | {"name": "other"}]}
    assert place.standing(replace(run, details={})).is_gone
    assert (volume_gb(run), volume_gb(replace(run, details={"model_gb": 5}))) == (100, 55)


def test_a_machine_whose_number_was_not_told_is_found_or_was_not_made() -> None:
    def lost() -> str:
        raise NotReachedError([Problem("place", "Gone.")])

    assert rent_once(lambda: "m1", lost) == "m1"
    assert rent_once(lost, lambda: "m2") == "m2"
    with pytest.raises(NotReachedError):
        rent_once(lost, lambda: "")


def test_the_key_that_ssh_will_show_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    with pytest.raises(UnusableError) as told:
        own_public_key(("ssh", "-i"))
    assert told.value.problems == [
        Problem(
            "ssh",
            f"There is no public key at {tmp_path / '.ssh' / 'id_ed25519'}.pub: a rented machine could not be "
            "logged into.",
            hint="`ssh-keygen -t ed25519` makes one.",
        )
    ]
    for name in ("id_rsa", "id_ecdsa", "id_ed25519"):
        (tmp_path / ".ssh" / f"{name}.pub").write_text(f" {name} AAAA \n")
        assert own_public_key(("ssh", "-p", "22")) == f"{name} AAAA"
    (tmp_path / "mine.pub").write_text("mine AAAA\n")
    assert own_public_key(("ssh", "-i", "~/mine")) == "mine AAAA"
    (tmp_path / "mine.pub").unlink()
    with pytest.raises(UnusableError, match=r"mine\.pub"):
        own_public_key(("ssh", "-i", "~/mine"))


def test_what_is_rented_is_given_back_whether_or_not_its_number_is_known(
    run: RemoteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    monkeypatch.setattr(LambdaCloud, "_end", lambda _, machine: ended.append(machine))
    monkeypatch.setattr(LambdaCloud, "_find", lambda *_: "m2")
    LambdaCloud().close(run)
    LambdaCloud().release(replace(run, details={}))
    monkeypatch.setattr(LambdaCloud, "_find", lambda *_: "")
    LambdaCloud().release(replace(run, details={}))
    assert ended == ["m1", "m2"]
    assert isinstance(LambdaCloud(), RentedPlace)


# -- every place -------------------------------------------------------------------------------------------------


class Offering(SshPlace):
    """A place with some GPUs."""

    def offers(self) -> list[Offer]:
        return [
            Offer("a", "A 1", 16.0, 0.5),
            Offer("b", "B 2", 0.0, None, "of the house"),
            Offer("c", "C 3", 80.0, 0.0),
        ]


def test_an_offer_is_chosen_by_name_label_or_size() -> None:
    place = Offering()
    assert [place.chosen(Asked(offer=word)).name for word in ("B", "c 3", "a")] == ["b", "c", "a"]
    assert [place.chosen(Asked(need_gb=need)).name for need in (0.0, 16.0, 17.0)] == ["a", "a", "b"]
    assert [offer.sentence for offer in place.offers()] == [
        "A 1 · 16\u00a0GB · $0.50 an hour", "B 2 · of the house", "C 3 · 80\u00a0GB · $0.00 an hour",
    ]  # fmt: skip
    with pytest.raises(UnusableError) as told:
        place.chosen(Asked(offer="d"))
    assert told.value.problems == [Problem("gpu", "A machine by ssh has no “d” now.", hint="It has a, b, c.")]
    with pytest.raises(UnusableError) as told:
        SshPlace().chosen(Asked(offer="d"))
    assert told.value.problems[0].hint == "It has nothing."
    with pytest.raises(UnusableError) as told:
        SshPlace().chosen(Asked(need_gb=23.6))
    assert told.value.problems[0].message == (
        "A machine by ssh has no GPU with 24\u00a0GB now, which the training needs."
    )


def test_strictly_offline_no_service_is_asked_but_a_host_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNPOD_API_KEY", "key")
    assert RunPod().missing() == []
    save_settings(Settings(offline=True))
    assert RunPod().missing() == [
        Problem(
            "place", "Luthier is set to work strictly offline, so RunPod is not asked.",
            hint="Turn “strictly offline” off in the settings.",
        )
    ]  # fmt: skip
    assert SshPlace().missing() == []
    with pytest.raises(UnusableError, match="strictly offline"):
        RunPod().start(Path("/nowhere"), Asked(), lambda _: None)


def test_what_cannot_be_brought_keeps_its_machine_until_that_is_gone(
    run: RemoteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, released = Offering(), []
    run.save()
    monkeypatch.setattr(Offering, "release", lambda _, run: released.append(run.name))

    def bring(error: Exception | None, is_gone: bool) -> tuple[int, bool]:
        def fetch(_place: object, run: RemoteRun) -> Path:
            if error is not None:
                raise error
            return run.path

        monkeypatch.setattr(Offering, "fetch", fetch)
        monkeypatch.setattr(Offering, "standing", lambda *_: PlaceStanding(False, "", is_gone=is_gone))
        released.clear()
        run.with_details(closed=False)
        if error is None or isinstance(error, NothingYetError):
            assert place.bring(run) == run.path
        else:
            with pytest.raises(UnusableError):
                place.bring(run)
        return len(released), json.loads((run.path / "remote.json").read_text())["closed"]

    lost = UnusableError([Problem("host", "It is not reached.")])
    assert bring(None, False) == (1, True)
    assert bring(NothingYetError(run), False) == (1, True)
    assert bring(lost, False) == (0, False)
    assert bring(lost, True) == (0, True)


def test_places_by_name() -> None:
    with pytest.raises(UnusableError) as told:
        place_named("moon")
    assert told.value.problems == [
        Problem("place", "There is no place moon.", hint="There are ssh, runpod, lambda, hf, colab, kaggle.")
    ]
    assert isinstance(place_of(RemoteRun(Path("/x"), "kaggle")), KagglePlace)


# -- programs and logs -------------------------------------------------------------------------------------------


def test_a_program_is_run_with_its_secrets_in_its_environment_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN", "own")
    assert program_environment({"A": "a", "OWN": "", "B": ""}) == dict(os.environ) | {"A": "a"}
    script = "import os, sys; print(os.environ.get('A'), os.getcwd(), sys.stdin.read())"
    said = run_client([sys.executable, "-c", script], "Shed", {"A": "a"}, given="typed", at=tmp_path)
    assert said == f"a {tmp_path.resolve()} typed\n"
    for code, words in (
        ("print('one'); sys.exit('two')", "Shed: two"),
        ("sys.exit(3)", "Shed: it ended without a word"),
    ):
        with pytest.raises(UnusableError) as told:
            run_client([sys.executable, "-c", f"import sys; {code}"], "Shed")
        assert told.value.problems == [Problem("place", words)]
    with pytest.raises(UnusableError, match=r"^place: `/nowhere/it` cannot be run: "):
        run_client(["/nowhere/it"], "Shed")
    assert last_words(f"a\n {'b' * 500} \n\n") == "b" * 400
    assert program_problem(sys.executable, "Shed", "Install it.") == []
    assert program_problem("no-such-program", "Shed", "Install it.") == [
        Problem("place", "Shed's program `no-such-program` is not on this machine.", hint="Install it.")
    ]


def test_a_log_gives_its_events_with_their_places_and_the_rest_as_text() -> None:
    lines = ['a @luthier 0 {"type": "a"}\n', "  plain  \n", "@luthier x {}\n", '@luthier 14 {"type": "b"}  \n']

    class Told(LogLink):
        def lines(self) -> Iterator[str]:
            yield from lines

    assert list(Told().pieces(99)) == [(0, b'{"type": "a"}\n'), (14, b'{"type": "b"}\n')]
    assert plain_log(iter(lines)) == "  plain\n@luthier x {}\n"
    with pytest.raises(NotImplementedError):
        list(LogLink().pieces(0))


def test_the_hubs_refusals_in_words() -> None:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    def told(status: int, message: str = "") -> tuple[str, str]:
        answer = httpx2.Response(status, request=httpx2.Request("GET", "https://hub/x"))
        error = HfHubHTTPError("x", response=answer, server_message=message or None)
        with pytest.raises(UnusableError) as found, _in_words():
            raise error
        return found.value.problems[0].message, found.value.problems[0].hint

    again = "Try again in a while."
    assert {status: told(status) for status in (401, 402, 403, 404, 429)} == {
        401: (
            "Hugging Face does not accept the token.",
            "Make a new one with the right to write, then `luthier remote key hf`.",
        ),
        402: (
            "Hugging Face: the account has no credit for jobs.", "Add credit at huggingface.co/settings/billing.",
        ),
        403: (
            "Hugging Face: the token or the account may not do this.",
            "Give the token the right to write and to start jobs.",
        ),
        404: ("Hugging Face: it is not there (any more).", again),
        429: ("Hugging Face is asked too often, or the account's quota is used up.", again),
    }  # fmt: skip
    assert told(500, "Oh") == ("Hugging Face answered 500: Oh.", again)
    assert told(500) == ("Hugging Face answered 500: without a word.", again)
    for error in (httpx2.ConnectError("x"), OfflineModeIsEnabled("x")):
        with pytest.raises(UnusableError) as found, _in_words():
            raise error
        assert found.value.problems == [
            Problem(
                "place", f"Hugging Face is not reached: {type(error).__name__}.",
                hint="Check the network, then try again.",
            )
        ]  # fmt: skip


def test_how_a_job_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    place = HubJobPlace()
    run = RemoteRun(runs_dir() / "mine", "hf", {"job": "j1", "price": 1.5, "repository": "me/it"})
    assert place.standing(replace(run, details={})) == PlaceStanding(False, "It has no job.", 0.0, is_gone=True)
    stages = {
        "RUNNING": (True, 1.5), "SCHEDULING": (True, 0.0), "COMPLETED": (False, 0.0), "CANCELED": (False, 0.0),
        "ERROR": (False, 0.0), "DELETED": (False, 0.0),
    }  # fmt: skip
    for stage, (alive, costs) in stages.items():
        monkeypatch.setattr(HubJobPlace, "_stage", lambda *_, stage=stage: (stage, "Words."))
        assert place.standing(run) == PlaceStanding(alive, f"The job j1 is {stage.lower()}. Words.", costs)
        assert place.is_over(run) is not alive
    monkeypatch.setattr(HubJobPlace, "_stage", lambda *_: ("RUNNING", ""))
    assert place.standing(run).said == "The job j1 is running."


def test_a_name_as_kaggle_takes_it() -> None:
    assert _slug("2026-11-30_08-00-00_My  Setup!") == "luthier-2026-11-30-08-00-00-my-setup"
    assert _slug("x" * 60) == f"luthier-{'x' * 34}"
    assert _slug(f"{'x' * 33}-yy") == f"luthier-{'x' * 33}"


def test_what_colab_has_and_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = ["", "[colab] Session 'x' is READY.\n", "[colab] Session 'x' not found.\n"]
    asked: list[list[str]] = []

    def run_colab(words: list[str], label: str, **_: Any) -> str:
        asked.append([*words, label])
        return said.pop(0)

    monkeypatch.setattr("app.core.place.colab.run_client", run_colab)
    place, run = ColabPlace(), RemoteRun(tmp_path, "colab", {"session": "s"})
    assert [(offer.name, offer.memory_gb, offer.price) for offer in place.offers()] == [
        ("T4", 16.0, None), ("L4", 24.0, None), ("A100", 40.0, None), ("H100", 80.0, None),
    ]  # fmt: skip
    assert place.offers()[0].sentence == "T4 · 16\u00a0GB · paid in compute units, whose price Colab tells"
    assert [place.standing(run) for _ in range(3)] == [
        PlaceStanding(True, "Colab says nothing of it."), PlaceStanding(True, "Session 'x' is READY."),
        PlaceStanding(False, "Session 'x' not found.", is_gone=True),
    ]  # fmt: skip
    assert asked == [["colab", "status", "-s", "s", "Colab"]] * 3
    mark = "luthier-answer "
    shell = ColabShell("s")
    for printed, words in (
        (f'noise\n{mark}[1, "", "one\\ntwo\\n"]\n', "The Colab session: two"),
        (f'{mark}[7, "out", ""]\n', "The Colab session: it ended with 7"),
        ("noise\n", "The Colab session s did not answer."),
    ):
        said.append(printed)
        with pytest.raises(UnusableError) as told:
            shell.run("true")
        assert told.value.problems == [Problem("place", words)]
    said.append(f'{mark}[0, "fine", ""]\n')
    assert shell.run("true") == "fine"
