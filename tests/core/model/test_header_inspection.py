"""Models that mlx-lm has not: the headers of their safetensors files serve."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from app.core.config.train_config import TrainConfig
from app.core.model.folder import locate_model
from app.core.model.header_inspection import inspect_headers
from app.core.model.inspection import Inspection
from app.core.model.module_group import Group
from app.core.model.safetensors_header import read_headers
from app.core.problem import Severity, UnusableError, errors
from app.core.setup.target_check import check_targets
from app.core.target.selection import resolve

WHY = "mlx-lm has no such model."


def save(folder: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    folder.mkdir(exist_ok=True)
    save_file({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, folder / "model.safetensors")
    return folder


def atcnet(folder: Path) -> Path:
    """ATCNet's shape: three windows of attention (32 wide) and a head for 4 classes each, 78,108 parameters."""
    shapes: dict[str, tuple[int, ...]] = {
        "conv1.weight": (16, 1, 64, 1), "conv2.weight": (32, 1, 1, 22), "conv3.weight": (32, 32, 8, 1),
        "spatial.weight": (16, 1, 373),
    }  # fmt: skip
    for window in range(3):
        shapes |= {
            f"dense{window}.weight": (4, 32), f"dense{window}.bias": (4,),
            f"msa{window}.in_proj_weight": (96, 32), f"msa{window}.in_proj_bias": (96,),
            f"msa{window}.out_proj.weight": (32, 32), f"msa{window}.out_proj.bias": (32,),
        }  # fmt: skip
        shapes |= {f"tcn{window}.{i}.weight": (32, 32, 4) for i in range(4)}
    return save(folder, shapes)


def bert(folder: Path, layers: int = 2) -> Path:
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (100, 32), "bert.embeddings.LayerNorm.weight": (32,),
        "bert.pooler.dense.weight": (32, 32), "classifier.weight": (2, 32),
    }  # fmt: skip
    for index in range(layers):
        block = f"bert.encoder.layer.{index}."
        shapes |= {f"{block}attention.self.{name}.weight": (32, 32) for name in ("query", "key", "value")}
        shapes |= {
            f"{block}attention.output.dense.weight": (32, 32), f"{block}intermediate.dense.weight": (64, 32),
            f"{block}output.dense.weight": (32, 64),
        }  # fmt: skip
    return save(folder, shapes)


def config(targets: str) -> TrainConfig:
    return TrainConfig().with_values({"targets": targets, "lora_parameters.rank": 8})


@pytest.fixture
def eeg(tmp_path: Path) -> Inspection:
    return inspect_headers(atcnet(tmp_path / "atcnet"), {}, WHY)


@pytest.mark.parametrize(
    ("targets", "modules", "parameters"), [("dense", 3, 864), ("msa", 3, 1536), ("dense, msa", 6, 2400)]
)
def test_tables_of_the_target_modules_guide(eeg: Inspection, targets: str, modules: int, parameters: int) -> None:
    selection = resolve(eeg, config(targets))
    assert (selection.adapted_modules, selection.trainable_parameters) == (modules, parameters)
    assert selection.total_parameters == 78_108
    assert errors(selection.problems) == []


def test_note_that_only_out_proj_of_msa_can_be_adapted(eeg: Inspection) -> None:
    (note,) = resolve(eeg, config("msa")).problems
    assert note.severity is Severity.NOTE
    assert "only out_proj can be adapted" in note.message
    assert "in_proj_weight" in note.message
    assert "bare parameter" in note.hint


def test_nothing_matched_lists_what_there_is(eeg: Inspection) -> None:
    (problem,) = errors(resolve(eeg, config("xyz")).problems)
    assert "'xyz' match nothing" in problem.message
    assert all(name in problem.hint for name in ("dense0", "dense2", "msa1.out_proj"))


def test_convolutions_are_refused_with_a_reason(eeg: Inspection) -> None:
    refused = {module.path: module.refused for module in eeg.refused}
    assert "4 dimensions" in refused["conv1"]
    assert "3 dimensions" in refused["tcn0.1"]


def test_header_models_are_for_preview_only(eeg: Inspection) -> None:
    assert eeg.source == "header"
    assert any("cannot be trained here" in p.message for p in errors(check_targets(eeg, config("dense"))))


def test_bert_defaults_to_query_key_value(tmp_path: Path) -> None:
    inspection = inspect_headers(bert(tmp_path / "bert"), {"model_type": "bert"}, WHY)
    selection = resolve(inspection, config("full"))
    assert {module.name for module in selection.modules} == {"query", "key", "value"}
    assert selection.adapted_modules == 6
    assert inspection.num_layers == 2
    groups = {module.path.removeprefix("bert."): module.group for module in inspection.modules}
    assert groups["embeddings.word_embeddings"] is Group.EMBEDDINGS
    assert groups["encoder.layer.0.output.dense"] is Group.MLP
    assert groups["encoder.layer.0.attention.output.dense"] is Group.ATTENTION
    assert groups["pooler.dense"] is Group.OTHER
    assert groups["classifier"] is Group.HEAD


def test_pickle_files_are_never_opened(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UnusableError, match="pickle") as caught:
        locate_model(str(tmp_path))
    assert "safetensors" in caught.value.problems[0].hint


def test_cut_off_file_says_which(tmp_path: Path) -> None:
    path = bert(tmp_path / "bert") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(UnusableError) as caught:
        read_headers(path.parent)
    assert caught.value.problems[0].file == str(path)


def test_sharded_files_are_read_together(tmp_path: Path) -> None:
    for index in (1, 2):
        name = f"model-0000{index}-of-00002.safetensors"
        save_file({f"layers.{index}.fc.weight": np.zeros((2, 3), np.float32)}, tmp_path / name)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nonesuch"}), encoding="utf-8")
    assert [tensor.shape for tensor in read_headers(tmp_path)] == [(2, 3), (2, 3)]
    assert inspect_headers(tmp_path, {}, WHY).num_layers == 3
