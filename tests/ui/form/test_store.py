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
