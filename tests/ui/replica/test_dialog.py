"""The dialog over the hosts: each field reaches job and run, what is in the way is said, a check is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.command import Stop
from app.core.replica.hostfile import RUN_HOSTS, Hostfile, ReplicaHost, own_address, read_hostfile
from app.ui.replica.dialog import HostsDialog, hostfile_place, kept_hostfile
from app.ui.run.session import RunSession
from tests.ui.child import child
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


def usable(dialog: HostsDialog) -> list[str]:
    """Which parts are seen and can be used."""
    names = ("close", "stop", "check", "start", "add", "backend", "open", "save")
    parts = {name: child(dialog, QWidget, f"hosts.{name}") for name in names} | {"table": dialog._table}
    return [name for name, part in parts.items() if part.isVisible() and part.isEnabled()]


def test_each_row_says_whose_it_is_and_the_first_is_this_machine(dialog: HostsDialog, qtbot: QtBot) -> None:
    assert kept_hostfile() == Hostfile((ReplicaHost("localhost", (own_address(),)), ReplicaHost("")))
    assert dialog.rows[0].fields["ips"].value() == own_address()
    dialog.add_button.click()
    dialog.add_button.click()
    dialog.rows[2].remove_button.click()
    assert [row.title.text() for row in dialog.rows] == ["This machine", "Host 2", "Host 3"]
    for number, row in enumerate(dialog.rows):
        assert {field.objectName() for field in row.fields.values()} == {f"hosts.{number}.{name}" for name in TYPED}
        assert row.remove_button.objectName() == f"hosts.{number}.remove"
        enabled = [name for name, field in row.fields.items() if field.isEnabled()]
        assert enabled == (["ssh", "ips", "model", "luthier", "rdma"] if number else ["ips", "rdma"])
        columns = ("Name for ssh", "Address", "Model there", "Luthier there", "RDMA devices")
        said = [field.accessibleName() for field in row.fields.values()]
        assert said == [f"{row.title.text()}: {column}" for column in columns]
        places = [dialog._grid.getItemPosition(dialog._grid.indexOf(part)) for part in row.widgets]
        line = 1 + 2 * number
        assert places == [*((line, at, 1, 1) for at in range(7)), (line + 1, 1, 1, 5)]
    told = {name: (field.placeholderText(), field.toolTip()[:9]) for name, field in dialog.rows[1].fields.items()}
    assert told == {
        "ssh": ("user@mac-2.local", "As ssh kn"), "ips": ("10.0.0.2", "IPv4, in "),
        "model": ("at the same place", "The base "), "luthier": ("found by its name", "The progr"),
        "rdma": ("rdma_en2, …", "One devic"),
    }  # fmt: skip
    for name, text in (("ssh", " b "), ("ips", "10.0.0.2,, 10.0.0.3 ,"), ("rdma", "x, - ,y")):
        qtbot.keyClicks(dialog.rows[1].fields[name], text)
    host = ReplicaHost("b", ("10.0.0.2", "10.0.0.3"), ("x", None, "y"))
    assert dialog.rows[1].host() == host
    dialog.rows[2].set_host(host)
    assert dialog.rows[2].host() == host
    assert dialog.rows[2].fields["rdma"].value() == "x, -, y"


def test_other_hosts_take_the_place_of_those_that_stood_there(dialog: HostsDialog, qtbot: QtBot) -> None:
    hosts = [
        ReplicaHost(name, (f"10.0.0.{at}",), tuple("abcd")) for at, name in enumerate(("localhost", "b", "c", "d"))
    ]
    dialog.set_hostfile(Hostfile(tuple(hosts), "jaccl", ("NAME=1",)))
    assert dialog.hostfile == Hostfile(tuple(hosts), "jaccl", ("NAME=1",))
    assert [dialog._titles[5].isVisible(), dialog.rows[3].fields["rdma"].isVisible()] == [True, True]
    assert dialog._grid.columnStretch(5) == 1
    qtbot.waitUntil(lambda: all(field.isVisible() for field in dialog.rows[3].fields.values()))
    gone = dialog.rows[2:]
    with qtbot.waitSignal(gone[0].widgets[0].destroyed):
        dialog.set_hostfile(Hostfile(tuple(hosts[:2])))
    assert dialog.hostfile == Hostfile(tuple(hosts[:2]))
    assert (dialog.job.hostfile["envs"], dialog._titles[5].isVisible(), len(dialog.rows)) == ([], False, 2)
    assert dialog._grid.columnStretch(5) == 0


def test_from_check_to_end_it_says_how_far_it_is(
    dialog: HostsDialog, qtbot: QtBot, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    idle = ["close", "check", "start", "add", "backend", "open", "save", "table"]
    assert usable(dialog) == [name for name in idle if name not in ("check", "start", "save")]
    fill(dialog, qtbot)
    assert (usable(dialog), dialog.problem.isVisible()) == (idle, False)
    said = dialog.progress.text

    def told() -> tuple[list[str], list[tuple[str, str]], str, str]:
        rows = [(row.result.text(), row.result.property("role")) for row in dialog.rows]
        return usable(dialog), rows, said.text(), said.property("role")

    dialog.rows[0].tell("of the check before", "error")
    dialog.check_button.click()
    nothing = [("", "muted")] * 2
    assert told() == (["close", "stop"], nothing, "Starting a replica on each host …", "muted")
    workers[0].say(event.Progressed(phase="Comparing"))
    assert said.text() == "Comparing …"
    hosts = [{"ok": True, "about": "M4", "problems": []}, {"ok": False, "about": "", "problems": ["No.", "Look."]}]
    data = {"hosts": hosts, "joined": False, "problem": "Versions differ."}
    workers[0].say(event.Result(name="hosts", data=data))
    workers[0].end(event.Finished(reason="completed"))
    assert told() == (idle, [("M4", "muted"), ("No. Look.", "error")], "Versions differ.", "error")
    dialog.check_button.click()
    dialog.stop_button.click()
    assert [type(one) for one in workers[1].commands] == [Stop]
    workers[1].end(event.Finished(reason="stopped", message="Stopped."))
    assert told() == (idle, nothing, "Stopped.", "muted")
    dialog.check_button.click()
    workers[2].say(event.Result(name="hosts", data=data))
    workers[2].end(event.Failed(message="It failed."), 1)
    assert told()[2:] == ("It failed.", "error")
    dialog.check_button.click()
    workers[3].end(event.Finished(reason="completed"))
    assert told()[2] != "Versions differ.", "that was another check"
    monkeypatch.setattr("app.ui.replica.dialog.save_hostfile", unwritten)
    chosen = ["", str(tmp_path / "mine.json")]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (chosen.pop(0), ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    dialog.progress.say("")
    dialog.open_button.click()
    dialog.save_button.click()
    assert told()[2] == ""
    dialog.save_button.click()
    assert told()[2:] == (f"{tmp_path / 'mine.json'} cannot be written: No space left on device.", "error")


def unwritten(_hostfile: Hostfile, _path: Path) -> None:
    raise OSError(28, "No space left on device")
