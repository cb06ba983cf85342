"""Where models are: folders, the Hugging Face cache, and what is said when there is none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.core.model.folder import (
    ModelEntry,
    find_models,
    has_chat_template,
    hub_cache,
    locate_model,
    plain_path,
    read_config,
)
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


def test_the_cache_is_where_the_hub_s_own_programs_have_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert hub_cache() == tmp_path / ".cache" / "huggingface" / "hub"
    for name, below in zip(reversed(names), (("huggingface", "hub"), ("hub",), (), ()), strict=True):
        monkeypatch.setenv(name, f"~/{name}")  # each before those that were set so far
        assert hub_cache() == tmp_path.joinpath(name, *below)


@pytest.mark.usefixtures("cache")
def test_near_miss_is_suggested() -> None:
    with pytest.raises(UnusableError) as caught:
        locate_model("qwen/Qwen2.5-0.5")
    assert caught.value.problems[0].text == (
        "There is no model qwen/Qwen2.5-0.5 here. Did you mean Qwen/Qwen2.5-0.5B?"
    )
    with pytest.raises(UnusableError, match="is not on this machine"):
        locate_model("Qwen/Qwen2.5-0.5B@ccc".replace("Qwen2.5-0.5B", "Other"))


@pytest.mark.usefixtures("cache")
def test_models_of_cache_and_folders_are_listed(tmp_path: Path) -> None:
    own = tmp_path / "models" / "publisher" / "tiny"
    own.mkdir(parents=True)
    (own / "config.json").write_text('{"model_type": "llama"}', encoding="utf-8")
    found = {entry.name: entry for entry in find_models([tmp_path / "models", tmp_path / "missing"])}
    assert set(found) == {"Qwen/Qwen2.5-0.5B", "publisher/tiny"}
    assert (found["Qwen/Qwen2.5-0.5B"].size_bytes, found["Qwen/Qwen2.5-0.5B"].cached) == (10, True)
    assert found["publisher/tiny"] == ModelEntry("publisher/tiny", own, 0, "llama")


def test_models_lie_two_folders_deep_at_most_and_each_is_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in ("b", "a/deep", "c/so/deep", ".hidden", "b/within"):
        (tmp_path / "models" / path).mkdir(parents=True)
        (tmp_path / "models" / path / "config.json").write_text("{")  # which says nothing of its kind
    (tmp_path / "models" / "a" / "gone").mkdir()
    (tmp_path / "models" / "b" / "model.safetensors").write_bytes(b"123")
    (tmp_path / "models" / "b" / "model-2.safetensors").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link").symlink_to(tmp_path / "models")
    found = find_models([Path("~/models"), tmp_path / "link", tmp_path / "models" / "b"])
    assert found == [
        ModelEntry("a/deep", tmp_path / "models" / "a" / "deep", 0, ""),
        ModelEntry("b", tmp_path / "models" / "b", 3, ""),
    ]
    assert find_models([tmp_path / "models" / "b"])[0].name == "models/b"


def test_a_name_that_mlx_lm_would_take_for_a_pattern_is_linked_to_while_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with plain_path(tmp_path / "plain") as path:
        assert path == tmp_path / "plain"
    for name in ("a[1]", "what?", "star*"):
        (tmp_path / name).mkdir()
        with plain_path(tmp_path / name) as path:
            assert path.resolve() == tmp_path / name
            assert not set(str(path)) & set("[?*")
        assert not path.exists()


def test_a_config_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    assert read_config(tmp_path) == {}
    file.write_bytes(b"\xef\xbb\xbf{}")
    assert read_config(tmp_path) == {}
    for text, said, hint in (
        ("[]", "config.json is not a JSON object.", ""),
        ('{"a": }', "config.json cannot be read: ", "Copy or download it again."),
    ):
        file.write_text(text)
        with pytest.raises(UnusableError) as caught:
            read_config(tmp_path)
        [problem] = caught.value.problems
        assert problem.message.startswith(said)
        assert (problem.path, problem.hint, problem.file) == ("model", hint, str(file))


def test_a_folder_whose_name_is_no_text_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "config.json").write_text("{}")
    odd = (tmp_path / "plain").rename(tmp_path / os.fsdecode(b"caf\xe9"))
    (tmp_path / "link").symlink_to(odd)
    for name in (odd, odd / "config.json", tmp_path / "link"):
        with pytest.raises(UnusableError, match="bytes that are no UTF-8"):
            locate_model(str(name))


def test_file_in_a_model_folder_means_the_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    assert locate_model(str(tmp_path / "config.json")) == tmp_path.resolve()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([], "There is no model in {}: neither config.json nor safetensors files. "
         "Choose the folder that directly holds config.json."),
        (["adapter_config.json", "adapters.safetensors"],
         "{} holds an adapter, not a model. Choose its base model; the adapter is chosen elsewhere."),
        (["model.gguf", "README.md"],
         "{} holds a GGUF file, which cannot be trained. Choose the model it was made from."),
        (["model.bin", "model.gguf"],
         "{} has its weights in pickle files only, which can run any code when opened; they are not. "
         "Save the model as safetensors (transformers: save_pretrained) and choose that folder."),
        (["._model.bin"], "There is no model in {}: neither config.json nor safetensors files. "
         "Choose the folder that directly holds config.json."),
    ],
)  # fmt: skip
def test_folders_without_a_model(tmp_path: Path, files: list[str], says: str) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UnusableError) as caught:
        locate_model(str(tmp_path))
    [problem] = caught.value.problems
    assert (problem.path, problem.text) == ("model", says.format(tmp_path))


def test_weights_alone_are_a_model(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"")
    assert locate_model(f" {tmp_path} ") == tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (" ", "No model is chosen. Choose a model folder, or a model from the Hugging Face cache."),
        ("no/such-model",
         "The model no/such-model is not on this machine. Download it first, or choose a model folder."),
        ("/no/such/folder", "There is no folder /no/such/folder. Check the path, or choose the folder again."),
        ("./no", "There is no folder ./no. Check the path, or choose the folder again."),
        ("model", "There is no folder model. Check the path, or choose the folder again."),
    ],
)  # fmt: skip
def test_missing_models_are_named(name: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnusableError) as caught:
        locate_model(name)
    [problem] = caught.value.problems
    assert (problem.path, problem.text) == ("model", said)


def test_chat_template_is_found_in_either_place(tmp_path: Path) -> None:
    assert not has_chat_template(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}', encoding="utf-8")
    assert has_chat_template(tmp_path)
    for text in ('{"chat_template": ""}', "[1]", "{", "{}"):
        (tmp_path / "tokenizer_config.json").write_text(text, encoding="utf-8")
        assert not has_chat_template(tmp_path)
    for name in ("chat_template.jinja", "chat_template.json"):
        (tmp_path / name).write_text("x", encoding="utf-8")
        assert has_chat_template(tmp_path)
        (tmp_path / name).unlink()


@pytest.mark.parametrize("last", ["aaa", "bbb"])
def test_without_a_main_branch_the_snapshot_written_last_is_meant(cache: Path, last: str) -> None:
    repository = cache / "models--Qwen--Qwen2.5-0.5B"
    (repository / "refs" / "main").unlink()
    for commit in ("aaa", "bbb"):
        os.utime(repository / "snapshots" / commit, (1_000_000, 2_000_000 if commit == last else 1_500_000))
    (repository / "snapshots" / "note.txt").write_text("no snapshot, and newer than all")
    assert locate_model("Qwen/Qwen2.5-0.5B").name == last
