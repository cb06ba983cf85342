"""The hub's tasks against a hub on the loopback: what is fetched, what is not fetched twice, and what is told."""

from __future__ import annotations

import io
import itertools
import json
import os
import queue
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.model.folder import find_models, locate_model
from app.core.model.hub import Destination, HubModel, ModelId
from app.core.problem import TaskError, UnusableError
from app.core.protocol import event
from app.core.protocol.client import WorkerClient, started_job
from app.core.protocol.command import Ask, GiveToken, Stop
from app.core.protocol.event import Event
from app.core.protocol.job import JOBS, HubDownloadJob, HubLoginJob, HubSearchJob
from app.core.protocol.question import Question
from app.core.system.setting import Settings, save_settings
from app.worker.hub import transfer as hub_transfer
from app.worker.hub.access_token import login
from app.worker.hub.tasks import download, search
from app.worker.hub.transfer import LargeFile, Transfer, fetch
from app.worker.process.channel import Channel
from app.worker.process.control import StoppedError
from app.worker.process.failure import told_failure
from app.worker.process.main import Task
from tests.hub_server import COMMIT, TOKEN, HubServer, Repository, hub_server, sha256
from tests.worker.training import Collector

WEIGHTS = os.urandom(600_000)
NAME = "tiny/llama"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with hub_server() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        server.add(Repository(NAME, files(), downloads=900))
        yield server


@pytest.fixture
def here(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """For tests in this process, which imported huggingface_hub when another hub or none was allowed."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
    address = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", address)
    return hub


def files() -> dict[str, bytes]:
    return {
        "config.json": json.dumps({"model_type": "llama"}).encode(),
        "tokenizer.json": b'{"version": "1.0"}',
        "chat_template.jinja": b"{{ messages }}",
        "model.safetensors": WEIGHTS,
        "consolidated.safetensors": os.urandom(1000),
        "pytorch_model.bin": os.urandom(1000),
        "modeling_llama.py": b"import os",
        "original/params.json": b"{}",
        "README.md": b"# A model",
    }


def channel() -> Channel:
    """Ends that nobody is at, for tasks in this process."""
    return Channel(io.StringIO(), queue.Queue())


def run(task: str, at: Callable[[Event, WorkerClient], object] | None = None, **arguments: Any) -> list[Event]:
    """All events of a job; ``at`` sees each as it comes and may send a command."""
    found = []
    with started_job(JOBS[task](**arguments)) as worker:
        for said in worker.events():
            found.append(said)
            if at is not None:
                at(said, worker)
        assert TOKEN not in worker.log.read_text()
    return found


def run_here(task: str, **arguments: Any) -> list[Event]:
    """As `run`, without a process, which takes longer than what it does."""
    job = JOBS[task](**arguments)
    told = Collector(Path(os.devnull))
    try:
        tasks: dict[str, Task] = {"hub_search": search, "hub_download": download}
        tasks[task](told, Path("unused"), job)
    except (UnusableError, TaskError) as error:
        told.events.append(told_failure(error, task))
    return told.events


def result(events: list[Event]) -> dict[str, Any]:
    assert isinstance(events[-1], event.Finished), events[-1]
    return next(e.data for e in events if isinstance(e, event.Result))


def failed(events: list[Event]) -> event.Failed:
    assert isinstance(events[-1], event.Failed), events[-1]
    return events[-1]


def stop_after(size: int) -> Callable[[Event, WorkerClient], object]:
    def at(said: Event, worker: WorkerClient) -> None:
        if isinstance(said, event.Progressed) and said.total and said.done >= size:
            worker.send(Stop())

    return at


# -- search ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_search_tells_size_popularity_quantization_and_gate(hub: HubServer) -> None:
    hub.add(Repository(
        "mlx/llama-4bit", files(), downloads=5, likes=7, tags=["safetensors", "mlx", "4-bit"],
        parameters={"U32": 250, "BF16": 100}, config={"model_type": "llama", "quantization_config": {"bits": 4}},
    ))  # fmt: skip
    hub.add(Repository("other/llama-gated", files(), downloads=3, gated=True))
    hub.add(Repository("other/llama-gguf", files(), tags=["gguf"]))
    found = [HubModel.from_dict(tree) for tree in result(run("hub_search", query="llama"))["models"]]
    assert [model.id for model in found] == [NAME, "mlx/llama-4bit", "other/llama-gated"]
    assert [model.size_bytes for model in found] == [2000, 1200, 2000]
    assert [model.quantization for model in found] == ["bf16", "4-bit", "bf16"]
    assert [model.gated for model in found] == [False, False, True]
    assert found[1].likes == 7
    assert found[0].updated == "2026-01-02"
    assert result(run_here("hub_search", query=" llama ", limit=1, mlx_only=True)) == {
        "query": "llama", "models": [found[1].as_dict()]
    }  # fmt: skip
    assert [one["id"] for one in result(run_here("hub_search", query="", limit=1))["models"]] == [NAME]


def test_search_for_a_name_or_an_address_puts_that_model_first_with_its_real_size(here: HubServer) -> None:
    here.add(Repository("tiny/llama-large", files(), downloads=5000))
    for query in (NAME, f"{here.address}/{NAME}/tree/main"):
        found = result(run_here("hub_search", query=query))["models"]
        assert [model["id"] for model in found] == [NAME, "tiny/llama-large"]
        assert found[0]["size_bytes"] == len(WEIGHTS)
    nobody = result(run_here("hub_search", query="tiny/llama-none"))
    assert nobody == {"query": "tiny/llama-none", "models": []}


# -- download -------------------------------------------------------------------------------------------------


def test_download_into_the_cache_is_found_by_name_and_leaves_out_what_is_not_needed(hub: HubServer) -> None:
    events = run("hub_download", model=NAME)
    told = result(events)
    folder = locate_model(NAME)
    assert told == {
        "model": NAME,
        "path": str(folder),
        "bytes": sum(file.stat().st_size for file in folder.iterdir()),
    }
    assert isinstance(events[-1], event.Finished)
    assert 0 < events[-1].elapsed_s < 60
    assert (Path(os.environ["HF_HOME"]) / "hub" / "models--tiny--llama" / "refs" / "main").read_text() == COMMIT
    assert folder.name == COMMIT
    assert sorted(path.name for path in folder.iterdir()) == [
        "chat_template.jinja", "config.json", "model.safetensors", "tokenizer.json",
    ]  # fmt: skip
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    progressed = [e for e in events if isinstance(e, event.Progressed)]
    assert (progressed[-1].done, progressed[-1].total) == (told["bytes"], told["bytes"])
    assert any("free on the disk" in e.phase for e in progressed)
    fetched = {r.path for r in hub.requests if r.method == "GET" and "/resolve/" in r.path}
    assert not [path for path in fetched if path.endswith((".bin", ".py", ".md", "consolidated.safetensors"))]


def test_download_into_a_folder_is_found_there(here: HubServer, tmp_path: Path) -> None:
    told = result(run_here("hub_download", model=NAME, models_dir=str(tmp_path / "models")))
    assert Path(told["model"]) == tmp_path / "models" / NAME
    assert (Path(told["path"]) / "model.safetensors").read_bytes() == WEIGHTS
    assert [entry.name for entry in find_models([tmp_path / "models"])] == [NAME]
    assert sum(sent for _, sent in here.fetched("model.safetensors")) == len(WEIGHTS)


def test_a_broken_connection_goes_on_from_the_byte_where_it_broke(here: HubServer) -> None:
    here.break_after, here.breaks_left = 200_000, 2
    result(run_here("hub_download", model=NAME))
    pieces = here.fetched("model.safetensors")
    assert len(pieces) == 3
    for (start, sent), (next_start, _) in itertools.pairwise(pieces):
        assert next_start == start + sent > 0
    assert (locate_model(NAME) / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("into_cache", [True, False])
def test_a_stopped_download_goes_on_where_it_stopped(here: HubServer, tmp_path: Path, into_cache: bool) -> None:
    models_dir = "" if into_cache else str(tmp_path / "models")
    here.bytes_per_second = 400_000
    stopped = run("hub_download", stop_after(100_000), model=NAME, models_dir=models_dir)
    assert isinstance(stopped[-1], event.Finished)
    assert stopped[-1].reason == "stopped"
    kept = Destination.of(ModelId(NAME), models_dir).partial_bytes()
    assert 100_000 <= kept < len(WEIGHTS)
    assert find_models([tmp_path / "models"]) == []  # what is not whole is not offered
    here.bytes_per_second = 0
    result(run_here("hub_download", model=NAME, models_dir=models_dir))
    assert [start for start, _ in here.fetched("model.safetensors")] == [0, kept]
    assert Destination.of(ModelId(NAME), models_dir).partial_bytes() == 0


def test_a_finished_download_fetches_nothing_again(here: HubServer) -> None:
    result(run_here("hub_download", model=NAME))
    before = len([r for r in here.requests if r.method == "GET" and "/resolve/" in r.path])
    told = result(run_here("hub_download", model=NAME))
    assert told["bytes"] > len(WEIGHTS)
    assert len([r for r in here.requests if r.method == "GET" and "/resolve/" in r.path]) == before


def test_a_gated_model_says_where_to_accept_its_licence(here: HubServer) -> None:
    here.add(Repository("gated/llama", files(), gated=True))
    with pytest.raises(UnusableError, match="is gated") as caught:
        download(channel(), Path("unused"), HubDownloadJob(model="gated/llama"))
    assert f"{here.address}/gated/llama" in caught.value.problems[0].hint
    assert "token" in caught.value.problems[0].hint


def test_a_gated_model_comes_with_a_token(hub: HubServer) -> None:
    hub.add(Repository("gated/llama", files(), gated=True))

    def answer(said: Event, worker: WorkerClient) -> None:
        if isinstance(said, event.Ready):
            worker.send(GiveToken(token=TOKEN))

    kept = {"set": True, "user": "ada", "from_environment": False, "in_keychain": False}
    assert result(run("hub_login", answer)) == kept
    result(run("hub_download", model="gated/llama"))
    assert locate_model("gated/llama").is_dir()
    assert result(run("hub_login", action="logout")) == kept | {"set": False, "user": ""}


@pytest.mark.usefixtures("hub")
def test_a_wrong_token_is_refused_and_not_kept(home: Path) -> None:
    def answer(said: Event, worker: WorkerClient) -> None:
        if isinstance(said, event.Ready):
            worker.send(GiveToken(token="hf_wrongwrongwrong"))

    events = run("hub_login", answer)
    assert "does not accept this token" in failed(events).message
    kept = [path for path in home.rglob("*") if path.is_file() and b"hf_wrong" in path.read_bytes()]
    assert kept == []
    assert not any("hf_wrong" in said.to_line() for said in events)


@pytest.mark.parametrize(
    ("model", "status", "words"),
    [
        ("nobody/nothing", 0, "no model nobody/nothing"),
        (f"{NAME}@v9", 0, "no such branch"),
        ("no name", 0, "no name of a model"),
        (NAME, 429, "slow down"),
        (NAME, 503, "trouble at the moment (HTTP 503)"),
        ("pickles/only", 0, "pickle files"),
    ],
)
def test_what_cannot_be_downloaded_is_told_in_words(here: HubServer, model: str, status: int, words: str) -> None:
    here.add(Repository("pickles/only", {"config.json": b"{}", "pytorch_model.bin": b"x"}))
    if status:
        here.status["/api/models/"] = status
    with pytest.raises((UnusableError, TaskError), match=re.escape(words)) as caught:
        download(channel(), Path("unused"), HubDownloadJob(model=model))
    error = caught.value
    assert isinstance(error, UnusableError | TaskError)
    assert error.problems[0].hint if isinstance(error, UnusableError) else error.hint
    assert not list(Path(os.environ["HF_HOME"]).glob("hub/models--*"))  # a wrong name leaves nothing behind


def test_no_network_is_told_in_words(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    told = failed(run("hub_download", model=NAME))
    assert "cannot be reached" in told.message
    assert not told.unusable
    assert hub.requests == []


def test_a_disk_without_room_is_told_before_anything_is_fetched(here: HubServer) -> None:
    class Large(bytes):
        def __len__(self) -> int:
            return 10**18

    here.add(Repository("large/model", {"config.json": b"{}", "model.safetensors": Large(b"x")}))
    told = failed(run_here("hub_download", model="large/model"))
    assert "more on the disk" in told.message
    assert "are free" in told.message
    assert here.fetched("model.safetensors") == []


# -- offline --------------------------------------------------------------------------------------------------


def test_strictly_offline_asks_nothing(hub: HubServer) -> None:
    save_settings(Settings(offline=True))
    with pytest.raises(UnusableError, match="strictly offline"):
        search(channel(), Path("unused"), HubSearchJob(query="x"))
    with pytest.raises(UnusableError, match="strictly offline"):
        download(channel(), Path("unused"), HubDownloadJob(model=NAME))
    with pytest.raises(UnusableError, match="strictly offline"):
        login(channel(), Path("unused"), HubLoginJob())
    assert "strictly offline" in failed(run("hub_download", model=NAME)).message
    assert hub.requests == []


def test_the_variable_that_forbids_requests_is_respected(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in failed(run("hub_download", model=NAME)).message
    assert hub.requests == []


def test_inspecting_and_generating_make_no_request(hub: HubServer, tmp_path: Path) -> None:
    from tests.worker.tiny_model import write_model

    folder = write_model(tmp_path / "model")
    assert any(isinstance(said, event.Inspected) for said in run("inspect", model=str(folder)))
    # A name that is not here is not looked up elsewhere.
    failed(run("inspect", model="tiny/elsewhere"))

    def ask(said: Event, worker: WorkerClient) -> None:
        if isinstance(said, event.Ready):
            worker.send(Ask(request=1, question=Question(prompt="hi", max_tokens=2)))
        elif isinstance(said, event.Answered) and said.done:
            worker.close_input()

    answered = run("generate", ask, model=str(folder), adapters=[None])
    assert any(isinstance(said, event.Answered) and said.finish_reason == "length" for said in answered)
    assert hub.requests == []


# -- one file -------------------------------------------------------------------------------------------------


@pytest.fixture
def file(here: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LargeFile:
    monkeypatch.setattr(hub_transfer, "RETRY_WAITS_S", (0.0, 0.0))
    url = f"{here.address}/{NAME}/resolve/{COMMIT}/model.safetensors"
    return LargeFile(url, tmp_path / "out", tmp_path / "part", len(WEIGHTS), sha256(WEIGHTS))


def no_log(_text: str) -> None:
    """Nobody reads it."""


def test_a_server_without_ranges_sends_the_whole_file_and_it_is_right(file: LargeFile, hub: HubServer) -> None:
    hub.ignores_range = True
    file.partial.write_bytes(WEIGHTS[:1000])
    transfer = Transfer(file.size)
    fetch(file, transfer, no_log)
    assert file.target.read_bytes() == WEIGHTS
    assert transfer.done == file.size


def test_a_server_that_knows_no_such_place_in_the_file_sends_it_anew(
    file: LargeFile, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came before is of another file by that name, say."""
    monkeypatch.setattr("app.worker.hub.transfer.RETRY_WAITS_S", (0.0, 0.0))
    hub.refuses_range = True
    file.partial.write_bytes(b"\0" * 1000)
    transfer = Transfer(file.size)
    fetch(file, transfer, no_log)
    assert file.target.read_bytes() == WEIGHTS
    assert transfer.done == file.size


def test_a_damaged_file_is_not_kept(file: LargeFile, hub: HubServer) -> None:
    hub.corrupts = True
    with pytest.raises(TaskError, match="damaged"):
        fetch(file, Transfer(file.size), no_log)
    assert not file.target.exists()
    assert not file.partial.exists()


def test_what_always_breaks_gives_up_and_keeps_what_came(file: LargeFile, hub: HubServer) -> None:
    import httpx2

    hub.break_after, hub.breaks_left = 20_000, 1
    hub.status["/tiny/"] = 503
    with pytest.raises(Exception, match="503"):
        fetch(file, Transfer(file.size), no_log)
    hub.status.clear()
    hub.break_after, hub.breaks_left = 1, 100  # a connection that never brings a byte
    with pytest.raises(httpx2.RemoteProtocolError):
        fetch(file, Transfer(file.size), no_log)
    assert file.partial.exists()


def test_a_transfer_that_is_stopped_stops_at_the_next_piece(file: LargeFile) -> None:
    transfer = Transfer(file.size)
    transfer.stopped.set()
    with pytest.raises(StoppedError):
        fetch(file, transfer, no_log)
    assert not file.target.exists()
