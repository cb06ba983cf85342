"""What an export is made of: a run or adapter, with a name for people and one for files."""

from __future__ import annotations

import json
from pathlib import Path

from app.core.config.train_config import TrainConfig
from app.core.export.source import export_source
from app.core.run.folder import prepare_run
from app.core.run.note import RunNote, save_note


def test_a_file_is_called_as_the_run_is(tmp_path: Path) -> None:
    run = prepare_run(TrainConfig(model="/m"), tmp_path / "2026-11-29_22-03-05_starter")
    run.adapters.mkdir(exist_ok=True)
    (run.adapters / "adapters.safetensors").write_bytes(b"")
    (run.adapters / "adapter_config.json").write_text(json.dumps({"model": "/m"}))
    assert export_source(run.path).word == "2026-11-29_22-03-05_starter"
    save_note(run, RunNote("Piraten: die Hauptstädte!", (), "", {}))
    assert export_source(run.path).word == "Piraten-die-Hauptstädte"
    save_note(run, RunNote("???", (), "", {}))
    assert export_source(run.path).word == "2026-11-29_22-03-05_starter"
