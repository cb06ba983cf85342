"""The settings dialog: the choices that belong to no run."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from app.core.config.train_config import FieldSpec
from app.core.system import place
from app.core.system.setting import load_settings, save_settings
from app.ui.form.path_editor import PathEditor
from app.ui.form.plain_editor import ChoiceBox
from app.ui.widget import theme
from app.ui.widget.close_key import close_by_key
from app.ui.window.appearance import Appearance

RUNS_FIELD = FieldSpec("settings.runs_dir", "Folder for runs", "path", "")
CHOICE_WIDTH = 180  # px in Inter
THEME_CHOICES = (("system", "Like the system"), ("light", "Light"), ("dark", "Dark"))


class SettingsDialog(QDialog):
    """Edits the settings file. The theme changes at once; the folder when the dialog is accepted."""

    def __init__(self, appearance: Appearance, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        close_by_key(self)
        self.setWindowTitle("Settings")
        self.setMinimumWidth(theme.text_width(520))
        self._theme = ChoiceBox(THEME_CHOICES, self)
        self._theme.setObjectName("settings.theme")
        self._theme.setAccessibleName("Appearance")
        self._theme.setMinimumWidth(theme.text_width(CHOICE_WIDTH))
        self._theme.set_value(appearance.choice)
        self._theme.edited.connect(appearance.choose)
        self._runs = PathEditor(RUNS_FIELD, self, folder=True, placeholder=str(place.data_dir() / "runs"))
        self._runs.line.setObjectName(RUNS_FIELD.path)
        self._runs.line.setAccessibleName(RUNS_FIELD.label)
        self._runs.set_value(load_settings().runs_dir)
        self._runs.edited.connect(self._show_problem)
        self._problem = QLabel(self)
        self._problem.setWordWrap(True)
        theme.set_role(self._problem, role="error")
        self._buttons = QDialogButtonBox(self)
        self._buttons.addButton(QDialogButtonBox.StandardButton.Ok)
        self._buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self._lay_out()
        self._show_problem()

    def accept(self) -> None:
        """Keeps the settings."""
        settings = load_settings()
        save_settings(settings.model_copy(update={"runs_dir": self._runs.value() or ""}))
        super().accept()

    def _show_problem(self) -> None:
        """A folder for runs must be one that can be made and written."""
        text = self._runs.value() or ""
        path = Path(text).expanduser()
        said = ""
        if text and path.exists() and not path.is_dir():
            said = f"{path} is a file, not a folder."
        elif text and not path.is_absolute():
            said = "Give the whole path, beginning with / or ~."
        self._problem.setText(said)
        self._problem.setVisible(bool(said))
        self._buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not said)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setHorizontalSpacing(theme.SPACE * 2)
        form.setVerticalSpacing(theme.SPACE * 3 // 2)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Appearance", self._theme)
        form.addRow("Folder for runs", self._runs)
        note = QLabel("New runs go there; those of the old folder stay where they are.", self)
        theme.set_role(note, role="small")
        note.setWordWrap(True)
        form.addRow("", note)
        form.addRow("", self._problem)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 3] * 4)
        layout.setSpacing(theme.SPACE * 2)
        layout.addLayout(form)
        layout.addWidget(self._buttons)
