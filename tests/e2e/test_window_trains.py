"""The main job through the window, with real processes: drop, start, watch, stop; and the death of the window."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton, QToolButton
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.model.adapter_file import ADAPTER_FILE
from app.core.protocol import event
from app.core.protocol.event import read_events
from app.core.run.folder import run_state
from app.core.run.history import RunHistory
from app.ui.run.session import RunSession, RunState
from app.ui.window.main_window import MainWindow
from tests.faults.away import left_alone
from tests.ui.child import child
from tests.ui.dragging import drop
from tests.worker.tiny_model import write_data, write_model

pytestmark = pytest.mark.slow

START_MS = 60_000  # two worker processes import MLX before the first iteration
LONG = {
    "epochs": None,
    "iters": 100_000,
    "batch_size": 2,
    "learning_rate": 1e-3,
    "steps_per_report": 5,
    "steps_per_eval": 20,
    "save_every": 1000,
    "lora_parameters.rank": 4,
    "early_stopping.enabled": False,
    "neutral_tokens": 0,  # answers sampled for it take longer than the run
}
ENDING = LONG | {"iters": 200, "steps_per_eval": 100}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "tiny")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "chats")


def loads(adapters: Path, model: Path) -> bool:
    """Whether mlx-lm itself takes the adapter, and it changes the model."""
    code = (
        "import sys, mlx.core as mx; from mlx_lm import load; from mlx.utils import tree_flatten\n"
        "tuned, _ = load(sys.argv[1], adapter_path=sys.argv[2])\n"
        "b = [v for k, v in tree_flatten(tuned.parameters()) if k.endswith('lora_b')]\n"
        "print(bool(b) and any(float(mx.abs(v).max()) > 0 for v in b))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(model), str(adapters)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() == "True"


def state(session: RunSession) -> RunState:
    """What the session says now: a checker of types would hold on to what was asserted before."""
    return session.state


def drawn(window: MainWindow) -> int:
    """Points that the chart has drawn."""
    x, _ = window.run_panel.page.chart._raw.getOriginalDataset()
    return 0 if x is None else len(x)


def test_drop_start_watch_stop_and_find_everything_on_disk(
    qtbot: QtBot, window: MainWindow, model: Path, data: Path
) -> None:
    drop(window.setup_tab.model_panel, model)
    drop(window, data / "train.jsonl", data / "valid.jsonl")
    config = window.store.config
    assert (config.model, config.data) == (str(model), str(data / "train.jsonl"))
    assert config.valid_data == str(data / "valid.jsonl")
    assert window.store.set_many(LONG) is None
    start = child(window, QPushButton, "start")
    qtbot.waitUntil(lambda: window.inspector.last is not None and start.isEnabled(), timeout=START_MS)

    with qtbot.waitSignal(
        window.session.emitted, timeout=START_MS, check_params_cb=lambda e: isinstance(e, event.TrainReported)
    ):
        QTest.mouseClick(start, Qt.MouseButton.LeftButton)
    assert state(window.session) is RunState.RUNNING
    qtbot.waitUntil(lambda: drawn(window) >= 20, timeout=START_MS)
    before = drawn(window)
    qtbot.waitUntil(lambda: drawn(window) > before + 10, timeout=START_MS)
    qtbot.waitUntil(lambda: len(window.session.history.valid_losses) >= 1, timeout=START_MS)

    trained = window.session.run
    assert trained is not None
    qtbot.waitUntil((trained.best / ADAPTER_FILE).is_file, timeout=START_MS)  # before, Stop would ask

    with qtbot.waitSignal(window.session.ended, timeout=START_MS):
        QTest.mouseClick(child(window, QPushButton, "run_stop"), Qt.MouseButton.LeftButton)
    assert state(window.session) is RunState.STOPPED
    run = window.session.run
    assert run is not None
    live = window.session.history
    again = RunHistory()
    for found in read_events(run.events):
        again.feed(found)
    assert len(again) > 30
    assert np.array_equal(again.losses, live.losses)
    assert np.array_equal(again.x("iterations"), np.arange(1, len(again) + 1))
    assert "LoRA Configuration" in run.log.read_text()
    qtbot.waitUntil(lambda: "LoRA Configuration" in window.run_panel.page.log.text)
    assert loads(run.adapters, model)
    said = window.messages.messages()[0]
    assert said.action == "Compare base and tuned"

    assert said.act is not None
    said.act()
    tab = window.compare_tab
    assert (tab.isVisible(), tab.adapter, tab.base) == (True, run.adapters, str(model))
    tab.prompt.setPlainText("abc")
    QTest.mouseClick(child(tab, QPushButton, "compare.ask"), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: all("token" in column.status for column in tab.columns), timeout=START_MS)


def test_a_stopped_run_goes_on_where_it_stopped_and_a_finished_one_is_extended(
    qtbot: QtBot, window: MainWindow, model: Path, data: Path
) -> None:
    session = window.session
    session.start(TrainConfig(model=str(model), data=str(data)).with_values(ENDING))
    with qtbot.waitSignal(session.ended, timeout=START_MS):
        qtbot.waitUntil(lambda: session.history.iteration >= 5, timeout=START_MS)
        session.stop()
    run, stopped_at = session.run, session.history.iteration
    assert run is not None
    assert state(session) is RunState.STOPPED
    assert 5 <= stopped_at < 200

    with qtbot.waitSignal(session.ended, timeout=START_MS):
        QTest.mouseClick(child(window, QPushButton, "run_resume"), Qt.MouseButton.LeftButton)
    assert state(session) is RunState.COMPLETED
    with qtbot.waitSignal(session.ended, timeout=START_MS):
        window.user_actions.go_on(run.path, 210)
    assert state(session) is RunState.COMPLETED

    begun = [e.iteration for e in read_events(run.events) if isinstance(e, event.Started)]
    assert begun == [0, stopped_at, 200]
    assert np.array_equal(session.history.x("iterations"), np.arange(1, 211))


def test_a_run_that_is_paused_leaves_the_memory_and_goes_on_to_the_last_bit(
    qtbot: QtBot, window: MainWindow, model: Path, data: Path
) -> None:
    """By the panel's own buttons, with real workers; the run is still paused when it is opened from its folder."""
    session, panel = window.session, window.run_panel
    config = TrainConfig(model=str(model), data=str(data)).with_values(ENDING)
    with qtbot.waitSignal(session.ended, timeout=START_MS):
        session.start(config)
    undisturbed = session.history.losses.tolist()

    with qtbot.waitSignal(
        session.emitted, timeout=START_MS, check_params_cb=lambda e: isinstance(e, event.TrainReported)
    ):
        session.start(config)
    worker = session.worker_id
    choice = child(panel, QToolButton, "run_pause_choice")
    with qtbot.waitSignal(session.ended, timeout=START_MS):
        next(action for action in choice.menu().actions() if action.objectName() == "pause.park").trigger()
    run = session.run
    assert run is not None
    assert (session.state, session.worker_id) == (RunState.PARKED, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    assert 1 <= session.history.iteration < 200
    assert run_state(run, read_events(run.events)) == "paused"

    with qtbot.waitSignal(session.loaded, timeout=START_MS):
        session.open(run.path)
    assert state(session) is RunState.PARKED
    with qtbot.waitSignal(session.ended, timeout=START_MS):
        QTest.mouseClick(child(window, QPushButton, "run_resume"), Qt.MouseButton.LeftButton)
    assert state(session) is RunState.COMPLETED
    assert session.history.losses.tolist() == undisturbed


def test_a_run_whose_window_is_gone_is_found_again(tmp_path: Path, model: Path, data: Path) -> None:
    """A window is killed, the next closed with *Keep training*, a command line let go: nothing is lost."""
    config = TrainConfig(model=str(model), data=str(data)).with_values(LONG)
    found = left_alone(config, tmp_path, 2, random.Random(4))
    assert (found.times, found.is_as_promised) == (2, True), found.row()
