"""What a bundle knows of its base model before any work: the name on the hub, the bytes, the licence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.core.bundle.base_model import BaseModel, base_model, hub_name
from app.core.model.hub import ModelId

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def model_in(folder: Path, **config: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"} | config))
    (folder / "tokenizer.json").write_bytes(b"t" * 17)
    for number, size in ((1, 100), (2, 23)):
        (folder / f"model-0000{number}-of-00002.safetensors").write_bytes(b"w" * size)
    return folder


def test_a_folder_of_the_hubs_cache_is_named_by_model_and_commit(tmp_path: Path) -> None:
    folder = tmp_path / "models--org--its--name" / "snapshots" / COMMIT
    assert hub_name(folder, str(folder)) == ModelId("org/its--name", COMMIT)
    elsewhere = tmp_path / "models--org--name" / "other" / COMMIT
    elsewhere.mkdir(parents=True)
    assert hub_name(elsewhere, str(elsewhere)) is None
    assert hub_name(tmp_path, "org/name") == ModelId("org/name", "")
    assert hub_name(tmp_path, "org/name@v2") == ModelId("org/name", "v2")
    assert hub_name(tmp_path, str(tmp_path)) is None


def test_only_weights_count_and_only_where_they_go_along(tmp_path: Path) -> None:
    found = base_model(str(model_in(tmp_path / "model")))
    assert (found.weight_bytes, found.is_packed, found.identity) == (123, False, None)
    assert found.needed_bytes(with_files=True) == 10_000_123
    assert found.needed_bytes(with_files=False) == 10_000_000
    packed = base_model(str(model_in(tmp_path / "packed", quantization={"bits": 4, "group_size": 64})))
    assert packed.is_packed


def test_the_licence_is_that_of_the_models_card(tmp_path: Path) -> None:
    folder = model_in(tmp_path / "model")
    assert base_model(str(folder)).licence == ""
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    assert base_model(str(folder)).licence == "apache-2.0"


@pytest.mark.parametrize("named", ["", "~/no/such/model"])
def test_a_model_that_is_not_there_is_refused(named: str) -> None:
    from app.core.problem import UnusableError

    with pytest.raises(UnusableError):
        base_model(named)
    assert BaseModel(Path(), None, 5, "", is_packed=False).needed_bytes(with_files=True) == 10_000_005
