"""The probe's bar with a worker that says what a test has it say."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.command import Stop
from app.core.protocol.job import ProbeJob, read_job
from app.core.setup.memory_term import StepSize
from app.core.setup.step_plan import StepPlan
from app.core.target.selection import resolve
from app.ui.setup.probe_bar import READY_TEXT, ProbeBar, ProbeQuestion
from tests.core.inspections import llama
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker


def test_it_follows_the_worker_and_says_how_it_ended(
    qtbot: QtBot, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    bar, told = ProbeBar(), list[object]()
    qtbot.addWidget(bar)
    bar.measured.connect(told.append)
    config = TrainConfig(seed=3)
    bar.set_question(ProbeQuestion(config, llama(), resolve(llama(), config), StepPlan(config)))

    def shown() -> tuple[str, str, str]:
        return bar.button.text(), bar.text, str(child(bar, QLabel, "estimate.probe.text").property("role"))

    assert shown() == ("Measure", READY_TEXT, "small")
    bar.button.click()
    (worker,) = workers
    assert read_job(worker.job_dir) == ProbeJob(config=config.model_dump(mode="json"))
    assert shown() == ("Cancel", "Starting…", "small")
    bar.set_question(None)
    assert bar.button.isEnabled(), "it can be cancelled"
    worker.say(event.Progressed(phase="Measuring"), event.Result(name="another", data={}))
    assert shown() == ("Cancel", "Measuring…", "small")
    bar.forget("seed")
    assert worker.commands == [], "it does not matter what is drawn"
    bar.forget("lora_parameters.rank")
    assert worker.commands == [Stop()]
    worker.end(event.Finished(reason="stopped"))
    assert shown() == ("Measure", READY_TEXT, "small")
    bar.set_question(None)
    assert not bar.button.isEnabled()
    bar.set_question(ProbeQuestion(config, llama(), resolve(llama(), config), StepPlan(config)))
    bar.button.click()
    bar.button.click()
    assert (len(workers), workers[-1].commands) == (2, [Stop()])
    workers[-1].end(event.Failed(message="There is too little memory."))
    assert shown() == ("Measure", "There is too little memory.", "error")
    bar.button.click()
    pace = {"piece_s": 0.5, "unit_s": 0.0, "piece_units": 1.0, "start_s": 1.0}
    data = {
        "steps": 10, "step_batches": 1, "labelled": False, "pace": pace, "peak_bytes": 1_000_000_000, "rows": 1_000,
        "width": 2_048, "targets": 2_048, "step_s": 0.12345,
    }  # fmt: skip
    monkeypatch.setattr("app.core.setup.duration.Pace.from_dict", lambda found: ("pace", found))
    asked: list[object] = []

    def calibrate(*words: object, **more: object) -> str:
        asked.extend((words[3], more["probed"]))
        return "calibration"

    monkeypatch.setattr("app.core.setup.memory.calibrate", calibrate)
    monkeypatch.setattr("app.core.setup.step_plan.StepPlan.counted", lambda *_words, **_more: StepPlan(config))
    workers[-1].say(event.Result(name="probe", data=data))
    assert told == [], "until it has ended"
    workers[-1].end(event.Finished())
    said = "Measured at 1,000 × 2,048 tokens at a time: 0.123\u00a0s an iteration."
    assert shown() == ("Measure", said, "good")
    assert asked == [1_000_000_000, StepSize(1_000, 2_048, 2_048)]
    found: list[object] = [told, bar.calibration, bar.pace]
    assert found == [["calibration"], "calibration", ("pace", pace)]
    bar.forget("batch_size")
    assert shown()[1] == said
    bar.forget("targets")
    assert (shown(), told[-1], bar.pace) == (("Measure", READY_TEXT, "small"), None, None)
    bar.forget("targets")
    assert len(told) == 2, "once is enough"
    bar.button.click()
    assert shown()[1] == "Starting…"
    bar.forget("seed")
    workers[-1].end(event.Finished(reason="stopped"))
    assert told[-1] is None, "nothing of the one before is measured again"
