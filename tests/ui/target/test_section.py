"""The card of the targets over a model made by hand: each sentence, figure and tick, and what a click does."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QCheckBox, QLabel, QPushButton
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.model.inspection import Inspection
from app.core.problem import Problem
from app.ui.form.selection_model import SelectionModel
from app.ui.form.store import ConfigStore
from app.ui.target.layer_editor import LayerEditor
from app.ui.target.module_dialog import ModuleDialog
from app.ui.target.section import TargetSection
from app.ui.widget import theme
from app.ui.worker.inspector import Inspector
from tests.core.inspections import hybrid, llama, mixture
from tests.ui.child import child

TIP = Qt.ItemDataRole.ToolTipRole
NO_MODEL = "Choose a model to see its matrices and layers here."
HOW = "Click a cell, a name, a layer's number, or drag a block. Layer 0 is nearest to the input."
FULL = "Full fine-tuning changes whole layers; single matrices cannot be chosen."
NAMES = "Names separated by commas: q_proj, self_attn.k_proj, a part of a name, or a glob such as *.mlp.*"


@pytest.fixture
def section(qtbot: QtBot) -> TargetSection:
    store = ConfigStore()
    found = TargetSection(store, SelectionModel(store, Inspector()))
    qtbot.addWidget(found)
    found.resize(900, 700)
    found.show()
    return found


def look(section: TargetSection, model: Inspection | None, **values: Any) -> tuple[str, str, str]:
    """What the banner, the total and the line below the matrix say of a model with these values."""
    section._store.replace(TrainConfig())
    section._store.set_many(values)
    section._model.inspection = model
    section._model.update()
    return tuple(
        child(section, QLabel, name).text() for name in ("target_section.what", "coverage.total", "coverage.say")
    )  # type: ignore[return-value]


def test_without_a_model_it_says_what_is_trained_of_any(section: TargetSection) -> None:
    look(section, llama())
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "<b>Full-layer LoRA</b> trains all matrices of attention and MLP, in all layers."),
        (
            {"num_layers": 1},
            "<b>Full-layer LoRA</b> trains all matrices of attention and MLP, in the last 1 layer.",
        ),
        (
            {"targets": "attention", "fine_tune_type": "dora"},
            "<b>DoRA</b> trains, in all layers: the projections of attention: query, key, value and output.",
        ),
        ({"targets": "q_proj"}, "<b>LoRA</b> trains the matrices that the targets name, in all layers."),
        (
            {"fine_tune_type": "full"},
            "<b>Full fine-tuning</b> changes the model's weights themselves; there is no small adapter.",
        ),
    ]
    for values, what in cases:
        assert look(section, None, **values) == (what, "", NO_MODEL)
        assert (section.matrix.isVisible(), section.chooser.modules_button.isEnabled()) == (False, False)
        assert section.fields["num_layers"]._hint.text() == ""
    section.chooser.show_modules()
    assert section.window().findChildren(ModuleDialog) == [], "without a model there is no list of them"


def test_of_a_model_it_counts_matrices_and_layers_and_calls_it_by_its_folder(section: TargetSection) -> None:
    cases: list[tuple[dict[str, Any], str, str]] = [
        (
            {},
            "<b>Full-layer LoRA</b> puts an adapter on 7 matrices across all 4 layers.",
            "7 matrices × all 4 layers",
        ),
        (
            {"targets": "mlp", "fine_tune_type": "dora", "num_layers": 1},
            "<b>DoRA</b> puts an adapter on 3 matrices across 1 layer.",
            "3 matrices × 1 layer",
        ),
        (
            {"targets": "model.layers.0.self_attn.q_proj, v_proj"},
            "<b>LoRA</b> puts an adapter on 5 modules across all 4 layers.",
            "5 modules in all 4 layers",
        ),
        (
            {"targets": "model.layers.1.self_attn.q_proj"},
            "<b>LoRA</b> puts an adapter on 1 matrix across 1 layer.",
            "1 matrix × 1 layer",
        ),
        (
            {"fine_tune_type": "full", "num_layers": 2},
            "<b>Full fine-tuning</b> changes the weights of 2 layers themselves; there is no small adapter.",
            "7 matrices × 2 layers",
        ),
        (
            {"fine_tune_type": "full"},
            "<b>Full fine-tuning</b> changes the weights of all 4 layers themselves; there is no small adapter.",
            "8 matrices × all 4 layers",  # with the convolution of the first, which takes no adapter
        ),
    ]
    for values, what, total in cases:
        full = values.get("fine_tune_type") == "full"
        assert look(section, llama(), **values) == (what, total, FULL if full else HOW)
        assert (section.matrix.isVisible(), section.matrix._editable) == (True, not full)
        assert (section.chooser.preset.isEnabled(), section.chooser._groups.isVisible()) == (not full, not full)
        shape = ("lora_parameters.rank", "lora_parameters.scale", "lora_parameters.dropout")
        assert {section.fields[name].isEnabled() for name in shape} == {not full}
        assert section._alpha.reading.isEnabled() is not full
    hint = section.fields["num_layers"]._hint
    for path, name in (("/models/tiny/", "tiny"), ("org/small", "small"), ("", "The model")):
        look(section, llama().model_copy(update={"path": path}))
        assert hint.text() == f"“{name}” has 4 transformer blocks"
    look(section, llama(1))
    assert hint.text() == "“The model” has 1 transformer block"


def boxes(section: TargetSection) -> list[tuple[str, str]]:
    return [(box.text(), box.checkState().name) for box in section.chooser._boxes.values()]


def test_groups_say_how_much_of_them_is_trained_and_what_that_takes(section: TargetSection) -> None:
    look(section, llama(), targets="model.layers.0.self_attn.q_proj, v_proj, lm_head")
    # By rank 32: a matrix of 64 × 64 takes 4,096, one of 32 × 64 takes 3,072, one of the MLP 6,144.
    assert boxes(section) == [
        ("Attention  5 of 16 · 16.4\u00a0k", "PartiallyChecked"),
        ("MLP  12 · 73.7\u00a0k", "Unchecked"),
        ("Embeddings  1 · 10.2\u00a0k", "Unchecked"),
        ("Output head  1 · 10.2\u00a0k", "Checked"),
    ]
    attention, mlp, _, head = section.chooser._boxes.values()
    assert (attention.accessibleName(), head.accessibleName()) == (
        "Attention: 16 matrices",
        "Output head: 1 matrix",
    )
    assert attention.toolTip() == (
        "Which earlier tokens each token looks at, and what it takes from them.\n"
        "5 of 16 modules are adapted; these take 16,384 trainable parameters."
    )
    assert mlp.toolTip().endswith("0 of 12 modules are adapted; all of them take 73,728 trainable parameters.")
    assert not attention.icon().isNull()
    mlp.click()
    assert boxes(section)[1] == ("MLP  12 · 73.7\u00a0k", "Checked")
    attention.click()
    assert boxes(section)[0] == ("Attention  16 · 57.3\u00a0k", "Checked")
    attention.click()
    assert boxes(section)[0] == ("Attention  16 · 57.3\u00a0k", "Unchecked")
    look(section, hybrid())
    assert [box.text().partition("  ")[0] for box in section.chooser._boxes.values()] == [
        "Attention", "MLP", "State space and linear attention", "Embeddings", "Output head",
    ]  # fmt: skip
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert len(section.findChildren(QCheckBox)) == 5, "none is left of before"
    look(section, llama(), fine_tune_type="full")
    assert (boxes(section), section.chooser._groups.isVisible()) == ([], False)


def test_each_pattern_says_what_it_names(section: TargetSection) -> None:
    matches, c = child(section, QLabel, "targets.matches"), theme.colors()
    look(section, llama(), targets="q_proj, v_prj, conv1d, lm_*, model.layers.0.self_attn.q_proj")
    assert matches.text().split("<br>") == [
        "<b>q_proj</b> → 4 modules (modules of this name, or inside one): model.layers.0.self_attn.q_proj, "
        "model.layers.1.self_attn.q_proj …",
        f"<span style='color:{c.error}'><b>v_prj</b> → nothing</span>",
        f"<span style='color:{c.warning}'><b>conv1d</b> → model.layers.0.conv1d: A convolution.</span>",
        "<b>lm_*</b> → 1 module (paths that fit the pattern): lm_head",
        "<b>model.layers.0.self_attn.q_proj</b> → 1 module (exactly this module): model.layers.0.self_attn.q_proj",
    ]
    assert (matches.isVisible(), child(section, QLabel, "targets.help").text()) == (True, NAMES)
    look(section, llama(2), targets="q_proj")
    assert matches.text().endswith(": model.layers.0.self_attn.q_proj, model.layers.1.self_attn.q_proj")
    look(section, llama())
    assert (matches.text(), matches.isVisible()) == ("", False)
    look(section, llama(), targets="keys", **{"lora_parameters.keys": ("self_attn.q_proj",)})
    assert (
        child(section, QLabel, "targets.help").text()
        == "Exactly the keys of the config file, as mlx-lm reads them."
    )


def test_presets_say_what_they_cost_and_a_choice_of_ones_own_where_it_began(section: TargetSection) -> None:
    chooser, preset = section.chooser, section.chooser.preset
    said, parts = child(section, QLabel, "targets.help"), chooser._patterns
    look(section, llama())
    is_full = (
        "All matrices of attention (or what takes its place) and of the MLP or experts; no routers. "
        "The best quality; use it unless memory forbids."
    )
    assert said.text() == f"{is_full} Here: 28 modules, 131,072 parameters (72.62\u00a0%), 530\u00a0kB on disk."
    chooser.show_memory(2_000_000_000)
    assert said.text().endswith("530\u00a0kB on disk, about 2\u00a0GB of memory in training.")
    chooser.show_memory(None)
    assert said.text().endswith("530\u00a0kB on disk.")
    chooser.memory_of = lambda selection: selection.trainable_parameters * 1000
    preset.opening.emit()
    assert [preset.itemText(index) for index in range(preset.count())] == [
        "Full (attention + MLP, recommended) · 131\u00a0k", "Attention only · 57.3\u00a0k",
        "MLP only · 73.7\u00a0k",
        "Minimal (Q + V) · 28.7\u00a0k", "Everything linear · 131\u00a0k", "Custom, from Full",
    ]  # fmt: skip
    assert preset.itemData(1, TIP).endswith("on disk, about 57.3\u00a0MB of memory in training.")
    assert preset.itemData(5, TIP) == NAMES
    assert not parts.isVisible()
    chooser.set_problems([Problem("targets", "It is too much.")])
    assert (parts.isVisible(), chooser.field.editor.isVisible()) == (True, False), "a preset can be wrong too"
    chooser.set_problems([])
    assert not parts.isVisible()
    section._store.set("targets", "attention")
    assert preset.itemText(5) == "Custom, from Attention only"
    preset.edited.emit("custom")
    assert section._store.config.targets == "q_proj, k_proj, v_proj, o_proj"
    assert (preset.currentText(), parts.isVisible()) == ("Custom, from Attention only", True)
    assert chooser.field.editor.isVisible()
    preset.edited.emit("mlp")
    assert (section._store.config.targets, preset.currentText()) == ("mlp", "MLP only · 73.7\u00a0k")
    look(section, llama(), fine_tune_type="full")
    assert said.text() == is_full
    preset.edited.emit("custom")
    assert section._store.config.targets == "full", "what full training changes is no list of names"


def test_the_list_of_modules_tells_of_each_what_it_is(qtbot: QtBot) -> None:
    dialog = ModuleDialog(mixture(), frozenset({"model.layers.0.self_attn.q_proj"}))
    qtbot.addWidget(dialog)
    table, count = dialog.table.model(), dialog._count

    def row(number: int) -> list[object]:
        return [table.index(number, column).data() for column in range(6)]

    assert row(1) == ["model.layers.0.self_attn.q_proj", "Attention", "Linear", "64 × 64", "4,096", "yes"]
    assert row(5) == [
        "model.layers.0.mlp.switch_mlp.gate_proj",
        "Experts",
        "SwitchLinear",
        "4 × 32 × 64",
        "8,192",
        "no",
    ]
    assert row(22) == ["model.layers.0.conv1d", "Other", "Conv1d", "64 × 4 × 1", "256", "cannot be"]
    color = Qt.ItemDataRole.ForegroundRole
    assert (table.index(1, 0).data(color), table.index(22, 0).data(color)) == (None, QColor(theme.colors().faint))
    assert [table.index(number, 0).data(TIP) for number in (1, 22)] == [row(1)[0], "A convolution."]
    assert count.text() == "24 of 24 modules shown · 23 can be adapted"
    assert dialog.reasons.text() == "conv1d cannot be adapted. A convolution."
    dialog.search.setText(" LAYERS.0.SELF_ATTN ")
    assert count.text() == "4 of 24 modules shown · 23 can be adapted"
    dialog.search.setText("")
    picked: list[list[str]] = []
    dialog.picked.connect(picked.append)
    dialog.show()
    use = child(dialog, QPushButton, "modules.use")
    for chosen, asked in (((), []), ((22,), []), ((8, 1, 3, 22), [["self_attn.q_proj", "self_attn.v_proj"]])):
        dialog.table.clearSelection()
        for number in chosen:
            dialog.table.selectionModel().select(
                table.index(number, 0), dialog.table.selectionModel().SelectionFlag.Select
            )
        use.click()
        assert (picked, dialog.isVisible()) == (asked, not asked)
    modules = mixture().modules
    twins = [one.model_copy(update={"cost": -1, "refused": "A router."}) for one in modules if one.name == "gate"]
    kept = tuple(one for one in modules if one.name != "gate" and one.adaptable)
    dialog = ModuleDialog(mixture().model_copy(update={"modules": (*kept, *twins)}), frozenset())
    assert dialog.reasons.text() == "gate cannot be adapted. A router."
    dialog = ModuleDialog(mixture().model_copy(update={"modules": kept}), frozenset())
    assert (dialog.reasons.text(), dialog.reasons.isHidden()) == ("", True)


def test_layers_are_chosen_up_to_what_the_model_has(qtbot: QtBot) -> None:
    editor, asked = LayerEditor(), list[object]()
    qtbot.addWidget(editor)
    editor.show()
    editor.edited.connect(asked.append)
    line = editor.line

    def can() -> list[tuple[str, bool, str]]:
        return [
            (line.itemText(n), line.model().item(n).isEnabled(), line.itemData(n, TIP) or "")  # type: ignore[attr-defined]
            for n in range(line.count())
        ]

    def shown() -> tuple[str, bool, object]:
        return line.currentText(), editor.number.isVisible(), editor.number.value()

    tops = ["All layers", "Top 24 layers", "Top 16 layers", "Top 8 layers", "Other…"]
    assert can() == [(text, True, "") for text in tops]
    assert (editor.value(), shown()) == (-1, ("All layers", False, None))
    line.edited.emit("other")
    assert (editor.value(), shown(), asked) == (24, ("Other…", True, 24), [24])
    editor.set_value(-1)
    editor.set_layers(16)
    assert can() == [
        ("All 16 layers", True, ""), (tops[1], False, "The model has only 16 layers"), (tops[2], True, ""),
        (tops[3], True, ""), (tops[4], True, ""),
    ]  # fmt: skip
    assert shown() == ("All 16 layers", False, 16)
    line.edited.emit("other")
    assert (editor.value(), shown(), asked) == (16, ("Other…", True, 16), [24, 16])
    editor.number.edited.emit(8)
    assert (editor.value(), asked) == (8, [24, 16, 8])
    editor.set_value(8)
    assert shown() == ("Other…", True, 8), "it was typed there"
    editor.number.edited.emit(None)
    assert asked == [24, 16, 8]
    line.edited.emit(16)
    assert (shown(), asked[-1]) == (("Top 16 layers", False, 16), 16)
    line.edited.emit("other")
    assert shown() == ("Other…", True, 16), "it begins with what there is"
    editor.set_value(None)
    assert shown()[0] == "All 16 layers"
    editor.set_value(5)
    assert shown() == ("Other…", True, 5)
    editor.set_layers(1)
    assert can()[0][0] == "All 1 layer"
