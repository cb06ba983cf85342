"""The page for where models live, the hub's access token, and working strictly offline."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QVBoxLayout,
    QWidget,
)

from app.core.config.train_config import FieldSpec
from app.core.language import tr
from app.core.model.folder import hub_cache
from app.core.model.hub import KNOWN_FOLDERS
from app.core.protocol import event
from app.core.protocol.command import GiveToken
from app.core.protocol.job import HubLoginJob
from app.core.system.network import own_network, proxy_fault
from app.core.system.setting import keep_settings, load_settings
from app.core.typed_path import typed_path
from app.ui.form.path_editor import PathEditor
from app.ui.form.plain_editor import TextEditor
from app.ui.form.plain_part import note_label, quiet_button
from app.ui.form.settled_text import SettledText
from app.ui.platform.file_panel import ask_folder
from app.ui.widget import theme
from app.ui.widget.card import Card
from app.ui.worker.job import JobRunner
from app.ui.worker.process import WorkerOutcome

PLACE = FieldSpec("settings.models_dir", tr("Folder for models"), "path", "")
PLACES_HEIGHT = 76


class HubAccessPage(QWidget):
    """Edits the settings of models, and asks the task ``hub_login``. ``changed`` tells that the settings did.

    Without ``places`` it is a page of the settings: models have one of their own there, and a proxy is here.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None, *, places: bool = True) -> None:
        super().__init__(parent)
        self._asked = False
        self._job = JobRunner(self)
        self._job.emitted.connect(self._on_event)
        self._job.ended.connect(self._on_ended)
        self._token = ""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE * 2, 0, 0)
        layout.setSpacing(theme.SPACE * 3 // 2)
        self._has_places = places
        for card in ([self._places()] if places else []) + [self._access(), self._network()]:
            layout.addWidget(card)
        layout.addStretch(1)

    def ask(self) -> None:
        """Finds out whether there is a token, when the page is first looked at. Makes no request."""
        if not self._asked:
            self._asked = True
            self._job.start(HubLoginJob(action="status"))

    def shutdown(self) -> None:
        """Ends everything before the window closes."""
        self._job.shutdown()

    # -- parts ------------------------------------------------------------------------------------------------

    def _places(self) -> Card:
        card = Card(tr("Where models live"), parent=self)
        card.body.setSpacing(theme.SPACE)
        self.place = PathEditor(
            PLACE, card, folder=True, placeholder=tr("Hugging Face cache: {hub_cache}", hub_cache=hub_cache())
        )
        self.place.line.setObjectName(PLACE.path)
        self.place.line.setAccessibleName(PLACE.label)
        self.place.set_value(load_settings().models_dir)
        self._typed_place = SettledText(self.place.line)
        self._typed_place.settled.connect(self._keep_place)
        self.place.chosen.connect(self._typed_place.settle)
        self.place.edited.connect(self._judge_place)
        self.place_problem = note_label("", card, "error")
        self.place_problem.hide()
        self.folders = QListWidget(card)
        self.folders.setObjectName("settings.model_folders")
        self.folders.setAccessibleName(tr("Further folders with models"))
        self.folders.setFixedHeight(PLACES_HEIGHT)
        self.folders.addItems(list(load_settings().model_folders))
        self.folders.itemSelectionChanged.connect(self._show_buttons)
        card.body.addWidget(note_label(tr("Downloads and conversions go to"), card, "label"))
        card.body.addWidget(self.place)
        card.body.addWidget(self.place_problem)
        card.body.addSpacing(theme.SPACE)
        card.body.addWidget(note_label(tr("Look for models in these folders too"), card, "label"))
        card.body.addLayout(self._folder_row(card))
        card.body.addWidget(
            note_label(
                tr(
                    "LM Studio's are found by themselves ({known_folders}).", known_folders=", ".join(KNOWN_FOLDERS)
                ),
                card,
                "small",
            )
        )
        return card

    def _folder_row(self, card: Card) -> QHBoxLayout:
        self.add_button = quiet_button(
            "settings.model_folders.add", tr("Add…"), tr("Choose a folder that holds models"), card
        )
        self.remove_button = quiet_button(
            "settings.model_folders.remove", tr("Remove"), tr("Stop looking there"), card
        )
        self.add_button.clicked.connect(self._on_add)
        self.remove_button.clicked.connect(self._on_remove)
        self.remove_button.setEnabled(False)
        buttons = QVBoxLayout()
        buttons.setSpacing(theme.SPACE)
        buttons.addWidget(self.add_button)
        buttons.addWidget(self.remove_button)
        buttons.addStretch(1)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addWidget(self.folders, 1)
        row.addLayout(buttons)
        return row

    def _access(self) -> Card:
        card = Card(
            tr("Access token"),
            tr("Only for gated and private models. The system's keychain keeps it; no run or config ever has it."),
            self,
        )
        card.body.setSpacing(theme.SPACE)
        self.token = QLineEdit(card)
        self.token.setObjectName("hub.token")
        self.token.setAccessibleName(tr("Access token"))
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.setPlaceholderText(tr("hf_…"))
        self.token.setToolTip(
            tr("From your account on the hub: Settings, Access Tokens. The right to read is enough.")
        )
        self.token.textChanged.connect(self._show_buttons)
        self.token.returnPressed.connect(self._on_save)
        self.save_button = quiet_button(
            "hub.token.save", tr("Check and store"), tr("Asks the hub whose it is, then keeps it"), card
        )
        self.forget_button = quiet_button("hub.token.forget", tr("Forget"), tr("Removes the stored token"), card)
        self.save_button.clicked.connect(self._on_save)
        self.forget_button.clicked.connect(self._on_forget)
        self.save_button.setEnabled(False)
        self.forget_button.setEnabled(False)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addWidget(self.token, 1)
        row.addWidget(self.save_button)
        row.addWidget(self.forget_button)
        self.token_status = note_label("", card, "small")
        card.body.addLayout(row)
        card.body.addWidget(self.token_status)
        return card

    def _network(self) -> Card:
        card = Card(tr("Network"), parent=self)
        card.body.setSpacing(theme.SPACE // 2)
        if not self._has_places:
            self._add_proxy(card)
        self.offline = QCheckBox(tr("Never make a request to the hub"), card)
        self.offline.setObjectName("settings.offline")
        self.offline.setAccessibleName(tr("Strictly offline"))
        self.offline.setToolTip(tr("Searching, downloading and tokens are refused"))
        self.offline.setChecked(load_settings().offline)
        self.offline.toggled.connect(self._on_offline)
        card.body.addWidget(self.offline)
        note = tr("Training, generating and evaluating never make one, whatever stands here.")
        card.body.addWidget(note_label(note, card, "small"))
        return card

    def _add_proxy(self, card: Card) -> None:
        self.proxy = TextEditor(card)
        self.proxy.setObjectName("settings.proxy")
        self.proxy.setAccessibleName(tr("Proxy"))
        self.proxy.setPlaceholderText(tr("http://host:port; empty: what the environment says"))
        self.proxy.setToolTip(
            tr("For searching, downloading and services; not for this machine itself, nor for ssh")
        )
        self.proxy.set_value(load_settings().proxy)
        self._typed_proxy = SettledText(self.proxy)
        self._typed_proxy.settled.connect(self._keep_proxy)
        self.proxy.edited.connect(self._judge_proxy)
        self.proxy_problem = note_label("", card, "error")
        self.proxy_problem.hide()
        label = note_label(tr("Proxy"), card, "label")
        label.setBuddy(self.proxy)
        for part in (label, self.proxy, self.proxy_problem):
            card.body.addWidget(part)
        card.body.addSpacing(theme.SPACE)

    # -- what happens -----------------------------------------------------------------------------------------

    def _judge_place(self) -> str:
        """Says what is wrong with the folder as it stands there."""
        text = self.place.value() or ""
        path = typed_path(text)
        said = ""
        if text and not path.is_absolute():
            said = tr("Give the whole path, beginning with / or ~.")
        elif text and path.exists() and not path.is_dir():
            said = tr("{path} is a file, not a folder.", path=path)
        self.place_problem.setText(said)
        self.place_problem.setVisible(bool(said))
        return said

    def _keep_place(self) -> None:
        if not self._judge_place():
            self._typed_place.begin(self.place.line.text())
            self._save(models_dir=self.place.value() or "")

    def _on_add(self) -> None:
        path = ask_folder(self, tr("Folder with models"))
        if path:
            self.add_folder(path)

    def add_folder(self, path: str) -> None:
        """Looks for models there from now on."""
        known = load_settings().model_folders
        if path not in known:
            self.folders.addItem(path)
            self._save(model_folders=(*known, path))

    def _on_remove(self) -> None:
        for item in self.folders.selectedItems():
            kept = [folder for folder in load_settings().model_folders if folder != item.text()]
            self.folders.takeItem(self.folders.row(item))
            self._save(model_folders=tuple(kept))

    def _judge_proxy(self) -> str:
        said = proxy_fault(self.proxy.text().strip())
        self.proxy_problem.setText(said)
        self.proxy_problem.setVisible(bool(said))
        return said

    def _keep_proxy(self) -> None:
        if not self._judge_proxy():
            self._typed_proxy.begin(self.proxy.text())
            self._save(proxy=self.proxy.text().strip())

    def _on_offline(self, on: bool) -> None:
        self._save(offline=on)
        self._show_buttons()

    def _save(self, **values: object) -> None:
        keep_settings(**values)
        own_network.follow(load_settings())
        self.changed.emit()

    def _on_save(self) -> None:
        if not self.save_button.isEnabled():
            return
        self._token = self.token.text().strip()
        self.token.clear()
        self._tell(tr("Asking the hub …"))
        self._job.start(HubLoginJob(action="login"))
        self._show_buttons()

    def _on_forget(self) -> None:
        self._job.start(HubLoginJob(action="logout"))
        self._show_buttons()

    def _on_event(self, said: event.Event) -> None:
        if isinstance(said, event.Ready):
            self._job.send(GiveToken(token=self._token))
            self._token = ""
        elif isinstance(said, event.Result):
            self._show_token(said.data)

    def _show_token(self, standing: dict[str, Any]) -> None:
        there, user = bool(standing["set"]), str(standing["user"])
        from_environment = bool(standing["from_environment"])
        where = tr("in the keychain") if standing["in_keychain"] else tr("in a file that only you can read")
        self.forget_button.setProperty("there", there and not from_environment)
        if user:
            self._tell(tr("Stored {where}: the token of {user}.", where=where, user=user), "good")
        elif from_environment:
            self._tell(tr("The token in the environment variable HF_TOKEN is used."))
        else:
            self._tell(
                tr("A token is stored {where}.", where=where)
                if there
                else tr("No token is stored; most models need none.")
            )

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        self._token = ""
        if not outcome.ok:
            self._tell(outcome.sentence(), "error")
        self._show_buttons()

    def _tell(self, text: str, role: str = "small") -> None:
        self.token_status.setText(text)
        theme.set_role(self.token_status, role=role)

    def _show_buttons(self) -> None:
        idle = not self._job.is_running
        self.save_button.setEnabled(idle and bool(self.token.text().strip()) and not self.offline.isChecked())
        self.forget_button.setEnabled(idle and bool(self.forget_button.property("there")))
        if self._has_places:
            self.remove_button.setEnabled(bool(self.folders.selectedItems()))
