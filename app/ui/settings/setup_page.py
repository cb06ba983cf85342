"""New setups: the config that the Setup form begins as, and goes back to."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.core.config.field import FieldSpec
from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.refusal import reason_of
from app.core.run.difference import config_differences
from app.core.setup.config_file import save_config
from app.core.setup.default import new_setup
from app.core.system import place
from app.core.system.setting import keep_settings, load_settings
from app.core.typed_path import typed_path
from app.ui.form.path_editor import PathEditor
from app.ui.form.plain_part import note_label, quiet_button
from app.ui.widget import theme
from app.ui.widget.card import Card

FILE = FieldSpec("settings.default_setup", tr("Config for new setups"), "path", "")
NOTE = tr("What Reset Form goes back to. Model, data and names are left out: they belong to one run.")


class NewSetupPage(QWidget):
    """``chosen(config, following)``: the Setup form goes back to that config from now on."""

    chosen = Signal(object, object)

    def __init__(self, form: TrainConfig, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._form = form
        card = Card(tr("New setups begin as"), NOTE, self)
        card.body.setSpacing(theme.SPACE)
        self.editor = PathEditor(FILE, card, placeholder=tr("Luthier's own values"))
        self.editor.line.setObjectName(FILE.path)
        self.editor.line.setAccessibleName(FILE.label)
        self.editor.set_value(load_settings().default_setup)
        self.editor.edited.connect(self._on_edited)
        self.text = note_label("", card)
        self.text.setObjectName(f"{FILE.path}.text")
        self.take_button = quiet_button(
            f"{FILE.path}.take",
            tr("Use the form's values"),
            tr("Keeps the values of the Setup form as they are now"),
            card,
        )
        self.take_button.clicked.connect(self._on_take)
        self.own_button = quiet_button(
            f"{FILE.path}.own", tr("Luthier's own"), tr("Back to Luthier's own values"), card
        )
        self.own_button.clicked.connect(self._on_own)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addWidget(self.take_button)
        row.addWidget(self.own_button)
        row.addStretch(1)
        card.body.addWidget(self.editor)
        card.body.addWidget(self.text)
        card.body.addLayout(row)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE * 2, 0, 0)
        layout.addWidget(card)
        layout.addStretch(1)
        self._show(load_settings().default_setup)

    def _on_take(self) -> None:
        path = place.settings_path().with_name("new_setup.yaml")
        try:
            save_config(self._form, path)
        except OSError as error:
            self._say(tr("{path} cannot be written: {reason_of}.", path=path, reason_of=reason_of(error)), "error")
            return
        self.editor.choose(str(path))

    def _on_own(self) -> None:
        self.editor.choose("")

    def _on_edited(self, value: Any) -> None:
        text = value or ""
        if self._show(text):
            keep_settings(default_setup=text)

    def _show(self, text: str) -> bool:
        """Reads the file and says what it changes; whether it can be used."""
        self.own_button.setEnabled(bool(text))
        path = typed_path(text)
        try:
            if text and not path.is_file():
                self._say(tr("{path} is no file.", path=path), "error")
                return False
            config, following = new_setup(text)
        except UnusableError as error:
            self._say(" ".join(one.sentence() for one in error.problems), "error")
            return False
        different = [one.label for one in config_differences([TrainConfig(), config])]
        other = tr("Other than Luthier's own: {different}.", different=", ".join(different))
        self._say(other if different else tr("All values are Luthier's own."))
        self.chosen.emit(config, following)
        return True

    def _say(self, text: str, role: str = "small") -> None:
        self.text.setText(text)
        theme.set_role(self.text, role=role)
