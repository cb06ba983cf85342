"""The line at the foot of the window and its title, as a run goes on."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.ui.run.session import RunSession
from app.ui.window.status_line import StatusLine
from tests.ui import synthetic_run
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker


def test_it_tells_of_the_run_and_of_its_machine(qtbot: QtBot, workers: list[FakeWorker]) -> None:
    session, titles = RunSession(), list[str]()
    line = StatusLine(session)
    qtbot.addWidget(line)
    line.titled.connect(titles.append)
    status, device = child(line, QLabel, "status"), child(line, QLabel, "status.device")
    assert (status.text(), device.text(), line._refreshing.isActive()) == ("", "", False)
    session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d"))
    assert (status.text(), titles, line._refreshing.isActive()) == ("Preparing", ["friendly – Luthier"], True)
    for told, said in (
        ({"device": "M4 Max", "memory_gb": 64.0, "versions": {"mlx": "0.30"}}, "M4 Max · 64\u00a0GB · MLX 0.30"),
        ({"device": "M4 Max", "versions": {"python": "3.12"}}, "M4 Max"),
        ({"memory_gb": 8.0}, "8\u00a0GB"),
    ):
        workers[-1].say(event.Hello(task="train", **told))
        assert device.text() == said
    workers[-1].say(*synthetic_run.events(until=300, ending=""))
    assert status.text() == "Training · iteration 0 of 600", "figures come together, a moment later"
    assert line._soon.isActive()
    qtbot.waitUntil(lambda: status.text() == "Training · iteration 300 of 600 · 33\u00a0s left")
    assert (titles[-1], device.text()) == ("50\u00a0% · friendly – Luthier", "Test · MLX 0")
    workers[-1].end(event.Finished(reason="stopped", iteration=300))
    assert (status.text(), titles[-1]) == ("Stopped · iteration 300 of 600", "Luthier")
    assert not line._refreshing.isActive()
    running = [f"{done}\u00a0% · friendly – Luthier" for done in (0, 50)]
    assert titles == ["friendly – Luthier", *running, "Luthier"], "told when it changed"
