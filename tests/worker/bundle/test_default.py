"""One place decides what a new setup trains: window, command line, run and bundle say the same for every model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.command.inspect import inspected_config, tree
from app.core.config.train_config import DEFAULT_ALPHA, DEFAULT_RANK, TrainConfig
from app.core.model.inspection import Inspection
from app.core.problem import UnusableError, errors
from app.core.setup.target_check import check_inspected
from app.core.target.selection import resolve
from app.ui.form.selection_model import SelectionModel
from app.ui.form.store import form_store
from app.ui.target.alpha import Alpha
from app.ui.worker.inspector import Inspector
from app.worker.bundle.target import bundled_targets
from app.worker.model.inspect import inspect_model
from tests.core.model.test_header_inspection import bert
from tests.worker.architectures import config_of
from tests.worker.bundle.bundling import bundled, recipe_in
from tests.worker.tiny_model import write_data, write_model
from tests.worker.training import start

SEVEN = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
# What people expect of each. For GPT-2 many name c_attn and c_proj alone; but c_fc is its MLP's first matrix, as
# fc1 is Phi's, and belongs to "attention and MLP" as much.
WANTED = {
    "mistral": SEVEN,
    "llama": SEVEN,
    "gemma": SEVEN,
    "phi": {"q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"},
    "gpt2": {"c_attn", "c_proj", "c_fc"},
}


@pytest.fixture(params=list(WANTED))
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with the config of an architecture: its modules follow from that."""
    folder = tmp_path / str(request.param)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config_of(str(request.param))))
    return folder


class Known(Inspector):
    """An inspector that has looked already."""

    def __init__(self, found: Inspection, parent: QWidget) -> None:
        super().__init__(parent)
        self.last = found


def window_says(found: Inspection, qtbot: QtBot) -> dict[str, Any]:
    """What the form of a new setup shows: its targets, rank and PEFT's alpha."""
    parent = QWidget()
    qtbot.addWidget(parent)
    store = form_store(parent)
    shown = SelectionModel(store, Known(found, parent), parent).selection
    alpha = Alpha(store, parent)
    assert shown is not None
    assert alpha.is_peft
    return {
        "names": set(shown.names), "paths": {module.path for module in shown.modules},
        "rank": store.value("lora_parameters.rank"), "alpha": alpha.shown(store.value("lora_parameters.scale")),
        "reset": alpha.field.default_value(),
    }  # fmt: skip


def test_window_command_line_and_bundle_agree(model: Path, qtbot: QtBot) -> None:
    found = inspect_model(model)
    window = window_says(found, qtbot)
    assert window["names"] == WANTED[model.name]
    assert (window["rank"], window["alpha"], window["reset"]) == (32, 32.0, 1.0)

    asked = inspected_config(str(model))
    line = tree(found, resolve(found, asked), asked, [])
    assert set(line["target_modules"]) == window["names"]
    assert {module["path"] for module in line["modules"]} == window["paths"]
    assert line["rank"] == window["rank"]
    assert asked == TrainConfig(model=str(model))

    sealed = bundled_targets(model, resolve(found, TrainConfig(model=str(model))))
    assert {name.rpartition(".")[2] for name in sealed.modules} == window["names"]
    assert len(sealed.modules) == len(window["paths"])


def test_what_a_bundle_trains_there_is_what_a_run_trains_here(tmp_path: Path) -> None:
    """A file that names nothing but model and data, through both doors."""
    model, data = write_model(tmp_path / "model", "llama"), write_data(tmp_path / "data", train=4, valid=2)
    config = TrainConfig.model_validate({
        "model": str(model), "data": str(data), "iters": 1, "epochs": None, "neutral_tokens": 0,
    })  # fmt: skip
    recipe = recipe_in(bundled(tmp_path, config))
    run, _ = start(config, tmp_path / "run")
    trained = json.loads((run.adapters / "adapter_config.json").read_text())
    assert recipe["adapter"]["rank"] == trained["lora_parameters"]["rank"] == DEFAULT_RANK
    factor = recipe["adapter"]["alpha"] / recipe["adapter"]["rank"]
    assert factor == trained["lora_parameters"]["scale"] == DEFAULT_ALPHA / DEFAULT_RANK
    assert set(recipe["adapter"]["target_modules"]) == SEVEN
    keys = {key.rpartition(".")[2] for key in trained["lora_parameters"]["keys"]}
    assert (keys, trained["num_layers"], len(recipe["modules"])) == (SEVEN, -1, 14)


def test_bert_is_looked_at_and_refused_in_words(tmp_path: Path) -> None:
    """Its query, key and value are what targets mean, as elsewhere; but mlx-lm has no such model to train."""
    folder = bert(tmp_path / "bert")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    found = inspect_model(folder)
    config = TrainConfig(model=str(folder))
    selection = resolve(found, config)
    assert set(selection.names) == {"query", "key", "value"}
    assert any("cannot be trained here" in one.message for one in errors(check_inspected(found, config, selection)))
    with pytest.raises(UnusableError, match="a model of type bert is not known here"):
        bundled_targets(folder, selection)
