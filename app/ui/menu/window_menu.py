"""The menus of the main window: every action with its name, shortcut and role; who acts on them is the window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QAction, QActionGroup, QDesktopServices, QKeySequence
from PySide6.QtWidgets import QApplication, QMainWindow, QMenu, QWidget

from app.core.compare.candidate import title_of
from app.core.language import tr
from app.core.run.folder import find_runs
from app.core.system.setting import load_settings
from app.ui.menu.edit_menu import EditMenu
from app.ui.menu.entry import ALL_KEYS, add_entry
from app.ui.platform.key_text import MAIN_KEYS
from app.ui.platform.window_order import bring_to_front

RECENT_RUNS = 6
LINKS = (
    ("help.lora", tr("LoRA Without Regret"), "https://thinkingmachines.ai/blog/lora/"),
    ("help.mlx_lm", tr("Fine-Tuning with mlx-lm"), "https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/LORA.md"),
    (
        "help.data",
        tr("Data Formats of mlx-lm"),
        "https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/LORA.md#Data",
    ),
)
THEMES = (("system", tr("Like the System")), ("light", tr("Light")), ("dark", tr("Dark")))

START_KEYS = "Ctrl+R"


class WindowMenu(QObject):
    """Builds the menu bar. Actions are public and named; the lists of recent files are made when a menu opens."""

    recent_config = Signal(Path)
    recent_run = Signal(Path)
    theme_chosen = Signal(str)
    tab_chosen = Signal(int)

    def __init__(self, window: QMainWindow, tabs: Sequence[str]) -> None:
        super().__init__(window)
        self._window = window
        self._build_file(window.menuBar().addMenu(tr("&File")))
        self.edit = window.menuBar().addMenu(tr("&Edit"))
        self.editing = EditMenu(self.edit, window)
        self._build_run(window.menuBar().addMenu(tr("&Run")))
        self._build_view(window.menuBar().addMenu(tr("&View")), tabs)
        self._build_window(window.menuBar().addMenu(tr("&Window")))
        self._build_help(window.menuBar().addMenu(tr("&Help")))

    def set_theme(self, choice: str) -> None:
        """Ticks the present choice."""
        for action in self._themes.actions():
            action.setChecked(action.data() == choice)

    def set_on_form(self, on_form: bool) -> None:
        """On a form ⌘↩ starts the run, as it does on every page what that is there for; ⌘R starts it anywhere."""
        self.start.setProperty(ALL_KEYS, [MAIN_KEYS, START_KEYS])
        self.start.setShortcuts([QKeySequence(keys) for keys in ((MAIN_KEYS, START_KEYS)[not on_form :])])

    def _build_file(self, menu: QMenu) -> None:
        self.open_config = add_entry(menu, "file.open_config", tr("Open Config…"), "Ctrl+O")
        self.save_config = add_entry(menu, "file.save_config", tr("Save Config As…"), "Ctrl+S")
        self.bundle = add_entry(menu, "file.bundle", tr("Export Setup as Bundle…"))
        self._recent = menu.addMenu(tr("Open Recent"))
        self._recent.menuAction().setMenuRole(QAction.MenuRole.NoRole)
        self._recent.aboutToShow.connect(self._fill_recent)
        self.get_model = add_entry(menu, "file.get_model", tr("Get a Model…"))
        self.open_run = add_entry(menu, "file.open_run", tr("Open Run…"), "Ctrl+Shift+O")
        menu.addSeparator()
        self.reset = add_entry(menu, "file.reset", tr("Reset Form"))
        menu.addSeparator()
        add_entry(menu, "file.close", tr("Close Window"), "Ctrl+W").triggered.connect(self._close)
        self.settings = add_entry(
            menu, "file.settings", tr("Settings…"), "Ctrl+,", QAction.MenuRole.PreferencesRole
        )
        self.quit = add_entry(menu, "file.quit", tr("Quit Luthier"), "Ctrl+Q", QAction.MenuRole.QuitRole)

    def _build_run(self, menu: QMenu) -> None:
        self.start = add_entry(menu, "run.start", tr("Start Training"))
        self.set_on_form(True)
        self.run_on = add_entry(menu, "run.run_on", tr("Run On…"))
        self.enqueue = add_entry(menu, "run.enqueue", tr("Add to Queue"), "Ctrl+Shift+A")
        self.sweep = add_entry(menu, "run.sweep", tr("Sweep…"))
        self.hosts = add_entry(menu, "run.hosts", tr("Train on Several Machines…"))
        self.pause = add_entry(menu, "run.pause", tr("Pause"), "Ctrl+Shift+P")
        self.park = add_entry(menu, "run.park", tr("Pause and Free the Memory"))
        self.stop = add_entry(menu, "run.stop", tr("Stop and Save"), "Ctrl+.")
        self.resume = add_entry(menu, "run.resume", tr("Resume This Run"))
        menu.addSeparator()
        self.compare = add_entry(menu, "run.compare", tr("Compare Base and Tuned"))
        self.chat = add_entry(menu, "run.chat", tr("Chat…"))
        self.serve = add_entry(menu, "run.serve", tr("Use It Now…"))
        self.export = add_entry(menu, "run.export", tr("Export…"), "Ctrl+E")
        self.reveal = add_entry(menu, "run.reveal", tr("Reveal Run Folder"))

    def _build_view(self, menu: QMenu, tabs: Sequence[str]) -> None:
        for index, name in enumerate(tabs):
            action = add_entry(menu, f"view.tab.{index}", name, f"Ctrl+{index + 1}")
            action.setData(index)
            action.triggered.connect(self._on_tab)
        menu.addSeparator()
        self.panel = add_entry(menu, "view.panel", tr("Run Panel"), "Ctrl+Shift+R")
        self.panel.setCheckable(True)
        self.panel.setChecked(True)
        menu.addSeparator()
        themes = menu.addMenu(tr("Appearance"))
        themes.menuAction().setMenuRole(QAction.MenuRole.NoRole)
        self._themes = QActionGroup(self)
        for choice, name in THEMES:
            action = add_entry(themes, f"view.theme.{choice}", name)
            action.setCheckable(True)
            action.setData(choice)
            action.triggered.connect(self._on_theme)
            self._themes.addAction(action)

    def _build_window(self, menu: QMenu) -> None:
        add_entry(menu, "window.minimize", tr("Minimize"), "Ctrl+M").triggered.connect(self._minimize)
        add_entry(menu, "window.zoom", tr("Zoom")).triggered.connect(self._zoom)
        menu.addSeparator()
        add_entry(menu, "window.front", "Luthier").triggered.connect(self._come_to_front)

    def _in_front(self) -> QWidget:
        """The window that has the keyboard: this one, or a dialog of it."""
        return QApplication.activeWindow() or self._window

    def _minimize(self) -> None:
        """A dialog that holds the window back goes with it."""
        front = self._in_front()
        (self._window if front.isModal() else front).showMinimized()

    def _zoom(self) -> None:
        front = self._in_front()
        if front.isMaximized():
            front.showNormal()
        else:
            front.showMaximized()

    def _close(self) -> None:
        self._in_front().close()

    def _come_to_front(self) -> None:
        bring_to_front(self._window)

    def _build_help(self, menu: QMenu) -> None:
        self.welcome = add_entry(menu, "help.welcome", tr("Welcome"))
        self.search = add_entry(menu, "help.search", tr("Search…"))
        self.field_help = add_entry(menu, "help.field", tr("Explain This Field"), "F1")
        self.field_help.setShortcuts([QKeySequence("F1"), QKeySequence("Ctrl+/")])
        self.shortcuts = add_entry(menu, "help.shortcuts", tr("Shortcuts"))
        menu.addSeparator()
        for name, text, address in LINKS:
            action = add_entry(menu, name, text)
            action.setData(address)
            action.triggered.connect(self._on_link)
        menu.addSeparator()
        self.about = add_entry(menu, "help.about", tr("About Luthier"), role=QAction.MenuRole.AboutRole)

    def _fill_recent(self) -> None:
        self._recent.clear()
        configs = [Path(name) for name in load_settings().recent_configs if Path(name).is_file()]
        for path in configs:
            action = add_entry(self._recent, "", path.name.replace("&", "&&"))
            action.setToolTip(str(path))
            action.setData(path)
            action.triggered.connect(self._on_recent_config)
        self._recent.addSeparator()
        runs = [run for run, _ in zip(find_runs(), range(RECENT_RUNS), strict=False)]
        for run in runs:
            action = add_entry(self._recent, "", title_of(run.path).replace("&", "&&"))
            action.setData(run.path)
            action.triggered.connect(self._on_recent_run)
        if not configs and not runs:
            add_entry(self._recent, "", tr("Nothing Yet")).setEnabled(False)

    def _data(self) -> object:
        action = self.sender()
        assert isinstance(action, QAction)
        return action.data()

    def _on_recent_config(self) -> None:
        self.recent_config.emit(self._data())

    def _on_recent_run(self) -> None:
        self.recent_run.emit(self._data())

    def _on_theme(self) -> None:
        self.theme_chosen.emit(self._data())

    def _on_tab(self) -> None:
        self.tab_chosen.emit(self._data())

    def _on_link(self) -> None:
        QDesktopServices.openUrl(QUrl(str(self._data())))
