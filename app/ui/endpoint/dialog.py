"""The dialog that serves a tuned model to other programs on this machine, until it or the window is ended."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import QProcess, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from app.core.config.train_config import FieldSpec
from app.core.export.endpoint import FIRST_PORT, LOOPBACK, Endpoint
from app.core.export.served import (
    ServedAlone,
    end_served,
    job_at,
    note_served,
    serve_command,
    served_alone,
    served_log,
)
from app.core.export.source import ExportSource, checkpoints, export_source
from app.core.language import tr
from app.core.model.folder import locate_model
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.job import ServeJob
from app.core.quantity import plural
from app.core.refusal import reason_of
from app.ui.compare.sampler import CompareSampler, labelled, sampler_fields
from app.ui.compare.strength_slider import StrengthSlider
from app.ui.endpoint.live_view import EndpointView
from app.ui.form.plain_editor import CheckEditor, ChoiceBox
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.keyed_dialog import KeyedDialog
from app.ui.worker.job import JobRunner
from app.ui.worker.process import WorkerOutcome

SERVE_DIALOG_SIZE = (640, 520)  # px in Inter, at least
PORT = FieldSpec(
    "serve.port",
    tr("Port (0: a free one)"),
    "int",
    0,
    what=tr("0 finds a free one from {first_port} on", first_port=FIRST_PORT),
    minimum=0,
    maximum=65_535,
)
SERVE_FIELDS = (PORT, *sampler_fields("serve", max_tokens=512, temp=0.0, top_p=1.0, top_k=0, min_p=0.0))
WHAT = tr(
    "Other programs on this machine ask the tuned model in OpenAI's protocol: chat programs, "
    "editors, scripts. Nothing else reaches it ({loopback}). It ends with Luthier, unless you "
    "say otherwise.",
    loopback=LOOPBACK,
)
OPEN_NOTE = tr("Only this machine reaches it. You can close this dialog; it goes on.")
KEEP_NOTE = tr("It goes on when Luthier is closed, after some seconds in which its model is loaded anew.")
ALONE = tr("An earlier window left it serving. Stop it, or let it go on.")
INTO_FILE = 'exec "$@" <"/dev/null" >"$0" 2>&1'
DEFAULTS = tr("The port, and what requests get that say nothing of it themselves:")


class ServeDialog(KeyedDialog):
    """Serves one tuned model at a time. Closing the dialog hides it: the endpoint goes on until it is stopped."""

    changed = Signal()  # it begins, ends, or was asked once more

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("serve_dialog")
        self.setWindowTitle(tr("Use It Now"))
        self.resize(theme.text_width(SERVE_DIALOG_SIZE[0]), SERVE_DIALOG_SIZE[1])
        self._path = Path()
        self._source: ExportSource | None = None
        self._fault = ""
        self.endpoint: Endpoint | None = None
        self.alone: ServedAlone | None = None  # what an earlier window left serving
        self._job = JobRunner(self)
        self._job.emitted.connect(self._on_event)
        self._build()
        self._job.logged.connect(self.view.log.append)
        self._job.ended.connect(self._on_ended)

    # -- what is served ---------------------------------------------------------------------------------------

    def choose(self, path: Path, strength: float = 1.0) -> None:
        """Offers a run, an adapter's folder or a checkpoint's file; what is served already stays."""
        if self.is_running:
            same = path == self._path
            self._say(
                "" if same else tr("Stop it before you serve another: {label} is served now.", label=self.label)
            )
            return
        self._path, self._called = path, ""
        self.checkpoint.clear()
        for word, text in checkpoints(path):
            self.checkpoint.addItem(text, word)
        self.checkpoint.setEnabled(self.checkpoint.count() > 1)
        self._checkpoint_part.setVisible(self.checkpoint.count() > 0)
        self.strength.set_strength(strength)
        self._on_checkpoint()

    @property
    def label(self) -> str:
        """What people call that which is served, or offered."""
        if self.alone is not None:
            return self.alone.label
        return self._called or self._path.name

    @property
    def job(self) -> ServeJob:
        """What would be asked for now."""
        return ServeJob(
            source=self._path,
            checkpoint=str(self.checkpoint.value() or ""),
            strength=self.strength.strength,
            **self.fields.settings(),  # type: ignore[arg-type]  # each is within its range, or Start is off
        )

    @property
    def is_running(self) -> bool:
        """From the start until it has ended."""
        return self._job.is_running or self.alone is not None

    @property
    def status(self) -> str:
        """``Serving · 12 requests``; empty while nothing is."""
        if self.alone is not None:
            return tr("Still serving")
        return (
            tr("Serving · {requests}", requests=plural(self.view.count.total, "request"))
            if self.endpoint is not None
            else ""
        )

    def begin(self) -> None:
        """Serves what stands here."""
        self.view.log.clear()
        self._say(tr("Starting the worker…"))
        self._job.start(self.job)
        self._show_state()

    def stop(self) -> None:
        """Ends it, with the answers in progress."""
        if self.alone is not None:
            self._end_alone()
            return
        self._say(tr("Stopping…"))
        self._job.stop()
        self._show_state()

    def shutdown(self) -> None:
        """Ends it before the window closes; where it is to go on, a process of its own takes its place."""
        endpoint, job = self.endpoint, self.job if self._job.is_running else None
        self._job.shutdown()
        if self.alone is not None:
            if not self.keep.value():
                self._end_alone()
        elif job is not None and endpoint is not None and self.keep.value():
            self._leave(job_at(job, endpoint), endpoint)

    def _leave(self, job: ServeJob, endpoint: Endpoint) -> None:
        # Of a detached process with files for its output Qt tells no id: the shell becomes it.
        arguments = ["-c", INTO_FILE, str(served_log()), *serve_command(job)]
        started, pid = QProcess.startDetached("/bin/sh", arguments, str(job.source.parent))
        if started:
            with suppress(OSError):  # then it serves, and the system's list of processes is what there is to end it
                note_served(ServedAlone(endpoint, pid, self.label))

    def adopt(self) -> bool:
        """Shows what an earlier window left serving; False if nothing is."""
        found = served_alone() if not self.is_running else None
        if found is None:
            return False
        self.alone, self.endpoint = found, found.endpoint
        self._title.setText(found.label)
        self.view.show_endpoint(found.endpoint)
        self.view.show_uncounted(_text(served_log()))
        self.keep.set_value(True)
        self._say(ALONE)
        self._show_state()
        return True

    def _end_alone(self) -> None:
        assert self.alone is not None
        try:
            end_served(self.alone)
        except OSError as error:
            self._say(
                tr(
                    "It cannot be stopped: {reason_of}. Its process is {pid}.",
                    reason_of=reason_of(error),
                    pid=self.alone.pid,
                ),
                "error",
            )
            return
        self.alone = self.endpoint = None
        self.view.end()
        self._say(tr("Nothing is served any more."))
        self._show_state()

    # -- showing ----------------------------------------------------------------------------------------------

    def _on_checkpoint(self, _value: object = None) -> None:
        try:
            self._source = export_source(self._path, str(self.checkpoint.value() or ""))
            self._called = self._source.label  # also where its base is gone
            locate_model(self._source.base)
            self._fault = ""
        except UnusableError as error:
            first = error.problems[0]
            self._source, self._fault = None, first.text
        self._title.setText(self.label)
        self._say("")
        self._show_state()

    def _on_keep(self, keeps: object) -> None:
        if self.endpoint is not None:
            self._say(KEEP_NOTE if keeps else OPEN_NOTE)

    def _hindrance(self) -> str:
        if self._fault:
            return self._fault
        return self.fields.hindrance()

    def _show_state(self) -> None:
        running = self.is_running
        hindrance = "" if running else self._hindrance()
        self._pages.setCurrentIndex(1 if self.endpoint is not None else 0)
        self._form.setEnabled(not running)
        self.begin_button.setVisible(not running)
        self.begin_button.setEnabled(not hindrance)
        self.stop_button.setVisible(running)
        if hindrance:
            self._say(hindrance, "error" if self._fault else "small")
            self._is_hint = True
        elif self._is_hint:
            self._say("")
        self.changed.emit()

    def _say(self, text: str, role: str = "small") -> None:
        self._is_hint = False
        self._note.setText(text)
        theme.set_role(self._note, role=role)

    def _on_event(self, said: event.Event) -> None:
        if isinstance(said, event.Progressed):
            self._say(f"{said.phase}…")
        elif isinstance(said, event.Result):
            self.endpoint = Endpoint.from_dict(said.data)
            self.view.show_endpoint(self.endpoint)
            self._say(OPEN_NOTE)
            self._show_state()
        elif isinstance(said, event.Served):
            self.view.add_request(said)

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        self.endpoint = None
        self.view.end()
        if outcome.ok and outcome.finished is not None:
            self._say(outcome.finished.message)
        else:
            where = outcome.failure.where if outcome.failure is not None else ""
            self._say(outcome.sentence().removeprefix(f"{where}: "), "error")
        self._show_state()

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._title = ElidedLabel()
        self._title.setObjectName("serve.title")
        theme.set_role(self._title, role="section")
        self._form = self._built_form()
        self.view = EndpointView(self)
        self.view.counted.connect(self.changed)
        self._pages = QStackedWidget(self)
        self._pages.addWidget(self._form)
        self._pages.addWidget(self.view)
        self._note = QLabel(self)
        self._note.setObjectName("serve.note")
        self._note.setWordWrap(True)
        self._say("")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE * 2)
        layout.addWidget(self._title)
        layout.addWidget(self._pages, 1)
        layout.addWidget(self._note)
        layout.addLayout(self._built_buttons())

    def _built_form(self) -> QWidget:
        form = QWidget(self)
        what, defaults = QLabel(WHAT, form), QLabel(DEFAULTS, form)
        for label, role in ((what, "muted"), (defaults, "small")):
            label.setWordWrap(True)
            theme.set_role(label, role=role)
        self.checkpoint: ChoiceBox = ChoiceBox((), form)
        self.checkpoint.setObjectName("serve.checkpoint")
        self.checkpoint.setAccessibleName(tr("Checkpoint"))
        self.checkpoint.edited.connect(self._on_checkpoint)
        self._checkpoint_part = labelled(tr("Checkpoint"), self.checkpoint, self.checkpoint)
        self.strength = StrengthSlider(form)
        self.strength.slider.setObjectName("serve.strength")
        self.fields = CompareSampler(form, SERVE_FIELDS)
        self.fields.setMinimumWidth(self.width() - 4 * theme.SPACE)  # as one column it would make the dialog grow
        self.fields.edited.connect(self._show_state)
        layout = QVBoxLayout(form)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE * 2)
        layout.addWidget(what)
        layout.addWidget(self._checkpoint_part)
        layout.addWidget(self.strength)
        layout.addWidget(defaults)
        layout.addWidget(self.fields)
        layout.addStretch(1)
        return form

    def _built_buttons(self) -> QHBoxLayout:
        self.begin_button = QPushButton(tr("Start serving"), self)
        self.begin_button.setObjectName("serve.start")
        self.begin_button.setDefault(True)
        theme.set_role(self.begin_button, kind="primary")
        self.stop_button = QPushButton(tr("Stop serving"), self)
        self.stop_button.setObjectName("serve.stop")
        self.close_button = QPushButton(tr("Close"), self)
        self.close_button.setObjectName("serve.close")
        self.begin_button.clicked.connect(self.begin)
        self.stop_button.clicked.connect(self.stop)
        self.close_button.clicked.connect(self.close)
        self.stop_button.hide()
        self.keep = CheckEditor(tr("Go on when Luthier is closed"), self)
        self.keep.setObjectName("serve.keep")
        self.keep.setToolTip(tr("Then it is served by a process without a window, which the next window can stop"))
        self.keep.edited.connect(self._on_keep)
        row = QHBoxLayout()
        row.addWidget(self.keep)
        row.addStretch(1)
        for button in (self.close_button, self.stop_button, self.begin_button):
            row.addWidget(button)
        return row


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
