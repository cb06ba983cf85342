"""The serve dialog: what is chosen reaches the worker, and a program that asks the address gets the tuned model."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QProcess
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QPlainTextEdit
from pytestqt.qtbot import QtBot

from app.core.compare.candidate import title_of
from app.core.export.endpoint import LOOPBACK, Endpoint
from app.core.export.served import ServedAlone, answers, is_noted, job_at, note_served, serve_command, served_log
from app.core.protocol import event
from app.core.protocol.command import Stop
from app.core.protocol.job import ServeJob
from app.core.system.starter import starter_dir
from app.ui.endpoint.dialog import ServeDialog
from app.ui.endpoint.live_view import HIDDEN_KEY, LOG, PYTHON, EndpointView, RequestCount
from app.ui.form.number_box import NumberBox
from tests.ui.child import child
from tests.ui.comparing import base_folder, run_with_checkpoints
from tests.ui.fake_worker import FakeWorker
from tests.worker.answering_model import make_adapter

PATIENCE_MS = 60_000
ENDPOINT = Endpoint("http://127.0.0.1:8080/v1", "tuned", "secret-key", "/base", "/adapter")
VALUES = {"port": "8123", "max_tokens": "99", "temp": "0.5", "top_p": "0.25", "top_k": "7", "min_p": "0.125"}


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(starter_dir() / "model", tmp_path_factory.mktemp("served") / "tuned")


@pytest.fixture
def dialog(qtbot: QtBot) -> Iterator[ServeDialog]:
    made = ServeDialog()
    qtbot.addWidget(made)
    made.show()
    yield made
    made.shutdown()


def note(dialog: ServeDialog) -> str:
    return child(dialog, QLabel, "serve.note").text()


def type_into(qtbot: QtBot, box: NumberBox, text: str) -> None:
    box.lineEdit().selectAll()
    qtbot.keyClicks(box.lineEdit(), text)


def test_every_field_reaches_the_job(qtbot: QtBot, dialog: ServeDialog, tmp_path: Path) -> None:
    run = run_with_checkpoints(tmp_path / "runs", base_folder(tmp_path / "base"), 1)
    dialog.choose(run.path, 0.75)
    assert dialog.job == ServeJob(source=run.path, checkpoint="best", strength=0.75)
    dialog.checkpoint.set_value("100")
    dialog.strength.slider.setValue(10)
    for name, text in VALUES.items():
        type_into(qtbot, child(dialog, NumberBox, f"serve.{name}"), text)
    wanted: dict[str, Any] = {name: float(text) for name, text in VALUES.items()}
    assert dialog.job == ServeJob(source=run.path, checkpoint="100", strength=0.5, **wanted)


def test_a_program_asks_the_address_and_gets_an_answer(qtbot: QtBot, dialog: ServeDialog, adapter: Path) -> None:
    dialog.choose(adapter)
    dialog.begin_button.click()
    assert not child(dialog, NumberBox, "serve.port").isEnabled()
    qtbot.waitUntil(lambda: dialog.endpoint is not None, timeout=PATIENCE_MS)
    endpoint = dialog.endpoint
    assert endpoint is not None
    assert dialog.view.lines["url"].text() == endpoint.url
    asked = {
        "model": endpoint.model,
        "max_tokens": 8,
        "messages": [{"role": "user", "content": "What is a lathe?"}],
    }
    request = urllib.request.Request(
        f"{endpoint.url}/chat/completions",
        json.dumps(asked).encode(),
        {"Authorization": f"Bearer {endpoint.key}", "Content-Type": "application/json"},
    )
    answers: list[str] = []

    def ask() -> None:
        with urllib.request.urlopen(request, timeout=60) as response:
            answers.append(json.loads(response.read())["choices"][0]["message"]["content"])

    asking = threading.Thread(target=ask)
    asking.start()
    qtbot.waitUntil(lambda: dialog.view.count.total == 1, timeout=PATIENCE_MS)
    asking.join()
    assert len(answers[0].split()) > 2
    assert dialog.status == "Serving · 1 request"
    qtbot.waitUntil(lambda: "/v1/chat/completions  200" in dialog.view.log.text)
    dialog.close()
    assert dialog.is_running
    dialog.show()
    dialog.stop_button.click()
    qtbot.waitUntil(lambda: not dialog.is_running, timeout=PATIENCE_MS)
    assert note(dialog) == "Nothing is served any more."
    assert dialog.begin_button.isVisible()
    assert dialog.status == ""


def test_a_port_in_use_is_told_in_words(qtbot: QtBot, dialog: ServeDialog, adapter: Path) -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        dialog.choose(adapter)
        type_into(qtbot, child(dialog, NumberBox, "serve.port"), str(port))
        dialog.begin_button.click()
        qtbot.waitUntil(lambda: not dialog.is_running, timeout=PATIENCE_MS)
    hint = "Choose another, or leave it open: a free one is found."
    assert note(dialog) == f"Port {port} is in use by another program. {hint}"
    assert dialog.begin_button.isEnabled()


def test_what_stands_in_the_way_is_said(dialog: ServeDialog, adapter: Path, tmp_path: Path) -> None:
    dialog.choose(tmp_path)
    assert not dialog.begin_button.isEnabled()
    assert "There is no adapter in" in note(dialog)
    dialog.choose(adapter)
    assert (dialog.begin_button.isEnabled(), note(dialog)) == (True, "")


def test_one_model_is_served_at_a_time(
    dialog: ServeDialog, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch, adapter: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    dialog.choose(adapter)
    dialog.begin()
    workers[0].say(event.Progressed(phase="Loading the model"))
    assert note(dialog) == "Loading the model…"
    workers[0].say(event.Result(name="endpoint", data=ENDPOINT.as_dict()), event.Ready())
    dialog.choose(tmp_path)
    assert note(dialog) == "Stop it before you serve another: tuned is served now."
    assert dialog.endpoint == ENDPOINT
    dialog.stop()
    assert workers[0].commands == [Stop()]
    workers[0].end(event.Finished(reason="stopped", message="Nothing is served any more."))
    assert dialog.endpoint is None


@pytest.fixture
def view(qtbot: QtBot) -> EndpointView:
    made = EndpointView()
    qtbot.addWidget(made)
    made.show()
    made.show_endpoint(ENDPOINT)
    return made


def test_the_key_is_hidden_until_asked_for_and_copied_whole(view: EndpointView) -> None:
    shown = (view.lines["key"].text(), view.curl.toPlainText(), view.python.toPlainText())
    assert not [text for text in shown if "secret-key" in text]
    assert view.lines["key"].text() == HIDDEN_KEY
    assert {(view.reveal.toolTip(), view.reveal.accessibleName())} == {("Show the key",) * 2}
    hidden = view.reveal.icon().cacheKey()
    view.reveal.click()
    assert view.lines["key"].text() == "secret-key"
    assert view.curl.toPlainText() == ENDPOINT.curl()
    assert view.python.toPlainText() == ENDPOINT.python()
    assert {(view.reveal.toolTip(), view.reveal.accessibleName())} == {("Hide the key",) * 2}
    assert view.reveal.icon().cacheKey() != hidden
    assert [line.cursorPosition() for line in view.lines.values()] == [0, 0, 0], "its beginning is in sight"
    view.reveal.click()
    assert view.lines["key"].text() == HIDDEN_KEY
    view.reveal.click()
    view.add_request(event.Served(time=0.0, path="/", status=200, seconds=1.0, requests=1))
    other = replace(ENDPOINT, key="other-key", url="http://127.0.0.1:9/v1")
    view.show_endpoint(other)
    assert (view.lines["key"].text(), view.lines["url"].text()) == (HIDDEN_KEY, other.url)
    assert (view.count.total, child(view, QLabel, "serve.count").text()) == (0, "No requests yet")
    assert view._counting.isActive()
    view.end()
    assert not view._counting.isActive()


def test_what_is_copied_is_whole(view: EndpointView) -> None:
    clipboard = QGuiApplication.clipboard()
    for name in ("url", "model", "key"):
        view.copies[name].click()
        assert clipboard.text() == getattr(ENDPOINT, name)
    view.copy_example.click()
    assert clipboard.text() == ENDPOINT.curl()
    view.parts.setCurrentIndex(PYTHON)
    view.copy_example.click()
    assert clipboard.text() == ENDPOINT.python()
    assert view.python.isVisible()
    view.parts.setCurrentIndex(LOG)
    assert view.copy_example.isHidden()
    assert child(view, QPlainTextEdit, "log_text").isVisible()
    view.parts.setCurrentIndex(0)
    assert (view.copy_example.isHidden(), view.curl.isVisible()) == (False, True)


def test_requests_of_the_last_minute_are_counted() -> None:
    now = 100.0
    count = RequestCount(lambda: now)
    assert count.sentence() == "No requests yet"
    count.add()
    now = 130.0
    count.add()
    assert count.sentence() == "2 requests · 2 in the last minute"
    now = 159.5
    assert count.sentence() == "2 requests · 2 in the last minute"
    now = 160.0
    assert count.sentence() == "2 requests · 1 in the last minute"
    now = 190.0
    assert count.sentence() == "2 requests · 0 in the last minute"
    count.add()
    assert count.sentence() == "3 requests · 1 in the last minute"


def test_what_is_to_go_on_without_a_window_does_and_the_next_window_can_end_it(
    qtbot: QtBot, dialog: ServeDialog, adapter: Path
) -> None:
    dialog.choose(adapter)
    dialog.keep.click()
    dialog.begin_button.click()
    qtbot.waitUntil(lambda: dialog.endpoint is not None, timeout=PATIENCE_MS)
    endpoint = dialog.endpoint
    assert endpoint is not None
    dialog.shutdown()
    assert is_noted()
    qtbot.waitUntil(lambda: answers(endpoint), timeout=PATIENCE_MS)
    following = ServeDialog()
    qtbot.addWidget(following)
    assert following.adopt()
    assert (following.endpoint, following.status) == (endpoint, "Still serving")
    assert following.keep.isChecked()
    following.choose(adapter)
    assert note(following) == "Stop it before you serve another: tuned is served now."
    following.stop_button.click()
    assert note(following) == "Nothing is served any more."
    assert not is_noted()
    qtbot.waitUntil(lambda: not answers(endpoint), timeout=PATIENCE_MS)
    assert not following.adopt()


def test_the_command_says_what_the_job_does(tmp_path: Path) -> None:
    job = ServeJob(
        source=tmp_path, checkpoint="best", strength=0.5, temp=0.25, top_p=0.5, top_k=3, min_p=0.125, max_tokens=9
    )
    command = serve_command(job_at(job, ENDPOINT))
    arguments = command[command.index("serve") + 1 :]
    values: dict[str, Any] = {"source": arguments[0]}
    for option in arguments[1:]:
        name, _, value = option.removeprefix("--").partition("=")
        values[name.replace("-", "_")] = value
    wanted = job.model_copy(update={"port": 8080, "key": "secret-key"})
    assert {name: str(getattr(wanted, name)) for name in values} == values
    assert values.keys() == ServeJob.model_fields.keys() - {"task", "protocol", "model"}


def test_a_note_of_what_has_ended_is_taken_away(dialog: ServeDialog) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        url = f"http://{LOOPBACK}:{free.getsockname()[1]}/v1"
    note_served(ServedAlone(replace(ENDPOINT, url=url), int(ended.stdout), "tuned"))
    assert not dialog.adopt()
    assert not is_noted()


@pytest.fixture
def made(workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch) -> list[FakeWorker]:
    """The dialog's workers, which answer by hand."""
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    return workers


def state(dialog: ServeDialog) -> dict[str, Any]:
    """What of the dialog depends on whether something is served."""
    buttons = {"begin": dialog.begin_button, "stop": dialog.stop_button}
    return {
        "buttons": [name for name, button in buttons.items() if button.isVisible() and button.isEnabled()],
        "form": dialog._form.isEnabled(),
        "page": dialog._pages.currentIndex(),
        "status": dialog.status,
        "note": (note(dialog), child(dialog, QLabel, "serve.note").property("role")),
    }


IDLE = {"buttons": ["begin"], "form": True, "page": 0, "status": "", "note": ("", "small")}
BUSY = {"buttons": ["stop"], "form": False, "page": 0, "status": "", "note": ("", "small")}
OPEN = "Only this machine reaches it. You can close this dialog; it goes on."
KEEPS = "It goes on when Luthier is closed, after some seconds in which its model is loaded anew."


def test_from_start_to_end_it_says_what_is_served(
    qtbot: QtBot, dialog: ServeDialog, made: list[FakeWorker], adapter: Path, tmp_path: Path
) -> None:
    dialog.choose(adapter, 0.5)
    dialog.keep.click()
    assert state(dialog) == IDLE
    changes: list[str] = []
    dialog.changed.connect(lambda: changes.append(dialog.status))
    dialog.view.log.append("of the one before\n")
    dialog.begin_button.click()
    assert (state(dialog), dialog.view.log.text) == (BUSY | {"note": ("Starting the worker…", "small")}, "")
    made[0].say(event.Result(name="endpoint", data=ENDPOINT.as_dict()))
    served = BUSY | {"page": 1, "status": "Serving · 0 requests", "note": (OPEN, "small")}
    assert state(dialog) == served
    dialog.keep.click()
    dialog.keep.click()
    assert state(dialog) == served | {"note": (KEEPS, "small")}
    dialog.keep.click()
    assert state(dialog) == served
    asked = event.Served(time=0.0, path="/v1/models", status=200, seconds=1.25, requests=1)
    made[0].say(asked)
    assert (dialog.status, changes[-1]) == ("Serving · 1 request", "Serving · 1 request")
    assert child(dialog, QLabel, "serve.count").text() == "1 request · 1 in the last minute"
    made[0].logged.emit("a word\n")
    clock = datetime.fromtimestamp(0.0).strftime("%H:%M:%S")
    qtbot.waitUntil(lambda: bool(dialog.view.log.text))
    assert dialog.view.log.text == f"{clock}  /v1/models  200  1.2 s\na word\n"
    dialog.choose(tmp_path)
    assert note(dialog) == "Stop it before you serve another: tuned is served now."
    dialog.choose(adapter)
    assert (note(dialog), dialog.strength.strength, dialog.adopt()) == ("", 0.5, False)
    dialog.stop_button.click()
    assert note(dialog) == "Stopping…"
    made[0].end(event.Finished(reason="stopped", message="Nothing is served any more."))
    assert state(dialog) == IDLE | {"note": ("Nothing is served any more.", "small")}
    assert changes[-1] == ""
    dialog.begin()
    made[1].end(event.Failed(where="port", message="It is in use."), 1)
    assert state(dialog) == IDLE | {"note": ("It is in use.", "error")}
    dialog.choose(adapter)
    assert state(dialog) == IDLE


def test_what_is_offered_is_named_and_a_number_out_of_its_range_stands_in_the_way(
    qtbot: QtBot, dialog: ServeDialog, adapter: Path, tmp_path: Path
) -> None:
    title = child(dialog, QLabel, "serve.title")
    run = run_with_checkpoints(tmp_path / "runs", base_folder(tmp_path / "base"), 1)
    dialog.choose(run.path)
    assert title.text() == dialog.label == f"{title_of(run.path)} · best", "by its name, though its base is gone"
    assert (dialog.checkpoint.isVisible(), dialog.checkpoint.isEnabled()) == (True, True)
    dialog.choose(adapter)
    assert (title.text(), dialog.checkpoint.isEnabled()) == ("tuned", False)
    box = child(dialog, NumberBox, "serve.max_tokens")
    type_into(qtbot, box, "0")
    wrong = IDLE | {"buttons": [], "note": ("Maximum tokens is out of its range.", "small")}
    assert state(dialog) == wrong
    type_into(qtbot, box, "7")
    assert state(dialog) == IDLE
    dialog.choose(tmp_path / "nothing")
    assert (dialog.label, state(dialog)["note"][1], dialog.checkpoint.isVisible()) == ("nothing", "error", False)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> list[ServedAlone]:
    """What an earlier window left; those that are ended are taken out of it."""
    left = [ServedAlone(ENDPOINT, 123, "tuned")]

    def end(found: ServedAlone) -> None:
        if len(left) == 2:
            raise PermissionError(1, "Operation not permitted")
        left.remove(found)

    monkeypatch.setattr("app.ui.endpoint.dialog.served_alone", lambda: left[0] if left else None)
    monkeypatch.setattr("app.ui.endpoint.dialog.end_served", end)
    served_log().write_text("GET /v1/models\n")
    return left


def test_what_an_earlier_window_left_serving_is_shown_and_can_be_ended(
    qtbot: QtBot, dialog: ServeDialog, alone: list[ServedAlone]
) -> None:
    assert dialog.adopt()
    left = BUSY | {"page": 1, "status": "Still serving"}
    told = ("An earlier window left it serving. Stop it, or let it go on.", "small")
    assert (state(dialog), dialog.keep.isChecked()) == (left | {"note": told}, True)
    assert (dialog.label, child(dialog, QLabel, "serve.title").text()) == ("tuned", "tuned")
    assert dialog.view.lines["url"].text() == ENDPOINT.url
    counted = "Its requests are not counted: it runs without a window. The log names them."
    assert child(dialog, QLabel, "serve.count").text() == counted
    assert not dialog.view._counting.isActive()
    qtbot.waitUntil(lambda: dialog.view.log.text == "GET /v1/models\n")
    assert not dialog.adopt()
    alone.append(alone[0])
    dialog.stop_button.click()
    said = "It cannot be stopped: Operation not permitted. Its process is 123."
    assert state(dialog) == left | {"note": (said, "error")}
    alone.pop()
    dialog.shutdown()
    assert len(alone) == 1, "it is to go on"
    dialog.keep.set_value(False)
    dialog.shutdown()
    assert (alone, dialog.alone, dialog.endpoint) == ([], None, None)
    dialog.shutdown()
    assert note(dialog) == "Nothing is served any more."


def test_only_what_is_to_go_on_gets_a_process_of_its_own(
    dialog: ServeDialog, made: list[FakeWorker], adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[Any]] = []
    can_start = [False]

    def start(*words: Any) -> tuple[bool, int]:
        started.append([*words])
        return can_start[0], 77

    monkeypatch.setattr(QProcess, "startDetached", start)
    for keeps, answers_by_then in ((True, False), (False, True), (True, True)):
        dialog.choose(adapter)
        dialog.keep.set_value(keeps)
        dialog.begin()
        if answers_by_then:
            made[-1].say(event.Result(name="endpoint", data=ENDPOINT.as_dict()))
        job = dialog.job
        dialog.shutdown()
        made[-1].end(event.Finished(reason="stopped"))
        assert (len(started), is_noted()) == (int(keeps and answers_by_then), False), "nothing was started"
    shell, words, folder = started[0]
    assert (shell, words[:2], words[2]) == (
        "/bin/sh",
        ["-c", 'exec "$@" <"/dev/null" >"$0" 2>&1'],
        str(served_log()),
    )
    assert (words[3:], folder) == (serve_command(job_at(job, ENDPOINT)), str(adapter.parent))
    can_start[0] = True
    dialog.begin()
    made[-1].say(event.Result(name="endpoint", data=ENDPOINT.as_dict()))
    dialog.shutdown()
    made[-1].end(event.Finished(reason="stopped"))
    noted = json.loads((served_log().parent / "served.json").read_text())
    assert (noted["pid"], noted["label"], noted["endpoint"]["url"]) == (77, "tuned", ENDPOINT.url)
