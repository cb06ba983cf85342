"""The menus of the main window: every action with its name, shortcut and role; who acts on them is the window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QUrl, Signal
from PySide6.QtGui import QAction, QActionGroup, QDesktopServices, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu, QWidget

from app.core.run.folder import find_runs
from app.core.system.setting import load_settings

RECENT_RUNS = 6
LINKS = (
    ("help.lora", "LoRA Without Regret", "https://thinkingmachines.ai/blog/lora/"),
    ("help.mlx_lm", "Fine-Tuning with mlx-lm", "https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/LORA.md"),
    ("help.data", "Data Formats of mlx-lm", "https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/LORA.md#Data"),
)
THEMES = (("system", "Like the System"), ("light", "Light"), ("dark", "Dark"))

NATIVE = QKeySequence.SequenceFormat.NativeText


class WindowMenu(QObject):
    """Builds the menu bar. Actions are public and named; the lists of recent files are made when a menu opens."""

    recent_config = Signal(Path)
    recent_run = Signal(Path)
    theme_chosen = Signal(str)
    tab_chosen = Signal(int)

    def __init__(self, window: QMainWindow, tabs: Sequence[str]) -> None:
        super().__init__(window)
        self._window = window
        self._build_file(window.menuBar().addMenu("&File"))
        self._build_edit(window.menuBar().addMenu("&Edit"))
        self._build_run(window.menuBar().addMenu("&Run"))
        self._build_view(window.menuBar().addMenu("&View"), tabs)
        self._build_help(window.menuBar().addMenu("&Help"))

    def set_theme(self, choice: str) -> None:
        """Ticks the present choice."""
        for action in self._themes.actions():
            action.setChecked(action.data() == choice)

    def _build_file(self, menu: QMenu) -> None:
        self.open_config = self._action(menu, "file.open_config", "Open Config…", "Ctrl+O")
        self.save_config = self._action(menu, "file.save_config", "Save Config As…", "Ctrl+S")
        self.bundle = self._action(menu, "file.bundle", "Export Setup as Bundle…")
        self._recent = menu.addMenu("Open Recent")
        self._recent.menuAction().setMenuRole(QAction.MenuRole.NoRole)
        self._recent.aboutToShow.connect(self._fill_recent)
        self.get_model = self._action(menu, "file.get_model", "Get a Model…")
        self.open_run = self._action(menu, "file.open_run", "Open Run…", "Ctrl+Shift+O")
        menu.addSeparator()
        self.reset = self._action(menu, "file.reset", "Reset Form")
        menu.addSeparator()
        self.close = self._action(menu, "file.close", "Close Window", "Ctrl+W")
        self.settings = self._action(menu, "file.settings", "Settings…", "Ctrl+,", QAction.MenuRole.PreferencesRole)
        self.quit = self._action(menu, "file.quit", "Quit Luthier", "Ctrl+Q", QAction.MenuRole.QuitRole)

    def _build_edit(self, menu: QMenu) -> None:
        self.edit = menu
        self.undo = self._action(menu, "edit.undo", "Undo", "Ctrl+Z")
        self.redo = self._action(menu, "edit.redo", "Redo", "Ctrl+Shift+Z")
        menu.addSeparator()
        self._editing = {}
        for name, text, keys in (
            ("cut", "Cut", "Ctrl+X"), ("copy", "Copy", "Ctrl+C"), ("paste", "Paste", "Ctrl+V"),
            ("selectAll", "Select All", "Ctrl+A"),
        ):  # fmt: skip
            # The keys are those of the text fields themselves: the menu names them, and does not take them.
            action = self._action(menu, f"edit.{name}", f"{text}\t{QKeySequence(keys).toString(NATIVE)}")
            action.setData(name)
            action.triggered.connect(self._on_editing)
            self._editing[name] = action
        menu.aboutToShow.connect(self._show_editing)

    def _focused(self) -> QWidget | None:
        return self._window.focusWidget()

    def _show_editing(self) -> None:
        """What the focused field cannot do is off."""
        for name, action in self._editing.items():
            action.setEnabled(callable(getattr(self._focused(), name, None)))

    def _on_editing(self) -> None:
        act = getattr(self._focused(), str(self._data()), None)
        if callable(act):
            act()

    def _build_run(self, menu: QMenu) -> None:
        self.start = self._action(menu, "run.start", "Start Training", "Ctrl+R")
        self.run_on = self._action(menu, "run.run_on", "Run On…")
        self.enqueue = self._action(menu, "run.enqueue", "Add to Queue", "Ctrl+Shift+A")
        self.sweep = self._action(menu, "run.sweep", "Sweep…")
        self.hosts = self._action(menu, "run.hosts", "Train on Several Machines…")
        self.pause = self._action(menu, "run.pause", "Pause", "Ctrl+Shift+P")
        self.park = self._action(menu, "run.park", "Pause and Free the Memory")
        self.stop = self._action(menu, "run.stop", "Stop and Save", "Ctrl+.")
        self.resume = self._action(menu, "run.resume", "Resume This Run")
        menu.addSeparator()
        self.compare = self._action(menu, "run.compare", "Compare Base and Tuned")
        self.chat = self._action(menu, "run.chat", "Chat…")
        self.serve = self._action(menu, "run.serve", "Use It Now…")
        self.export = self._action(menu, "run.export", "Export…", "Ctrl+E")
        self.reveal = self._action(menu, "run.reveal", "Reveal Run Folder")

    def _build_view(self, menu: QMenu, tabs: Sequence[str]) -> None:
        for index, name in enumerate(tabs):
            action = self._action(menu, f"view.tab.{index}", name, f"Ctrl+{index + 1}")
            action.setData(index)
            action.triggered.connect(self._on_tab)
        menu.addSeparator()
        self.panel = self._action(menu, "view.panel", "Run Panel", "Ctrl+Shift+R")
        self.panel.setCheckable(True)
        self.panel.setChecked(True)
        menu.addSeparator()
        themes = menu.addMenu("Appearance")
        themes.menuAction().setMenuRole(QAction.MenuRole.NoRole)
        self._themes = QActionGroup(self)
        for choice, name in THEMES:
            action = self._action(themes, f"view.theme.{choice}", name)
            action.setCheckable(True)
            action.setData(choice)
            action.triggered.connect(self._on_theme)
            self._themes.addAction(action)

    def _build_help(self, menu: QMenu) -> None:
        self.welcome = self._action(menu, "help.welcome", "Welcome")
        self.search = self._action(menu, "help.search", "Search…")
        self.field_help = self._action(menu, "help.field", "Explain This Field", "F1")
        self.field_help.setShortcuts([QKeySequence("F1"), QKeySequence("Ctrl+/")])
        self.shortcuts = self._action(menu, "help.shortcuts", "Shortcuts")
        menu.addSeparator()
        for name, text, address in LINKS:
            action = self._action(menu, name, text)
            action.setData(address)
            action.triggered.connect(self._on_link)
        menu.addSeparator()
        self.about = self._action(menu, "help.about", "About Luthier", role=QAction.MenuRole.AboutRole)

    def _action(
        self,
        menu: QMenu,
        name: str,
        text: str,
        keys: str = "",
        role: QAction.MenuRole = QAction.MenuRole.NoRole,
    ) -> QAction:
        """Without an explicit role macOS guesses by the text and moves "Config…" into the application's menu."""
        action = QAction(text, menu)
        action.setObjectName(name)
        action.setMenuRole(role)
        if keys:
            action.setShortcut(QKeySequence(keys))
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        menu.addAction(action)
        return action

    def _fill_recent(self) -> None:
        self._recent.clear()
        configs = [Path(name) for name in load_settings().recent_configs if Path(name).is_file()]
        for path in configs:
            action = self._action(self._recent, "", path.name)
            action.setToolTip(str(path))
            action.setData(path)
            action.triggered.connect(self._on_recent_config)
        self._recent.addSeparator()
        runs = [run for run, _ in zip(find_runs(), range(RECENT_RUNS), strict=False)]
        for run in runs:
            action = self._action(self._recent, "", run.name)
            action.setData(run.path)
            action.triggered.connect(self._on_recent_run)
        if not configs and not runs:
            self._action(self._recent, "", "Nothing Yet").setEnabled(False)

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
