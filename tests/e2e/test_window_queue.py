"""The queue through the window's session with real workers: three runs, of which the second fails."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.protocol.event import Finished, read_events
from app.core.queue.queue import make_entry
from app.core.run.folder import RunDir, run_state
from app.ui.queue.switch import QUEUE_PAGE
from app.ui.window.main_window import MainWindow
from tests.worker.tiny_model import write_data, write_model

pytestmark = pytest.mark.slow

END_MS = 120_000  # three worker processes import MLX
QUICK = {
    "epochs": None,
    "iters": 6,
    "batch_size": 2,
    "steps_per_report": 2,
    "steps_per_eval": 3,
    "save_every": 3,
    "lora_parameters.rank": 2,
    "neutral_tokens": 0,
}


def test_three_runs_of_which_the_second_fails(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    model, data, vanishing = write_model(tmp_path / "tiny"), write_data(tmp_path / "chats"), tmp_path / "vanishing"
    shutil.copytree(data, vanishing)
    base = TrainConfig(model=str(model), data=str(data)).with_values(QUICK)
    setups = [{"adapter_name": "one"}, {"adapter_name": "two", "data": str(vanishing)}, {"adapter_name": "three"}]
    queue = window.user_actions.queue
    assert queue.add([make_entry(base.with_values(values)) for values in setups])
    shutil.rmtree(vanishing)
    queue.shown_requested.emit()
    switch = window.queue_actions.switch
    assert switch is not None

    with qtbot.waitSignal(queue.ended, timeout=END_MS):
        switch.queue_page.button.click()
    entries = queue.state.entries
    assert [one.state for one in entries] == ["done", "failed", "done"]
    assert "vanishing" in entries[1].message
    assert "Best validation loss" in entries[2].message
    runs = [RunDir(Path(one.run)) for one in entries]
    assert [run_state(run, read_events(run.events)) for run in runs] == ["finished", "failed", "finished"]
    ends = [found for run in runs for found in read_events(run.events) if isinstance(found, Finished)]
    assert [end.iteration for end in ends] == [6, 6]
    assert all((runs[place].adapters / "adapters.safetensors").exists() for place in (0, 2))
    assert window.session.run == runs[2], "the panel shows what ran last"
    assert window.messages.messages()[0].text == "The queue is at its end: 2 done, 1 failed."
    assert switch.bar.tabText(QUEUE_PAGE) == "Queue"
    assert switch.queue_page.button.toolTip().startswith("Nothing waits: add a setup first")
