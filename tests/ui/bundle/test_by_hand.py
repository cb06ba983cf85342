"""The dialogs of bundles and of machines step by step: what is asked of a worker, and what its answers come to."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.place.table import place_named
from app.core.protocol import event
from app.core.protocol.command import GiveToken, Stop
from app.core.protocol.job import BundleJob, RemoteJob, RemoteStartJob, read_job
from app.ui.bundle.base_source import BaseSource
from app.ui.bundle.dialog import BundleDialog
from app.ui.bundle.remote_dialog import RemoteDialog
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker
from tests.worker.tiny_model import write_data, write_model

CACHED = "models--org--tiny/snapshots/0123abc"
NAME = "org/tiny@0123abc"
MADE = {
    "path": "", "bytes": 2_000_000, "files": 9, "train": 4, "valid": 2, "target_modules": ["q_proj", "v_proj"],
    "modules": ["a", "b", "c"],
    "model": {"id": "org/tiny", "revision": "", "folder": "", "bytes": 0, "four_bit": True, "licence": "mit"},
}  # fmt: skip
SAID = """mine.zip: 2\u00a0MB, 9 files, 4 rows to train on and 2 held out
Base model: org/tiny is downloaded there, loaded in 4 bit. Licence: mit.
Targets: q_proj, v_proj, 3 modules.
There: pip install -r requirements.txt, then python train.py."""


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    folder = tmp_path_factory.mktemp("setup")
    write_model(folder / CACHED)
    data = write_data(folder / "data", train=4, valid=2)
    return TrainConfig.model_validate({
        "model": str(folder / CACHED), "data": str(data), "iters": 2, "epochs": None, "adapter_name": "my setup",
    })  # fmt: skip


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeWorker]:
    FakeWorker.made = []
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    return FakeWorker.made


def choose_source(base: BaseSource, source: str) -> None:
    base.source.set_value(source)
    base.source.edited.emit(source)


def test_a_base_of_the_hub_is_named_there_unless_its_files_come_along(setup: TrainConfig, qtbot: QtBot) -> None:
    form = QWidget()
    qtbot.addWidget(form)
    found = BaseSource(setup, form)
    edits: list[str] = []
    found.edited.connect(lambda: edits.append(found.named))
    assert (found.source.value(), found.name.value(), found.problem()) == ("hub", NAME, "")
    assert (found.brings, found.named, found.in_four_bit) == (False, "", False)
    whole = found.need_gb
    found.four_bit.click()
    assert (found.in_four_bit, found.need_gb <= whole) == (True, True)
    found.name.clear()
    qtbot.keyClicks(found.name, "org/whole ")
    assert edits[-1] == "org/whole"
    choose_source(found, "files")
    assert [one.isEnabled() for one in (found.name, found.four_bit)] == [False, False]
    assert (found.brings, found.named, found.in_four_bit, found.problem()) == (True, "", False, "")
    choose_source(found, "hub")
    assert [one.isEnabled() for one in (found.name, found.four_bit)] == [True, True]
    assert edits[-1] == "org/whole"
    gone = BaseSource(setup.with_value("model", "/gone"), form)
    assert (gone.base, gone.need_gb, gone.source.value(), gone.name.value()) == (None, 0.0, "hub", "")
    assert (gone.problem(), gone.about.text()) == (gone.fault, "")
    assert "/gone" in gone.fault


def test_a_bundle_is_made_told_and_made_anew_beside_the_first(
    setup: TrainConfig, qtbot: QtBot, made: list[FakeWorker], tmp_path: Path
) -> None:
    revealed: list[Path] = []
    dialog = BundleDialog(setup, reveal=revealed.append)
    qtbot.addWidget(dialog)
    dialog.show()
    problem, result = child(dialog, QLabel, "bundle.problem"), child(dialog, QLabel, "bundle.result")

    def seen() -> list[bool]:
        return [one.isVisible() for one in (dialog.make_button, dialog.stop_button, problem, result)]

    first = dialog.job.out
    dialog._on_reveal()
    assert (revealed, seen(), first.name) == ([], [True, False, False, False], "my-setup.zip")
    dialog.out.choose("here.zip")
    assert (problem.text(), seen()) == ("Choose a file by its whole path.", [True, False, True, False])
    assert not dialog.make_button.isEnabled()
    dialog.out.choose(str(tmp_path / "mine.zip"))
    dialog.make_button.click()
    assert seen() == [False, True, False, False]
    assert not dialog._form.isEnabled()
    job = read_job(made[0].job_dir)
    assert isinstance(job, BundleJob)
    assert (job, job.out) == (dialog.job, tmp_path / "mine.zip")
    said = child(dialog, QLabel, "bundle.text")
    assert said.text() == "Starting …"
    made[0].say(event.Progressed(phase="Packing"))
    assert said.text() == "Packing …"
    first.parent.mkdir(parents=True)
    first.touch()
    made[0].say(event.Result(name="bundle", data=MADE | {"path": str(tmp_path / "mine.zip")}))
    made[0].end(event.Finished(reason="completed"))
    assert (result.text(), said.text(), seen()) == (SAID, "", [True, False, False, True])
    assert dialog.job.out == first.with_name("my-setup-2.zip"), "nothing is written over"
    child(dialog, QWidget, "bundle.reveal").click()  # type: ignore[attr-defined]
    assert revealed == [tmp_path / "mine.zip"]
    dialog.make_button.click()
    assert seen() == [False, True, False, False]
    dialog.stop_button.click()
    assert made[1].commands == [Stop()]
    made[1].end(event.Failed(message="The disk is full."), 1)
    assert (said.text(), seen()) == ("The disk is full.", [True, False, False, False])
    assert dialog.job.out == first.with_name("my-setup-2.zip")


@pytest.fixture
def dialog(setup: TrainConfig, qtbot: QtBot) -> RemoteDialog:
    found = RemoteDialog(setup)
    qtbot.addWidget(found)
    found.show()
    return found


def choose(dialog: RemoteDialog, place: str) -> None:
    dialog.place.set_value(place)
    dialog.place.edited.emit(place)


def text(dialog: RemoteDialog, name: str) -> str:
    label = child(dialog, QLabel, f"remote.{name}")
    return label.text() if label.isVisible() else ""


def asked(worker: FakeWorker) -> tuple[str, str]:
    job = read_job(worker.job_dir)
    assert isinstance(job, RemoteJob)
    return job.action, str(job.place)


def test_a_key_is_kept_before_a_place_is_asked_what_it_has(
    dialog: RemoteDialog, qtbot: QtBot, made: list[FakeWorker]
) -> None:
    choose(dialog, "runpod")
    assert dialog.key.placeholderText() == "made at console.runpod.io/user/settings"
    ask = "Ask what it has, and for how much: nothing is rented before a GPU was chosen."
    assert (text(dialog, "problem"), dialog.keep_button.isEnabled()) == (ask, False)
    dialog.keep_key()
    qtbot.keyClicks(dialog.key, " ")
    assert (made, dialog.keep_button.isEnabled()) == ([], False)
    qtbot.keyClicks(dialog.key, "secret ")
    assert dialog.keep_button.isEnabled()
    dialog.key.setFocus()
    qtbot.keyClick(dialog.key, Qt.Key.Key_Return)
    assert [asked(worker) for worker in made] == [("key", "runpod")]
    assert (dialog.key.text(), text(dialog, "text"), text(dialog, "problem")) == ("", "Keeping the key …", "")
    assert (dialog._form.isEnabled(), dialog.start_button.isVisible()) == (False, False)
    made[0].say(event.Ready(), event.Ready())
    assert made[0].commands == [GiveToken(token="secret"), GiveToken(token="")]
    made[0].end(event.Finished(reason="completed"))
    assert asked(made[1]) == ("offers", "runpod")
    assert text(dialog, "text") == "Asking …"
    made[1].say(event.Progressed(phase="Looking"))
    assert text(dialog, "text") == "Looking …"
    made[1].say(event.Result(name="remote", data={"missing": [], "offers": []}))
    made[1].end(event.Finished(reason="completed"))
    assert (text(dialog, "problem"), text(dialog, "text")) == ("It has no GPU to be had now.", "")
    dialog.ask_button.click()
    made[2].say(event.Result(name="remote", data={"missing": ["There is no key.", "Make one."], "offers": []}))
    made[2].end(event.Finished(reason="completed"))
    assert text(dialog, "problem") == "There is no key. Make one."
    choose(dialog, "lambda")
    assert text(dialog, "problem") == ask, "what another place lacks is not told of this one"


def test_the_first_gpu_that_is_large_enough_is_chosen(dialog: RemoteDialog) -> None:
    choose(dialog, "runpod")
    assert not dialog.offer.isEnabled()
    need = dialog.base.need_gb
    offers = [
        {"name": name, "sentence": name.upper(), "memory_gb": memory}
        for name, memory in (("a", need / 2), ("b", need), ("c", 0.0), ("d", need * 2))
    ]
    for kept, at in ((offers, 1), (offers[2:], 0), (offers[:1], 0)):
        dialog._take_offers({"missing": [], "offers": kept})
        dialog._show()
        assert (dialog.offer.currentIndex(), dialog.offer.isEnabled()) == (at, True)
    assert [dialog.offer.itemText(at) for at in range(dialog.offer.count())] == ["A · too small for this training"]
    dialog._take_offers({"missing": [], "offers": offers})
    dialog._show()
    assert [dialog.offer.itemText(at) for at in range(1, 4)] == ["B", "C", "D"]
    assert (dialog.job.offer, text(dialog, "problem"), dialog.start_button.isEnabled()) == ("b", "", True)
    choose(dialog, "lambda")
    assert (dialog.offer.count(), dialog.job.offer, dialog.start_button.isEnabled()) == (0, "", False)


def test_what_a_place_needs_is_asked_for_by_its_name(dialog: RemoteDialog, qtbot: QtBot) -> None:
    here = "What the setup shows: memory, time and room are told at Start."
    assert (text(dialog, "needs"), text(dialog, "costs")) == (here, "Nothing.")
    choose(dialog, "ssh")
    assert text(dialog, "problem") == "Name the machine: an alias of ~/.ssh/config, or user@address."
    qtbot.keyClicks(dialog.host, " gpu-box ")
    assert text(dialog, "problem") == ""
    job = dialog.job
    assert (job.host, job.ssh, job.python, job.user, job.offer) == ("gpu-box", "ssh", "", "", "")
    dialog.ssh.set_value(" ssh -p 2 ")
    dialog.python.set_value(" /python ")
    dialog.user.set_value(" me ")
    job = dialog.job
    assert (job.host, job.ssh, job.python, job.user, job.offer) == ("gpu-box", "ssh -p 2", "/python", "", "")
    choose(dialog, "kaggle")
    costs = place_named("kaggle").costs
    assert text(dialog, "costs") == f"{costs} The bundle goes to Kaggle (Google)."
    dialog.user.set_value(" ")
    dialog._show()
    assert text(dialog, "problem") == "Kaggle needs your name there."
    dialog.user.set_value(" me ")
    dialog._show()
    assert text(dialog, "problem").startswith("Ask what it has")
    job = dialog.job
    assert (job.host, job.ssh, job.python, job.user) == ("", "ssh", "", "me")
    choose(dialog, "here")
    assert (text(dialog, "problem"), dialog.start_button.isEnabled()) == ("", True)
    assert not dialog.base.about.isVisible()


def test_a_start_elsewhere_is_told_and_one_that_is_given_up_is_waited_for(
    dialog: RemoteDialog, qtbot: QtBot, made: list[FakeWorker], tmp_path: Path
) -> None:
    choose(dialog, "ssh")
    qtbot.keyClicks(dialog.host, "gpu-box")
    dialog.start_button.click()
    job = read_job(made[0].job_dir)
    assert isinstance(job, RemoteStartJob)
    assert (job.host, text(dialog, "text")) == ("gpu-box", "Starting …")
    assert (dialog.stop_button.isVisible(), dialog.start_button.isVisible()) == (True, False)
    dialog.close_button.click()
    dialog.reject()
    assert (made[0].commands, dialog.isVisible()) == ([Stop(), Stop()], True)
    assert text(dialog, "text") == "Stopping, and giving back what was rented …"
    made[0].end(event.Finished(reason="stopped", message="Nothing was started."))
    assert (text(dialog, "text"), dialog.isVisible()) == ("Nothing was started.", True)
    dialog.start_button.click()
    made[1].end(event.Failed(message="It is not reached."), 1)
    assert (text(dialog, "text"), dialog.start_button.isVisible()) == ("It is not reached.", True)
    told: list[tuple[Path, str]] = []
    dialog.started.connect(lambda path, where: told.append((path, where)))
    dialog.start_button.click()
    made[2].say(event.Result(name="remote", data={"path": str(tmp_path), "where": "gpu-box"}))
    assert told == [(tmp_path, "gpu-box")]
    made[2].end(event.Finished(reason="completed"))
    assert (dialog.isVisible(), dialog.result()) == (False, 1)


def test_what_is_only_asked_is_given_up_at_once(dialog: RemoteDialog, made: list[FakeWorker]) -> None:
    choose(dialog, "runpod")
    dialog.ask_button.click()
    assert made[0].is_running
    dialog.reject()
    assert not dialog.isVisible()
