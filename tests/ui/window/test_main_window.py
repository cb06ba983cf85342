"""The main window: menus, drops, messages and closing, wired to one store and one session."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt, QUrl
from PySide6.QtGui import QAction, QDesktopServices, QFileOpenEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QLabel,
    QLineEdit,
    QMenu,
    QMessageBox,
    QPushButton,
    QTabBar,
    QTableView,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS
from app.core.problem import Problem
from app.core.protocol import event
from app.core.protocol.command import Pause, Stop
from app.core.protocol.job import TrainJob, read_job
from app.core.quantity import duration_text
from app.core.queue.queue import make_entry
from app.core.replica.hostfile import RUN_HOSTS, hosts_here, read_hostfile
from app.core.run.folder import runs_dir
from app.core.run.name import run_name
from app.core.setup.config_file import load_config, save_config
from app.core.setup.trial import trial_config
from app.core.system.setting import load_settings
from app.ui.about.box import About
from app.ui.bundle.dialog import BundleDialog
from app.ui.export.merge_dialog import MergeDialog
from app.ui.form.number_box import NumberBox
from app.ui.form.store import ConfigStore, form_store
from app.ui.message import bar as message_bar
from app.ui.message.bar import Notice
from app.ui.platform.key_text import MAIN_KEYS, native_keys
from app.ui.queue.table import QUEUE_NAME
from app.ui.replica.dialog import HostsDialog
from app.ui.run.session import RunSession, RunState
from app.ui.runs.column import NAME_COLUMN
from app.ui.runs.trash import Trashed
from app.ui.widget import theme
from app.ui.window.appearance import Appearance
from app.ui.window.application import ErrorPresenter, FileOpener, screenshot
from app.ui.window.main_window import COMPARE_TAB, RUNS_TAB, SETUP_TAB, MainWindow
from app.ui.window.settings_dialog import SettingsDialog
from tests.ui import synthetic_run
from tests.ui.child import child
from tests.ui.comparing import adapter_folder, base_folder
from tests.ui.dragging import drop
from tests.ui.fake_worker import FakeWorker


@pytest.fixture
def window(qtbot: QtBot, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    assert workers == []
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    appearance = Appearance()
    found = MainWindow(form_store(), RunSession(), appearance)
    qtbot.addWidget(found, before_close_func=forget_run)
    found.resize(1100, 700)
    found.show()
    return found


def forget_run(window: MainWindow) -> None:
    """A window that trains asks before it closes; the end of a test has nobody to answer."""
    window.session._state = RunState.NONE


@pytest.fixture
def ready(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    """A window whose form has nothing that holds back Start."""
    monkeypatch.setattr("app.ui.setup.setup_tab.SetupTab._found", lambda _: [])
    monkeypatch.setattr("app.ui.setup.setup_tab.SetupTab.is_checking", False)
    window.store.set_many({"model": "/m", "data": "/d", "adapter_name": "friendly"})
    window.setup_tab.check()
    return window


def trainers(workers: list[FakeWorker]) -> list[FakeWorker]:
    return [worker for worker in workers if worker.task == "train"]


def action(window: MainWindow, name: str) -> QAction:
    return child(window, QAction, name)


def messages(window: MainWindow) -> list[str]:
    return [message.text for message in window.messages.messages()]


def act(window: MainWindow) -> None:
    QTest.mouseClick(child(window.messages, QPushButton, "message.action"), Qt.MouseButton.LeftButton)


def model_folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return tmp_path / "model"


# -- menus ---------------------------------------------------------------------------------------------------


def test_every_action_has_a_role_and_the_keys_are_there(window: MainWindow) -> None:
    actions = [
        a for a in window.findChildren(QAction) if a.objectName().startswith(("file.", "run.", "view.", "help."))
    ]
    assert len(actions) > 15
    assert all(a.menuRole() is not QAction.MenuRole.TextHeuristicRole for a in actions)
    keys = {
        name: action(window, name).shortcut().toString()
        for name in ("file.settings", "file.quit", "file.open_config")
    }
    assert keys == {"file.settings": "Ctrl+,", "file.quit": "Ctrl+Q", "file.open_config": "Ctrl+O"}
    assert action(window, "file.quit").menuRole() is QAction.MenuRole.QuitRole
    assert action(window, "file.settings").menuRole() is QAction.MenuRole.PreferencesRole
    used = [a.shortcut().toString() for a in actions if not a.shortcut().isEmpty()]
    assert len(used) == len(set(used))


def test_keys_change_the_tab_and_everything_stays(window: MainWindow) -> None:
    for index, name in ((3, "runs_tab"), (2, "compare_tab"), (1, "enhanced_tab"), (0, "setup_tab")):
        action(window, f"view.tab.{index}").trigger()
        assert child(window, QWidget, name).isVisible()
        assert window.run_panel.isVisible()


def test_the_theme_is_chosen_and_kept(window: MainWindow) -> None:
    action(window, "view.theme.dark").trigger()
    assert theme.colors().scheme == "dark"
    assert load_settings().theme == "dark"
    QTest.mouseClick(child(window, QToolButton, "theme_toggle"), Qt.MouseButton.LeftButton)
    assert theme.colors().scheme == "light"
    assert action(window, "view.theme.light").isChecked()


def test_a_config_is_opened_saved_and_the_opening_undone(window: MainWindow, tmp_path: Path) -> None:
    file = tmp_path / "lora.yaml"
    file.write_text("model: /elsewhere\nlora_parameters: {rank: 8}\nstrange_key: 1\n")
    window.store.set("adapter_name", "mine")
    window.forms.open_config(file)
    assert window.store.config.lora_parameters.rank == 8
    assert "strange_key" in messages(window)[0]
    assert load_settings().recent_configs[0] == str(file)
    act(window)
    assert window.store.config.adapter_name == "mine"
    window.forms.save_config(tmp_path / "saved")
    assert load_config(tmp_path / "saved.yaml").config.adapter_name == "mine"


AXOLOTL = (
    "base_model: /elsewhere\nadapter: lora\nlora_r: 8\nlora_alpha: 16\nlora_target_linear: true\n"
    "learning_rate: 2e-4\nneftune_noise_alpha: 5\ndatasets: [{path: a/b, type: chat_template}]\n"
)


def test_what_another_trainers_config_could_not_say_stands_beside_the_fields(
    window: MainWindow, tmp_path: Path
) -> None:
    (tmp_path / "axolotl.yml").write_text(AXOLOTL)
    window.forms.open_config(tmp_path / "axolotl.yml")
    tab = window.setup_tab
    assert tab.store.config.lora_parameters.rank == 8
    tab.check()
    assert "a config of axolotl" in messages(window)[0]
    for path, word in (("data", "a/b"), ("lora_parameters.dropout", "neftune_noise_alpha")):
        assert word in child(tab, QLabel, f"{path}.problem").text()
    tab.store.set("lora_parameters.dropout", 0.1)  # whoever edits a field has read what stands there
    tab.check()
    assert not child(tab, QLabel, "lora_parameters.dropout.problem").text()
    assert "a/b" in child(tab, QLabel, "data.problem").text()
    act(window)
    tab.check()
    assert not child(tab, QLabel, "data.problem").text()


def test_what_another_trainer_does_and_luthier_cannot_leaves_the_form_alone(
    window: MainWindow, tmp_path: Path
) -> None:
    (tmp_path / "axolotl.yml").write_text(f"{AXOLOTL}lora_modules_to_save: [lm_head]\n")
    before = window.store.config
    window.forms.open_config(tmp_path / "axolotl.yml")
    assert window.store.config == before
    assert "lora_modules_to_save" in messages(window)[0]


def test_a_broken_config_leaves_the_form_alone(window: MainWindow, tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("batch_size: 1000\nlearning_rate: -1\n")
    before = window.store.config
    window.forms.open_config(file)
    assert window.store.config == before
    assert "batch_size" in messages(window)[0]
    assert "learning_rate" in messages(window)[0]


@pytest.mark.parametrize("text", ["", "hello: world\nversion: 2\n"])
def test_a_file_that_is_no_config_leaves_the_form_alone(window: MainWindow, tmp_path: Path, text: str) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(text)
    window.store.set_many({"model": "/m", "data": "/d", "iters": 77})
    before = window.store.config
    window.forms.open_config(file)
    assert window.store.config == before
    assert messages(window)[0].startswith("compose.yaml was not opened. It has no key that Luthier,")
    file.write_text(f"{text}iters: 9\n")  # one key that is known is enough
    window.forms.open_config(file)
    assert window.store.config.iters == 9


def test_reset_can_be_undone(window: MainWindow) -> None:
    window.store.set_many({"batch_size": 4, "model": "/m"})
    action(window, "file.reset").trigger()
    assert window.store.config == TrainConfig(model="/m")
    act(window)
    assert window.store.config.batch_size == 4


# -- drops ---------------------------------------------------------------------------------------------------


def test_what_is_dropped_on_the_window_lands_where_it_belongs(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    model, data = model_folder(tmp_path), tmp_path / "train.jsonl"
    data.write_text('{"text": "hello"}\n')
    drop(window, model, data)
    assert (window.store.config.model, window.store.config.data) == (str(model), str(data))
    assert messages(window)[0] == "model is the model now. train.jsonl is the training data now."
    config = tmp_path / "my.yaml"
    save_config(TrainConfig(adapter_name="dropped"), config)
    drop(window, config)
    assert window.store.config.adapter_name == "dropped"
    run = synthetic_run.run_folder(tmp_path)
    with qtbot.waitSignal(window.session.loaded):
        drop(window, run.path)
    assert len(window.session.history) == 600
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"")
    drop(window, photo)
    assert "photo.png is not a model" in messages(window)[0]


def test_a_dropped_adapter_opens_the_comparison_with_its_base(window: MainWindow, tmp_path: Path) -> None:
    adapter = tmp_path / "tuned"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"model": "/models/base"}))
    (adapter / "adapters.safetensors").write_bytes(b"")
    drop(window, adapter)
    assert window.compare_tab.isVisible()
    assert window.compare_tab.adapter == adapter
    assert window.compare_tab.base == "/models/base"


def test_files_of_the_system_land_where_a_drop_would_put_them(window: MainWindow, tmp_path: Path) -> None:
    opener = FileOpener(window)
    opener.opened.connect(window.user_actions.take_files)
    application = QApplication.instance()
    assert application is not None
    application.installEventFilter(opener)
    model = model_folder(tmp_path)
    QApplication.sendEvent(application, QFileOpenEvent(QUrl.fromLocalFile(str(model))))
    assert window.store.config.model == str(model)
    application.removeEventFilter(opener)


def test_a_change_is_undone_and_redone_from_the_menu_and_by_key(window: MainWindow) -> None:
    window.store.set("seed", 7)
    edit = window.menu.edit
    edit.aboutToShow.emit()
    assert action(window, "edit.undo").isEnabled()
    assert not action(window, "edit.redo").isEnabled()
    edit.aboutToHide.emit()
    action(window, "edit.undo").trigger()
    assert window.store.value("seed") == 0
    QTest.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert window.store.value("seed") == 7
    QTest.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.store.value("seed") == 0


def test_the_edit_menu_acts_on_the_focused_field(window: MainWindow) -> None:
    name = next(box for box in window.findChildren(QLineEdit) if box.isEnabled() and box.isVisible())
    name.setFocus()
    name.setText("a word")
    for which in ("edit.selectAll", "edit.copy"):
        window.menu.edit.aboutToShow.emit()
        assert action(window, which).isEnabled()
        action(window, which).trigger()
    assert QApplication.clipboard().text() == "a word"
    window.tab_bar.setFocus()
    window.menu.edit.aboutToShow.emit()
    assert not action(window, "edit.copy").isEnabled()


def test_every_entry_of_edit_has_its_words_keys_and_role(window: MainWindow) -> None:
    window.tab_bar.setFocus()
    window.store.set("seed", 7)
    window.show_tab("Runs")
    window.menu.edit.aboutToShow.emit()
    assert not action(window, "edit.undo").isEnabled()  # what is not seen is not changed
    window.show_tab("Setup")
    window.tab_bar.setFocus()
    window.menu.edit.aboutToShow.emit()
    assert action(window, "edit.undo").isEnabled()
    for name in ("cut", "copy", "paste", "delete", "selectAll"):
        assert not action(window, f"edit.{name}").isEnabled()
    window.menu.edit.aboutToHide.emit()
    keys = {one.text(): one.shortcut().toString() for one in window.menu.edit.actions() if one.text()}
    assert keys == {
        "Undo": "Ctrl+Z", "Redo": "Ctrl+Shift+Z", "Cut": "Ctrl+X", "Copy": "Ctrl+C", "Paste": "Ctrl+V",
        "Delete": "", "Select All": "Ctrl+A",
    }  # fmt: skip


def test_the_roles_of_a_mac_s_program_menu(window: MainWindow) -> None:
    menus = [menu for top in window.menuBar().actions() if isinstance(menu := top.menu(), QMenu)]
    found = {one.objectName(): one.menuRole() for menu in menus for one in menu.actions() if one.objectName()}
    role = QAction.MenuRole
    words = dict.fromkeys(
        (f"edit.{name}" for name in ("cut", "copy", "paste", "selectAll")), role.TextHeuristicRole
    )
    assert {name: what for name, what in found.items() if what != role.NoRole} == words | {
        "help.about": role.AboutRole, "file.settings": role.PreferencesRole, "file.quit": role.QuitRole,
    }  # fmt: skip


def test_the_window_menu_minimizes_zooms_and_brings_back(window: MainWindow, qtbot: QtBot) -> None:
    assert action(window, "window.minimize").shortcut().toString() == "Ctrl+M"
    action(window, "window.zoom").trigger()
    assert window.isMaximized()
    action(window, "window.zoom").trigger()
    assert not window.isMaximized()
    action(window, "window.minimize").trigger()
    assert window.isMinimized()
    action(window, "window.front").trigger()
    assert not window.isMinimized()
    window.show_help()
    dialog = child(window, QWidget, "help_dialog")
    qtbot.waitUntil(dialog.isActiveWindow)
    action(window, "file.close").trigger()  # that with the keyboard, not this one behind it
    qtbot.waitUntil(lambda: window.findChild(QWidget, "help_dialog") is None)
    assert window.isVisible()


def test_the_main_key_is_that_of_the_page(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    start, asked = action(window, "run.start"), []
    start.triggered.connect(lambda: asked.append("start"))
    control = Qt.KeyboardModifier.ControlModifier
    for tab in ("Setup", "Enhanced Setup"):
        window.show_tab(tab)
        window.tab_bar.setFocus()
        QTest.keyClick(window, Qt.Key.Key_Return, control)
        assert native_keys(MAIN_KEYS) in [native_keys(keys) for keys in start.shortcuts()]
    assert asked == ["start", "start"]
    window.show_tab("Compare")
    monkeypatch.setattr(type(window.compare_tab), "compare", lambda _tab: asked.append("compare"))
    window.tab_bar.setFocus()
    assert [keys.toString() for keys in start.shortcuts()] == ["Ctrl+R"]
    QTest.keyClick(window, Qt.Key.Key_Return, control)
    QTest.keyClick(window, Qt.Key.Key_R, control)
    assert asked == ["start", "start", "compare", "start"]


# -- runs ----------------------------------------------------------------------------------------------------


def test_errors_hold_back_the_start_and_are_named(window: MainWindow, workers: list[FakeWorker]) -> None:
    action(window, "run.start").trigger()
    assert trainers(workers) == []
    assert messages(window)[0].startswith("The run cannot start yet.")
    assert "model" in messages(window)[0].lower()


@pytest.mark.parametrize("typed", ["3e-", ""])
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("run.start", "The run cannot start yet."),
        ("run.enqueue", "The setup cannot be queued yet."),
        ("run.sweep", "The setup cannot be varied yet."),
        ("file.save_config", "The config cannot be saved yet."),
    ],
)
def test_a_number_that_is_still_being_typed_counts_as_it_stands(
    ready: MainWindow, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch, asked: str, said: str, typed: str
) -> None:
    monkeypatch.setattr("app.ui.window.main_window.ask_new_file", lambda *_: pytest.fail("nothing is saved"))
    field = ready.setup_tab.fields["learning_rate"]
    assert isinstance(field.editor, NumberBox)
    field.editor.lineEdit().selectAll()
    QTest.keyClick(field.editor.lineEdit(), Qt.Key.Key_Delete)
    QTest.keyClicks(field.editor.lineEdit(), typed)
    assert field.own_problem is None, "more may come"
    action(ready, asked).trigger()
    assert messages(ready)[0].startswith(said)
    assert field.own_problem is not None
    assert field.own_problem.message in messages(ready)[0]
    assert (trainers(workers), ready.queue_actions.dialog) == ([], None)
    assert ready.user_actions.queue.state.entries == ()
    field.editor.lineEdit().selectAll()
    QTest.keyClicks(field.editor.lineEdit(), "3e-4")
    QTest.keyClick(field.editor.lineEdit(), Qt.Key.Key_Return)
    assert not [text for text in messages(ready) if text.startswith(said)], "it is as it should be"


def test_a_setup_goes_into_a_bundle_as_the_form_has_it(ready: MainWindow, tmp_path: Path) -> None:
    ready.store.set("model", str(model_folder(tmp_path)))
    action(ready, "file.bundle").trigger()
    dialog = ready.export_actions.dialog
    assert isinstance(dialog, BundleDialog)
    assert dialog.isVisible()
    assert dialog.job.config == ready.store.config.model_dump(mode="json")
    dialog.close_button.click()
    assert ready.export_actions.dialog is None


def test_a_setup_is_trained_on_several_machines(
    ready: MainWindow, workers: list[FakeWorker], tmp_path: Path, qtbot: QtBot
) -> None:
    ready.store.set("model", str(model_folder(tmp_path)))
    ready.store.set("batch_size", 4)
    action(ready, "run.hosts").trigger()
    dialog = ready.export_actions.dialog
    assert isinstance(dialog, HostsDialog)
    assert dialog.job.model == ready.store.config.model
    dialog.set_hostfile(hosts_here(3))
    dialog.start_button.click()
    qtbot.waitUntil(lambda: ready.export_actions.dialog is None)
    (worker,) = trainers(workers)
    assert len(read_hostfile(worker.job_dir / RUN_HOSTS)) == 3


def test_errors_hold_back_a_bundle_and_are_named(window: MainWindow) -> None:
    action(window, "file.bundle").trigger()
    assert messages(window)[0].startswith("The setup cannot be bundled yet.")
    assert window.export_actions.dialog is None


def test_a_run_is_started_paused_stopped_and_offers_the_comparison(
    qtbot: QtBot, ready: MainWindow, workers: list[FakeWorker]
) -> None:
    QTest.mouseClick(child(ready, QPushButton, "start"), Qt.MouseButton.LeftButton)
    (worker,) = trainers(workers)
    assert load_config(worker.job_dir / "config.yaml").config.adapter_name == "friendly"
    assert not child(ready, QPushButton, "start").isEnabled()
    worker.say(*synthetic_run.events(until=300, ending=""))
    qtbot.waitUntil(lambda: ready.windowTitle() == "50\u00a0% · friendly – Luthier")
    assert child(ready, QLabel, "status").text().startswith("Training · iteration 300 of 600")
    action(ready, "run.pause").trigger()
    action(ready, "run.stop").trigger()
    assert worker.commands == [Pause()]  # nothing is saved yet: it asks
    box = child(ready, QMessageBox, "stop_question")
    next(one for one in box.buttons() if one.text() == "Stop and save").click()
    assert worker.commands == [Pause(), Stop()]
    run = ready.session.run
    assert run is not None
    run.adapters.mkdir()
    (run.adapters / "adapters.safetensors").write_bytes(b"")
    (run.adapters / "adapter_config.json").write_text(json.dumps({"model": "/m"}))
    worker.end(event.Finished(reason="stopped", iteration=300))
    assert messages(ready)[0] == "friendly was stopped at iteration 300; the adapter is saved."
    act(ready)
    assert ready.compare_tab.isVisible()
    assert ready.compare_tab.adapter == run.adapters
    assert ready.compare_tab.base == "/m"


def test_what_was_told_of_an_end_goes_when_the_run_goes_on(
    qtbot: QtBot, ready: MainWindow, workers: list[FakeWorker]
) -> None:
    ready.user_actions.start()
    run = ready.session.run
    assert run is not None
    workers[-1].say(*synthetic_run.events(until=300, ending=""))
    run.adapters.mkdir()
    (run.adapters / "adapters.safetensors").write_bytes(b"")
    (run.state / "300").mkdir(parents=True)
    workers[-1].end(event.Finished(reason="stopped", iteration=300))
    said = "friendly was stopped at iteration 300; the adapter is saved."
    assert said in messages(ready)
    ready.user_actions.resume_run()
    qtbot.waitUntil(lambda: ready.session.is_live)
    assert said not in messages(ready)


def test_the_status_line_names_the_machine_of_the_run_that_is_shown(
    ready: MainWindow, workers: list[FakeWorker]
) -> None:
    device = child(ready, QLabel, "status.device")
    for name in ("Test", "M4 Max"):
        ready.user_actions.start()
        assert device.text() == "", "that of the run before is not this one's"
        workers[-1].say(event.Hello(task="train", device=name, versions={"mlx": "0"}))
        assert device.text() == f"{name} · MLX 0"
        workers[-1].end(event.Finished(reason="completed"))


def test_nothing_starts_while_model_and_data_are_read(
    ready: MainWindow, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ui.setup.setup_tab.SetupTab.is_checking", True)
    asks = ready.user_actions
    for ask in (asks.start, asks.enqueue, asks.bundle, asks.hosts):
        ask()
        assert messages(ready)[0] == "The model and the data are still being read. Ask again when that is done."
    assert (trainers(workers), ready.user_actions.queue.state.entries) == ([], ())
    assert ready.export_actions.dialog is None


@pytest.mark.parametrize("word", ["start", "enqueue", "bundle"])
def test_the_form_is_saved_with_what_becomes_of_it(
    word: str, ready: MainWindow, workers: list[FakeWorker], home: Path
) -> None:
    """Also where nothing waits to be saved by itself any more: the file may have been lost meanwhile."""
    ready.store.set("seed", 77)
    ready.store._timer.stop()
    getattr(ready.user_actions, word)()
    assert load_config(home / "data" / "form.yaml").config.seed == 77
    assert len(trainers(workers)) == (word == "start")


def test_a_failed_run_leads_to_its_field(ready: MainWindow, workers: list[FakeWorker]) -> None:
    ready.user_actions.start()
    failure = event.Failed(
        message="The data is too small.", hint="Lower the batch.", path="batch_size", unusable=True
    )
    trainers(workers)[0].end(failure, 2)
    assert messages(ready)[0] == "The data is too small. Lower the batch."
    ready.show_tab("Compare")
    act(ready)
    assert ready.setup_tab.isVisible()


def test_a_changed_config_is_put_back_from_the_message(ready: MainWindow, workers: list[FakeWorker]) -> None:
    ready.user_actions.start()
    trainers(workers)[0].end(event.Finished(reason="stopped", iteration=3))
    run = ready.session.run
    assert run is not None
    ready.session._resume_job = None
    failure = event.Failed(message="`seed` is 9, and was 0.", hint="…", path="as_before", unusable=True)
    ready.user_actions.go_on(run.path, extend_to=40)
    QApplication.processEvents()
    trainers(workers)[1].end(failure, 2)
    assert messages(ready)[0] == "`seed` is 9, and was 0."
    act(ready)
    QApplication.processEvents()
    job = read_job(run.path)
    assert isinstance(job, TrainJob)
    assert (job.as_before, job.extend_to) == (True, 40)


def test_what_a_run_said_last_is_not_told_twice(ready: MainWindow, workers: list[FakeWorker]) -> None:
    ready.user_actions.start()
    said = "No measurement was better than the untrained model's: the adapter holds the last weights."
    worker = trainers(workers)[0]
    warned = event.Warned(message=said, hint="Try other data.")
    worker.say(*synthetic_run.events(until=25, ending=""), warned)
    assert messages(ready) == [], "the panel says it"
    ready.fold.choose(False)
    worker.say(warned)
    assert messages(ready) == [f"{said} Try other data."]
    ready.fold.choose(True)
    assert messages(ready) == [], "the panel says it again"
    ready.fold.choose(False)
    worker.say(warned)
    assert messages(ready) == [f"{said} Try other data."]
    worker.end(event.Finished(reason="completed", iteration=600, message=said))
    assert not any(said in text for text in messages(ready))
    assert said in child(ready.run_panel, QLabel, "run_sentence").text()


def test_how_a_run_failed_is_told_where_the_panel_is_folded_and_until_the_next(
    ready: MainWindow, workers: list[FakeWorker]
) -> None:
    ready.user_actions.start()
    failure = event.Failed(message="The training diverged.", hint="Try less.")
    trainers(workers)[-1].end(failure)
    assert messages(ready) == [], "the panel says it"
    ready.user_actions.start()
    ready.fold.choose(False)
    trainers(workers)[-1].end(failure)
    assert messages(ready) == ["The training diverged. Try less."]
    ready.user_actions.start()
    assert messages(ready) == []
    trainers(workers)[-1].end(event.Finished())


def test_a_full_disk_is_told_as_the_worker_says_it(ready: MainWindow, workers: list[FakeWorker]) -> None:
    ready.user_actions.start()
    said = "The disk is full: 1.6\u00a0MB more are needed in /runs/a."
    trainers(workers)[0].end(event.Finished(reason="paused", iteration=3, message=said))
    assert messages(ready)[0] == said


def test_a_silent_worker_is_told_and_can_be_ended(ready: MainWindow, workers: list[FakeWorker]) -> None:
    ready.user_actions.start()
    (worker,) = trainers(workers)
    worker.silent.emit(120)
    assert messages(ready)[0] == "The worker has not said a word for 2\u00a0min: a long step, or it is stuck."
    act(ready)
    assert worker.killed


def test_what_ends_a_silent_worker_goes_when_it_speaks_or_has_ended(
    ready: MainWindow, workers: list[FakeWorker]
) -> None:
    ready.user_actions.start()
    first = trainers(workers)[0]
    first.silent.emit(120)
    first.say(event.Progressed(phase="Loading the model"))
    assert messages(ready) == []
    first.silent.emit(120)
    first.end(event.Finished(reason="stopped", iteration=3))
    ready.user_actions.start()  # whose worker must not be what "End it" ends
    assert not any("has not said a word" in text for text in messages(ready))


def test_a_message_acts_on_the_run_that_it_is_about(ready: MainWindow, workers: list[FakeWorker]) -> None:
    runs = []
    for _ in range(2):
        ready.user_actions.start()
        run = ready.session.run
        assert run is not None
        adapter_folder(run.adapters, "/m")
        (run.state / "0000003").mkdir(parents=True)
        trainers(workers)[-1].end(event.Finished(reason="stopped", iteration=3))
        runs.append(run)
    newer, older = ready.messages.messages()
    for notice, run in ((newer, runs[1]), (older, runs[0])):
        assert notice.act is not None
        notice.act()
        assert ready.compare_tab.adapter == run.adapters


def test_resume_in_a_message_resumes_the_run_that_it_is_about(ready: MainWindow, workers: list[FakeWorker]) -> None:
    ready.user_actions.start()
    run = ready.session.run
    assert run is not None
    (run.state / "0000003").mkdir(parents=True)
    ready.fold.choose(False)  # open, the panel has its own Resume
    trainers(workers)[-1].end(None, -9)
    (notice,) = ready.messages.messages()
    assert notice.act is not None
    ready.user_actions.start()
    ready.session.stop()
    notice.act()  # while another trains it waits, and touches nothing
    assert "A run is training" in messages(ready)[0]
    trainers(workers)[-1].end(event.Finished(reason="stopped", iteration=3))
    notice.act()
    assert ready.session.run is not None
    assert ready.session.run.path == run.path


def test_a_refusal_goes_with_its_reason_and_when_another_tab_is_shown(
    ready: MainWindow, workers: list[FakeWorker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "A run is training. Its curves stay here until it has ended."
    ready.user_actions.start()
    other = synthetic_run.run_folder(tmp_path)
    ready.user_actions.open_run(other.path)
    assert messages(ready) == [said]
    monkeypatch.setitem(message_bar.READ_S, "warning", 0.0)
    ready.show_tab(COMPARE_TAB)
    assert messages(ready) == []
    ready.user_actions.open_run(other.path)
    assert messages(ready) == [said]
    trainers(workers)[0].end(event.Failed(message="The loss is not a number."))
    assert said not in messages(ready)


def test_a_page_can_be_scrolled_above_an_error(window: MainWindow, qtbot: QtBot) -> None:
    area = window.setup_tab.scroll_area
    before = area.verticalScrollBar().maximum()
    window.messages.tell(Notice("Saved."))
    QApplication.processEvents()
    assert area.verticalScrollBar().maximum() == before
    window.messages.tell(Notice("It failed.\n" * 3, "error"))
    foot = area.viewport().mapTo(window, area.viewport().rect().bottomLeft()).y() + 1
    covered = foot - window.messages.mapTo(window, QPoint(0, 0)).y()
    qtbot.waitUntil(lambda: area.verticalScrollBar().maximum() == before + covered)
    assert covered > 0
    window.messages.clear()
    qtbot.waitUntil(lambda: area.verticalScrollBar().maximum() == before)


def test_no_message_covers_the_foot_of_the_queue(ready: MainWindow, qtbot: QtBot) -> None:
    ready.user_actions.queue.add([make_entry(ready.store.config)])
    ready.user_actions.queue.shown_requested.emit()
    ready.messages.tell(Notice("It failed.\n" * 3, "error"))
    foot = child(ready, QWidget, "queue.when_done")
    remove = child(ready, QWidget, "queue.remove_button")

    def is_clear() -> bool:
        low = ready.messages.mapTo(ready, QPoint(0, ready.messages.height())).y()
        return low <= min(one.mapTo(ready, QPoint(0, 0)).y() for one in (foot, remove))

    qtbot.waitUntil(is_clear)
    child(ready, QTabBar, "runs.switch").setCurrentIndex(0)
    page = ready.runs_tab
    low = page.mapTo(ready, QPoint(0, page.height())).y()
    qtbot.waitUntil(lambda: ready.messages.mapTo(ready, QPoint(0, ready.messages.height())).y() == low)


def test_a_message_makes_way_for_a_foot_that_grows(ready: MainWindow, qtbot: QtBot) -> None:
    bar = ready.setup_tab.start_bar
    ready.messages.tell(Notice("It was stopped.", "warning"))

    def edges() -> tuple[int, int]:
        messages = ready.messages
        return messages.mapTo(ready, QPoint(0, messages.height())).y(), bar.mapTo(ready, QPoint(0, 0)).y()

    qtbot.waitUntil(lambda: edges()[0] == edges()[1])
    before = edges()[1]
    bar.setMinimumHeight(bar.height() + 80)  # as with more lines of text
    qtbot.waitUntil(lambda: edges() == (before - 80, before - 80), timeout=5_000)


def test_of_several_things_on_a_card_none_is_left_out(ready: MainWindow, tmp_path: Path) -> None:
    model, data, photo = tmp_path / "other", tmp_path / "rows.jsonl", tmp_path / "photo.png"
    for path, text in ((model / "config.json", '{"model_type": "llama"}'), (data, '{"text": "a"}\n'), (photo, "")):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    tab = ready.setup_tab
    for card in (tab.model_panel, tab.data_panel):
        ready.store.set_many({"model": "/m", "data": "/d"})
        ready.messages.clear()
        assert drop(card, model, data, photo)
        assert (ready.store.config.model, ready.store.config.data) == (str(model), str(data))
        assert any("photo.png is not" in text for text in messages(ready))
    second = tmp_path / "second"
    second.mkdir()
    (second / "config.json").write_text('{"model_type": "llama"}')
    ready.store.set("model", "/m")
    assert drop(tab.model_panel, model, second, data)
    assert (ready.store.config.model, ready.store.config.data) == ("/m", str(data))
    assert messages(ready)[0] == "Several models at once: other, second. Drop the one that is meant."


def test_runs_that_are_selected_together_are_compared_together(ready: MainWindow, tmp_path: Path) -> None:
    runs = [synthetic_run.run_folder(tmp_path / name) for name in ("one", "two")]
    for run in runs:
        adapter_folder(run.adapters, "/m")
    ready.runs_tab.compare_requested.emit(tuple(run.path for run in runs))
    assert ready.compare_tab.isVisible()
    assert [found.adapter for found in ready.compare_tab.candidates] == [None, *(run.adapters for run in runs)]


def test_where_no_run_is_listed_yet_a_button_leads_to_the_setup(ready: MainWindow) -> None:
    ready.show_tab(RUNS_TAB)
    begin = ready.findChild(QPushButton, "runs.begin")
    assert begin is not None
    assert begin.isVisible()
    begin.click()
    assert ready.tab_bar.tabText(ready.tab_bar.currentIndex()) == SETUP_TAB


def test_a_run_that_is_renamed_is_called_so_everywhere_at_once(ready: MainWindow, qtbot: QtBot) -> None:
    run = synthetic_run.run_folder(runs_dir())
    adapter_folder(run.adapters, "/m")
    own = load_config(run.config).config.adapter_name
    ready.user_actions.open_run(run.path)
    qtbot.waitUntil(lambda: ready.session.state is RunState.COMPLETED)
    entry = make_entry(load_config(run.config).config).model_copy(update={"run": str(run.path), "state": "done"})
    ready.user_actions.queue.add([entry])
    ready.compare_tab.choose_run(run)
    ready.show_tab(RUNS_TAB)
    runs, column = ready.runs_tab, ready.compare_tab.columns[1]
    qtbot.waitUntil(lambda: not runs.is_busy and bool(runs.table_model.runs))
    ready.user_actions.queue.shown_requested.emit()
    table = child(ready, QTableView, "queue.table").model()
    title, name = child(ready.run_panel, QLabel, "run_name"), runs.table_model.index(0, NAME_COLUMN)
    assert title.text() == table.index(0, QUEUE_NAME).data() == own

    assert runs.table_model.setData(name, "Fiddler one")

    assert (title.text(), ready.session.name) == ("Fiddler one", "Fiddler one")
    assert table.index(0, QUEUE_NAME).data() == "Fiddler one"
    assert (column.title, column.chooser.box.currentText()) == ("Fiddler one", "Fiddler one")
    ready.user_actions.open_run(run.path)  # as after a restart
    assert title.text() == "Fiddler one"
    runs.table_model.setData(name, "")
    assert title.text() == table.index(0, QUEUE_NAME).data() == own


def test_a_second_run_is_not_started_over_the_first(ready: MainWindow, workers: list[FakeWorker]) -> None:
    ready.user_actions.start()
    ready.user_actions.start()
    assert len(trainers(workers)) == 1
    assert "Stop it before" in messages(ready)[0]
    ready.user_actions.open_run(Path("/somewhere"))
    assert "A run is training" in messages(ready)[0]


def test_a_folder_that_is_no_run_is_told_and_the_shown_run_stays(
    ready: MainWindow, workers: list[FakeWorker], tmp_path: Path
) -> None:
    ready.user_actions.start()
    trainers(workers)[-1].end(event.Finished(reason="stopped", iteration=3))
    shown, asked = ready.session.run, []
    ready.user_actions.run_asked.connect(lambda: asked.append(1))
    (tmp_path / "config.yaml").mkdir()
    (tmp_path / "a.txt").write_text("")
    for place in (tmp_path / "nowhere", tmp_path, tmp_path / "a.txt"):
        ready.user_actions.open_run(place)
        assert messages(ready)[0] == f"{place} is not a run: it has no config.yaml."
    assert (ready.session.run, ready.session.state, asked) == (shown, RunState.STOPPED, [])


def test_a_second_run_beside_another_windows_is_asked_for(
    ready: MainWindow, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = synthetic_run.run_folder(tmp_path)
    monkeypatch.setattr("app.ui.window.actions.training_runs", lambda: [other])
    ready.user_actions.start()
    ready.user_actions.go_on(synthetic_run.run_folder(tmp_path / "old").path)
    assert trainers(workers) == []
    assert "is training already" in messages(ready)[0]
    asked = ready.messages.messages()[-1]
    assert (asked.action, asked.act is None) == ("Train beside it", False)
    ready.user_actions.start_on(None, beside=True)
    assert len(trainers(workers)) == 1


# -- the end -------------------------------------------------------------------------------------------------


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> list[str]:
    """Presses the button with this text in every question that comes; returns what was asked."""
    asked: list[str] = []

    def execute(box: QMessageBox) -> int:
        asked.append(box.text())
        next(b for b in box.buttons() if b.text() == text).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", execute)
    return asked


def test_closing_while_training_asks_and_can_be_taken_back(
    ready: MainWindow, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.user_actions.start()
    asked = answer(monkeypatch, "Cancel")
    assert not ready.close()
    assert asked == ["A run is training."]
    assert ready.isVisible()
    assert trainers(workers)[0].commands == []


def test_closing_while_training_saves_first(
    qtbot: QtBot, ready: MainWindow, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.user_actions.start()
    worker = trainers(workers)[0]
    worker.say(*synthetic_run.events(until=25, ending=""))
    answer(monkeypatch, "Stop and save")
    assert not ready.close()
    assert worker.commands == [Stop()]
    assert ready.isVisible()
    worker.end(event.Finished(reason="stopped", iteration=26))
    qtbot.waitUntil(lambda: not ready.isVisible())


def test_closing_while_training_can_leave_the_run_to_itself(
    ready: MainWindow, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.user_actions.start()
    worker = trainers(workers)[0]
    worker.say(*synthetic_run.events(until=25, ending=""))
    run = ready.session.run
    assert run is not None
    assert read_job(run.path) == TrainJob(outlives_parent=True)
    asked = answer(monkeypatch, "Keep training")
    assert ready.close()
    assert asked == ["A run is training."]
    assert (worker.commands, worker.killed, worker.is_running) == ([], False, False)
    assert load_settings().window["run"] == str(run.path)


def test_where_there_is_a_menu_bar_the_window_only_hides(
    qtbot: QtBot, ready: MainWindow, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ui.away.tray.RunTray.is_there", True)
    monkeypatch.setattr("app.ui.window.main_window.NOTICE_MS", 0)
    quits: list[bool] = []
    monkeypatch.setattr(QApplication, "quit", lambda: quits.append(True))
    ready.user_actions.start()
    worker = trainers(workers)[0]
    worker.say(*synthetic_run.events(until=25, ending=""))
    answer(monkeypatch, "Keep training")
    open_one, closed_one = QDialog(ready), QDialog(ready)
    open_one.show()
    for _ in range(2):
        assert not ready.close()
        assert (ready.isVisible(), ready.session.is_live, ready.is_kept) == (False, True, True)
        assert (open_one.isVisible(), closed_one.isVisible()) == (False, False), "no dialog stands alone"
        assert not QApplication.quitOnLastWindowClosed()
        ready.attendant.tray.open.trigger()
        assert (ready.isVisible(), ready.is_kept) == (True, False)
        assert (open_one.isVisible(), closed_one.isVisible()) == (True, False)
        assert QApplication.quitOnLastWindowClosed()
    assert not ready.close()
    worker.end(event.Finished(reason="completed", iteration=600))
    qtbot.waitUntil(lambda: bool(quits))
    assert (worker.commands, ready.is_kept) == ([], False)


def test_the_menu_bar_item_quits_and_the_run_goes_on(
    ready: MainWindow, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    quits: list[bool] = []
    monkeypatch.setattr(QApplication, "quit", lambda: quits.append(True))
    ready.user_actions.start()
    ready.attendant.tray.quit.trigger()
    assert (trainers(workers)[0].commands, quits, ready.isVisible()) == ([], [True], False)


def test_closing_while_paused_or_saving_asks_in_other_words(
    ready: MainWindow, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.user_actions.start()
    worker = trainers(workers)[0]
    worker.say(*synthetic_run.events(until=25, ending=""), event.Paused(iteration=25))
    asked = answer(monkeypatch, "Cancel")
    assert not ready.close()
    answer(monkeypatch, "Stop and save")
    assert not ready.close()
    asked += answer(monkeypatch, "Keep waiting")
    assert not ready.close()
    assert (asked[0], worker.commands) == ("A run is paused.", [Stop()])
    asked = answer(monkeypatch, "Quit, it saves alone")
    assert ready.close()
    assert asked == ["The run is still being saved."]


def test_a_polite_end_by_the_system_saves_without_a_question(
    qtbot: QtBot, ready: MainWindow, workers: list[FakeWorker]
) -> None:
    ready.user_actions.start()
    ready.leave()
    assert trainers(workers)[0].commands == [Stop()]
    trainers(workers)[0].end(event.Finished(reason="stopped"))
    qtbot.waitUntil(lambda: not ready.isVisible())


def test_size_parts_and_form_come_back(qtbot: QtBot, window: MainWindow) -> None:
    window.resize(1222, 650)  # Qt fits the width to the screen when it restores, so only the height is looked at
    window.store.set("adapter_name", "kept")
    window.run_panel.page.chart.view.set_smoothing(0.25)
    window.run_panel.page.chart.view.set_axis("tokens")
    action(window, "view.panel").trigger()
    window.close()
    store = form_store()
    assert store.restore_form() == []
    again = MainWindow(store, RunSession(), Appearance())
    qtbot.addWidget(again)
    again.show()
    assert store.config.adapter_name == "kept"
    assert again.height() == 650
    assert again.run_panel.page.chart.view.smoothing == pytest.approx(0.25)
    assert again.run_panel.page.chart.view.axis == "tokens"
    assert not again.run_panel.is_folded  # it was a strip, as there is no run; the action opened it
    action(again, "view.panel").trigger()
    assert again.run_panel.is_folded


def test_an_error_nobody_foresaw_is_told_once_and_written_down(
    window: MainWindow, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    presenter = ErrorPresenter(window.messages)
    for _ in range(2):
        presenter.present(ValueError, ValueError("the unforeseen"), None)
    assert len(messages(window)) == 1
    assert "the unforeseen" in messages(window)[0]
    assert "the unforeseen" in (home / "cache" / "last_error.txt").read_text()
    assert capsys.readouterr().err.count("ValueError: the unforeseen") == 2


def test_a_screenshot_shows_the_run_and_keeps_nothing(
    workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert workers == []
    # Of model and data nobody answers here.
    is_busy = property(lambda window: window.session.state is RunState.LOADING)
    monkeypatch.setattr("app.ui.window.main_window.MainWindow.is_busy", is_busy)
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    before = load_settings()
    run = synthetic_run.run_folder(tmp_path)
    picture = tmp_path / "shots" / "window.png"
    screenshot(run.path, picture, scheme="dark", size=(1200, 760))
    from PySide6.QtGui import QImage

    image = QImage(str(picture))
    assert (image.width(), image.height()) == (1200, 760)
    colors = {image.pixelColor(x, y).name() for x in range(800, 1200, 2) for y in range(300, 700, 2)}
    assert theme.DARK.train_line in colors
    assert load_settings() == before


def test_problems_are_those_of_the_form(window: MainWindow) -> None:
    found = window._problems()
    assert all(isinstance(problem, Problem) for problem in found)
    assert isinstance(window.store, ConfigStore)


def test_a_config_goes_to_the_form_that_has_its_method(window: MainWindow, tmp_path: Path) -> None:
    path = tmp_path / "preference.yaml"
    path.write_text("train_mode: dpo\nbeta: 0.3\n", encoding="utf-8")
    window.forms.open_config(path)
    assert window.enhanced_tab.isVisible()
    assert window.enhanced_store.value("beta") == 0.3
    assert window.store.value("train_mode") == "sft"
    assert messages(window) != []
    act(window)
    assert window.enhanced_store.value("train_mode") == "sft"
    assert messages(window) == []


def test_reset_is_undone_by_its_message_or_by_the_menu_and_told_no_longer(window: MainWindow) -> None:
    window.store.set("learning_rate", 3e-4)
    for undo in (act, lambda one: one.menu.editing._act("undo")):
        window.forms.reset()
        assert window.store.value("learning_rate") == 1e-4
        assert "back to its defaults" in messages(window)[0]
        undo(window)
        assert window.store.value("learning_rate") == 3e-4
        assert messages(window) == []
    window.store.set("learning_rate", 1e-4)
    window.store.set("seed", 3)
    window.store.set("seed", 0)
    window.forms.reset()  # which changes nothing: there is nothing that its message could undo
    assert window.store.previous is not None
    assert [message.action for message in window.messages.messages()] == [""]


@pytest.mark.parametrize("name", ["Setup", "Enhanced Setup"])
def test_the_forms_fit_a_small_window(window: MainWindow, qtbot: QtBot, name: str) -> None:
    window.show_tab(name)
    area = (window.setup_tab if name == "Setup" else window.enhanced_tab).scroll_area
    qtbot.waitUntil(area.isVisible)
    content = area.widget()
    assert content is not None
    qtbot.waitUntil(lambda: content.minimumSizeHint().width() <= area.viewport().width())


def test_a_trial_fills_the_enhanced_form_and_can_be_undone(window: MainWindow) -> None:
    window.enhanced_store.set("beta", 0.3)
    window.enhanced_tab.methods.cards["dpo"].button.click()
    window.enhanced_tab.methods.trial_button.click()
    trial = trial_config(METHODS["dpo"])
    assert window.enhanced_store.config == trial.with_value("adapter_name", run_name(trial))
    assert window.store.config == TrainConfig()
    assert "DPO" in messages(window)[0]
    act(window)
    assert window.enhanced_store.value("model") == ""


def test_the_enhanced_form_starts_its_own_run(
    qtbot: QtBot, window: MainWindow, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ui.setup.enhanced_tab.EnhancedTab._found", lambda _: [])
    window.show_tab("Enhanced Setup")
    window.enhanced_store.set_many({"train_mode": "orpo", "adapter_name": "odds"})
    window.enhanced_tab.start_requested.emit()
    assert window.session.config is not None
    assert (window.session.config.train_mode, window.session.config.adapter_name) == ("orpo", "odds")
    trainers(workers)[0].say(event.Warned(message="The weights do not change.", hint="Raise the learning rate."))
    told = child(window.run_panel, QLabel, "run_warning")
    qtbot.waitUntil(lambda: told.text() == "The weights do not change. Raise the learning rate.")
    assert messages(window) == []
    trainers(workers)[0].end(event.Finished())


def test_what_is_switched_off_or_hidden_hands_the_keyboard_to_nobody(qtbot: QtBot, window: MainWindow) -> None:
    """Else the next field scrolls into sight and takes the keys that were meant for the page."""
    window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.show_tab(COMPARE_TAB)
    button = child(window, QPushButton, "compare.ask")
    for enabled, visible in ((False, True), (True, False)):
        button.setEnabled(True)
        button.setVisible(True)
        button.setFocus()
        assert window.focusWidget() is button
        button.setEnabled(enabled)
        button.setVisible(visible)
        assert window.focusWidget() is None
    QTest.keyClick(window, Qt.Key.Key_Tab)
    assert window.focusWidget() is not None


def test_panel_and_status_line_tell_the_same_time_left(ready: MainWindow, workers: list[FakeWorker]) -> None:
    QTest.mouseClick(child(ready, QPushButton, "start"), Qt.MouseButton.LeftButton)
    trainers(workers)[0].say(*synthetic_run.events(until=300, ending=""))
    ready.session._reported_at -= 20  # it was told a while ago
    left = duration_text(ready.session.remaining_s or 0.0)
    ready.session.state_changed.emit()
    assert f" · {left} left" in child(ready, QLabel, "status").text()
    assert child(ready.run_panel, QLabel, "figure.left").text() == left


# -- what is asked for by the menu -----------------------------------------------------------------------------


def test_a_setup_that_is_held_back_leads_to_what_holds_it_back(window: MainWindow) -> None:
    window.show_tab(RUNS_TAB)
    action(window, "run.start").trigger()
    assert window.setup_tab.isVisible()
    window.show_tab(COMPARE_TAB)
    act(window)
    assert window.tab_bar.tabText(window.tab_bar.currentIndex()) == "Setup"
    assert window.setup_tab.isVisible()


def test_where_to_run_is_asked_with_the_form_that_is_saved_for_it(ready: MainWindow, home: Path) -> None:
    ready.store.set("seed", 78)
    ready.store._timer.stop()
    action(ready, "run.run_on").trigger()
    dialog = ready.remote_actions.dialog
    assert dialog is not None
    assert dialog.isVisible()
    dialog.place.set_value("ssh")
    assert dialog.job.config == ready.store.config.model_dump(mode="json")
    assert load_config(home / "data" / "form.yaml").config.seed == 78
    dialog.close()


def test_errors_hold_back_the_question_where_to_run_and_are_named(window: MainWindow) -> None:
    action(window, "run.run_on").trigger()
    assert messages(window)[0].startswith("The run cannot start yet.")
    assert window.remote_actions.dialog is None


def test_the_config_is_saved_under_the_adapters_name_where_the_panel_says(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, offered = ["", str(tmp_path / "kept.yaml")], []

    def ask(_parent: QWidget, caption: str, start: str, filters: str) -> tuple[str, str]:
        offered.append((caption, Path(start).name, "*.yaml" in filters))
        return answers.pop(0), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    window.store.set_many({"adapter_name": "mine", "seed": 5})
    action(window, "file.save_config").trigger()
    assert (list(tmp_path.iterdir()), messages(window)) == ([], [])
    action(window, "file.save_config").trigger()
    assert load_config(tmp_path / "kept.yaml").config.seed == 5
    assert offered == [("Save the config", "mine.yaml", True)] * 2


def test_a_config_is_opened_from_where_the_panel_says(
    window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_config(TrainConfig(adapter_name="kept"), tmp_path / "kept.yaml")
    answers = ["", str(tmp_path / "kept.yaml")]
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (answers.pop(0), ""))
    before = window.store.config
    action(window, "file.open_config").trigger()
    assert (window.store.config, messages(window)) == (before, [])
    action(window, "file.open_config").trigger()
    assert window.store.config.adapter_name == "kept"


def test_a_run_is_opened_from_where_the_panel_says_and_its_folder_shown(
    qtbot: QtBot, window: MainWindow, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = synthetic_run.run_folder(tmp_path)
    answers, began, opened = ["", str(run.path)], list[str](), list[QUrl]()

    def ask(_parent: QWidget, _caption: str, start: str) -> str:
        began.append(start)
        return answers.pop(0)

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", ask)
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    reveal = action(window, "run.reveal")
    window._on_state()
    assert not reveal.isEnabled()
    window.reveal_run()
    action(window, "file.open_run").trigger()
    assert (window.session.run, messages(window), opened) == (None, [], [])
    with qtbot.waitSignal(window.session.loaded):
        action(window, "file.open_run").trigger()
    assert window.session.run is not None
    assert window.session.run.path == run.path
    assert began == [str(home / "data" / "runs")] * 2
    reveal.trigger()
    assert opened == [QUrl.fromLocalFile(str(run.path))]


def test_the_settings_that_are_changed_reach_the_window(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    here, there = synthetic_run.run_folder(runs_dir()), synthetic_run.run_folder(tmp_path / "there")
    window.show_tab(RUNS_TAB)
    runs = window.runs_tab
    qtbot.waitUntil(lambda: [one.run.path for one in runs.table_model.runs] == [here.path])
    window.store.set("seed", 9)
    action(window, "file.settings").trigger()
    dialog = child(window, SettingsDialog)
    assert dialog.isVisible()
    line = child(dialog, QLineEdit, "settings.runs_dir")
    line.setText(str(tmp_path / "there"))
    line.editingFinished.emit()
    qtbot.waitUntil(lambda: [one.run.path for one in runs.table_model.runs] == [there.path])
    child(dialog, QPushButton, "settings.default_setup.take").click()
    window.store.set("seed", 3)
    window.forms.reset()
    assert window.store.config.seed == 9
    with qtbot.waitSignal(dialog.destroyed):  # it is kept for nobody
        dialog.close()


def test_about_is_one_box_however_often_it_is_asked_for(window: MainWindow) -> None:
    for _ in range(2):
        action(window, "help.about").trigger()
        (about,) = window.findChildren(About)
        assert about.box.isVisible()
        about.box.close()


def test_a_run_that_trains_without_the_window_is_shown_or_told_of(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    first, second = (synthetic_run.run_folder(tmp_path / name, name=name) for name in ("one", "two"))
    with qtbot.waitSignal(window.session.loaded):
        window.finder.found.emit(first.path)
    assert window.session.run is not None
    assert window.session.run.path == first.path
    assert messages(window) == []
    with second.lock():
        window.finder.found.emit(second.path)
        assert messages(window) == ["two is training, outside of this window."]
        (told,) = window.messages.messages()
        assert (told.kind, told.action) == ("info", "Show it")
        assert window.session.run.path == first.path
    window.messages.look()
    assert messages(window) == [], "it trains no more"
    with second.lock():
        window.finder.found.emit(second.path)
        act(window)
        assert window.session.run.path == second.path


def test_what_a_part_of_the_window_warns_of_stands_in_a_message(ready: MainWindow) -> None:
    ready.session.went_on.emit("The worker was ended, and another goes on.")
    assert [(one.text, one.kind) for one in ready.messages.messages()] == [
        ("The worker was ended, and another goes on.", "warning")
    ]


def test_a_dialog_at_work_counts_as_work(
    qtbot: QtBot, window: MainWindow, workers: list[FakeWorker], tmp_path: Path
) -> None:
    """As a run does, for what the window does while nobody looks."""
    base = base_folder(tmp_path / "base")
    sources = tuple(adapter_folder(tmp_path / name, base) for name in ("one", "two"))
    window.export_actions.ask_merge(sources)
    merging = window.export_actions.dialog
    assert isinstance(merging, MergeDialog)
    assert (merging.is_working, window._is_working()) == (False, False)
    merging.measure()
    assert (merging.is_working, window._is_working()) == (True, True)
    with qtbot.waitSignal(merging.finished):
        merging.reject()
    assert workers[-1].commands[0] == Stop()
    assert not window._is_working()


def test_a_run_is_duplicated_into_the_form_and_several_are_merged(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    base = base_folder(tmp_path / "base")
    runs = [synthetic_run.run_folder(runs_dir(), name=name) for name in ("one", "two")]
    for run in runs:
        adapter_folder(run.adapters, base)
    window.show_tab(RUNS_TAB)
    tab = window.runs_tab
    qtbot.waitUntil(lambda: len(tab.table_model.runs) == 2)
    tab.choose([run.path for run in runs])
    qtbot.waitUntil(tab.bar.merge.isEnabled)
    tab.bar.merge.trigger()
    merging = window.export_actions.dialog
    assert isinstance(merging, MergeDialog)
    assert merging.isVisible()
    assert set(merging.job.adapters) == {run.path for run in runs}
    merging.close()
    assert window.export_actions.dialog is None
    tab.choose([runs[0].path])
    qtbot.waitUntil(tab.bar.duplicate.isEnabled)
    assert window.store.config.model == ""
    tab.bar.duplicate.trigger()
    assert (window.store.config.model, window.store.config.data) == ("/models/starter", "/data/starter")
    assert "one" in window.store.config.adapter_name


def test_what_is_told_of_the_trash_goes_when_the_run_is_back(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    run, bin_ = synthetic_run.run_folder(runs_dir()), tmp_path / "trash"
    window.show_tab(RUNS_TAB)
    tab = window.runs_tab
    qtbot.waitUntil(lambda: len(tab.table_model.runs) == 1)

    def move(path: Path) -> Trashed:
        path.rename(bin_)
        return Trashed(path, bin_)

    tab.bar.trash.move = move
    tab.bar.trash.delete([run])
    assert messages(window) == ["1 run moved to the Trash."]
    tab.undo()
    assert (run.path.is_dir(), messages(window)) == (True, [])
    tab.redo()
    assert (run.path.is_dir(), messages(window)) == (False, ["1 run moved to the Trash."])


def test_a_sweep_of_the_form_is_queued_and_shown(ready: MainWindow, qtbot: QtBot) -> None:
    ready.store.set_many({"epochs": None, "iters": 50})
    action(ready, "run.sweep").trigger()
    dialog = ready.queue_actions.dialog
    assert dialog is not None
    assert dialog.isVisible()
    dialog.rows[0].choose("learning_rate", "1e-4, 2e-4")
    qtbot.waitUntil(lambda: not dialog.is_busy)
    with qtbot.waitSignal(dialog.destroyed):
        child(dialog, QPushButton, "sweep.queue").click()
    entries = ready.user_actions.queue.state.entries
    assert [(one.load().learning_rate, one.load().iters, one.load().model) for one in entries] == [
        (1e-4, 50, "/m"),
        (2e-4, 50, "/m"),
    ]
    assert messages(ready) == ["2 runs of the sweep are in the queue now."]
    act(ready)
    assert ready.tab_bar.tabText(ready.tab_bar.currentIndex()) == "Runs"
    table = child(ready, QTableView, "queue.table")
    assert (table.isVisible(), table.model().rowCount()) == (True, 2)


def test_a_setup_of_the_queue_that_cannot_be_read_is_told(ready: MainWindow) -> None:
    entry = make_entry(ready.store.config).model_copy(update={"config": "seed: lots\n", "setup": "seed: lots\n"})
    ready.user_actions.queue.add([entry])
    ready.user_actions.queue.shown_requested.emit()
    table = child(ready, QTableView, "queue.table")
    table.selectRow(0)
    before = ready.store.config
    child(ready, QAction, "queue.take").trigger()
    (told,) = ready.messages.messages()
    assert told.kind == "warning"
    assert told.text.startswith("The setup cannot be read: ")
    assert "seed" in told.text
    assert ready.store.config == before
