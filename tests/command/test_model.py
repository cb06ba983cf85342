"""``luthier models``: search, download, list, convert and the token: the real program, a hub on the loopback."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.system.setting import Settings, save_settings
from tests import ROOT
from tests.core.model.test_template import untemplated_starter
from tests.hub_server import TOKEN, HubServer, Repository, hub_server

Luthier = Callable[..., subprocess.CompletedProcess[str]]
PROGRAM = [sys.executable, str(ROOT / "app" / "__main__.py")]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, place: Path) -> Iterator[HubServer]:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with hub_server() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        model = {path.name: path.read_bytes() for path in (place / "model").iterdir()}
        server.add(Repository("tiny/qwen", model, downloads=1200))
        yield server


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(done.stdout)
    return tree


def test_search_download_list_and_inspect(luthier: Luthier, hub: HubServer) -> None:
    found = answer(luthier("models", "search", "qwen", "--json"))["models"]
    assert [(model["id"], model["fits"]) for model in found] == [("tiny/qwen", "fits")]
    said = luthier("models", "download", "tiny/qwen").stdout
    assert "free on the disk" in said
    assert "tiny/qwen is here" in said
    assert [model["name"] for model in answer(luthier("models", "list", "--json"))["models"]] == ["tiny/qwen"]
    asked = len(hub.requests)
    assert answer(luthier("inspect", "tiny/qwen", "--json"))["adapted_modules"] > 0
    assert len(hub.requests) == asked


def test_a_search_is_a_table_with_the_most_downloaded_first(luthier: Luthier, hub: HubServer) -> None:
    hub.add(
        Repository("tiny/qwen-4bit", {}, downloads=1_234_567, likes=4321, gated=True, tags=["safetensors", "mlx"],
                   config={"model_type": "qwen3", "quantization": {"bits": 4}}, parameters={"U32": 2_000_000})
    )  # fmt: skip
    rows = [re.split(r"  +", line) for line in luthier("models", "search", "qwen").stdout.splitlines()]
    assert rows == [
        ["model", "size", "quantization", "fits here", "downloads", "likes"],
        ["tiny/qwen-4bit (gated)", "8\u00a0MB", "4-bit", "fits", "1.23\u00a0M", "4.32\u00a0k"],
        ["tiny/qwen", "2\u00a0kB", "bf16", "fits", "1.2\u00a0k", "1"],
    ]


def test_download_goes_to_the_chosen_folder_and_failures_have_their_exit_code(
    luthier: Luthier, hub: HubServer, tmp_path: Path
) -> None:
    save_settings(Settings(models_dir=str(tmp_path / "models")))
    told = answer(luthier("models", "download", "tiny/qwen", "--json"))
    assert Path(told["path"]) == tmp_path / "models" / "tiny" / "qwen"
    assert "no model no/body" in luthier("models", "download", "no/body", code=2).stderr
    hub.status["/api/models/"] = 503
    assert "HTTP 503" in answer(luthier("models", "download", "tiny/qwen", "--json", code=1))["error"]


def test_ctrl_c_stops_a_download_without_failure(hub: HubServer, tmp_path: Path) -> None:
    hub.bytes_per_second = 20_000
    command = [*PROGRAM, "models", "download", "tiny/qwen", "--to", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Downloading"):
                process.send_signal(signal.SIGINT)
                break
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "goes on where it stopped" in said
    assert list(tmp_path.rglob("*.incomplete"))


def test_convert_writes_a_smaller_model_and_never_over_another(
    luthier: Luthier, place: Path, tmp_path: Path
) -> None:
    out = tmp_path / "small"
    told = answer(luthier("models", "convert", place / "model", "--to", out, "--quantization", "8bit", "--json"))
    assert told["path"] == str(out)
    assert told["bytes"] < told["source_bytes"]
    assert "nothing is written over" in luthier("models", "convert", place / "model", "--to", out, code=2).stderr


@pytest.mark.usefixtures("hub")
def test_a_token_is_read_from_standard_input_and_never_printed(luthier: Luthier) -> None:
    done = luthier("models", "login", stdin=f"{TOKEN}\n")
    assert "token of ada" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    assert answer(luthier("models", "logout", "--json"))["set"] is False


def test_a_base_model_is_given_a_chat_template(luthier: Luthier, tmp_path: Path) -> None:
    base = untemplated_starter(tmp_path / "base")
    told = answer(luthier("models", "template", base, "--json"))
    folder = Path(told["path"])
    assert told["template"] == "Phi"
    assert told["example"].endswith("<|assistant|>\nA plucked string instrument.<|end|>\n")
    assert (folder / "model.safetensors").resolve() == base / "model.safetensors"
    mine = tmp_path / "mine.jinja"
    mine.write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}", encoding="utf-8")
    refused = luthier("models", "template", base, "--file", mine, code=2).stderr
    assert "does not begin an answer where one is asked for" in refused
