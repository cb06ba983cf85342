"""The Runs tab: every run, searched, sorted and compared. Its model is a `RunCatalog`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.core.language import tr
from app.core.quantity import bytes_text, plural
from app.core.refusal import reason_of
from app.core.run.catalog import RunCatalog, ScanProgress
from app.core.run.folder import RunDir
from app.core.run.note import NAME_LENGTH, RunNote, load_note, save_note
from app.core.run.report import STATE_WORDS
from app.core.run.summary import STATES, RunSummary
from app.core.system.setting import load_settings, save_settings
from app.ui.platform.key_text import with_keys
from app.ui.platform.scrolling import CalmBox
from app.ui.runs.action_bar import RunActionBar
from app.ui.runs.column import NAME_COLUMN
from app.ui.runs.renaming import Renaming
from app.ui.runs.selected_runs import SelectedRuns
from app.ui.runs.table import RunTable
from app.ui.runs.view import RunView
from app.ui.widget import theme
from app.ui.widget.empty_card import EmptyCard
from app.ui.widget.icon_button import IconButton
from app.ui.widget.sliced_work import SlicedWork

FOLDER_POLL_MS = 2000  # how often the folder is looked at, at most
POLL_SHARE = 40  # and never more than this share of the time goes into looking
SHOW_S = 0.4  # how often a first, long scan shows what it has so far
CHOSEN_MS = 60  # a selection that is still being made is not followed
VIEW = "runs"  # where the settings keep this tab's view


class RunsTab(QWidget):
    """A table of all runs, what can be done with the selected ones, and their details, curves and differences."""

    open_requested = Signal(object)  # Path of the run, as in all of these
    duplicate_requested = Signal(object)
    resume_requested = Signal(object)
    extend_requested = Signal(object, int)  # and the new number of iterations in all
    compare_requested = Signal(object)  # the folders of one run or of several: tuple[Path, …]
    export_requested = Signal(object)
    chat_requested = Signal(object)
    serve_requested = Signal(object)
    merge_requested = Signal(object)
    setup_requested = Signal()  # there is no run yet
    names_changed = Signal()  # of runs, here or elsewhere
    noticed = Signal(object)  # Notice
    told = Signal(str)
    warned = Signal(str)

    def __init__(self, catalog: RunCatalog | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("runs_tab")
        self._catalog = catalog if catalog is not None else RunCatalog()
        self._began = self._shown_at = 0.0
        self._to_choose: list[Path] = []  # once they are listed again
        self._progress = ScanProgress(0, 0)
        self._scanning = SlicedWork(self)
        self._scanning.stepped.connect(self._on_scanned)
        self._scanning.finished.connect(self._on_scan_finished)
        self._poll = self._timer(FOLDER_POLL_MS, self.refresh)
        self._choosing = self._timer(CHOSEN_MS, self._on_chosen)
        self._showing = self._timer(0, self._show_known)
        self._build()
        self._connect()
        theme.theme().changed.connect(self._dress)
        self._dress()
        self._restore_view()
        self._show_page()

    def _timer(self, milliseconds: int, act: Any) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.timeout.connect(act)
        return timer

    # -- catalog ----------------------------------------------------------------------------------------------

    def set_folder(self, parent: Path) -> None:
        """Lists the runs of this folder from now on."""
        if parent != self._catalog.parent:
            self._scanning.stop()
            self._showing.stop()
            self._catalog = RunCatalog(parent)
            self.table_model.show([])
        self.refresh()

    def refresh(self) -> None:
        """Looks what is new on disk; nothing waits for it. A name that is being typed is not taken away."""
        if self.table.is_editing:
            self._poll.start()
        elif not self._scanning.is_busy:
            self._poll.stop()
            self._began = self._shown_at = time.perf_counter()
            self._scanning.start(self._catalog.scan())

    @property
    def is_busy(self) -> bool:
        """True while runs are being read."""
        return self._scanning.is_busy or self.selected.is_busy

    def _on_scanned(self, progress: ScanProgress) -> None:
        """A first scan of thousands takes long: what is known is shown meanwhile."""
        if not progress.total:
            return
        now = time.perf_counter()
        if not self.table_model.runs or now - self._shown_at > SHOW_S:
            self._shown_at = now
            self._progress = progress
            if not self._showing.isActive():  # begun anew at each slice, it would wait for the last
                self._showing.start()  # in a turn of its own: this one has done a slice's work

    def _show_known(self) -> None:
        self._show_catalog()
        if self._scanning.is_busy:
            done, total = self._progress.done, self._progress.total
            self._count.setText(tr("Reading {done:,} of {total:,}…", done=done, total=total))

    def _on_scan_finished(self) -> None:
        self._showing.stop()
        self._show_catalog()
        if self._to_choose:
            self.table.choose(self._to_choose)
            self._to_choose = []
        took_ms = (time.perf_counter() - self._began) * 1000
        self._poll.setInterval(max(FOLDER_POLL_MS, int(POLL_SHARE * took_ms)))
        if self.isVisible():
            self._poll.start()

    def _show_catalog(self) -> None:
        self.table_model.show(self._catalog.summaries())
        self._show_count()
        self._show_page()
        if self.selected.is_outdated_by(self.table.chosen()):
            self._choosing.start()

    def _show_count(self) -> None:
        shown, known = self.table.filter.rowCount(), len(self.table_model.runs)
        count = (
            plural(known, "run")
            if shown == known
            else tr("{shown:,} of {runs}", shown=shown, runs=plural(known, "run"))
        )
        self._count.setText(f"{count} · {bytes_text(self._catalog.total_bytes())}")
        # While runs grow, what stands beside it keeps its place.
        self._count.setMinimumWidth(max(self._count.minimumWidth(), self._count.sizeHint().width()))
        self._count.setToolTip(tr("Disk use of all runs in {parent}", parent=self._catalog.parent))

    def _show_page(self) -> None:
        """The table, or why there is none."""
        if not self.table_model.runs:
            busy = self._scanning.is_busy or not self._began
            self._empty_title.setText(
                tr("Reading your runs…") if busy else tr("Every run you train is listed here")
            )
            self._pages.setCurrentIndex(1)
            return
        self._pages.setCurrentIndex(0)
        self._nothing.setVisible(not self.table.filter.rowCount())
        self.table.setVisible(bool(self.table.filter.rowCount()))

    # -- search -----------------------------------------------------------------------------------------------

    def search(self, text: str) -> None:
        """Shows the runs that hold every word: in name, base, data, targets, state, tags or notes."""
        self._search.setText(text)

    def show_state(self, state: str) -> None:
        """Shows the runs in this state only; all of them for the empty word."""
        self._state.setCurrentIndex(max(self._state.findData(state), 0))

    def _on_search(self) -> None:
        state = self._state.currentData()
        self.table.filter.choose(self._search.text(), frozenset([state] if state else ()))
        self._show_count()
        self._show_page()

    def _clear_search(self) -> None:
        self._search.clear()
        self._state.setCurrentIndex(0)

    # -- selection --------------------------------------------------------------------------------------------

    def choose(self, paths: Sequence[Path]) -> None:
        """Selects runs by their folders."""
        self.table.choose(paths)

    def _on_chosen(self) -> None:
        runs = self.table.chosen()
        self.bar.show_runs(runs)
        self.selected.show_runs(runs)

    # -- undo: names and the Trash ----------------------------------------------------------------------------

    @property
    def can_undo(self) -> bool:
        """What the Edit menu asks; fields in which tags and notes are written have their own steps."""
        return self.bar.steps.canUndo()

    @property
    def can_redo(self) -> bool:
        return self.bar.steps.canRedo()

    def undo(self) -> None:
        """Takes the last renaming or removal back."""
        self.bar.steps.undo()

    def redo(self) -> None:
        """Does it again."""
        self.bar.steps.redo()

    # -- notes ------------------------------------------------------------------------------------------------

    def _on_rename_asked(self, run: RunSummary, name: str) -> None:
        self.bar.steps.push(Renaming(self._rename, run.run, load_note(run.run).name, name[:NAME_LENGTH]))

    def _rename(self, run: RunDir, name: str) -> None:
        note = load_note(run)
        self._write_note(run, RunNote(name, note.tags, note.text, note.other))

    def _on_edited(self, run: RunSummary, tags: tuple[str, ...], text: str) -> None:
        note = load_note(run.run)
        self._write_note(run.run, RunNote(note.name, tags, text, note.other))

    def _write_note(self, run: RunDir, note: RunNote) -> None:
        try:
            save_note(run, note)
        except OSError as error:
            self.warned.emit(
                tr("The notes of {name} were not saved: {reason_of}.", name=run.name, reason_of=reason_of(error))
            )
            return
        self._catalog.set_note(run, note)
        self.table_model.show(self._catalog.summaries())
        self._choosing.start()

    def _on_deleted(self, runs: list[RunDir]) -> None:
        """What stands where they stood is selected then, or the last one."""
        gone, shown = {run.path for run in runs}, self.table.shown()
        rest = [path for path in shown if path not in gone]
        place = next((row for row, path in enumerate(shown) if path in gone), -1)
        for run in runs:
            self._catalog.forget(run)
        self._show_catalog()
        if place >= 0 and rest:
            self.table.choose([rest[min(place, len(rest) - 1)]])
        if self.isVisible():
            self.table.setFocus()  # the question had the keyboard, and what was pressed is perhaps off by now
        self.refresh()

    def _on_brought_back(self, paths: list[Path]) -> None:
        self._to_choose = paths
        self.refresh()

    def _start_rename(self) -> None:
        rows = self.table.selectionModel().selectedRows(NAME_COLUMN)
        if len(rows) == 1:
            self.table.edit(rows[0])

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.table_model = RunTable(self)
        self.table = RunView(self.table_model, self)
        self.bar = RunActionBar(self)
        self.selected = SelectedRuns(self)
        self.detail = self.selected.detail
        self._pages = QStackedWidget(self)
        self._pages.addWidget(self._list_page())
        self._pages.addWidget(self._empty_page())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE * 2, 0, theme.SPACE, theme.SPACE * 2)
        layout.addWidget(self._pages)

    def _list_page(self) -> QWidget:
        page = QWidget(self)
        self._split = QSplitter(Qt.Orientation.Vertical, page)
        self._split.setObjectName("runs.splitter")
        self._split.setHandleWidth(theme.SPACE * 3 // 2)
        self._split.setChildrenCollapsible(False)
        upper = QWidget(page)
        rows = QVBoxLayout(upper)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(theme.SPACE)
        rows.addWidget(self.table, 1)
        rows.addWidget(self._nothing_found(), 1)
        rows.addWidget(self.bar)
        upper.setMinimumHeight(160)
        self._split.addWidget(upper)
        self._split.addWidget(self.selected)
        self._split.setStretchFactor(0, 3)
        self._split.setStretchFactor(1, 2)
        self._split.setSizes([330, 250])
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(self._toolbar())
        layout.addWidget(self._split, 1)
        return page

    def _toolbar(self) -> QHBoxLayout:
        self._search = QLineEdit(self)
        self._search.setObjectName("runs.search")
        self._search.setAccessibleName(tr("Search runs"))
        self._search.setPlaceholderText(tr("Search names, models, data, tags, notes"))
        self._search.setToolTip(with_keys(tr("Runs that hold every word are shown"), QKeySequence.StandardKey.Find))
        self._search.setClearButtonEnabled(True)
        self._search_icon = QAction(self)
        self._search.addAction(self._search_icon, QLineEdit.ActionPosition.LeadingPosition)
        self._state = CalmBox(self)
        self._state.setObjectName("runs.state")
        self._state.setAccessibleName(tr("State of the runs that are shown"))
        self._state.setToolTip(tr("Show the runs in one state only"))
        self._state.addItem(tr("All states"), "")
        for state in STATES:
            self._state.addItem(STATE_WORDS[state], state)
        self._count = QLabel(self)
        self._count.setObjectName("runs.count")
        theme.set_role(self._count, role="small")
        self._columns = IconButton("ph.columns", tr("Choose columns"), self)
        self._columns.setObjectName("runs.columns")
        self._columns.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addWidget(self._search, 1)
        row.addWidget(self._state)
        row.addWidget(self._count)
        row.addWidget(self._columns)
        return row

    def _nothing_found(self) -> QFrame:
        self._nothing = QFrame(self)
        theme.set_role(self._nothing, role="card")
        layout = QVBoxLayout(self._nothing)
        text = QLabel(tr("No run matches."), self._nothing)
        theme.set_role(text, role="muted")
        clear = QPushButton(tr("Show all runs"), self._nothing)
        clear.setObjectName("runs.clear")
        theme.set_role(clear, kind="link")
        clear.setCursor(Qt.CursorShape.PointingHandCursor)
        clear.clicked.connect(self._clear_search)
        layout.addStretch(1)
        for widget in (text, clear):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(1)
        self._nothing.hide()
        return self._nothing

    def _empty_page(self) -> QWidget:
        text = tr(
            "With its loss curve, speed, memory and notes; those started on the command line "
            "too. You can search and sort them, lay their curves over each other, see in what "
            "their configs differ, resume one or take it as the start of the next."
        )
        card = EmptyCard("runs.empty", "ph.list-bullets", "", text, self)
        self._empty_title = card.title
        card.add_link("runs.begin", tr("Set up the first one"), self.setup_requested)
        return card

    def _connect(self) -> None:
        self._search.textChanged.connect(self._on_search)
        self._state.currentIndexChanged.connect(self._on_search)
        self._columns.clicked.connect(self._on_columns)
        self.selected.warned.connect(self.warned)
        self.table.chosen_changed.connect(self._choosing.start)
        self.table.activated.connect(self.bar.open.trigger)
        self.table.customContextMenuRequested.connect(self._on_menu)
        self.table.addAction(self.bar.delete)
        self.table_model.rename_asked.connect(self._on_rename_asked)
        self.table_model.names_changed.connect(self.names_changed)
        self.detail.edited.connect(self._on_edited)
        self.bar.rename_requested.connect(self._start_rename)
        self.bar.trash.deleted.connect(self._on_deleted)
        self.bar.trash.brought_back.connect(self._on_brought_back)
        for name in ("open_requested", "duplicate_requested", "resume_requested", "extend_requested",
                     "compare_requested", "export_requested", "chat_requested", "serve_requested",
                     "merge_requested", "noticed", "told", "warned"):  # fmt: skip
            getattr(self.bar, name).connect(getattr(self, name))
        find = QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self)
        find.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        find.activated.connect(self._search.setFocus)
        self._on_chosen()

    def _dress(self) -> None:
        self._search_icon.setIcon(theme.icon("ph.magnifying-glass"))

    def _on_columns(self) -> None:
        menu = self.table.column_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self._columns.mapToGlobal(QPoint(0, self._columns.height())))

    def _on_menu(self, place: QPoint) -> None:
        self._choosing.stop()
        self._on_chosen()  # the menu is about what is selected now
        if self.table.chosen():
            self.bar.popup(self.table.viewport().mapToGlobal(place))

    # -- view -------------------------------------------------------------------------------------------------

    def _restore_view(self) -> None:
        kept = load_settings().window.get(VIEW)
        if isinstance(kept, dict):
            self.table.restore_columns(str(kept.get("columns", "")))

    def save_view(self) -> None:
        """Keeps widths and order of the columns for the next start; what is being written is saved."""
        self.detail.flush()
        settings, kept = load_settings(), {"columns": self.table.save_columns()}
        if settings.window.get(VIEW) != kept:
            save_settings(settings.model_copy(update={"window": settings.window | {VIEW: kept}}))

    def showEvent(self, shown: QShowEvent) -> None:
        super().showEvent(shown)
        self.refresh()

    def hideEvent(self, hidden: QHideEvent) -> None:
        self._poll.stop()
        self.save_view()
        super().hideEvent(hidden)
