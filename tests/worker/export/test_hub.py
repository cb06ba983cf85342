"""Uploads: a folder with its card, sent to a hub on the loopback, only where a person said so."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import constants

from app.core.problem import TaskError, UnusableError
from app.core.protocol import event
from app.core.quantity import bytes_text
from app.worker.export import hub as hub_module
from tests.hub_server import TOKEN, HubServer, Repository, hub_server
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.export.exporting import run_export
from tests.worker.tiny_model import write_data
from tests.worker.training import config_for, start

NAME = "ada/friendly"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(hub_module, "HfApi", lambda: hub_api(server))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield server


def hub_api(server: HubServer) -> Any:
    from huggingface_hub import HfApi

    return HfApi(endpoint=server.address, token=TOKEN)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hub")
    base = make_model(root / "base")
    (base / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    return make_adapter(base, root / "adapter")


def options(**more: Any) -> dict[str, Any]:
    return {"repository": NAME, "upload": True} | more


def test_a_folder_is_uploaded_privately_with_its_card(hub: HubServer, adapter: Path, tmp_path: Path) -> None:
    out, events = run_export(tmp_path, adapter, "hub", options=options(), prompts=2)
    (told,) = [said.data for said in events if isinstance(said, event.Result)]
    assert told["page"] == f"{hub.address}/{NAME}"
    assert told.keys() == {"path", "format", "bytes", "base", "adapter", "certificate", "remark", "page"}
    assert (told["path"], told["format"], told["base"]) == (str(out), "hub", str(adapter.parent / "base"))
    assert told["adapter"] == str(adapter / "adapters.safetensors")
    assert told["certificate"]["agrees"]
    assert told["bytes"] == sum(path.stat().st_size for path in out.iterdir())
    last = events[-1]
    assert isinstance(last, event.Finished)
    assert 0 < last.elapsed_s < 60
    phases = [said.phase for said in events if isinstance(said, event.Progressed)]
    assert phases[0] == "Loading the model"
    assert phases[-1] == f"Uploading {bytes_text(told['bytes'])} to {NAME}"
    there = hub.repositories[NAME]
    assert there.private
    assert {name: data for name, data in there.files.items() if name != ".gitattributes"} == {
        path.name: path.read_bytes() for path in out.iterdir()
    }
    assert {"README.md", "adapters.safetensors", "adapter_config.json", "certificate.json"} <= there.files.keys()


def test_the_card_tells_base_licence_training_and_certificate(adapter: Path, tmp_path: Path) -> None:
    base = adapter.parent / "base"
    run, _ = start(config_for(base, write_data(tmp_path / "data")), tmp_path / "run")
    out, _ = run_export(tmp_path, run.path, "hub", options=options(upload=False, content="peft"), prompts=4)
    text = (out / "README.md").read_text()
    front = yaml.safe_load(text.split("---")[1])
    assert (front["license"], front["library_name"]) == ("apache-2.0", "peft")
    assert "base_model" not in front, "the base is a folder here, which is no name on the hub"
    assert "base, fine-tuned with Luthier." in text
    for words in (
        "| Data | data |",
        "| Learning rate | 0.001 |",
        "agrees with the run's model",
        "| end tokens | agrees",
    ):
        assert words in text
    assert str(tmp_path) not in text, "nothing of this machine's folders"


@pytest.mark.parametrize("content", ["adapter", "peft"])
def test_no_file_for_others_names_a_folder_of_this_machine(adapter: Path, tmp_path: Path, content: str) -> None:
    """As the card names the base; also what an adapter was merged from, and measured on."""
    merged = shutil.copytree(adapter, tmp_path / "merged")
    config = json.loads((merged / "adapter_config.json").read_text())
    config["merged"] = {"data": str(tmp_path / "secret" / "valid.jsonl"), "columns": [{"name": "a", "loss": 1.5}]}
    (merged / "adapter_config.json").write_text(json.dumps(config))
    out, _ = run_export(tmp_path, merged, "hub", options=options(upload=False, content=content), prompts=2)
    texts = {file.name: file.read_text() for file in out.iterdir() if file.suffix != ".safetensors"}
    assert texts.keys() == {"README.md", "adapter_config.json", "certificate.json"}
    assert not [name for name, text in texts.items() if str(tmp_path) in text or str(adapter.parent) in text]
    told = json.loads(texts["adapter_config.json"])
    assert told["base_model_name_or_path" if content == "peft" else "model"] == "base"
    assert json.loads(texts["certificate.json"])["base"] == "base"
    if content == "adapter":
        assert told["merged"] == {"data": "valid.jsonl", "columns": [{"name": "a", "loss": 1.5}]}


def test_without_the_persons_word_nothing_is_sent(hub: HubServer, adapter: Path, tmp_path: Path) -> None:
    out, _ = run_export(tmp_path, adapter, "hub", options=options(upload=False), prompts=2)
    assert (out / "README.md").is_file()
    assert hub.requests == []


def test_a_public_repository_is_not_written_privately(hub: HubServer, adapter: Path, tmp_path: Path) -> None:
    hub.add(Repository(NAME, {}))
    with pytest.raises(UnusableError, match="there already and public"):
        run_export(tmp_path, adapter, "hub", options=options(), prompts=2)
    run_export(tmp_path, adapter, "hub", options=options(public=True), prompts=2, out=tmp_path / "second")
    assert "adapters.safetensors" in hub.repositories[NAME].files


def test_an_upload_is_stopped_and_what_was_written_stays(
    hub: HubServer, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(hub_module, "_uploaded", lambda *_: over.wait(60))
    monkeypatch.setattr(hub_module, "ASKED_EVERY_S", 0.001)

    def stop(said: event.Event) -> str | None:
        return "stop" if isinstance(said, event.Progressed) and said.phase.startswith("Uploading") else None

    with pytest.raises(TaskError) as caught:
        run_export(tmp_path, adapter, "hub", stop, options=options(), prompts=0)
    over.set()
    assert (caught.value.message, caught.value.hint) == (
        "The upload was stopped.", f"The folder stays in {tmp_path / 'out'}."
    )  # fmt: skip
    assert (tmp_path / "out" / "README.md").is_file()
    assert hub.requests == []


def test_what_differs_is_not_uploaded(hub: HubServer, adapter: Path, tmp_path: Path) -> None:
    few = options(content="fused", bits="4bit")
    with pytest.raises(TaskError, match="differs from the run's model") as caught:
        run_export(tmp_path, adapter, "hub", options=few, prompts=3)
    assert caught.value.hint == f"The folder stays in {tmp_path / 'out'}."
    assert (tmp_path / "out" / "README.md").is_file()
    assert hub.requests == []


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"repository": "friendly"}, "is no name for a repository"),
        ({"repository": ""}, "Name on the hub is not given"),
        ({"bits": "4bit"}, "bits: Only a fused model for MLX has fewer bits. Choose 16-bit."),
        ({"upload": True}, "The environment variable HF_HUB_OFFLINE forbids requests to the hub"),
    ],
)
def test_what_is_in_the_way_is_said_first(
    adapter: Path, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(UnusableError, match=said):
        run_export(tmp_path, adapter, "hub", options=options(upload=False) | changed)
