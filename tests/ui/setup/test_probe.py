"""The probe through the Setup tab, with the real worker: measured memory and time before Start."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.setup.step_plan import StepPlan
from app.core.system import starter
from app.core.target.selection import resolve
from app.ui.form.store import ConfigStore
from app.ui.setup.probe_bar import ProbeBar, ProbeQuestion
from app.ui.setup.setup_tab import SetupTab
from app.ui.worker.inspector import Inspector
from tests.core.inspections import llama

WAIT_MS = 60_000


@pytest.fixture(scope="module")
def shared(qapp: QApplication, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SetupTab]:  # noqa: ARG001
    """A tab for all: reading the starter takes longer than what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LUTHIER_HOME", str(tmp_path_factory.mktemp("home")))
        found = SetupTab(ConfigStore(), Inspector())
    found.show()
    yield found
    found.shutdown()
    found.close()


@pytest.fixture
def tab(shared: SetupTab, qtbot: QtBot) -> SetupTab:
    """The tab with the starter in it, and nothing measured."""
    probe = shared.estimate.probe
    shared.store.replace(TrainConfig(model=str(starter.model_dir()), data=str(starter.examples_dir()), seed=1))
    qtbot.waitUntil(
        lambda: (
            shared.estimate.estimate is not None and not shared.data_panel.is_busy and probe.calibration is None
        ),
        timeout=WAIT_MS,
    )
    qtbot.waitUntil(probe.button.isEnabled)
    return shared


def press(tab: SetupTab) -> None:
    QTest.mouseClick(tab.estimate.probe.button, Qt.MouseButton.LeftButton)


def test_it_calibrates_memory_and_time_until_something_that_matters_changes(tab: SetupTab, qtbot: QtBot) -> None:
    probe, before = tab.estimate.probe, tab.estimate.estimate
    assert before is not None
    assert not before.calibrated
    with qtbot.waitSignal(probe.measured, timeout=WAIT_MS):
        press(tab)
    assert probe.calibration is not None
    assert "s an iteration" in probe.text
    qtbot.waitUntil(lambda: tab.estimate.estimate is not None and tab.estimate.estimate.calibrated)
    assert tab.estimate.estimate is not None
    qtbot.waitUntil(lambda: " and about " in tab.start_bar.text or " and at most " in tab.start_bar.text)
    assert probe.pace is not None
    assert probe.pace.piece_s + probe.pace.unit_s > 0  # which of the two, the clock says on so small a model
    assert probe.pace.start_s > 0
    config = tab.store.config.with_values({"early_stopping.enabled": False, "val_batches": 0, "save_every": 10_000})
    ten, twenty = (tab.estimate.run_s(config, count) for count in (10, 20))
    assert ten is not None
    assert twenty is not None
    assert 0 < twenty - ten < twenty  # ten iterations more; what comes before the first is the same

    tab.store.set("learning_rate", 1e-5)
    assert probe.calibration is not None
    with qtbot.waitSignal(probe.measured):
        tab.store.set("lora_parameters.rank", 8)
    assert probe.calibration is None
    assert probe.pace is None
    qtbot.waitUntil(lambda: " and about " not in tab.start_bar.text and " and at most " not in tab.start_bar.text)


def test_there_is_nothing_to_press_while_something_is_missing(qtbot: QtBot) -> None:
    bar = ProbeBar()
    qtbot.addWidget(bar)
    config = TrainConfig()
    question = ProbeQuestion(config, llama(), resolve(llama(), config), StepPlan(config))
    missing = (False, "Choose a model and training data first.")
    states = [(bar.button.isEnabled(), bar.button.toolTip())]
    for asked in (question, None):
        bar.set_question(asked)
        states.append((bar.button.isEnabled(), bar.button.toolTip()))
    assert states == [missing, (True, ""), missing]
    bar._on_clicked()
    assert bar.button.text() == "Measure"


def test_it_can_be_cancelled(tab: SetupTab, qtbot: QtBot) -> None:
    probe = tab.estimate.probe
    press(tab)
    assert probe.button.text() == "Cancel"
    press(tab)
    qtbot.waitUntil(lambda: probe.button.text() == "Measure", timeout=WAIT_MS)
    assert probe.calibration is None


def test_what_cannot_be_measured_is_told(tab: SetupTab, qtbot: QtBot, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{\n")
    tab.store.set("data", str(broken))
    qtbot.waitUntil(lambda: not tab.data_panel.is_busy, timeout=WAIT_MS)
    probe = tab.estimate.probe
    press(tab)
    qtbot.waitUntil(lambda: "broken.jsonl:1" in probe.text, timeout=WAIT_MS)
    assert probe.button.text() == "Measure"
