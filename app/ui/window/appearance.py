"""The appearance: the user's choice of light, dark or the system's scheme, applied, kept and followed."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication

from app.core.system.setting import keep_settings, load_settings
from app.ui.platform.color_scheme import dress_native_parts
from app.ui.widget import theme

Choice = Literal["system", "light", "dark"]


class Appearance(QObject):
    """Redresses the application when the user chooses, and when the system changes while it is followed."""

    chosen = Signal(str)  # Choice

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.choice: Choice = load_settings().theme
        QApplication.styleHints().colorSchemeChanged.connect(self._on_system)

    def apply(self) -> None:
        """Dresses the application as chosen, and what the system draws of it."""
        dress_native_parts(self.choice)  # before the system is asked: it answers with what was told to it last
        theme.apply_theme(theme.system_scheme() if self.choice == "system" else self.choice)

    def choose(self, choice: Choice) -> None:
        """Takes a choice over and keeps it."""
        self.choice = choice
        keep_settings(theme=choice)
        self.apply()
        self.chosen.emit(choice)

    def toggle(self) -> None:
        """From light to dark and back."""
        self.choose("light" if theme.colors().scheme == "dark" else "dark")

    def _on_system(self) -> None:
        if self.choice == "system":
            self.apply()
