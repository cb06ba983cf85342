"""The ways from the window to a tuned model: result, menus, runs and columns; and what goes on or ends with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.export.endpoint import Endpoint
from app.core.protocol import event
from app.core.protocol.command import Stop
from app.core.protocol.job import TrainJob, read_job
from app.core.run.folder import RunDir, runs_dir
from app.core.setup.config_file import load_config, save_config
from app.ui.export.dialog import ExportDialog
from app.ui.form.store import form_store
from app.ui.run.session import RunSession, RunState
from app.ui.window.appearance import Appearance
from app.ui.window.main_window import MainWindow
from tests.ui.child import child
from tests.ui.comparing import answer, answer_together, asked_together, base_folder, run_with_checkpoints
from tests.ui.fake_worker import FakeWorker

ENDPOINT = Endpoint("http://127.0.0.1:8080/v1", "friendly", "secret-key", "/base", "/adapter")


@pytest.fixture
def window(qtbot: QtBot, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    assert workers == []
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    found = MainWindow(form_store(), RunSession(), Appearance())
    qtbot.addWidget(found, before_close_func=forget_run)
    found.resize(1100, 700)
    found.show()
    return found


def forget_run(window: MainWindow) -> None:
    """A window that trains asks before it closes; the end of a test has nobody to answer."""
    window.session._state = RunState.NONE


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    found = run_with_checkpoints(runs_dir(), base_folder(tmp_path / "base"), 2)
    save_config(load_config(found.config).config.with_value("model", str(tmp_path / "base")), found.config)
    return found


@pytest.fixture
def opened(qtbot: QtBot, window: MainWindow, run: RunDir) -> MainWindow:
    """The window with a finished run in its panel."""
    with qtbot.waitSignal(window.session.loaded):
        window.session.open(run.path)
    return window


def press(window: MainWindow, name: str) -> None:
    child(window.run_panel, QPushButton, name).click()


def last(workers: list[FakeWorker], task: str) -> FakeWorker:
    return [worker for worker in workers if worker.task == task][-1]


def serve(window: MainWindow, workers: list[FakeWorker]) -> FakeWorker:
    """What the result offers is served."""
    press(window, "run_serve")
    dialog = window.tuned_actions.endpoint
    assert dialog is not None
    dialog.begin_button.click()
    worker = last(workers, "serve")
    worker.say(event.Result(name="endpoint", data=ENDPOINT.as_dict()), event.Ready())
    return worker


def test_the_result_opens_chat_endpoint_comparison_and_export(opened: MainWindow, run: RunDir) -> None:
    press(opened, "run_chat")
    chat = opened.tuned_actions.chat
    assert chat is not None
    assert chat.candidate is not None
    assert (chat.isVisible(), chat.candidate.adapter) == (True, run.adapters)
    press(opened, "run_serve")
    dialog = opened.tuned_actions.endpoint
    assert dialog is not None
    assert (dialog.isVisible(), dialog.job.source) == (True, run.path)
    press(opened, "run_compare")
    assert opened.compare_tab.adapter == run.adapters
    press(opened, "run_export")
    assert opened.export_actions.dialog is not None
    opened.export_actions.dialog.close()


@pytest.mark.parametrize("name", ["run.chat", "run.serve"])
def test_the_menu_does_too_where_there_are_weights(
    window: MainWindow, qtbot: QtBot, run: RunDir, name: str
) -> None:
    action = child(window, QAction, name)
    window._on_state()
    assert not action.isEnabled()
    with qtbot.waitSignal(window.session.loaded):
        window.session.open(run.path)
    assert action.isEnabled()
    action.trigger()
    dialogs = {"run.chat": window.tuned_actions.chat, "run.serve": window.tuned_actions.endpoint}
    assert dialogs[name] is not None


def test_the_list_of_runs_and_the_columns_of_a_comparison_do_too(
    qtbot: QtBot, window: MainWindow, run: RunDir
) -> None:
    window.show_tab("Runs")
    qtbot.waitUntil(lambda: len(window.runs_tab.table_model.runs) == 1)
    window.runs_tab.choose([run.path])
    qtbot.waitUntil(window.runs_tab.bar.chat.isEnabled)
    window.runs_tab.bar.chat.trigger()
    window.runs_tab.bar.serve.trigger()
    chat, endpoint = window.tuned_actions.chat, window.tuned_actions.endpoint
    assert chat is not None
    assert endpoint is not None
    assert endpoint.job.source == run.path
    window.compare_tab.choose_run(run)
    column = window.compare_tab.columns[1]
    column.strength.set_strength(0.5)
    column.chat.click()
    column.serve.click()
    column.export.click()
    export = window.export_actions.dialog
    assert isinstance(export, ExportDialog)
    assert (export.job.source, export.job.options["scale"]) == (run.adapters, 0.5)
    export.close()
    assert chat.candidate == column.candidate
    assert (endpoint.job.source, endpoint.job.strength) == (run.adapters, 0.5)
    assert not window.compare_tab.columns[0].chat.isVisible()


def test_what_is_served_stands_in_the_status_line_and_ends_with_the_window(
    opened: MainWindow, workers: list[FakeWorker]
) -> None:
    serving = opened.tuned_actions.serving
    assert serving.isHidden()
    worker = serve(opened, workers)
    assert not serving.isHidden()
    worker.say(event.Served(path="/v1/chat/completions", status=200, seconds=0.1, requests=1))
    assert serving.text() == "Serving · 1 request"
    assert serving.toolTip().startswith("friendly")
    assert serving.toolTip().endswith(f" at {ENDPOINT.url}: show and stop it")
    dialog = opened.tuned_actions.endpoint
    assert dialog is not None
    dialog.close()
    serving.click()
    assert dialog.isVisible()
    opened.close()
    assert worker.commands == [Stop()]
    worker.end(event.Finished(reason="stopped", message="Nothing is served any more."))
    assert serving.isHidden()


def test_what_is_served_goes_on_while_a_run_trains(opened: MainWindow, workers: list[FakeWorker]) -> None:
    worker = serve(opened, workers)
    opened.session.start(TrainConfig(adapter_name="next", model="/m", data="/d"))
    assert worker.commands == []
    assert (worker.killed, worker.is_running) == (False, True)


def test_beside_a_run_of_its_own_nothing_is_asked_but_said_why(
    opened: MainWindow, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    view = opened.run_panel.page.before_after
    with monkeypatch.context() as training:
        training.setattr(RunSession, "is_live", True)
        opened.tuned_actions.ask_before_after()
    said = "A run is training and needs the memory. Ask when it has ended."
    assert (view.note.text(), view.note.property("role"), view.ask.isHidden()) == (said, "muted", False)
    assert [worker for worker in workers if worker.task == "generate"] == []


def test_before_and_after_is_asked_shown_and_kept(
    opened: MainWindow, workers: list[FakeWorker], run: RunDir
) -> None:
    view = opened.run_panel.page.before_after
    view.ask.click()
    worker = last(workers, "generate")
    worker.say(event.Progressed(phase="Loading the model"))
    assert view.note.text() == "Loading the model…"
    answer_together(worker, *[("No.", "Yes.")] * len(asked_together(worker)))
    assert view.found is not None
    assert (view.found.prompt, view.found.before, view.found.after) == ("Question 1?", "No.", "Yes.")
    assert (run.path / "before_after.json").is_file()


def test_a_question_that_cannot_be_asked_is_told_in_its_place_and_can_be_asked_again(
    opened: MainWindow, workers: list[FakeWorker], run: RunDir
) -> None:
    questions = (run.data / "test.jsonl").read_text()
    (run.data / "test.jsonl").unlink()
    view = opened.run_panel.page.before_after
    view.ask.click()
    said = "This run has no held-out question: neither its validation nor its test data ask any."
    assert (view.note.text(), view.note.property("role"), view.ask.isHidden()) == (said, "warning", False)
    assert [worker for worker in workers if worker.task == "generate"] == []
    (run.data / "test.jsonl").write_text(questions)
    view.ask.click()
    assert view.note.property("role") == "muted"
    assert view.ask.isHidden()
    last(workers, "generate").end(event.Failed(message="The model cannot be read."))
    assert (view.note.text(), view.ask.isHidden()) == ("The model cannot be read.", False)


def test_a_run_that_begins_takes_the_memory_from_before_and_after(
    opened: MainWindow, workers: list[FakeWorker]
) -> None:
    opened.run_panel.page.before_after.ask.click()
    worker = last(workers, "generate")
    opened.session.start(TrainConfig(adapter_name="next", model="/m", data="/d"))
    assert worker.killed
    assert opened.run_panel.page.before_after.found is None


def test_a_run_that_begins_takes_the_memory_from_the_chat(opened: MainWindow, workers: list[FakeWorker]) -> None:
    press(opened, "run_chat")
    chat = opened.tuned_actions.chat
    assert chat is not None
    chat.prompt.setPlainText("Hello")
    chat.send_button.click()
    worker = last(workers, "generate")
    answer(worker, "Good day.")
    assert not worker.killed
    opened.session.start(TrainConfig(adapter_name="next", model="/m", data="/d"))
    assert worker.killed
    assert "Good day." in chat.view.toPlainText()


def test_train_longer_goes_on_with_more_iterations(
    qtbot: QtBot, opened: MainWindow, workers: list[FakeWorker], run: RunDir
) -> None:
    with qtbot.waitSignal(opened.session.loaded):
        opened.run_panel.extend_requested.emit(750)
    qtbot.waitUntil(lambda: bool([worker for worker in workers if worker.task == "train"]))
    assert read_job(run.path) == TrainJob(extend_to=750, outlives_parent=True)
