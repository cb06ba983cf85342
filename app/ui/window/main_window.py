"""The main window: builds tabs, menus, messages and status, connects them, and owns nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QShowEvent
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QHBoxLayout,
    QMainWindow,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.core.config.spec import field_specs
from app.core.language import tr
from app.core.problem import Problem
from app.core.protocol.event import Event, Finished, Warned
from app.core.run.folder import RunDir, runs_dir
from app.core.run.note import known_name
from app.ui.away.attendant import Attendant
from app.ui.bundle.remote_actions import RemoteActions
from app.ui.compare.answerer import Answerer
from app.ui.form.field import Field
from app.ui.form.store import ConfigStore
from app.ui.menu.window_menu import WindowMenu
from app.ui.message.bar import MessageBar, Notice
from app.ui.message.foot import Foot
from app.ui.message.room import MessageRoom
from app.ui.method.choice import baseline
from app.ui.platform.file_panel import ask_file, ask_folder, ask_new_file
from app.ui.platform.notification import NOTICE_MS
from app.ui.platform.page_stack import PageStack
from app.ui.platform.scrolling import CalmTabBar
from app.ui.platform.window_order import bring_to_front
from app.ui.run.filled_chart import FilledChart
from app.ui.run.finder import RunFinder
from app.ui.run.panel import RunPanel
from app.ui.run.question import ask_leaving, stop_run
from app.ui.run.session import RunSession, RunState
from app.ui.setup.config_tab import ConfigTab
from app.ui.setup.forms import Forms
from app.ui.setup.setup_tab import SetupTab
from app.ui.widget import theme
from app.ui.widget.file_manager import show_in_file_manager
from app.ui.widget.icon_button import IconButton
from app.ui.widget.tab_order import go_on, stops
from app.ui.window.actions import SILENT, UserActions
from app.ui.window.appearance import Appearance
from app.ui.window.drop_target import DropTarget
from app.ui.window.export_actions import ExportActions
from app.ui.window.kept_view import KeptView
from app.ui.window.panel_fold import PanelFold, PanelSplitter
from app.ui.window.queue_actions import QueueActions
from app.ui.window.status_line import StatusLine
from app.ui.window.tuned_actions import TunedActions
from app.ui.window.welcome import Welcome, brought_text
from app.ui.worker.inspector import Inspector

if TYPE_CHECKING:
    from app.ui.about.box import About
    from app.ui.compare.tab import CompareTab
    from app.ui.runs.tab import RunsTab
    from app.ui.setup.enhanced_tab import EnhancedTab

SETUP_TAB, ENHANCED_TAB, COMPARE_TAB, RUNS_TAB = tr("Setup"), tr("Enhanced Setup"), tr("Compare"), tr("Runs")
TAB_KEYS = {SETUP_TAB: "setup", ENHANCED_TAB: "enhanced", COMPARE_TAB: "compare", RUNS_TAB: "runs"}
FIRST_FIELDS = ("model", r"method\.\w+", r"compare\.prompt", r"runs\.search")  # patterns of names, page by page
MINIMUM_SIZE = (900, 600)
CONFIG_FILES = tr("Configs (*.yaml *.yml *.json);;All files (*)")


class MainWindow(QMainWindow):
    """What it shows lives in the stores, the `RunSession` and the `Answerer` that it is given."""

    def __init__(
        self,
        store: ConfigStore,
        session: RunSession,
        appearance: Appearance,
        parent: QWidget | None = None,
        *,
        enhanced: ConfigStore | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Luthier")
        self.setMinimumSize(*MINIMUM_SIZE)
        self.store, self.session, self.appearance = store, session, appearance
        self.enhanced_store = enhanced if enhanced is not None else ConfigStore(self, defaults=baseline())
        self._enhanced_tab: EnhancedTab | None = None
        self._compare_tab: CompareTab | None = None
        self._runs_tab: RunsTab | None = None
        self._about: About | None = None
        self._leaving = False
        self.is_kept = False  # hidden, while the menu-bar item stands for it
        self._put_away: list[QDialog] = []  # that stood open beside it
        self.answerer = Answerer(self)
        self.inspector = Inspector(self)
        self._build()
        self.forms = Forms(
            store, self, find_problems=self._problems, is_checking=lambda: self.setup_tab.is_checking
        )
        self.forms.add_enhanced(self.enhanced_store, self._enhanced_problems, lambda: self.enhanced_tab.is_checking)
        self.user_actions = UserActions(self.forms, session, self)
        self.queue_actions = QueueActions(self.user_actions, self._form_in_use, self)
        self.export_actions = ExportActions(self)
        self.remote_actions = RemoteActions(session, self)
        self.menu = WindowMenu(self, list(self._tabs))
        self.menu.set_theme(appearance.choice)
        self.menu.editing.set_form(self._shown_form)
        self.drop_target = DropTarget(self)
        self.status_line = StatusLine(session, self)
        self.setStatusBar(self.status_line)
        self.tuned_actions = TunedActions(self.answerer, session, self.run_panel, self)
        self.status_line.insertPermanentWidget(1, self.tuned_actions.serving)  # before the device
        self.welcome = Welcome(self.setup_tab, self._pages, self.tab_bar, session)
        self.fold = PanelFold(
            self._splitter, self.run_panel, self.menu.panel, self.tab_bar, session, (SETUP_TAB, ENHANCED_TAB)
        )
        self._head.addWidget(self.fold.toggle)
        self.finder = RunFinder(session, self)
        self.attendant = Attendant(session, self, self._is_working)
        self._connect()
        self._connect_menu()
        self.kept_view = KeptView(self, self.run_panel, self.fold, self.tab_bar, session)
        self._watch(SETUP_TAB, self.setup_tab.scroll_area)
        self._on_theme()
        self._on_state()
        self.tab_bar.setFocus()

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        # What is large is made where it stays, from the outside in: under a theme Qt dresses anew what is moved.
        center = QWidget(self)
        center.setObjectName("page")
        self.setCentralWidget(center)
        self.messages = MessageBar(center)
        self._splitter = PanelSplitter(center)
        self._pages = PageStack(self._splitter)
        self.setup_tab = SetupTab(self.store, self.inspector, self._pages)
        # Empty until they are looked at: the window should open quickly.
        self._enhanced_page, self._compare_page, self._runs_page = (QWidget(self._pages) for _ in range(3))
        self._tabs: dict[str, QWidget] = {
            SETUP_TAB: self.setup_tab,
            ENHANCED_TAB: self._enhanced_page,
            COMPARE_TAB: self._compare_page,
            RUNS_TAB: self._runs_page,
        }
        self.run_panel = RunPanel(self.session, self._splitter)
        self.tab_bar = CalmTabBar(center)  # last in the order of Tab, with what stands beside it
        self.tab_bar.setObjectName("tab_bar")
        self.tab_bar.setAccessibleName(tr("Parts of the window"))
        self.tab_bar.setExpanding(False)
        self.tab_bar.setDrawBase(False)
        for name, page in self._tabs.items():
            self.tab_bar.setTabData(self.tab_bar.addTab(name), TAB_KEYS[name])
            self._pages.addWidget(page)
        self._splitter.fill(self._pages, self.run_panel)
        layout = QVBoxLayout(center)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        head = self._header(center)
        self.filled_chart = FilledChart(self.run_panel, (head, self._splitter), center)
        for part in (head, self._splitter, self.filled_chart):
            layout.addWidget(part, 0 if part is head else 1)
        for part in (self.filled_chart, head, self._splitter, self.messages):
            part.raise_()  # screen readers go by the order of the children
        self.messages.lie_over(self._pages, self._foot_px)
        self._message_room = MessageRoom(self.messages)
        self._pages.currentChanged.connect(self._on_page)
        self._pages.set_first(dict(zip(self._tabs.values(), FIRST_FIELDS, strict=True)))

    def _tell_brought(self, paths: Sequence[str]) -> None:
        """The starter's model or data set more fields than their own; the welcome says so itself."""
        if not self.welcome.is_setting:
            self._tell(brought_text(paths))

    def _foot_px(self) -> int:
        """How far up the foot of the page reaches, which no message may cover; 0 on a page without one."""
        page = self._pages.currentWidget()
        if page is None:
            return 0
        feet = [foot for foot in page.findChildren(Foot) if foot.isVisible()]
        return max((page.height() - foot.mapTo(page, QPoint(0, 0)).y() for foot in feet), default=0)

    def _header(self, center: QWidget) -> QWidget:
        head = QWidget(center)
        row = self._head = QHBoxLayout(head)
        row.setContentsMargins(theme.SPACE * 2, theme.SPACE // 2, theme.SPACE * 2, theme.SPACE // 2)
        self._theme_button = IconButton("ph.moon", tr("Switch between light and dark"), self, size=18)
        self._theme_button.setObjectName("theme_toggle")
        self._theme_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        row.addWidget(self.tab_bar)
        row.addStretch(1)
        row.addWidget(self._theme_button)
        return head

    def _connect(self) -> None:
        self.tab_bar.currentChanged.connect(self._on_tab)
        self.tab_bar.currentChanged.connect(self.filled_chart.leave)
        self.user_actions.run_asked.connect(self.fold.open)
        self._theme_button.clicked.connect(self.appearance.toggle)
        self.appearance.chosen.connect(self.menu.set_theme)
        theme.theme().changed.connect(self._on_theme)
        self._connect_form(self.setup_tab)
        self.run_panel.open_requested.connect(self.ask_open_run)
        self.run_panel.resume_requested.connect(self.user_actions.resume_run)
        self.run_panel.requested.connect(self._on_result)
        self.run_panel.extend_requested.connect(self.user_actions.extend_run)
        self.run_panel.told.connect(self._tell)
        self.user_actions.told.connect(self.messages.tell)
        self.store.brought.connect(self._tell_brought)
        self.user_actions.outdated.connect(self.messages.withdraw)
        self.forms.shown_requested.connect(self._show_setup)
        self.welcome.told.connect(self._tell)
        self.welcome.config_requested.connect(self.ask_open_config)
        self.user_actions.is_told_beside = lambda: not self.run_panel.is_folded
        self.user_actions.compare_requested.connect(self._show_compare)
        self.user_actions.export_requested.connect(self.export_actions.ask_export)
        self.user_actions.chat_requested.connect(self.tuned_actions.ask_chat)
        self.user_actions.serve_requested.connect(self.tuned_actions.ask_serve)
        self.user_actions.bundle_requested.connect(self.export_actions.ask_bundle)
        self.user_actions.hosts_requested.connect(
            lambda config: self.export_actions.ask_hosts(config, self.user_actions.start_on)
        )
        self.user_actions.remote_requested.connect(self.remote_actions.ask_run)
        self.remote_actions.told.connect(self.messages.tell)
        self.attendant.told.connect(self._warn)
        self.session.went_on.connect(self._warn)
        self.session.ended.connect(lambda: QTimer.singleShot(NOTICE_MS, self, self._on_kept_end))
        self.attendant.tray.open_requested.connect(lambda: bring_to_front(self))
        self.attendant.tray.quit_requested.connect(self.quit_kept)
        self.finder.found.connect(self._on_found)
        self.remote_actions.here_requested.connect(self.user_actions.start)
        self.remote_actions.compare_requested.connect(self._show_compare)
        self.remote_actions.changed.connect(self._on_remote)
        self.user_actions.queue.shown_requested.connect(self._show_queue)
        self.session.state_changed.connect(self._on_state)
        queue = self.user_actions.queue
        session, stores = self.session, (self.store, self.enhanced_store)
        changes = [session.state_changed, session.run_changed, session.renamed, queue.changed]
        for happened in (*changes, self.run_panel.folded, *(store.changed for store in stores)):
            happened.connect(self.messages.look)
        self.status_line.titled.connect(self.setWindowTitle)
        self.session.emitted.connect(self._on_event)
        self.drop_target.dropped.connect(self.user_actions.take)

    def _keep_above(self, page: QWidget) -> None:
        """What a page has at its foot grows and shrinks with its text: messages make way each time."""
        for foot in page.findChildren(Foot):
            foot.moved.connect(self._place_messages)

    def _place_messages(self) -> None:
        QTimer.singleShot(0, self.messages, self.messages.place)  # when the page's parts have their places

    def _connect_form(self, tab: ConfigTab) -> None:
        self._keep_above(tab)
        tab.start_requested.connect(self.user_actions.start)
        tab.queue_requested.connect(self.user_actions.enqueue)
        tab.remote_requested.connect(self.user_actions.run_on)
        tab.sweep_requested.connect(self.queue_actions.ask_sweep)
        tab.open_requested.connect(self.ask_open_config)
        tab.save_requested.connect(self.ask_save_config)
        tab.reset_requested.connect(self.forms.reset)

    def _connect_menu(self) -> None:
        menu = self.menu
        for action, act in (
            (menu.open_config, self.ask_open_config),
            (menu.save_config, self.ask_save_config),
            (menu.open_run, self.ask_open_run),
            (menu.get_model, self.setup_tab.model_panel.get_model),
            (menu.reset, self.forms.reset),
            (menu.settings, self.show_settings),
            (menu.quit, self.close),
            (menu.start, self.user_actions.start),
            (menu.run_on, self.user_actions.run_on),
            (menu.enqueue, self.user_actions.enqueue),
            (menu.sweep, self.queue_actions.ask_sweep),
            (menu.hosts, self.user_actions.hosts),
            (menu.pause, self._on_pause),
            (menu.park, self.session.park),
            (menu.stop, self._on_stop),
            (menu.resume, self.user_actions.resume_run),
            (menu.compare, self.user_actions.compare_run),
            (menu.chat, self.user_actions.chat_run),
            (menu.serve, self.user_actions.serve_run),
            (menu.export, self.user_actions.export_run),
            (menu.bundle, self.user_actions.bundle),
            (menu.reveal, self.reveal_run),
            (menu.welcome, self.welcome.show),
            (menu.search, self.show_help),
            (menu.field_help, self.explain_field),
            (menu.shortcuts, self.show_shortcuts),
            (menu.about, self.show_about),
        ):
            action.triggered.connect(act)
        menu.theme_chosen.connect(self.appearance.choose)
        menu.tab_chosen.connect(self.tab_bar.setCurrentIndex)
        menu.recent_config.connect(self.forms.open_config)
        menu.recent_run.connect(self.user_actions.open_run)

    def _shown_form(self) -> ConfigStore | None:
        """The form whose steps are undone: what is not seen is not changed."""
        on_form = self._pages.currentIndex() in (list(self._tabs).index(name) for name in (SETUP_TAB, ENHANCED_TAB))
        return self.forms.store if on_form else None

    # -- what is shown ----------------------------------------------------------------------------------------

    def show_tab(self, name: str) -> None:
        """Brings a tab to the front."""
        self.tab_bar.setCurrentIndex(list(self._tabs).index(name))

    @property
    def enhanced_tab(self) -> EnhancedTab:
        """The Enhanced Setup tab, made when it is first asked for."""
        if self._enhanced_tab is None:
            from app.ui.setup.enhanced_tab import EnhancedTab

            self._enhanced_tab = EnhancedTab(self.enhanced_store, Inspector(self), self.store, self._enhanced_page)
            _fill(self._enhanced_page, self._enhanced_tab)
            self._watch(ENHANCED_TAB, self._enhanced_tab.scroll_area)
            self._enhanced_tab.start_bar.set_running(self.session.is_live)
            self._connect_form(self._enhanced_tab)
            self._enhanced_tab.trial_requested.connect(self.forms.set_up_trial)
        return self._enhanced_tab

    def _watch(self, name: str, area: QScrollArea) -> None:
        """A page that scrolls keeps its place, and has room for messages."""
        self.kept_view.watch(TAB_KEYS[name], area)
        self._message_room.watch(area)

    @property
    def compare_tab(self) -> CompareTab:
        """The Compare tab, made when it is first asked for."""
        return self._made_compare_tab()

    def _made_compare_tab(self) -> CompareTab:
        if self._compare_tab is None:
            from app.ui.compare.tab import CompareTab

            self._compare_tab = CompareTab(self.answerer, self._compare_page)
            _fill(self._compare_page, self._compare_tab)
            self._watch(COMPARE_TAB, self._compare_tab.scroll_area)
            self._compare_tab.set_training(self.session.is_live)
            self._compare_tab.warned.connect(self._warn)
            self._compare_tab.export_requested.connect(self.export_actions.export_candidate)
            self._compare_tab.chat_requested.connect(self.tuned_actions.chat_with)
            self._compare_tab.serve_requested.connect(self.tuned_actions.serve_candidate)
        return self._compare_tab

    @property
    def runs_tab(self) -> RunsTab:
        """The Runs tab, made when it is first asked for."""
        if self._runs_tab is None:
            from app.ui.runs.tab import RunsTab

            tab = self._runs_tab = RunsTab(parent=self._runs_page)
            switch = self.queue_actions.make_switch(tab)
            switch.bar.currentChanged.connect(self._on_page)
            self._keep_above(switch)
            _fill(self._runs_page, switch)
            self.kept_view.watch(TAB_KEYS[RUNS_TAB], tab.table)
            tab.setup_requested.connect(lambda: self.show_tab(SETUP_TAB))
            tab.open_requested.connect(self.user_actions.open_run)
            tab.duplicate_requested.connect(self._duplicate_run)
            tab.resume_requested.connect(self.user_actions.go_on)
            tab.extend_requested.connect(self.user_actions.go_on)
            tab.compare_requested.connect(self._compare_runs)
            tab.export_requested.connect(self.export_actions.ask_export)
            tab.chat_requested.connect(self.tuned_actions.ask_chat)
            tab.serve_requested.connect(self.tuned_actions.ask_serve)
            tab.merge_requested.connect(self.export_actions.ask_merge)
            tab.names_changed.connect(self._on_names)
            tab.bar.trash.deleted.connect(self.user_actions.leave_trashed)
            tab.bar.trash.brought_back.connect(self.user_actions.show_brought_back)
            tab.bar.trash.brought_back.connect(self.messages.look)
            tab.noticed.connect(self.messages.tell)
            tab.told.connect(self._tell)
            tab.warned.connect(self._warn)
            self.session.ended.connect(tab.refresh)
        return self._runs_tab

    def _on_remote(self) -> None:
        if self._runs_tab is not None:
            self._runs_tab.refresh()

    def _on_names(self) -> None:
        """Runs are called otherwise by now: whatever shows a run says so at once."""
        self.session.take_names()
        self.user_actions.queue.take_names()
        self.tuned_actions.take_names()
        if self._compare_tab is not None:
            self._compare_tab.take_names()

    def _duplicate_run(self, path: Path) -> None:
        self.forms.open_config(RunDir(path).setup_or_config)

    def _compare_runs(self, paths: Sequence[Path]) -> None:
        self._show_compare(*(RunDir(path).adapters for path in paths))

    def _on_tab(self, index: int) -> None:
        name = list(self._tabs)[index]
        if name == SETUP_TAB:
            self.forms.use(self.store)
        elif name == ENHANCED_TAB:
            self.forms.use(self.enhanced_tab.store)
        elif name == COMPARE_TAB:
            self._made_compare_tab()
        elif name == RUNS_TAB:
            self.runs_tab.refresh()
        self.menu.set_on_form(name in (SETUP_TAB, ENHANCED_TAB))
        self._pages.setCurrentIndex(index)

    def _on_page(self) -> None:
        """Another page, or part of one: what was only an answer goes, the rest stands above its foot."""
        self.messages.go_on()
        self._place_messages()

    def _show_setup(self, path: str) -> None:
        enhanced = self.forms.store is self.enhanced_store
        self.show_tab(ENHANCED_TAB if enhanced else SETUP_TAB)
        self.welcome.leave()
        if path:
            (self.enhanced_tab if enhanced else self.setup_tab).show_field(path)

    def _show_compare(self, adapter: Path, *others: Path) -> None:
        self.compare_tab.choose_adapter(adapter, *others)
        self.show_tab(COMPARE_TAB)
        self.compare_tab.prompt.setFocus()  # the button that was pressed may be folded away by now

    def _show_queue(self) -> None:
        self.show_tab(RUNS_TAB)
        self.queue_actions.show_queue()

    def _form_in_use(self) -> ConfigTab:
        return self.enhanced_tab if self.forms.store is self.enhanced_store else self.setup_tab

    def _on_theme(self) -> None:
        self._theme_button.set_icon("ph.sun" if theme.colors().scheme == "dark" else "ph.moon")

    def _on_state(self) -> None:
        session, state = self.session, self.session.state
        self.menu.start.setEnabled(not session.is_live)
        self.menu.pause.setEnabled(state in (RunState.RUNNING, RunState.PAUSED))
        self.menu.park.setEnabled(state in (RunState.RUNNING, RunState.PAUSED))
        self.menu.pause.setText(tr("Continue") if state is RunState.PAUSED else tr("Pause"))
        self.menu.stop.setEnabled((session.is_live or session.is_remote) and state is not RunState.STOPPING)
        self.menu.resume.setEnabled(session.can_resume)
        for action in (self.menu.compare, self.menu.chat, self.menu.serve, self.menu.export):
            action.setEnabled(session.has_adapter and not session.is_live)
        self.menu.reveal.setEnabled(session.run is not None)
        if not session.is_live:
            self.messages.withdraw(SILENT)  # what could be ended has ended: the next worker is another
        for tab in self._forms():
            tab.start_bar.set_running(session.is_live)
        if self._compare_tab is not None:
            self._compare_tab.set_training(session.is_live)
        if self._leaving and not session.is_live:
            QTimer.singleShot(0, self, self.close)

    def _on_event(self, found: Event) -> None:
        self.messages.withdraw(SILENT)  # it speaks again
        if isinstance(found, Warned) and self.session.is_live and self.run_panel.is_folded:
            # Open, the panel has it, and keeps it.
            said, run = found.text, self.session.run
            holds = lambda: self.session.run is run and self.run_panel.is_folded  # noqa: E731
            self.messages.tell(Notice(said, "warning", holds=holds))
        elif isinstance(found, Finished) and found.message and self.run_panel.isVisible():
            self.messages.withdraw(found.message)  # the panel has it, and keeps it

    def _problems(self) -> list[Problem]:
        self.setup_tab.judge()
        return self.setup_tab.problems

    def _enhanced_problems(self) -> list[Problem]:
        self.enhanced_tab.judge()
        return self.enhanced_tab.problems

    def _forms(self) -> list[ConfigTab]:
        return [self.setup_tab, *([self._enhanced_tab] if self._enhanced_tab is not None else [])]

    # -- asks -------------------------------------------------------------------------------------------------

    def ask_open_config(self) -> None:
        """Asks which config file to open."""
        chosen = ask_file(self, tr("Open a config"), "", CONFIG_FILES)
        if chosen:
            self.forms.open_config(Path(chosen))

    def ask_save_config(self) -> None:
        """Asks where to save the form, unless it shows what would not be in the file."""
        if found := self._form_in_use().judge():
            self.user_actions.hold_back(found, tr("The config cannot be saved yet."))
            return
        name = f"{self.forms.store.config.adapter_name}.yaml"
        chosen, _ = ask_new_file(self, tr("Save the config"), name, CONFIG_FILES)
        if chosen:
            self.forms.save_config(Path(chosen))

    def ask_open_run(self) -> None:
        """Asks which run to show."""
        chosen = ask_folder(self, tr("Open a run"), str(runs_dir()))
        if chosen:
            self.user_actions.open_run(Path(chosen))

    def reveal_run(self) -> None:
        """Shows the run's folder in the system's file manager."""
        if self.session.run is not None:
            show_in_file_manager(self.session.run.path)

    def show_settings(self) -> None:
        """Opens the settings."""
        from app.ui.window.settings_dialog import SettingsDialog

        dialog = SettingsDialog(self.appearance, self, form=self.store.config)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setup_chosen.connect(self.store.set_defaults)
        dialog.changed.connect(self._on_settings)
        dialog.open()

    def _on_settings(self) -> None:
        """Runs may live elsewhere now."""
        if self._runs_tab is not None:
            self._runs_tab.set_folder(runs_dir())

    def show_help(self) -> None:
        """Opens the help, which is searched and stays beside the window."""
        from app.ui.window.help_dialog import HelpDialog

        dialog = HelpDialog(self, bar=self.menuBar())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.shown_requested.connect(self._show_topic)
        dialog.show()

    def show_shortcuts(self) -> None:
        """Lists all shortcuts."""
        from app.ui.window.help_dialog import ShortcutDialog

        dialog = ShortcutDialog(self.menuBar(), self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def explain_field(self) -> None:
        """Opens the explanation of the field that has the keyboard; the help where none has."""
        at: QWidget | None = self.focusWidget()
        while at is not None and not isinstance(at, Field):
            at = at.parentWidget()
        if at is None:
            self.show_help()
        else:
            at.show_help()

    def _show_topic(self, path: str) -> None:
        """Goes to a field, or to a method's card; a field of no form in use is told of."""
        method = path.removeprefix("method.") if path.startswith("method.") else ""
        forms: list[tuple[str, ConfigTab]] = [(SETUP_TAB, self.setup_tab), (ENHANCED_TAB, self.enhanced_tab)]
        tabs = forms if self._form_in_use() is self.setup_tab else forms[::-1]
        for name, tab in tabs:
            if not method and (path in tab.fields or path == "targets"):
                self.show_tab(name)
                tab.show_field(path)
                return
        if method or path == "train_mode":
            self.show_tab(ENHANCED_TAB)
            self.enhanced_tab.methods.show_card(method)
            return
        label = field_specs()[path].label
        self.messages.tell(Notice(tr("“{label}” is no field of the chosen method's form.", label=label), "info"))

    def show_about(self) -> None:
        """Says what this is."""
        from app.ui.about.box import About  # hardly ever asked for

        self._about = self._about or About(self)
        self._about.show()

    def _on_result(self, name: str) -> None:
        """What a button of the run's result asks for."""
        {
            "chat": self.user_actions.chat_run,
            "compare": self.user_actions.compare_run,
            "serve": self.user_actions.serve_run,
            "export": self.user_actions.export_run,
            "reveal": self.reveal_run,
        }[name]()

    def _on_pause(self) -> None:
        if self.session.state is RunState.PAUSED:
            self.session.go_on()
        else:
            self.session.pause()

    def _on_stop(self) -> None:
        stop_run(self.session, self)

    def _on_found(self, path: Path) -> None:
        """A run that trains without this window is shown where none is; else it is told of."""
        if self.session.run is None:
            self.user_actions.open_run(path)
            return
        run, show = RunDir(path), partial(self.user_actions.open_run, path)
        self.messages.tell(
            Notice(
                tr("{name} is training, outside of this window.", name=known_name(run)),
                "info",
                tr("Show it"),
                show,
                run.is_running,
            )
        )

    def _tell(self, text: str) -> None:
        self.messages.tell(Notice(text))

    def _warn(self, text: str) -> None:
        self.messages.tell(Notice(text, "warning"))

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab goes on as the page is read, then to the messages that lie over it; parts of both come and go.

        Qt asks for the next one too where what had the keyboard is switched off or hidden, as a button is by its
        own click. Then the keyboard waits for Tab: what comes next would scroll into sight and take the keys.
        """
        at = self.focusWidget()
        if at is not None and not (at.isVisible() and at.isEnabled()):
            at.clearFocus()
            return True
        page = self.centralWidget()
        if page is not None:
            found = [stop for root in (page, self.messages) for stop in stops(root, only_shown=True)]
            if go_on(self, forward, found):
                return True
        return super().focusNextPrevChild(forward)

    # -- end --------------------------------------------------------------------------------------------------

    def closeEvent(self, closing: QCloseEvent) -> None:
        """A run in progress is never lost by closing: it goes on alone or is saved first, or the window stays."""
        if self.session.is_live and not self._may_leave():
            closing.ignore()
            return
        self.user_actions.queue.leave()
        self.is_kept = False
        QApplication.setQuitOnLastWindowClosed(True)
        self.kept_view.keep()
        self.store.save_form()
        self.enhanced_store.save_form()
        self._end_workers()
        if self._compare_tab is not None:
            self._compare_tab.keeper.flush()  # with what was being answered
        super().closeEvent(closing)

    def leave(self) -> None:
        """Ends the window without a question; a run in progress is stopped and saved first."""
        if self.session.is_live and (self.session.outlives_window or not self.session.is_attached):
            self._leaving = True
            self.user_actions.queue.leave()
            self.session.stop()
        else:
            self.session.let_go()
            self.close()

    def dispose(self) -> None:
        """Ends the window and its workers without keeping anything, as if it had never been."""
        self._end_workers()
        self.hide()
        self.deleteLater()

    def _end_workers(self) -> None:
        for tab in self._forms():
            tab.shutdown()
        self.answerer.shutdown()
        self.export_actions.shutdown()
        self.remote_actions.shutdown()
        if self._runs_tab is not None:
            self._runs_tab.bar.shutdown()
        self.tuned_actions.shutdown()
        self.attendant.shutdown()

    @property
    def is_busy(self) -> bool:
        """True while the model, the data or the run is being read."""
        reading = self.session.state is RunState.LOADING
        return bool(reading or any(tab.inspector.is_busy or tab.data_panel.is_busy for tab in self._forms()))

    def _hide(self) -> None:
        """The window goes, and the menu-bar item stays until the run, and what is queued, has ended."""
        self.is_kept = True
        QApplication.setQuitOnLastWindowClosed(False)
        self.kept_view.keep()
        self.store.save_form()
        self.enhanced_store.save_form()
        self._put_away = [dialog for dialog in self.findChildren(QDialog) if dialog.isVisible()]
        for window in (*self._put_away, self):
            window.hide()

    def showEvent(self, showing: QShowEvent) -> None:
        super().showEvent(showing)
        if self.is_kept:
            self.is_kept = False
            QApplication.setQuitOnLastWindowClosed(True)
            for dialog in self.findChildren(QDialog):
                if dialog in self._put_away:
                    dialog.show()
            self._put_away = []

    def quit_kept(self) -> None:
        """Ends this process; a run that can goes on without it, and any other is stopped and saved first."""
        if self.session.outlives_window:
            self.session.let_go()
        self.leave()
        if not self.session.is_live:
            QApplication.quit()

    def _on_kept_end(self) -> None:
        """The run has ended while only the menu-bar item was there: so does the program, unless more is to come."""
        if self.is_kept and not self.session.is_live and not self.user_actions.queue.is_working:
            self.close()
            QApplication.quit()

    def _is_working(self) -> bool:
        return self.user_actions.queue.is_working or self.export_actions.is_busy

    def _may_leave(self) -> bool:
        """Asks what becomes of the run: it goes on without the window, or is stopped, after which the window closes
        by itself. One that another process holds is let go without a question."""
        session = self.session
        if session.is_attached and not session.outlives_window:
            session.let_go()
            return True
        choice = ask_leaving(session, self, is_leaving=self._leaving)
        if choice == "keep" and self.attendant.tray.is_there and not self._leaving:
            self._hide()
            return False
        if choice == "keep":
            self.user_actions.queue.leave()
            session.let_go()
            return True
        if choice == "stop":
            self._leaving = True
            self.user_actions.queue.leave()
            session.stop()
            said = tr("Stopping the run and saving it. The window closes when it is done.")
            self.messages.tell(Notice(said, holds=lambda: session.is_live))
        return not session.is_live  # it may have ended meanwhile


def _fill(page: QWidget, content: QWidget) -> None:
    layout = QVBoxLayout(page)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(content)
