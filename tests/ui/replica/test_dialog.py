"""The dialog over the hosts: each field reaches job and run, what is in the way is said, a check is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.replica.hostfile import RUN_HOSTS, Hostfile, ReplicaHost, read_hostfile
from app.ui.replica.dialog import HostsDialog, hostfile_place
from app.ui.run.session import RunSession
from tests.ui.fake_worker import FakeWorker

TYPED = {
    "ssh": "anna@mac-2",
    "ips": "10.0.0.2",
    "model": "/models/m",
    "luthier": "/opt/luthier",
    "rdma": "rdma_1, -",
}


@pytest.fixture
def config() -> TrainConfig:
    return TrainConfig.model_validate({"model": "/here/model", "data": "/here/data", "batch_size": 4})


@pytest.fixture
def dialog(config: TrainConfig, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HostsDialog:
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path))
    made = HostsDialog(config)
    qtbot.addWidget(made)
    made.show()
    return made


def fill(dialog: HostsDialog, qtbot: QtBot) -> None:
    for name, text in TYPED.items():
        qtbot.keyClicks(dialog.rows[1].fields[name], text)
    dialog.rows[0].set_host(ReplicaHost("", ("10.0.0.1",), (None, "rdma_1")))


def test_every_field_reaches_the_job(dialog: HostsDialog, qtbot: QtBot) -> None:
    assert not dialog.check_button.isEnabled()
    assert "Host 2 has no name that ssh takes." in dialog.problem.text()
    fill(dialog, qtbot)
    assert dialog.check_button.isEnabled()
    assert dialog.start_button.isEnabled()
    assert not dialog.rows[1].fields["rdma"].isVisible()
    dialog.backend.set_value("jaccl")
    dialog.backend.edited.emit("jaccl")
    assert dialog.rows[1].fields["rdma"].isVisible()
    assert dialog.job.model == "/here/model"
    assert dialog.job.hostfile == {
        "backend": "jaccl",
        "envs": [],
        "hosts": [
            {"ssh": "localhost", "ips": ["10.0.0.1"], "rdma": [None, "rdma_1"]},
            {
                "ssh": "anna@mac-2", "ips": ["10.0.0.2"], "rdma": ["rdma_1", None], "luthier": "/opt/luthier",
                "model": "/models/m",
            },
        ],
    }  # fmt: skip


def test_hosts_come_and_go(dialog: HostsDialog, qtbot: QtBot) -> None:
    fill(dialog, qtbot)
    dialog.add_button.click()
    dialog.add_button.click()
    qtbot.keyClicks(dialog.rows[3].fields["ssh"], "mac-4")
    assert [row.remove_button.isVisible() for row in dialog.rows] == [False, False, True, True]
    dialog.rows[2].remove_button.click()
    assert [host.ssh for host in dialog.hostfile.hosts] == ["localhost", "anna@mac-2", "mac-4"]
    assert dialog.rows[2].title.text() == "Host 3"
    assert "Host 3 (mac-4) has no address" in dialog.problem.text()


def test_what_replicas_cannot_train_holds_back_the_start_alone(config: TrainConfig, qtbot: QtBot) -> None:
    alone = HostsDialog(config.with_value("batch_size", 1))
    qtbot.addWidget(alone)
    alone.show()
    fill(alone, qtbot)
    assert "A batch of 1 cannot be shared by 2 replicas." in alone.problem.text()
    assert alone.check_button.isEnabled()
    assert not alone.start_button.isEnabled()


def test_a_check_is_shown_host_by_host(
    config: TrainConfig, qtbot: QtBot, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    dialog = HostsDialog(config)
    qtbot.addWidget(dialog)
    dialog.show()
    fill(dialog, qtbot)
    dialog.check_button.click()
    assert not dialog.start_button.isEnabled()
    assert dialog.stop_button.isVisible()
    (worker,) = workers
    hosts = [
        {"ok": True, "about": "M4 · 64 GB", "problems": []},
        {"ok": False, "about": "", "problems": ["Not reached.", "Look."]},
    ]
    data = {"hosts": hosts, "joined": False, "problem": ""}
    worker.say(event.Result(name="hosts", data=data))
    worker.end(event.Finished())
    assert [row.result.text() for row in dialog.rows] == ["M4 · 64 GB", "Not reached. Look."]
    assert dialog.progress.text.text() == "They cannot train together yet."
    assert dialog.start_button.isEnabled()
    assert read_hostfile(hostfile_place()) == dialog.hostfile
    dialog.check_button.click()
    found = {"hosts": hosts[:1] * 2, "joined": True, "problem": "", "latency_s": 0.0002, "bytes_per_s": 1.25e9}
    workers[1].say(event.Result(name="hosts", data=found))
    workers[1].end(event.Finished())
    said = "They can train together: a message takes 0.20\u00a0ms, gradients go at 1.25\u00a0GB/s."
    assert dialog.progress.text.text() == said


def test_a_hostfile_is_opened_and_saved(
    dialog: HostsDialog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "hosts.json"
    file.write_text(json.dumps([{"ssh": "a", "ips": ["10.0.0.1"]}, {"ssh": "b", "ips": ["10.0.0.2"]}] * 2))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(file), ""))
    dialog.open_button.click()
    assert [host.ssh for host in dialog.hostfile.hosts] == ["localhost", "b", "a", "b"]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "other.json"), ""))
    dialog.save_button.click()
    assert read_hostfile(tmp_path / "other.json") == dialog.hostfile
    file.write_text("no")
    dialog.open_button.click()
    assert "it is no JSON" in dialog.progress.text.text().replace("It", "it")
    assert len(dialog.rows) == 4


def test_the_run_begins_on_the_hosts(
    config: TrainConfig, dialog: HostsDialog, qtbot: QtBot, workers: list[FakeWorker]
) -> None:
    fill(dialog, qtbot)
    asked: list[Hostfile] = []
    dialog.start_requested.connect(asked.append)
    dialog.start_button.click()
    (hostfile,) = asked
    assert not dialog.isVisible()
    session = RunSession()
    run = session.start(config, hostfile)
    assert read_hostfile(run.path / RUN_HOSTS) == hostfile
    assert len(workers) == 1
    assert not (RunSession().start(config).path / RUN_HOSTS).exists()
