"""What a config claims is bounded, and what is no file is not opened."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.core.data.check import check_files
from app.core.model.bound import MOST_LAYERS, check_layers
from app.core.model.folder import locate_model
from app.core.problem import UnusableError
from app.core.setup.config_file import load_config


@pytest.mark.parametrize(
    "config",
    [
        {"num_hidden_layers": 200_000},
        {"n_layer": MOST_LAYERS + 1},
        {"text_config": {"num_hidden_layers": 10**9}, "num_hidden_layers": 4},
    ],
)
def test_a_model_of_too_many_layers_is_refused(config: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="layers; no model has more than 1,000"):
        check_layers(tmp_path, config)


def test_the_deepest_models_are_not(tmp_path: Path) -> None:
    check_layers(tmp_path, {"num_hidden_layers": 256})
    check_layers(tmp_path, {})


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "chat_template.jinja"])
def test_a_pipe_in_the_place_of_a_file_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    os.mkfifo(tmp_path / name)
    with pytest.raises(UnusableError, match=rf"{name} is no file"):
        locate_model(str(tmp_path))


@pytest.mark.timeout(20)
def test_a_pipe_is_no_data_and_no_config(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.jsonl")
    report = check_files([tmp_path / "rows.jsonl"])
    assert "not a regular file" in report.errors[0].reason
    with pytest.raises(UnusableError, match="no file: a folder, a pipe or a device"):
        load_config(tmp_path / "rows.jsonl")
