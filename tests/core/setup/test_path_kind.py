"""What a path is for: each kind of file and folder, what is refused and why, and the config's values of a drop."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.core.setup.path_kind import PathKind, SortedPath, config_values, sort_path, sort_paths
from app.core.source.collection import members
from tests.ui import synthetic_run


def made(path: Path, text: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    made(tmp_path / "model" / "config.json", json.dumps({"model_type": "llama"}))
    made(tmp_path / "model" / "model.safetensors", "")
    return tmp_path / "model"


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    made(tmp_path / "tuned" / "adapter_config.json")
    made(tmp_path / "tuned" / "adapters.safetensors", "")
    made(tmp_path / "tuned" / "0000100_adapters.safetensors", "")
    return tmp_path / "tuned"


def test_a_model_folder_and_its_files_are_a_model(model: Path) -> None:
    for path in (model, model / "config.json", model / "model.safetensors"):
        assert sort_path(path) == SortedPath(PathKind.MODEL, model)


def test_an_adapter_folder_and_its_checkpoints_are_an_adapter(adapter: Path) -> None:
    for name in ("", "adapters.safetensors", "0000100_adapters.safetensors", "adapter_config.json"):
        assert sort_path(adapter / name) == SortedPath(PathKind.ADAPTER, adapter)


def test_a_json_config_of_another_trainer_is_a_config(tmp_path: Path) -> None:
    config = made(tmp_path / "unsloth.json", '{"model": "m", "lora": {"lora_r": 8}}')
    assert sort_path(config) == SortedPath(PathKind.CONFIG, config)
    rows = made(tmp_path / "rows.json", '[{"prompt": "a", "completion": "b"}]')
    assert sort_path(rows) == SortedPath(PathKind.DATA, rows)


def test_a_run_is_a_run_and_its_adapters_are_an_adapter(tmp_path: Path) -> None:
    run = synthetic_run.run_folder(tmp_path)
    assert sort_path(run.path) == SortedPath(PathKind.RUN, run.path)
    assert sort_path(run.events) == SortedPath(PathKind.RUN, run.path)
    assert sort_path(run.config) == SortedPath(PathKind.CONFIG, run.config)
    made(run.adapters / "adapter_config.json")
    assert sort_path(run.adapters).kind is PathKind.ADAPTER


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("train.jsonl", PathKind.DATA),
        ("chats.csv", PathKind.DATA),
        ("rows.parquet", PathKind.DATA),
        ("book.txt", PathKind.DATA),
        ("train.jsonl.gz", PathKind.DATA),
        ("valid.jsonl", PathKind.VALID_DATA),
        ("my_validation.json", PathKind.VALID_DATA),
        ("test.jsonl", PathKind.TEST_DATA),
        ("lora.yaml", PathKind.CONFIG),
    ],
)
def test_files_are_known_by_their_names(tmp_path: Path, name: str, place: PathKind) -> None:
    path = made(tmp_path / name)
    assert sort_path(path) == SortedPath(place, path)


def test_a_folder_with_examples_is_data_also_one_level_down(tmp_path: Path) -> None:
    made(tmp_path / "chats" / "train.jsonl")
    made(tmp_path / "hub" / "data" / "train-00000.parquet")
    assert sort_path(tmp_path / "chats").kind is PathKind.DATA
    assert sort_path(tmp_path / "hub").kind is PathKind.DATA


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.GGUF", "model.GGUF: GGUF models are for inference. "
         "Drop the folder of the model's safetensors version."),
        ("photo.png", "photo.png is not a model, a config, a run or a data file that Luthier reads."),
        ("README", "README is not a model, a config, a run or a data file that Luthier reads."),
        ("weights.safetensors", "weights.safetensors lies without its config.json: it cannot be loaded alone."),
        ("adapters.safetensors", "adapters.safetensors lies without its adapter_config.json: "
         "put both into one folder."),
        ("._chat.jsonl", "._chat.jsonl only keeps what macOS knows of chat.jsonl: drop that one."),
        ("rows.json", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_used_says_why(tmp_path: Path, name: str, said: str) -> None:
    path = made(tmp_path / name)
    found = sort_path(path)
    assert found == (SortedPath(PathKind.UNUSABLE, path, said) if said else SortedPath(PathKind.DATA, path))
    assert found.intent == (said or "Use as training data")


def test_an_empty_folder_and_a_missing_file_say_what_is_missing(tmp_path: Path) -> None:
    empty, gone = tmp_path / "empty", tmp_path / "gone.jsonl"
    empty.mkdir()
    said = "empty holds neither a model (config.json), nor examples (.jsonl, .csv, …), nor a run."
    assert sort_path(empty) == SortedPath(PathKind.UNUSABLE, empty, said)
    assert sort_path(gone) == SortedPath(PathKind.UNUSABLE, gone, f"{gone} does not exist.")


def test_what_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder below that is closed holds nothing; the one that was dropped cannot be told apart."""
    made(tmp_path / "chats" / "closed" / "train.jsonl")
    (tmp_path / "chats" / "open").mkdir()
    real = os.scandir

    def scandir(folder: Path) -> object:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr("app.core.setup.path_kind.os.scandir", scandir)
    assert sort_path(tmp_path / "chats").kind is PathKind.UNUSABLE
    made(tmp_path / "chats" / "open" / "train.jsonl")
    assert sort_path(tmp_path / "chats").kind is PathKind.DATA
    found = sort_path(tmp_path / "chats" / "closed")
    assert (found.kind, found.reason) == (PathKind.UNUSABLE, "closed cannot be read: Permission denied.")


def test_only_a_small_json_file_may_be_a_config(tmp_path: Path) -> None:
    text = '{"model": "m", "lora": {"lora_r": 8}}'
    for size, kind in ((64_000, PathKind.CONFIG), (64_001, PathKind.DATA)):
        assert sort_path(made(tmp_path / "a.json", text.ljust(size))).kind is kind
    assert sort_path(made(tmp_path / "a.json", '{"model": ')).kind is PathKind.DATA
    assert sort_path(made(tmp_path / "a.json", '["model"]')).kind is PathKind.DATA


def test_a_run_has_a_config_and_what_it_did(tmp_path: Path) -> None:
    config = made(tmp_path / "config.yaml")
    assert sort_path(tmp_path).kind is PathKind.UNUSABLE
    made(tmp_path / "job.json")
    assert sort_path(tmp_path) == SortedPath(PathKind.RUN, tmp_path)
    config.unlink()
    assert sort_path(made(tmp_path / "events.jsonl")).kind is PathKind.DATA


def test_a_model_beside_an_adapter_is_the_model(model: Path) -> None:
    made(model / "adapter_config.json")
    assert sort_path(model) == SortedPath(PathKind.MODEL, model)
    assert sort_path(model / "config.json") == SortedPath(PathKind.MODEL, model)


def test_hidden_files_and_folders_hold_no_data(tmp_path: Path) -> None:
    made(tmp_path / "chats" / ".train.jsonl")
    made(tmp_path / "chats" / ".cache" / "train.jsonl")
    made(tmp_path / "chats" / "deep" / "below" / "train.jsonl")
    assert sort_path(tmp_path / "chats").kind is PathKind.UNUSABLE
    for name in ("train.csv.gz", "book.pdf", "rows.zip", "notes.TXT"):
        file = made(tmp_path / "chats" / name)
        assert sort_path(tmp_path / "chats").kind is PathKind.DATA, name
        file.unlink()


def test_a_data_set_of_the_hugging_face_cache_is_data_however_deep_its_files_lie(tmp_path: Path) -> None:
    made(tmp_path / "datasets--squad" / "snapshots" / "1" / "plain" / "train.parquet")
    assert sort_path(tmp_path / "datasets--squad").kind is PathKind.DATA


def test_of_several_where_there_is_one_none_is_meant(tmp_path: Path, model: Path, adapter: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text("{}")
    assert sort_paths([model, data]) == [sort_path(model), sort_path(data)]
    assert [one.kind for one in sort_paths([data, data])] == [PathKind.DATA] * 2
    found = sort_paths([model, data, model, adapter])
    said = f"Several models at once: {model.name}, {model.name}. Drop the one that is meant."
    unusable = SortedPath(PathKind.UNUSABLE, model, said)
    assert found == [unusable, sort_path(data), unusable, sort_path(adapter)]
    assert sort_paths([adapter] * 2)[0].reason.startswith("Several adapters at once: ")


def test_a_config_takes_data_together_and_the_last_model_and_nothing_else(tmp_path: Path, model: Path) -> None:
    first = made(tmp_path / "first" / "config.json")
    data = [made(tmp_path / name) for name in ("one.jsonl", "two.jsonl")]
    others = [made(tmp_path / name) for name in ("test.jsonl", "lora.yaml", "photo.png")]
    values = config_values(map(sort_path, [first, *data, *others, model]))
    assert set(values) == {"model", "data", "test_data"}
    assert (values["model"], values["test_data"]) == (str(model), str(others[0]))
    assert members(Path(values["data"])) == data
