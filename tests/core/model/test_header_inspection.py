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


def save_header(folder: Path, tensors: dict[str, tuple[str, list[int], int]]) -> Path:
    """A safetensors file of zeros, by each tensor's type, shape and bytes: numpy lacks the smaller types."""
    at, header = 0, {}
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(at))
    return folder


def test_packed_weights_are_neither_counted_nor_adapted_and_small_floats_are(tmp_path: Path) -> None:
    shown = {"F16": 2, "BF16": 2, "F64": 8, "F8_E4M3": 1, "F8_E5M2": 1}
    tensors = {f"layers.0.{name.lower()}.weight": (name, [4, 6], 24 * size) for name, size in shown.items()}
    tensors["layers.0.packed.weight"] = ("U32", [4, 8], 128)
    tensors["layers.0.scale.scales"] = ("F8_E8M0", [4, 2], 8)
    tensors["layers.0.byte.weight"] = ("I8", [4, 2], 8)
    found = inspect_headers(save_header(tmp_path, tensors), {}, WHY)
    assert {module.key: module.refused for module in found.refused} == {
        "packed": "Packed weights (U32): their real shape is not in the header.",
        "byte": "Packed weights (I8): their real shape is not in the header.",
        "scale.scales": "scales is a bare parameter, not a linear layer: there is nothing for an adapter to wrap.",
    }
    assert found.total_parameters == 5 * 24
    assert found.weight_bytes == 24 * (2 + 2 + 8 + 1 + 1) + 128 + 8 + 8
    assert found.dtype == "U32", "what most of the weights are"
    assert {module.key for module in found.modules if not module.refused} == {name.lower() for name in shown}


def test_a_modules_figures_are_those_of_its_tensors(tmp_path: Path) -> None:
    folder = save(
        tmp_path, {"h.0.fc.weight": (5, 7), "h.0.fc.bias": (5,), "h.0.norm.weight": (7,), "wte.weight": (9, 7)}
    )
    found = inspect_headers(folder, {}, WHY)
    modules = {module.path: module for module in found.modules}
    assert set(modules) == {"h.0.fc", "wte"}
    fc, table = modules["h.0.fc"], modules["wte"]
    assert (fc.type, fc.shape, fc.layer, fc.key, fc.parameters, fc.bytes) == ("Linear", (5, 7), 0, "fc", 40, 140)
    assert (table.type, table.layer, table.parameters, table.bytes) == ("Embedding", None, 63, 252)
    assert found.other_names == ("h.0.norm",)
    lora, dora = found.costs[fc.cost].lora, found.costs[fc.cost].dora
    assert (lora.slope, lora.constant, dora.slope, dora.constant) == (12, 0, 12, 5)
    assert (found.costs[table.cost].lora.slope, found.costs[table.cost].dora.constant) == (16, 9)
    assert found.total_parameters == 35 + 5 + 7 + 63
