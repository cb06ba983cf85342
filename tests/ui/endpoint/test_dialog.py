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
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QPlainTextEdit
from pytestqt.qtbot import QtBot

from app.core.export.endpoint import LOOPBACK, Endpoint
from app.core.export.served import ServedAlone, answers, is_noted, job_at, note_served, serve_command
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
    view.reveal.click()
    assert view.lines["key"].text() == "secret-key"
    assert view.curl.toPlainText() == ENDPOINT.curl()
    view.reveal.click()
    assert view.lines["key"].text() == HIDDEN_KEY


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
    view.parts.setCurrentIndex(LOG)
    assert view.copy_example.isHidden()
    assert child(view, QPlainTextEdit, "log_text").isVisible()


def test_requests_of_the_last_minute_are_counted() -> None:
    now = 100.0
    count = RequestCount(lambda: now)
    assert count.sentence() == "No requests yet"
    count.add()
    now = 130.0
    count.add()
    assert count.sentence() == "2 requests · 2 in the last minute"
    now = 161.0
    assert count.sentence() == "2 requests · 1 in the last minute"


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
