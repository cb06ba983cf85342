"""What a config trains of a model: worked out when either changes, edited, and never left with nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.core.problem import Problem
from app.ui.form.selection_model import SelectionModel
from app.ui.form.store import ConfigStore
from app.ui.worker.inspector import Inspector
from tests.core.setup.test_check import inspection

ALL = {f"model.layers.{layer}.{key}" for layer in range(4) for key in ("self_attn.q_proj", "mlp.up_proj")}
ATTENTION = {path for path in ALL if "attn" in path}


@pytest.fixture
def model(qapp: QApplication) -> Iterator[tuple[SelectionModel, ConfigStore, Inspector]]:  # noqa: ARG001
    store, inspector = ConfigStore(), Inspector()
    yield SelectionModel(store, inspector), store, inspector
    inspector.stop()


def test_it_follows_the_model_and_the_config(
    qtbot: QtBot, model: tuple[SelectionModel, ConfigStore, Inspector]
) -> None:
    selection, store, inspector = model
    told: list[int] = []
    selection.changed.connect(lambda: told.append(1))
    assert (selection.inspection, selection.selection) == (None, None)
    selection.switch(["model.layers.0.mlp.up_proj"], True)
    assert (told, store.can_undo) == ([], False)
    inspector.inspected.emit(inspection())
    assert told == [], "in a turn of its own"
    qtbot.waitUntil(lambda: told == [1])
    assert selection.selection is not None
    assert selection.selection.paths == ALL
    for path, value, heard in (
        ("targets", "attention", 1), ("num_layers", 2, 1), ("lora_parameters.rank", 4, 1),
        ("fine_tune_type", "dora", 1), ("seed", 3, 0),
    ):  # fmt: skip
        del told[:]
        store.set(path, value)
        assert len(told) == heard, path
    assert selection.selection.paths == {path for path in ATTENTION if "layers.2" in path or "layers.3" in path}
    store.reset()
    assert selection.selection.paths == ALL
    for gone, what in (
        (inspector.started, "other"), (inspector.failed, Problem("model", "It is gone.")),
        (inspector.cleared, None),
    ):  # fmt: skip
        inspector.inspected.emit(inspection())
        selection.update()
        del told[:]
        gone.emit(*([] if what is None else [what]))
        assert selection.inspection is None
        assert [selection.selection, told] == [None, [1]]
        qtbot.wait(1)
        assert told == [1], "what was to come does not come"


def test_modules_are_switched_on_and_off_but_never_all_off(
    model: tuple[SelectionModel, ConfigStore, Inspector],
) -> None:
    selection, store, inspector = model
    refused: list[str] = []
    selection.refused.connect(refused.append)
    inspector.inspected.emit(inspection())
    selection.update()
    selection.switch(ALL - ATTENTION, False)
    assert selection.selection is not None
    assert selection.selection.paths == ATTENTION
    assert store.config.targets == "attention"
    top = "model.layers.3.self_attn.q_proj"
    selection.switch(ATTENTION - {top}, False)
    assert selection.selection.paths == {top}
    before = store.config
    selection.switch([top], False)
    assert (refused, store.config) == (["At least one matrix must stay adapted."], before)
    selection.switch(["model.layers.3.mlp.up_proj"], True)
    assert selection.selection.paths == {top, "model.layers.3.mlp.up_proj"}
    selection.switch(ALL, True)
    assert selection.selection.paths == ALL
    assert len(refused) == 1
