"""The settings dialog: the choices that belong to no run. Each counts as soon as it is made."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialogButtonBox, QVBoxLayout, QWidget

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.ui.model.hub_access_page import HubAccessPage
from app.ui.platform.scrolling import calm_tabs
from app.ui.settings.folder_page import FolderPage
from app.ui.settings.general_page import GeneralPage
from app.ui.settings.release_check import ReleaseCheck
from app.ui.settings.setup_page import NewSetupPage
from app.ui.widget import theme
from app.ui.widget.keyed_dialog import KeyedDialog
from app.ui.window.appearance import Appearance

SETTINGS_SIZE = (640, 560)  # px in Inter


class SettingsDialog(KeyedDialog):
    """Four pages. ``changed``: folders or the network are others; ``setup_chosen``: what setups begin as."""

    changed = Signal()
    setup_chosen = Signal(object, object)

    def __init__(
        self,
        appearance: Appearance,
        parent: QWidget | None = None,
        *,
        form: TrainConfig | None = None,
        check: ReleaseCheck | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("settings_dialog")
        self.setWindowTitle(tr("Settings"))
        self.resize(*(theme.text_width(side) for side in SETTINGS_SIZE))
        self._appearance = appearance
        self._check = check if check is not None else ReleaseCheck(self)
        self.general = GeneralPage(appearance.choice, self._check, self)
        self.general.theme_chosen.connect(self._appearance.choose)
        self.folders = FolderPage(self)
        self.folders.changed.connect(self.changed)
        self.access = HubAccessPage(self, places=False)
        self.access.changed.connect(self.changed)
        self.setups = NewSetupPage(form if form is not None else TrainConfig(), self)
        self.setups.chosen.connect(self.setup_chosen)
        self.pages = calm_tabs("settings.pages", tr("Parts of the settings"), self)
        for page, title in (
            (self.general, tr("General")), (self.folders, tr("Folders")), (self.access, tr("Hub and network")),
            (self.setups, tr("New setups")),
        ):  # fmt: skip
            self.pages.addTab(page, title)
        self.pages.currentChanged.connect(self._on_page)
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        box.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE * 3 // 2)
        layout.addWidget(self.pages, 1)
        layout.addWidget(box)

    def done(self, result: int) -> None:
        """Closes; what is being moved is moved first, or stopped by its own button: half of it is nowhere."""
        if self.folders.is_busy:
            self.pages.setCurrentWidget(self.folders)
            return
        self.shutdown()
        super().done(result)

    def shutdown(self) -> None:
        """Ends what the pages do."""
        self.access.shutdown()
        self.folders.shutdown()
        self._check.shutdown()

    def _on_page(self) -> None:
        if self.pages.currentWidget() is self.access:
            self.access.ask()
