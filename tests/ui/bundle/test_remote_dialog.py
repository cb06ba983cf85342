"""The dialog *Run on…*: needs and costs are said, every choice reaches the worker, the key reaches the keychain.

The worker is the real one; places are local services, and programs on the PATH, of the same shape as theirs.
"""

from __future__ import annotations

import getpass
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

import app
from app.core.config.train_config import TrainConfig
from app.core.place.table import all_places, place_named
from app.core.remote.host import SshHost
from app.core.remote.record import read_remote, remote_runs
from app.ui.bundle.remote_dialog import RemoteDialog
from tests.service_server import KEY, FakeService, runpod, service_server
from tests.ssh_server import empty_home, ssh_server
from tests.worker.tiny_model import write_data, write_model

PATIENCE_MS = 60_000
KEYRING = """
import os
from pathlib import Path
from keyring.backend import KeyringBackend

class Drawer(KeyringBackend):
    priority = 9
    def get_password(self, service, account):
        path = Path(os.environ["DRAWER"]) / account
        return path.read_text() if path.exists() else None
    def set_password(self, service, account, secret):
        (Path(os.environ["DRAWER"]) / account).write_text(secret)
    def delete_password(self, service, account):
        (Path(os.environ["DRAWER"]) / account).unlink()
"""


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as host:
        yield host


@pytest.fixture(autouse=True)
def own_home(sshd: SshHost) -> None:
    """Each test's runs are its own."""
    empty_home(sshd)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    folder = tmp_path_factory.mktemp("setup")
    write_model(folder / "model")
    data = write_data(folder / "data", train=4, valid=2)
    return TrainConfig.model_validate({
        "model": str(folder / "model"), "data": str(data), "iters": 2, "epochs": None, "adapter_name": "my setup",
    })  # fmt: skip


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, sshd: SshHost) -> Iterator[FakeService]:
    monkeypatch.delenv("RUNPOD_API_KEY", raising=False)
    with service_server(runpod, getpass.getuser(), int(sshd.ssh[sshd.ssh.index("-p") + 1])) as state:
        monkeypatch.setenv("LUTHIER_RUNPOD_URL", state.address)
        yield state


def opened(config: TrainConfig, qtbot: QtBot, place: str = "here") -> RemoteDialog:
    dialog = RemoteDialog(config)
    qtbot.addWidget(dialog)
    dialog.show()
    choose(dialog, place)
    return dialog


def words(text: str) -> str:
    return text.translate({ord(mark): None for mark in "`“”"})


def choose(dialog: RemoteDialog, place: str) -> None:
    dialog.place.set_value(place)
    dialog.place.edited.emit(place)


def test_this_computer_is_the_default_and_starts_here(setup: TrainConfig, qtbot: QtBot) -> None:
    dialog = opened(setup, qtbot)
    assert dialog.place.currentText() == "This computer"
    assert not dialog.base.source.isVisible()
    with qtbot.waitSignal(dialog.here_requested):
        dialog.start_button.click()


@pytest.mark.parametrize("place", [place.name for place in all_places()])
def test_needs_costs_and_fields_are_those_of_the_place(setup: TrainConfig, qtbot: QtBot, place: str) -> None:
    dialog = opened(setup, qtbot, place)
    found = place_named(place)
    assert words(dialog._needs.text()) == words(found.needs)
    assert words(dialog._costs.text()).startswith(words(found.costs))
    assert found.sends_to in dialog._costs.text()
    shown = {"key": found.key is not None, "host": found.needs_host, "python": found.needs_host,
             "ssh": found.takes_ssh, "user": found.needs_user, "offer": found.has_offers}  # fmt: skip
    assert {name: getattr(dialog, name).isVisible() for name in shown} == shown
    assert not dialog.start_button.isEnabled()


def test_every_choice_reaches_the_job(setup: TrainConfig, qtbot: QtBot) -> None:
    dialog = opened(setup, qtbot, "ssh")
    qtbot.keyClicks(dialog.host, "gpu-box")
    qtbot.keyClicks(dialog.ssh, "ssh -p 2222")
    qtbot.keyClicks(dialog.python, "/opt/python")
    assert dialog.start_button.isEnabled()
    job = dialog.job
    assert (job.place, job.host, job.ssh, job.with_model) == ("ssh", "gpu-box", "ssh -p 2222", True)
    assert job.python == "/opt/python"
    assert job.config == setup.model_dump(mode="json")
    dialog.base.source.set_value("hub")
    dialog.base.source.edited.emit("hub")
    qtbot.keyClicks(dialog.base.name, "org/whole@main")
    dialog.base.four_bit.click()
    assert (dialog.job.with_model, dialog.job.torch_model, dialog.job.four_bit) == (False, "org/whole@main", True)
    choose(dialog, "kaggle")
    qtbot.keyClicks(dialog.user, "me")
    dialog._take_offers({"missing": [], "offers": [{"name": "T", "sentence": "T4", "memory_gb": 16.0}]})
    dialog._show()
    assert (dialog.job.place, dialog.job.offer, dialog.job.user, dialog.job.host) == ("kaggle", "T", "me", "")
    assert dialog.start_button.isEnabled()


def test_the_key_goes_into_the_keychain_and_prices_are_asked_for(
    setup: TrainConfig, qtbot: QtBot, service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "drawer").mkdir()
    (tmp_path / "drawer_backend.py").write_text(KEYRING)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(app.__file__).parents[1]}")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "drawer_backend.Drawer")
    monkeypatch.setenv("DRAWER", str(tmp_path / "drawer"))
    dialog = opened(setup, qtbot, "runpod")
    dialog.ask_button.click()
    qtbot.waitUntil(lambda: not dialog._job.is_running, timeout=PATIENCE_MS)
    assert "There is no key for RunPod" in dialog._problem.text()
    assert service.asked == []
    qtbot.keyClicks(dialog.key, KEY)
    qtbot.keyClick(dialog.key, Qt.Key.Key_Return)
    assert dialog.key.text() == ""
    qtbot.waitUntil(lambda: dialog.offer.count() == 2, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: not dialog._job.is_running, timeout=PATIENCE_MS)
    assert (tmp_path / "drawer" / "RunPod API key").read_text() == KEY
    assert dialog.offer.currentText() == "RTX 4090 · 24\u00a0GB · $0.44 an hour"
    assert dialog.job.offer == "NVIDIA GeForce RTX 4090"
    assert dialog.start_button.isEnabled()


def test_a_setup_is_started_on_a_machine_and_stands_among_the_runs(
    setup: TrainConfig, qtbot: QtBot, sshd: SshHost
) -> None:
    dialog = opened(setup, qtbot, "ssh")
    dialog.host.set_value(sshd.name)
    dialog.ssh.set_value(shlex.join(sshd.ssh))
    dialog.python.set_value(sys.executable)
    dialog._show()
    with qtbot.waitSignal(dialog.started, timeout=PATIENCE_MS) as told:
        dialog.start_button.click()
        assert not dialog._form.isEnabled()
    assert told.args is not None
    path, where = told.args
    assert isinstance(path, Path)
    assert where == sshd.name
    run = read_remote(path)
    assert run is not None
    assert remote_runs() == [run]
    assert (path / "config.yaml").is_file()
    qtbot.waitUntil(lambda: not dialog.isVisible(), timeout=PATIENCE_MS)


def test_what_cannot_be_reached_is_told_and_leaves_nothing(setup: TrainConfig, qtbot: QtBot) -> None:
    dialog = opened(setup, qtbot, "ssh")
    dialog.host.set_value("me@127.0.0.1")
    dialog.ssh.set_value("ssh -F /dev/null -p 1")
    dialog._show()
    dialog.start_button.click()
    qtbot.waitUntil(lambda: not dialog._job.is_running, timeout=PATIENCE_MS)
    assert "me@127.0.0.1 is not reached" in dialog.progress.text.text()
    assert remote_runs() == []
