"""The card of the model: what its menu offers, and how it takes what hovers over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.core.system import starter
from app.core.system.setting import Settings, save_settings
from app.ui.form.store import ConfigStore
from app.ui.model.panel import ModelPanel, facts
from app.ui.worker.inspector import Inspector
from tests.core.inspections import llama
from tests.ui.dragging import drag_away, drag_over


def made(folder: Path, size_bytes: int = 0) -> Path:
    """A folder that passes for a model."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "model.safetensors").write_bytes(b"0" * size_bytes)
    return folder


@pytest.fixture
def panel(qtbot: QtBot) -> Iterator[ModelPanel]:
    inspector = Inspector()
    found = ModelPanel(ConfigStore(), inspector)
    qtbot.addWidget(found)
    found.show()
    yield found
    found.shutdown()
    inspector.stop()


def test_its_menu_has_recent_models_those_of_this_machine_and_the_starter(
    qtbot: QtBot, panel: ModelPanel, tmp_path: Path, home: Path
) -> None:
    cached = made(home / "huggingface" / "hub" / "models--org--big" / "snapshots" / "1", 3_000_000)
    own = [made(tmp_path / f"own-{number:02d}", 1_500_000) for number in range(1, 22)]
    long = "/models/" + "x" * 200
    save_settings(Settings(model_folders=(str(tmp_path),), recent_models=("/you & me", long)))
    panel._finder.stop()
    with qtbot.waitSignal(panel._finder.found):
        panel._finder.find()
    menu = panel._editor.menu
    menu.aboutToShow.emit()
    found = [(one.text(), one.data(), one.toolTip()) for one in menu.actions() if not one.isSeparator()]
    assert [one.text() for one in menu.actions() if one.isSeparator()] == ["Recent", "On this machine"]
    assert found[0] == ("/you && me", "/you & me", "/you & me")
    assert "…" in found[1][0], "so that the menu is no wider than the window"
    assert found[1][1:] == (long, long)
    assert found[2] == ("org/big   3\u00a0MB", "org/big", str(cached))
    assert found[3:-1] == [(f"{path.name}   1.5\u00a0MB", str(path), str(path)) for path in own[:19]], "20 in all"
    assert found[-1] == ("Starter model", str(starter.model_dir()), "The small model that came with Luthier")
    menu.triggered.emit(menu.actions()[4])
    assert panel._store.config.model == "org/big"


def test_it_lights_up_only_while_a_model_hovers_over_it(panel: ModelPanel, tmp_path: Path) -> None:
    model = made(tmp_path / "model")
    drag_over(panel, tmp_path)
    assert panel.property("drop") != "true", "a folder that is no model"
    drag_over(panel, model)
    assert panel.property("drop") == "true"
    drag_away(panel)
    assert panel.property("drop") == ""


def test_the_card_says_what_a_model_is_and_colors_what_is_missing() -> None:
    whole = llama(4).model_copy(
        update={
            "architecture": "LlamaForCausalLM", "weight_bytes": 721_920, "vocab_size": 32_000, "max_length": 2_048,
            "quantization": "4-bit", "has_tokenizer": True, "has_chat_template": True,
            "total_parameters": 1_234_567,
        }
    )  # fmt: skip
    assert facts(whole) == [
        ("Type", "llama · LlamaForCausalLM", ""),
        ("Size", "1,234,567 parameters", ""),
        ("Weights", "722\u00a0kB as float32", ""),
        ("Layers", "4 × 64 wide", ""),
        ("Vocabulary", "32,000 tokens", ""),
        ("Context", "2,048 tokens", ""),
        ("Quantization", "4-bit", ""),
        ("Tokenizer", "found", "good"),
        ("Chat template", "found", "good"),
    ]
    bare = whole.model_copy(
        update={
            "architecture": "", "model_type": "", "dtype": "", "vocab_size": 0, "max_length": 0, "quantization": "",
            "has_weights": False, "has_tokenizer": False, "has_chat_template": False, "notes": ("It is odd.",),
        }
    )  # fmt: skip
    assert [row for row in facts(bare) if row not in facts(whole)] == [
        ("Type", "– · unknown", ""),
        ("Weights", "722\u00a0kB, not in the folder", "warning"),
        ("Vocabulary", "not stated", ""),
        ("Context", "not stated", ""),
        ("Quantization", "none", ""),
        ("Tokenizer", "not found", "warning"),
        ("Chat template", "not found", "warning"),
        ("Note", "It is odd.", "note"),
    ]
    assert facts(bare.model_copy(update={"model_type": "rwkv"}))[0] == ("Type", "rwkv · rwkv", "")
