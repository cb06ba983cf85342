"""The dialog *Run on…*: where a setup trains, what that place needs and costs, its key, and the start there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from app.core.bundle.recipe import bundle_problems
from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.place.place import Place
from app.core.place.table import all_places
from app.core.protocol import event
from app.core.protocol.command import GiveToken
from app.core.protocol.job import RemoteJob, RemoteStartJob
from app.ui.bundle.base_source import BASE_LABEL_WIDTH, BaseSource
from app.ui.form.plain_editor import ChoiceBox, TextEditor
from app.ui.model.job_progress import JobProgress
from app.ui.widget import theme
from app.ui.widget.layout import FormRows
from app.ui.worker.job_dialog import JobDialog
from app.ui.worker.process import WorkerOutcome

REMOTE_DIALOG_SIZE = (700, 640)  # px in Inter, at least
THIS_COMPUTER = ("here", tr("This computer"))
HERE_NEEDS = tr("What the setup shows: memory, time and room are told at Start.")
HERE_COSTS = tr("Nothing.")
ASK_TIP = tr("Asks the place which GPUs it has now, and for how much; nothing is rented by that")
FULL = tr("too small for this training")


class RemoteDialog(JobDialog):
    """Starts one setup where its person chooses, as the form had it when it was asked for."""

    here_requested = Signal()
    started = Signal(object, str)  # the run's folder here (Path), and where it trains

    def __init__(self, config: TrainConfig, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("remote_dialog")
        self.setWindowTitle(tr("Run On"))
        self.resize(theme.text_width(REMOTE_DIALOG_SIZE[0]), REMOTE_DIALOG_SIZE[1])
        self._config = config
        self._places = {place.name: place for place in all_places()}
        self._asked = ""  # which of the jobs runs: offers, key, start
        self._key = ""
        self._missing = ""
        self._build()
        self._show()

    # -- what is chosen ---------------------------------------------------------------------------------------

    @property
    def chosen(self) -> Place | None:
        """The place; None for this computer."""
        return self._places.get(self.place.value())

    @property
    def job(self) -> RemoteStartJob:
        """What would be asked for now."""
        place = self.chosen
        assert place is not None
        base = self.base
        return RemoteStartJob(
            config=self._config.model_dump(mode="json"),
            place=place.name,
            offer=str(self.offer.value() or "") if place.has_offers else "",
            host=self.host.value().strip() if place.needs_host else "",
            ssh=self.ssh.value().strip() or "ssh" if place.takes_ssh else "ssh",
            python=self.python.value().strip() if place.needs_host else "",
            user=self.user.value().strip() if place.needs_user else "",
            with_model=base.brings,
            torch_model=base.named,
            four_bit=base.in_four_bit,
        )

    def ask(self) -> None:
        """Asks the place what it has."""
        assert self.chosen is not None
        self._run("offers", RemoteJob(action="offers", place=self.chosen.name), tr("Asking …"))

    def keep_key(self) -> None:
        """Puts the key that was typed into the keychain."""
        if self.chosen is None or not self.key.text().strip():
            return
        self._key = self.key.text().strip()
        self.key.clear()
        self._run("key", RemoteJob(action="key", place=self.chosen.name), tr("Keeping the key …"))

    def start(self) -> None:
        """Starts with what stands here."""
        if self.chosen is None:
            self.here_requested.emit()
            self.accept()
        else:
            self._run("start", self.job, tr("Starting …"))

    def _run(self, what: str, job: RemoteJob | RemoteStartJob, said: str) -> None:
        self._asked = what
        self._problem.hide()
        self.progress.begin(said)
        self._job.start(job)
        self._show()

    # -- showing ----------------------------------------------------------------------------------------------

    def _on_place(self, _value: object = None) -> None:
        self._missing = ""
        self.offer.clear()
        self.progress.say("")
        self._show()

    def _show(self, _value: object = None) -> None:
        place, running = self.chosen, self._job.is_running
        self._needs.setText(place.needs if place is not None else HERE_NEEDS)
        costs = place.costs if place is not None else HERE_COSTS
        if place is not None and place.sends_to:
            costs = tr("{costs} The bundle goes to {sends_to}.", costs=costs, sends_to=place.sends_to)
        self._costs.setText(costs)
        for row, shown in (
            (self._key_row, place is not None and place.key is not None),
            (self.host, place is not None and place.needs_host),
            (self.ssh, place is not None and place.takes_ssh),
            (self.python, place is not None and place.needs_host),
            (self.user, place is not None and place.needs_user),
            (self._offer_row, place is not None and place.has_offers),
        ):
            self._rows.show_row(row, shown)
        for row in (self.base.source, self.base.name, self.base.four_bit, self.base.about):
            self._rows.show_row(row, place is not None)
        if place is not None and place.key is not None:
            self.key.setPlaceholderText(tr("made at {page}", page=place.key.page))
        self.offer.setEnabled(self.offer.count() > 0)
        self.keep_button.setEnabled(not running and bool(self.key.text().strip()))
        said = self._in_the_way()
        self._problem.setText(said)
        self._problem.setVisible(bool(said) and not running)
        self._form.setEnabled(not running)
        self.start_button.setVisible(not running)
        self.start_button.setEnabled(not said)
        self.stop_button.setVisible(running)

    def _in_the_way(self) -> str:
        """What keeps Start off; empty if nothing does."""
        place = self.chosen
        if place is None:
            return ""
        if found := bundle_problems(self._config):
            return " ".join(one.text for one in found)
        if said := self._missing or self.base.problem():
            return said
        if place.needs_host and not self.host.value().strip():
            return tr("Name the machine: an alias of ~/.ssh/config, or user@address.")
        if place.needs_user and not self.user.value().strip():
            return tr("{label} needs your name there.", label=place.label)
        if place.has_offers and self.offer.value() is None:
            return tr("Ask what it has, and for how much: nothing is rented before a GPU was chosen.")
        return ""

    def _on_event(self, said: event.Event) -> None:
        if isinstance(said, event.Progressed):
            self.progress.show_progress(said)
        elif isinstance(said, event.Ready):
            self._job.send(GiveToken(token=self._key))
            self._key = ""
        elif isinstance(said, event.Result) and self._asked == "offers":
            self._take_offers(said.data)
        elif isinstance(said, event.Result) and self._asked == "start":
            self.started.emit(Path(said.data["path"]), str(said.data["where"]))

    def _take_offers(self, data: dict[str, Any]) -> None:
        self._missing = " ".join(data["missing"])
        self.offer.clear()
        need, first = self.base.need_gb, -1
        for number, offer in enumerate(data["offers"]):
            small = 0 < offer["memory_gb"] < need
            self.offer.addItem(f"{offer['sentence']} · {FULL}" if small else offer["sentence"], offer["name"])
            if first < 0 and not small:
                first = number
        self.offer.setCurrentIndex(max(first, 0) if data["offers"] else -1)
        if not data["offers"] and not self._missing:
            self._missing = tr("It has no GPU to be had now.")

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        asked, self._asked, self._key = self._asked, "", ""
        if outcome.completed:
            self.progress.say("")
            if asked == "start":
                self.accept()
                return
            if asked == "key":
                self.ask()
                return
        else:
            self.progress.end(outcome)
        self._show()

    def keyPressEvent(self, pressed: QKeyEvent) -> None:
        """Return in the field of the key keeps the key, and presses no button besides."""
        if pressed.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.focusWidget() is self.key:
            return
        super().keyPressEvent(pressed)

    def reject(self) -> None:
        """Escape and Close stop what runs, and wait for its end: what was rented is given back by it."""
        if self._asked == "start" and self._job.is_running:
            self.progress.begin(tr("Stopping, and giving back what was rented …"))
            self.stop()
        else:
            super().reject()

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._form = self._built_form()
        self._problem = QLabel(self)
        self._problem.setObjectName("remote.problem")
        self._problem.setWordWrap(True)
        theme.set_role(self._problem, role="error")
        self.progress = JobProgress("remote", self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE * 2)
        for part in (self._form, self._problem, self.progress):
            layout.addWidget(part)
        layout.addStretch(1)
        layout.addLayout(self._built_buttons())

    def _built_form(self) -> QWidget:
        form = QWidget(self)
        self.place = ChoiceBox(
            (THIS_COMPUTER, *((place.name, place.label) for place in self._places.values())), form
        )
        self.place.setObjectName("remote.place")
        self.place.setAccessibleName(tr("Place"))
        self.place.edited.connect(self._on_place)
        self._needs, self._costs = self._told(form, "needs"), self._told(form, "costs")
        self.key, self.keep_button = QLineEdit(form), QPushButton(tr("Keep"), form)
        self.key.setObjectName("remote.key")
        self.key.setAccessibleName(tr("Key"))
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.key.textChanged.connect(self._show)
        self.key.returnPressed.connect(self.keep_key)
        self.keep_button.setObjectName("remote.keep")
        self.keep_button.setToolTip(
            tr("Into the system's keychain; no file has it. One that is kept need not be typed again")
        )
        self.keep_button.clicked.connect(self.keep_key)
        self._key_row = _row(form, self.key, self.keep_button)
        self.host = self._text(form, "host", tr("Machine"), tr("gpu-box, or user@address"))
        self.ssh = self._text(form, "ssh", tr("ssh command"), "ssh")
        self.python = self._text(form, "python", tr("Python there"), tr("made there, with what the training needs"))
        self.user = self._text(form, "user", tr("Your name there"), "")
        self.offer, self.ask_button = ChoiceBox((), form), QPushButton(tr("Ask"), form)
        self.offer.setObjectName("remote.offer")
        self.offer.setAccessibleName("GPU")
        self.offer.edited.connect(self._show)
        self.ask_button.setObjectName("remote.ask")
        self.ask_button.setToolTip(ASK_TIP)
        self.ask_button.clicked.connect(self.ask)
        self._offer_row = _row(form, self.offer, self.ask_button)
        self.base = BaseSource(self._config, form)
        self.base.edited.connect(self._show)
        for button in (self.keep_button, self.ask_button):
            button.setAutoDefault(False)
        rows = self._rows = FormRows(form)
        rows.setContentsMargins(0, 0, 0, 0)
        first = QLabel(tr("Run on"), form)
        first.setMinimumWidth(theme.text_width(BASE_LABEL_WIDTH))  # nothing moves when other rows come
        rows.add_row(first, self.place)
        for label, widget in (
            (tr("Needs"), self._needs), (tr("Costs"), self._costs), (tr("Key"), self._key_row),
            (tr("Machine"), self.host), (tr("ssh command"), self.ssh), (tr("Python there"), self.python),
            (tr("Your name there"), self.user),
            ("GPU", self._offer_row),
        ):  # fmt: skip
            rows.add_row(label, widget)
        self.base.add_to(rows)
        return form

    def _told(self, form: QWidget, name: str) -> QLabel:
        label = QLabel(form)
        label.setObjectName(f"remote.{name}")
        label.setWordWrap(True)
        theme.set_role(label, role="muted")
        return label

    def _text(self, form: QWidget, name: str, label: str, hint: str) -> TextEditor:
        editor = TextEditor(form)
        editor.setObjectName(f"remote.{name}")
        editor.setAccessibleName(label)
        editor.setPlaceholderText(hint)
        editor.edited.connect(self._show)
        return editor

    def _built_buttons(self) -> QHBoxLayout:
        self.start_button = QPushButton(tr("Start"), self)
        self.start_button.setObjectName("remote.start")
        self.start_button.setDefault(True)
        theme.set_role(self.start_button, kind="primary")
        self.stop_button = QPushButton(tr("Stop"), self)
        self.stop_button.setObjectName("remote.stop")
        self.close_button = QPushButton(tr("Close"), self)
        self.close_button.setObjectName("remote.close")
        for button in (self.stop_button, self.close_button):
            button.setAutoDefault(False)
        self.start_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        self.close_button.clicked.connect(self.reject)
        row = QHBoxLayout()
        row.addStretch(1)
        for button in (self.close_button, self.stop_button, self.start_button):
            row.addWidget(button)
        return row


def _row(form: QWidget, editor: QWidget, button: QPushButton) -> QWidget:
    row = QWidget(form)
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(theme.SPACE)
    layout.addWidget(editor, 1)
    layout.addWidget(button)
    return row
