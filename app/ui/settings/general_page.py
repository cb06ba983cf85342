"""General settings: the look, how alpha is read, what Luthier tells by itself, and the look for a newer one."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.core.language import LANGUAGES, language, tr
from app.core.launch.spoken import system_language
from app.core.power.awake import LID
from app.core.system.network import GPU_VARIABLE, own_network
from app.core.system.setting import keep_settings, load_settings
from app.ui.form.plain_editor import CheckEditor, ChoiceBox
from app.ui.form.plain_part import note_label, quiet_button
from app.ui.settings.part import settings_form
from app.ui.settings.release_check import ReleaseCheck
from app.ui.target.alpha import READINGS
from app.ui.widget import theme
from app.ui.widget.card import Card
from app.ui.worker.spare import disturb

CHOICE_WIDTH = 180  # px in Inter
THEME_CHOICES = (("system", tr("Like the system")), ("light", tr("Light")), ("dark", tr("Dark")))
LANGUAGE_CHOICES = (("system", tr("Like the system")), *LANGUAGES.items())
NO_ADDRESS = tr("Updates: this copy was cloned from no address on github.com, so nobody can be asked.")


class GeneralPage(QWidget):
    """``theme_chosen`` carries the theme; all other choices are kept as they are made."""

    theme_chosen = Signal(object)

    def __init__(self, theme_choice: str, check: ReleaseCheck, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        settings = load_settings()
        self._check, self._page = check, ""
        self.theme = self._choice("settings.theme", tr("Appearance"), THEME_CHOICES, theme_choice)
        self.theme.edited.connect(self.theme_chosen)
        self.language = self._choice("settings.language", tr("Language"), LANGUAGE_CHOICES, settings.language)
        self.language.edited.connect(self._on_language)
        self.language_text = note_label("", self)
        self.language_text.setObjectName("settings.language.text")
        self.alpha = self._choice("settings.alpha", tr("Alpha is read as"), READINGS, settings.alpha_convention)
        self.alpha.edited.connect(self._on_alpha)
        self.notifications = self._tick(
            "settings.notifications", tr("Tell when a run ends, fails or needs an answer"), settings.notifications
        )
        self.notifications.edited.connect(self._on_notifications)
        self.keep_awake = self._tick(
            "settings.keep_awake", tr("Keep the computer awake while it works"), settings.keep_awake
        )
        self.keep_awake.setToolTip(
            tr("While a run, the queue or an export works. Its display may sleep. {lid}", lid=LID)
        )
        self.keep_awake.edited.connect(lambda on: keep_settings(keep_awake=on))
        self.wire = self._tick(
            "settings.wire_memory", tr("On Macs, hold it for a run that needs most of it"), settings.wire_memory
        )
        self.wire.setToolTip(
            tr("Faster where memory is short; switch it off if the computer restarts while it trains")
        )
        self.wire.edited.connect(lambda on: keep_settings(wire_memory=on))
        self.relax_gpu = self._tick(
            "settings.relax_gpu",
            tr("On Macs, allow long steps, even if the screen stutters"),
            settings.relax_gpu_limit,
        )
        self.relax_gpu.setToolTip(
            tr("Sets {gpu_variable}=1 for runs from now on; the desktop stutters then", gpu_variable=GPU_VARIABLE)
        )
        self.relax_gpu.edited.connect(self._on_relax)
        self.spare = self._tick(
            "settings.spare_worker", tr("Keep a worker ready for the next job"), settings.spare_worker
        )
        self.spare.setToolTip(
            tr("Jobs begin about a second sooner; it takes some 70 MB, and none where 8 GB are not available")
        )
        self.spare.edited.connect(self._on_spare)
        self.updates = self._tick(
            "settings.check_updates", tr("Look for a newer version once a day"), settings.check_updates
        )
        self.updates.edited.connect(self._on_updates)
        self.ask_button = quiet_button(
            "settings.updates.ask", tr("Look now"), tr("Asks the releases page once"), self
        )
        self.ask_button.clicked.connect(self._on_ask)
        self.page_button = quiet_button("settings.updates.page", tr("Show it"), tr("Opens its page"), self)
        self.page_button.clicked.connect(self._on_page)
        self.page_button.hide()
        self.update_text = note_label("", self)
        self.update_text.setObjectName("settings.updates.text")
        check.told.connect(self._on_told)
        self._lay_out()
        self._show_language()
        self._show_updates()

    def _choice(self, name: str, label: str, choices: tuple[tuple[str, str], ...], value: str) -> ChoiceBox:
        box = ChoiceBox(choices, self)
        box.setObjectName(name)
        box.setAccessibleName(label)
        box.setFixedWidth(theme.text_width(CHOICE_WIDTH))
        box.set_value(value)
        return box

    def _tick(self, name: str, text: str, on: bool) -> CheckEditor:
        tick = CheckEditor(text, self)
        tick.setObjectName(name)
        tick.setAccessibleName(text)
        tick.set_value(on)
        return tick

    def _lay_out(self) -> None:
        form = settings_form()
        form.addRow(tr("Appearance"), self.theme)
        form.addRow(tr("Language"), self.language)
        form.addRow("", self.language_text)
        form.addRow(tr("Alpha is read as"), self.alpha)
        form.addRow("", note_label(tr("mlx-lm multiplies by scale; PEFT multiplies by alpha ÷ rank."), self))
        form.addRow(tr("Notifications"), self.notifications)
        form.addRow(tr("Sleep"), self.keep_awake)
        form.addRow(tr("Display"), self.relax_gpu)
        form.addRow(tr("Memory"), self.wire)
        form.addRow(tr("Speed"), self.spare)
        form.addRow(tr("Updates"), self.updates)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addWidget(self.ask_button)
        row.addWidget(self.page_button)
        row.addStretch(1)
        form.addRow("", row)
        card = Card(tr("The window"), parent=self)
        card.body.addLayout(form)
        card.body.addWidget(self.update_text)  # a form gives texts of several lines too little height
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE * 2, 0, 0)
        layout.addWidget(card)
        layout.addStretch(1)

    def _on_language(self, chosen: Any) -> None:
        keep_settings(language=chosen)
        self._show_language()

    def _show_language(self) -> None:
        """Many texts are made when the program starts: a language takes effect at the next start."""
        chosen = load_settings().language
        waits = language() != (system_language() if chosen == "system" else chosen)
        self.language_text.setText(
            tr("From the next start of Luthier on.") if waits else tr("Of the window; the command line is English.")
        )

    def _on_alpha(self, reading: Any) -> None:
        keep_settings(alpha_convention=reading)

    def _on_notifications(self, on: bool) -> None:
        keep_settings(notifications=on)

    def _on_relax(self, on: bool) -> None:
        keep_settings(relax_gpu_limit=on)
        own_network.follow(load_settings())

    def _on_spare(self, on: bool) -> None:
        keep_settings(spare_worker=on)
        disturb()

    def _on_updates(self, on: bool) -> None:
        keep_settings(check_updates=on)
        self._show_updates()

    def _show_updates(self) -> None:
        """Nothing is asked before it is switched on; where nobody can be asked, it cannot be."""
        known = bool(self._check.address)
        self.updates.setEnabled(known)
        self.ask_button.setEnabled(known and self.updates.isChecked())
        where = (
            tr("Asks {address}, and sends nothing but the request.", address=self._check.address)
            if known
            else NO_ADDRESS
        )
        self.update_text.setText(where)

    def _on_ask(self) -> None:
        if load_settings().offline:
            self.update_text.setText(tr("Luthier is strictly offline: the releases page is not asked."))
            return
        self.update_text.setText(tr("Asking the releases page …"))
        self._check.ask()

    def _on_told(self, text: str, page: str) -> None:
        self.update_text.setText(text)
        self._page = page
        self.page_button.setVisible(bool(page))

    def _on_page(self) -> None:
        QDesktopServices.openUrl(QUrl(self._page))
