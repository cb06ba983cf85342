"""Where models are: folders, the Hugging Face cache, and what is said when there is none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.core.model.folder import find_models, has_chat_template, locate_model
from app.core.problem import UnusableError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for commit, layers in (("aaa", 1), ("bbb", 2)):
        snapshot = tmp_path / "hub" / "models--Qwen--Qwen2.5-0.5B" / "snapshots" / commit
        snapshot.mkdir(parents=True)
        config = {"model_type": "qwen2", "num_hidden_layers": layers}
        (snapshot / "config.json").write_text(json.dumps(config), encoding="utf-8")
        (snapshot / "model.safetensors").write_bytes(b"x" * 10)
    refs = tmp_path / "hub" / "models--Qwen--Qwen2.5-0.5B" / "refs"
    refs.mkdir()
    (refs / "main").write_text("aaa", encoding="utf-8")
    (tmp_path / "hub" / "datasets--a--b" / "snapshots").mkdir(parents=True)
    return tmp_path / "hub"


def test_hub_id_is_its_main_snapshot(cache: Path) -> None:
    assert locate_model("Qwen/Qwen2.5-0.5B").name == "aaa"
    assert locate_model("Qwen/Qwen2.5-0.5B@bbb").name == "bbb"
    assert cache in locate_model("Qwen/Qwen2.5-0.5B").parents


def test_hf_home_is_respected(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(cache.parent))
    assert locate_model("Qwen/Qwen2.5-0.5B").name == "aaa"


@pytest.mark.usefixtures("cache")
def test_near_miss_is_suggested() -> None:
    with pytest.raises(UnusableError) as caught:
        locate_model("qwen/Qwen2.5-0.5")
    assert "Qwen/Qwen2.5-0.5B" in caught.value.problems[0].hint


@pytest.mark.usefixtures("cache")
def test_models_of_cache_and_folders_are_listed(tmp_path: Path) -> None:
    own = tmp_path / "models" / "publisher" / "tiny"
    own.mkdir(parents=True)
    (own / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    found = {entry.name: entry for entry in find_models([tmp_path / "models", tmp_path / "missing"])}
    assert set(found) == {"Qwen/Qwen2.5-0.5B", "publisher/tiny"}
    assert (found["Qwen/Qwen2.5-0.5B"].size_bytes, found["Qwen/Qwen2.5-0.5B"].cached) == (10, True)
    assert found["publisher/tiny"].model_type == "llama"


def test_file_in_a_model_folder_means_the_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    assert locate_model(str(tmp_path / "config.json")) == tmp_path.resolve()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([], "neither config.json nor safetensors"),
        (["adapter_config.json", "adapters.safetensors"], "an adapter, not a model"),
        (["model.gguf"], "GGUF"),
    ],
)
def test_folders_without_a_model(tmp_path: Path, files: list[str], says: str) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UnusableError, match=says) as caught:
        locate_model(str(tmp_path))
    assert caught.value.problems[0].path == "model"


@pytest.mark.parametrize("name", ["", "no/such-model", "/no/such/folder"])
def test_missing_models_are_named(name: str) -> None:
    with pytest.raises(UnusableError) as caught:
        locate_model(name)
    assert caught.value.problems[0].path == "model"


def test_chat_template_is_found_in_either_place(tmp_path: Path) -> None:
    assert not has_chat_template(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}', encoding="utf-8")
    assert has_chat_template(tmp_path)


@pytest.mark.parametrize("last", ["aaa", "bbb"])
def test_without_a_main_branch_the_snapshot_written_last_is_meant(cache: Path, last: str) -> None:
    repository = cache / "models--Qwen--Qwen2.5-0.5B"
    (repository / "refs" / "main").unlink()
    for commit in ("aaa", "bbb"):
        os.utime(repository / "snapshots" / commit, (1_000_000, 2_000_000 if commit == last else 1_500_000))
    (repository / "snapshots" / "note.txt").write_text("no snapshot, and newer than all")
    assert locate_model("Qwen/Qwen2.5-0.5B").name == last
