"""What the hub and the network refuse, in words with a remedy; and what is known of a model before it comes."""

from __future__ import annotations

import errno
import io
import queue
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import ModelInfo
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from app.core.model.hub import DISK_MARGIN_BYTES, Destination, HubModel, ModelId
from app.core.problem import Problem, TaskError, UnusableError
from app.core.protocol import event
from app.core.quantity import bytes_text
from app.worker.hub import tasks, transfer
from app.worker.hub.error import in_words, told
from app.worker.hub.tasks import DownloadPlan
from app.worker.hub.transfer import LargeFile, Transfer
from app.worker.process.channel import Channel
from tests.worker.training import Collector

HUB = "https://hub.example.org"
RESPONSES = {
    code: httpx2.Response(code, request=httpx2.Request("GET", HUB)) for code in (401, 403, 404, 418, 429, 500, 503)
}
GO_ON = "Run it again: it goes on where it stopped."


@pytest.fixture(autouse=True)
def _address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", HUB)


def refused(code: int, kind: type[HfHubHTTPError] = HfHubHTTPError) -> HfHubHTTPError:
    return kind("as asked", response=RESPONSES[code])


def after_refusal(refusal: HfHubHTTPError) -> Exception:
    """What huggingface_hub raises when its cache has not what the hub refused."""
    found = LocalEntryNotFoundError("not in the cache")
    found.__cause__ = refusal
    return found


BROKEN = (False, "The connection broke, several times.", GO_ON)
AWAY = (
    False, "The hub (hub.example.org) cannot be reached.",
    "Check the network, then run it again. Models that are on this machine work without it.",
)  # fmt: skip
GATED = (
    True, "a/b@v1 is gated: its owner gives it only to those who accepted its licence.",
    f"Accept its licence at {HUB}/a/b, then set a token of that account here.",
)  # fmt: skip
NOWHERE = (
    True, "There is no model a/b@v1 on the hub.",
    "Check the spelling: organization/model. If it is private, set a token that may read it.",
)  # fmt: skip
NO_RIGHT = "The token may lack the right to read it (gated models need that right in fine-grained tokens)."
SLOWER = f"Wait some minutes; with a token more is allowed. {GO_ON}"
# What was raised; whether what was asked for cannot be used; the message; the remedy.
MEANINGS: list[tuple[Exception, tuple[bool, str, str]]] = [
    (refused(403, GatedRepoError), GATED), (after_refusal(refused(403, GatedRepoError)), GATED),
    (refused(404, RepositoryNotFoundError), NOWHERE), (refused(404), NOWHERE),
    (refused(404, RevisionNotFoundError),
     (True, "a/b@v1 has no such branch, tag or commit.", "Leave out what follows the @.")),
    (refused(404, RemoteEntryNotFoundError),
     (False, "A file of a/b@v1 is no longer on the hub.", "Look the model up again.")),
    (refused(401), (True, "The hub does not know the token.", "Set a new one: tokens can expire or be revoked.")),
    (refused(403), (True, "The hub refuses a/b@v1 to your account.", NO_RIGHT)),
    (refused(429), (False, "The hub asks to slow down (HTTP 429).", SLOWER)),
    (refused(500), (False, "The hub has trouble at the moment (HTTP 500).", f"Wait a little. {GO_ON}")),
    (refused(503), (False, "The hub has trouble at the moment (HTTP 503).", f"Wait a little. {GO_ON}")),
    (refused(418), (False, "The hub refused the request (HTTP 418).", "The log tells more.")),
    (httpx2.RemoteProtocolError("x"), BROKEN), (httpx2.ReadError("x"), BROKEN), (httpx2.ReadTimeout("x"), BROKEN),
    (httpx2.ConnectError("x"), AWAY), (httpx2.ConnectTimeout("x"), AWAY), (OfflineModeIsEnabled("x"), AWAY),
    (LocalEntryNotFoundError("x"), AWAY),
]  # fmt: skip


def progress(channel: Collector) -> list[tuple[str, int, int, bool]]:
    return [(told.phase, told.done, told.total, told.in_bytes) for told in channel.of(event.Progressed)]


def said(error: Exception) -> tuple[bool, str, str]:
    if isinstance(error, UnusableError):
        (problem,) = error.problems
        return True, problem.message, problem.hint
    assert isinstance(error, TaskError)
    return False, error.message, error.hint


@pytest.mark.parametrize(("raised", "meaning"), MEANINGS)
def test_what_the_hub_or_the_network_raise_is_told_with_a_remedy(
    raised: Exception, meaning: tuple[bool, str, str]
) -> None:
    with pytest.raises((UnusableError, TaskError)) as caught, told("a/b@v1"):
        raise raised
    assert said(caught.value) == meaning
    assert caught.value.__cause__ is raised


def test_who_has_a_token_is_not_told_to_set_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_any")
    hints = [said(in_words(refused(404, kind), "a/b"))[2] for kind in (GatedRepoError, RepositoryNotFoundError)]
    assert hints == [
        f"Accept its licence at {HUB}/a/b with the account of your token (some take a while to be granted).",
        "Check the spelling: organization/model.",
    ]
    assert said(in_words(refused(403), ""))[1] == "The hub refuses this to your account."


def test_a_wrong_name_and_a_full_disk_are_told_and_other_errors_of_the_disk_left_alone() -> None:
    with pytest.raises(UnusableError) as wrong, told("a b"):
        raise HFValidationError("x")
    assert said(wrong.value) == (True, "a b is no name of a model on the hub.", "A name reads organization/model.")
    with pytest.raises(TaskError) as full, told():
        raise OSError(errno.ENOSPC, "x")
    assert said(full.value) == (False, "The disk is full.", f"Free some space. {GO_ON}")
    with pytest.raises(PermissionError), told():
        raise PermissionError(errno.EACCES, "x")


def test_how_long_is_waited_is_what_the_hub_asks_for_within_a_minute() -> None:
    def waits(code: int, asked: str, failures: int = 0) -> float:
        response = httpx2.Response(code, headers={"Retry-After": asked}, request=httpx2.Request("GET", HUB))
        return transfer._wait_s(HfHubHTTPError("x", response=response), failures)

    assert [waits(429, "7"), waits(429, "61"), waits(503, "60"), waits(503, "soon", 2)] == [7.0, 60.0, 60.0, 2.0]
    assert [transfer._wait_s(httpx2.ReadError("x"), failures) for failures in range(5)] == [0.5, 1.0, 2.0, 4.0, 8.0]
    for error, failures in ((httpx2.ReadError("x"), 5), (refused(404), 0), (refused(500), 5)):
        with pytest.raises(type(error)):
            transfer._wait_s(error, failures)


# -- what there is to know of a model -------------------------------------------------------------------------


def test_what_the_hub_tells_of_a_model_is_shown_and_what_it_lacks_is_nothing() -> None:
    info = ModelInfo(id="a/b", downloads=5, likes=7, gated="manual", tags=["mlx"], safetensors={
        "parameters": {"BF16": 100}, "total": 100}, config={"model_type": "llama"},
        lastModified="2026-03-04T23:00:00.000Z")  # fmt: skip
    assert info.last_modified == datetime(2026, 3, 4, 23, tzinfo=UTC)
    assert tasks.hub_model(info) == HubModel(
        id="a/b", size_bytes=200, downloads=5, likes=7, quantization="bf16", model_type="llama", gated=True,
        updated="2026-03-04",
    )  # fmt: skip
    named = tasks.hub_model(info, name="a/b@v1", size_bytes=3)
    assert (named.id, named.size_bytes) == ("a/b@v1", 3)
    bare = tasks.hub_model(ModelInfo(id="a/b", config="none"))
    assert bare == HubModel(id="a/b", quantization=bare.quantization)


def test_a_model_of_that_name_that_is_gated_or_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def answer(error: Exception) -> list[HubModel]:
        def model_info(_api: object, name: str, **options: Any) -> None:
            asked.append({"name": name, **options})
            raise error

        monkeypatch.setattr("huggingface_hub.HfApi.model_info", model_info)
        return tasks._named(ModelId("a/b", "v1"))

    assert answer(refused(403, GatedRepoError)) == [HubModel(id="a/b@v1", gated=True)]
    assert answer(refused(404, RepositoryNotFoundError)) == answer(refused(404, RevisionNotFoundError)) == []
    assert asked == [{"name": "a/b", "revision": "v1", "timeout": 15.0, "files_metadata": True}] * 3


@pytest.mark.parametrize(("files", "message", "hint"), [
    (["a.gguf", "b.bin"], ", only GGUF files, which cannot be trained.", "Choose the model it was made from."),
    (["a.pt"], ", only pickle files, which can run any code when opened and are never fetched.",
     "Look for a copy of it in safetensors."),
    (["config.json"], ".", "It may hold only an adapter or a tokenizer; choose its base model."),
])  # fmt: skip
def test_what_a_model_without_weights_holds_instead(files: list[str], message: str, hint: str) -> None:
    found = tasks._no_weights(ModelId("a/b"), files)
    assert found == Problem("", f"a/b has no safetensors weights{message}", hint=hint)


@pytest.fixture
def plan(tmp_path: Path) -> DownloadPlan:
    """A download of two files into a folder, the larger by its SHA-256."""
    destination = Destination.of(ModelId("a/b"), str(tmp_path))
    destination.partial.mkdir(parents=True)
    return DownloadPlan(
        destination, "c0", {"model.safetensors": 3_000_000, "config.json": 2}, {"model.safetensors": "5a"}
    )


def test_room_is_what_is_to_come_and_a_margin(
    plan: DownloadPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plan.destination.partial / "5a.incomplete").write_bytes(b"0" * 1_000_000)
    (plan.destination.root / "config.json").write_bytes(b"{}")
    channel = Collector(tmp_path / "events")
    monkeypatch.setattr(tasks, "free_bytes", lambda _: 2_000_000 + DISK_MARGIN_BYTES)
    tasks._check_space(plan, channel)
    free = bytes_text(2_000_000 + DISK_MARGIN_BYTES)
    assert progress(channel) == [
        (f"2 files, {bytes_text(2_000_000)} to come; {free} free on the disk", 0, 0, False)
    ]
    monkeypatch.setattr(tasks, "free_bytes", lambda _: 1_999_999 + DISK_MARGIN_BYTES)
    with pytest.raises(UnusableError) as caught:
        tasks._check_space(plan, channel)
    (problem,) = caught.value.problems
    assert problem.message.startswith(f"a/b needs {bytes_text(2_000_000)} more on the disk, and ")
    assert (problem.path, problem.file) == ("models_dir", str(plan.destination.root))
    assert problem.hint == "Free some space, or choose another folder for models."
    assert len(channel.events) == 1


def test_what_is_here_counts_and_what_does_not_arrive_is_told(
    plan: DownloadPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plan.destination.root / "model.safetensors").write_bytes(b"0" * 2_999_999)  # one byte short
    (plan.destination.root / "config.json").write_bytes(b"{}")
    assert plan.missing() == ["model.safetensors"]
    (file,) = plan.large_files()
    assert file == LargeFile(
        "https://huggingface.co/a/b/resolve/c0/model.safetensors", plan.destination.root / "model.safetensors",
        plan.destination.partial / "5a.incomplete", 3_000_000, "5a",
    )  # fmt: skip
    fetched: list[list[LargeFile]] = []
    monkeypatch.setattr(tasks, "fetch_all", lambda files, _transfer, _log: fetched.append(files))
    monkeypatch.setattr(tasks, "_lay_out", lambda _plan, transfer: transfer.add(7))
    channel = Collector(tmp_path / "events")
    with pytest.raises(TaskError) as caught:
        tasks._download(plan, channel)
    assert said(caught.value) == (False, "1 file did not arrive (model.safetensors).", GO_ON)
    assert fetched == [[file]]
    assert progress(channel)[-1:] in ([], [("Downloading", 9, 3_000_002, True)]), "and never that all is here"
    monkeypatch.setattr("huggingface_hub.constants.MAX_HTTP_DOWNLOAD_SIZE", 3_000_000)
    assert plan.large_files() == [file]
    monkeypatch.setattr("huggingface_hub.constants.MAX_HTTP_DOWNLOAD_SIZE", 2_999_999)
    assert plan.large_files() == []


def test_in_the_cache_files_lie_by_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.core.model.hub.hub_cache", lambda: tmp_path)
    plan = DownloadPlan(Destination(ModelId("a/b")), "c0", {"m": 2}, {"m": "5a"})
    root = tmp_path / "models--a--b"
    assert (plan.place("m"), plan.blob("m")) == (root / "snapshots" / "c0" / "m", root / "blobs" / "5a")
    assert not plan.is_here("m")
    (root / "blobs").mkdir(parents=True)
    plan.blob("m").write_bytes(b"00")
    assert plan.is_here("m"), "what is whole is only to be laid out"


def test_a_transfer_tells_no_more_than_all_and_passes_failures_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "TOLD_EVERY_S", 0.001)
    spoken = threading.Event()
    channel = Collector(tmp_path / "events", lambda _: spoken.set())
    counted = Transfer(10)

    def fetch_more_than_all() -> None:  # the hub's own count may be too small
        counted.add(12)
        assert spoken.wait(60)

    counted.run(fetch_more_than_all, channel, "Fetching")
    assert progress(channel)[-1] == ("Fetching", 10, 10, True)
    assert len(channel.events) <= 2, "what is said already is not said again"

    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        counted.run(fail, Channel(io.StringIO(), queue.Queue()), "Fetching")
    bar: Any = counted.bar()
    for name in ("huggingface_hub.snapshot_download", "huggingface_hub.http_get"):
        with bar(total=5, name=name) as shown:
            assert shown.disable
            shown.update(2.0)
            shown.update(None)
    assert counted.done == 14
