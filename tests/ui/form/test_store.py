"""The store of a form: what belongs to a data set goes with it, what the person chose stays."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from app.ui.form.store import OF_THE_DATA, ConfigStore

MAPPED = {"prompt_feature": "question", "completion_feature": "reply", "data_format": "completion"}


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
