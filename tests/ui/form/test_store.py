"""The store of a form: what belongs to a data set goes with it, what the person chose stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.setup.config_file import load_config, save_config
from app.core.system import starter
from app.ui.form.store import OF_THE_DATA, ConfigStore

MAPPED = {
    "prompt_feature": "question", "completion_feature": "reply", "data_format": "completion", "skip_bad_rows": True,
}  # fmt: skip


@pytest.fixture
def store(qtbot: QtBot) -> ConfigStore:  # noqa: ARG001  # timers want an application
    found = ConfigStore()
    found.set_many({"data": "/a.csv"} | MAPPED)
    return found


def test_a_mapping_belongs_to_its_data_set(store: ConfigStore) -> None:
    store.set("learning_rate", 3e-4)
    said: list[str] = []
    store.changed.connect(said.append)
    store.set("data", "/b.jsonl")
    assert all(store.is_default(path) for path in OF_THE_DATA)
    assert store.value("learning_rate") == 3e-4
    assert set(said) == {"data", *MAPPED}


def test_a_mapping_given_with_the_data_stays(store: ConfigStore) -> None:
    store.set_many({"data": "/copy.csv"} | MAPPED)
    assert {path: store.value(path) for path in MAPPED} == MAPPED


def test_a_mapping_chosen_before_the_data_stays(qtbot: QtBot) -> None:  # noqa: ARG001
    store = ConfigStore()
    store.set_many(MAPPED)
    store.set("data", "/a.csv")
    assert {path: store.value(path) for path in MAPPED} == MAPPED


def test_the_same_data_again_changes_nothing(store: ConfigStore) -> None:
    store.set("data", "/a.csv")
    store.set_many({"data": "/a.csv", "seed": 3})
    assert {path: store.value(path) for path in MAPPED} == MAPPED


def test_changes_are_taken_back_one_by_one_and_made_again(qtbot: QtBot) -> None:  # noqa: ARG001
    store = ConfigStore()
    steps = [store.config]
    for values in ({"seed": 1}, {"targets": "mlp", "num_layers": 4}, {"learning_rate": 2e-4}):
        store.set_many(values)
        steps.append(store.config)
    store.reset()
    assert store.config == steps[0]
    for step in reversed(steps[1:]):
        store.undo()
        assert store.config == step
    store.undo()
    assert (store.config, store.can_undo) == (steps[0], False)
    for step in steps[1:]:
        store.redo()
        assert store.config == step
    store.redo()
    assert (store.config, store.can_redo) == (steps[0], False)


def test_a_refused_value_and_the_same_value_are_no_changes(qtbot: QtBot) -> None:  # noqa: ARG001
    store = ConfigStore()
    assert store.set("batch_size", -1) is not None
    store.set("seed", store.value("seed"))
    store.replace(store.config)
    assert not store.can_undo


def test_a_new_change_ends_what_could_be_made_again(qtbot: QtBot) -> None:  # noqa: ARG001
    store = ConfigStore()
    store.set("seed", 1)
    store.undo()
    store.set("seed", 2)
    assert not store.can_redo
    store.undo()
    assert store.value("seed") == 0


def test_what_nobody_has_set_follows_and_what_somebody_set_stays(qtbot: QtBot) -> None:  # noqa: ARG001
    store = ConfigStore()
    store.follow({"steps_per_eval": 30, "save_every": 30, "mask_prompt": True})
    store.set("save_every", 50)
    store.follow({"steps_per_eval": 40, "save_every": 40, "mask_prompt": False})
    assert [store.value(path) for path in ("steps_per_eval", "save_every", "mask_prompt")] == [40, 50, False]
    store.undo()  # the only change that somebody made
    assert (store.value("save_every"), store.can_undo) == (30, False)
    store.follow({"save_every": 40})
    assert store.value("save_every") == 40


def test_a_config_that_is_opened_keeps_its_values_and_reset_follows_again(qtbot: QtBot) -> None:  # noqa: ARG001
    store = ConfigStore()
    store.replace(TrainConfig(steps_per_eval=7))
    store.follow({"steps_per_eval": 30})
    assert store.value("steps_per_eval") == 7
    store.reset()
    assert store.value("steps_per_eval") == 30


def test_what_follows_still_does_after_a_restart(qtbot: QtBot, tmp_path: Path) -> None:  # noqa: ARG001
    kept = tmp_path / "form.yaml"
    store = ConfigStore(autosave=kept)
    store.follow({"steps_per_eval": 30, "save_every": 30})
    store.set("save_every", 50)
    store.save_form()
    again = ConfigStore(autosave=kept)
    assert again.restore_form() == []
    assert again.following == store.following
    again.follow({"steps_per_eval": 60, "save_every": 60})
    assert (again.value("steps_per_eval"), again.value("save_every")) == (60, 50)


def test_a_damaged_form_is_set_aside_and_not_overwritten(qtbot: QtBot, tmp_path: Path) -> None:  # noqa: ARG001
    kept = tmp_path / "form.yaml"
    kept.write_text("model: [\n")
    store = ConfigStore(autosave=kept)
    [problem] = store.restore_form()
    store.save_form()
    aside = tmp_path / "form.yaml.damaged"
    assert str(aside) in problem.sentence()
    assert aside.read_text() == "model: [\n"
    assert ConfigStore(autosave=kept).restore_form() == []


def test_the_starter_brings_its_settings_and_takes_them_along(qtbot: QtBot) -> None:  # noqa: ARG001
    store = ConfigStore()
    own = load_config(starter.demo_config()).config
    store.choose("model", str(starter.model_dir()))
    store.choose("data", str(starter.examples_dir()))
    for path in ("lora_parameters.scale", "learning_rate", "iters", "epochs", "mask_prompt", "steps_per_eval"):
        assert store.value(path) == own.value(path), path
    store.set("learning_rate", 3e-3)
    store.set_many({"model": "/models/mine", "data": "/mine.jsonl"})
    assert store.value("lora_parameters.scale") == TrainConfig().lora_parameters.scale
    assert (store.value("epochs"), store.value("learning_rate")) == (3.0, 3e-3)
    assert {"steps_per_eval", "mask_prompt"} <= store.following


def test_reset_keeps_what_is_tedious_to_find_again(qtbot: QtBot) -> None:  # noqa: ARG001
    store = ConfigStore()
    found = {"model": "/m", "data": "/a.jsonl", "valid_data": "/v.jsonl", "test_data": "/t.jsonl"}
    store.set_many(found | {"seed": 3, "valid_fraction": 0.3})
    store.reset()
    assert store.config == TrainConfig().with_values(found)


def test_every_way_to_change_the_form_is_saved(qtbot: QtBot, tmp_path: Path) -> None:  # noqa: ARG001
    """After each the store has something to write, and writes it when its moment comes."""
    file = tmp_path / "form.yaml"
    store = ConfigStore(autosave=file)
    ways: tuple[Callable[[], object], ...] = (
        lambda: store.set("seed", 1),
        lambda: store.follow({"steps_per_eval": 30}),
        lambda: store.replace(TrainConfig(seed=2)),
        store.undo,
        store.redo,
        store.reset,
    )
    for way in ways:
        way()
        assert store._timer.isActive(), way
        store._timer.timeout.emit()
        again = ConfigStore(autosave=file)
        assert again.restore_form() == []
        assert again.value("seed") == store.value("seed"), way


def test_what_the_starter_sets_besides_is_told_once() -> None:
    store = ConfigStore()
    told: list[list[str]] = []
    store.brought.connect(told.append)
    store.choose("data", "/own/data.jsonl")
    assert told == []
    store.choose("model", str(starter.model_dir()))
    assert "batch_size" in told[0]
    assert "model" not in told[0]
    store.choose("model", str(starter.model_dir()))
    assert len(told) == 1


def test_a_weight_decay_among_a_file_s_settings_stands_in_its_field(qtbot: QtBot, tmp_path: Path) -> None:  # noqa: ARG001
    """Those settings win over the field, which showed 0 then, and could be edited without changing anything."""
    settings: dict[str, dict[str, Any]] = {
        "adamw": {"weight_decay": 0.1, "betas": [0.9, 0.95]},
        "sgd": {"weight_decay": 0.2},
    }
    config = TrainConfig(optimizer="adamw", optimizer_config=settings)
    form = tmp_path / "form.yaml"
    store = ConfigStore(autosave=form)
    store.replace(config)
    assert store.value("weight_decay") == 0.1
    assert store.value("optimizer_config") == {"adamw": {"betas": [0.9, 0.95]}, "sgd": {"weight_decay": 0.2}}
    store.set("weight_decay", 0.3)
    store.set("optimizer", "sgd")
    assert store.value("weight_decay") == 0.2
    assert store.value("optimizer_config") == {"adamw": {"betas": [0.9, 0.95]}}
    store.undo()
    assert (store.value("optimizer"), store.value("weight_decay")) == ("adamw", 0.3)
    save_config(config, form)
    again = ConfigStore(autosave=form)
    assert again.restore_form() == []
    assert again.value("weight_decay") == 0.1
    # What the field does not take, or Adam does not, is refused where it stands.
    for kept in (config.with_value("optimizer_config", {"adamw": {"weight_decay": 50}}),
                 TrainConfig(optimizer="adam", optimizer_config={"adam": {"weight_decay": 0.1}})):  # fmt: skip
        store.replace(kept)
        assert store.config == kept
