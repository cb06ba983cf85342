"""The action bar of the Runs tab: what can be done with the selected runs, as buttons and as a menu."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence, QUndoStack
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QMessageBox,
    QPushButton,
    QToolButton,
    QWidget,
)

from app.core.compare.candidate import MOST_COLUMNS
from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.model.adapter_file import ADAPTER_FILE
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.job import TrackJob
from app.core.quantity import bytes_text, plural
from app.core.refusal import reason_of
from app.core.run.folder import RunDir
from app.core.run.reader import RunReader
from app.core.run.report import save_report
from app.core.run.summary import RunSummary, folder_bytes
from app.core.tracker.tracker import tracker_problems
from app.ui.platform.file_panel import ask_folder, ask_new_file
from app.ui.platform.message_box import message_box
from app.ui.run.result_view import ask_more_iterations
from app.ui.runs.trash import RunTrash
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.file_manager import show_in_file_manager
from app.ui.widget.sliced_work import SLICE_S, SlicedWork
from app.ui.worker.job import JobRunner
from app.ui.worker.process import WorkerOutcome

REPORTS = tr("Web page (*.html);;Markdown (*.md)")
SELECT_FIRST = tr("Select a run first")
LISTED = 8  # runs named in the question before they are deleted


def train_command(run: RunDir) -> str:
    """The line that trains the same setup again."""
    return shlex.join(["luthier", "train", str(run.setup_or_config)])


def stock_command(run: RunDir) -> str:
    """The line for stock mlx-lm; with a folder of its own, or it would write over this run's adapter."""
    return shlex.join(["mlx_lm.lora", "-c", str(run.config), "--adapter-path", f"adapters-{run.name}"])


class RunActionBar(QWidget):
    """Acts on the runs that `show_runs` tells it of. What concerns the whole window is asked for by signals."""

    open_requested = Signal(object)  # Path of the run, as in all of these
    duplicate_requested = Signal(object)
    resume_requested = Signal(object)
    extend_requested = Signal(object, int)  # and the new number of iterations in all
    compare_requested = Signal(object)  # the folders of one run or of several: tuple[Path, …]
    export_requested = Signal(object)
    chat_requested = Signal(object)
    serve_requested = Signal(object)
    merge_requested = Signal(object)  # the folders of several runs: tuple[Path, …]
    rename_requested = Signal()
    noticed = Signal(object)  # Notice
    told = Signal(str)
    warned = Signal(str)

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        reveal: Callable[[Path], object] = show_in_file_manager,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("run_action_bar")
        self._reveal_folder = reveal
        self.steps = QUndoStack(self)  # what undo takes back of the list of runs
        self.trash = RunTrash(self.steps, self)
        self.trash.noticed.connect(self.noticed)
        self.trash.warned.connect(self.warned)
        self._runs: Sequence[RunSummary] = ()
        self._report: tuple[RunReader, Path] | None = None
        self._work = SlicedWork(self)
        self._tracks = JobRunner(self)
        self._tracks.emitted.connect(self._on_tracked)
        self._tracks.ended.connect(self._on_tracks_ended)
        self._work.finished.connect(self._write_report)
        self._build_actions()
        self._build_row()
        theme.theme().changed.connect(self._dress)
        self._dress()
        self.show_runs(())

    # -- what is possible -------------------------------------------------------------------------------------

    def show_runs(self, runs: Sequence[RunSummary]) -> None:
        """These are selected now: says so, and offers what can be done with them."""
        self._runs = tuple(runs)
        one = runs[0] if len(runs) == 1 else None
        need = tr("Select one run: several are selected") if len(runs) > 1 else "" if runs else SELECT_FIRST
        for action in (self.open, self.duplicate, self.reveal, self.rename, self.command, self.stock, self.yaml):
            self._allow(action, need)
        self._allow(self.report, need or (tr("A report is being written") if self._work.is_busy else ""))
        self._allow(self.track, need or (tr("Curves are being exported") if self._tracks.is_running else ""))
        need_adapter = need or ("" if _has_adapter(runs) else tr("It has saved no adapter"))
        for action in (self.export, self.chat, self.serve):
            self._allow(action, need_adapter)
        self._allow(self.compare, _why_not_compared(runs))
        self.compare.setText(tr("Compare with Its Base") if len(runs) < 2 else tr("Compare with Their Base"))
        can_merge = len(runs) > 1 and _has_adapter(runs)
        self._allow(self.merge, "" if can_merge else tr("Select several runs that have saved adapters"))
        can_resume, live = one is not None and one.can_resume, any(run.is_live for run in runs)
        resumes = "" if can_resume else tr("Only a run that did not reach its end goes on")
        self._allow(self.resume, need or resumes)
        saved = one is not None and one.has_saved_state
        extends = tr("It is training") if live else "" if saved else tr("It has saved no state to go on from")
        self._allow(self.extend, need or extends)
        stays = tr("A run that is training cannot be deleted; stop it first") if live else ""
        self._allow(self.delete, stays if runs else SELECT_FIRST)
        self._chosen.setText(*self._chosen_texts())
        for button, action, tip in self._buttons:
            button.setEnabled(action.isEnabled())
            button.setToolTip(tip if action.isEnabled() else action.toolTip())

    def _allow(self, action: QAction, why_not: str) -> None:
        """Offers it, or says in its place why not."""
        action.setEnabled(not why_not)
        action.setToolTip(why_not or self._tips.get(action, ""))

    def _chosen_texts(self) -> tuple[str, str, str]:
        """How many are selected, in whatever room there is; a hint that has none stands in the pane below, too."""
        if not self._runs:
            return tr("Select several runs to see their curves and differences"), "", ""
        count, size = len(self._runs), bytes_text(sum(run.size_bytes for run in self._runs))
        whole = tr("{runs:,} selected · {size}", runs=count, size=size)
        return whole, tr("{chosen:,} selected", chosen=count), f"{count:,}"

    def popup(self, place: QPoint) -> None:
        """Shows the menu at a place on the screen."""
        self.menu.popup(place)

    # -- building ---------------------------------------------------------------------------------------------

    def _build_actions(self) -> None:
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        self.open = self._action("open", tr("Open"), self._on_open)
        self.compare = self._action("compare", tr("Compare with Its Base"), self._on_compare)
        self.chat = self._action("chat", tr("Chat…"), self._on_chat)
        self.serve = self._action("serve", tr("Use It Now…"), self._on_serve)
        self.export = self._action("export", tr("Export…"), self._on_export)
        self.merge = self._action("merge", tr("Merge Adapters…"), self._on_merge)
        self._tips = {self.merge: tr("One adapter of several runs of the same base")}
        self.resume = self._action("resume", tr("Resume"), self._on_resume)
        self.extend = self._action("extend", tr("Train Longer…"), self._on_extend)
        self.duplicate = self._action("duplicate", tr("Duplicate as a New Setup"), self._on_duplicate)
        self.menu.addSeparator()
        self.rename = self._action("rename", tr("Rename"), self.rename_requested.emit)
        self.reveal = self._action("reveal", tr("Show in the File Manager"), self._on_reveal)
        self.command = self._action("command", tr("Copy as Command"), self._on_command)
        self.stock = self._action("stock", tr("Copy as mlx-lm Command"), self._on_stock)
        self.yaml = self._action("yaml", tr("Copy as YAML"), self._on_yaml)
        self.report = self._action("report", tr("Export Report…"), self._on_report)
        self.track = self._action("track", tr("Export to TensorBoard…"), self._on_track)
        self.menu.addSeparator()
        self.delete = self._action("delete", tr("Move to the Trash…"), self._on_delete)
        self.delete.setShortcut(QKeySequence(QKeySequence.StandardKey.Delete))
        self.delete.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)

    def _action(self, name: str, text: str, act: Callable[[], object]) -> QAction:
        action = QAction(text, self)
        action.setObjectName(f"runs.{name}")
        action.setMenuRole(QAction.MenuRole.NoRole)
        action.triggered.connect(act)
        self.menu.addAction(action)
        return action

    def _build_row(self) -> None:
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE)
        self._chosen = ElidedLabel("", self)
        self._chosen.setObjectName("runs.chosen")
        theme.set_role(self._chosen, role="small")
        self._buttons: list[tuple[QPushButton, QAction, str]] = []
        row.addWidget(self._chosen, 1)
        for action, text, tip in (
            (self.open, tr("Open"), tr("Show the run's curves and log in the panel at the right")),
            (self.compare, tr("Compare"), tr("Ask the base and what was trained on it side by side")),
            (self.resume, tr("Resume"), tr("Go on exactly where the run ended")),
            (self.duplicate, tr("Duplicate"), tr("Fill the form with this run's setup")),
        ):
            row.addWidget(self._button(action, text, tip))
        self._more = QToolButton(self)
        self._more.setObjectName("runs.more")
        self._more.setIconSize(QSize(20, 20))
        self._more.setAccessibleName(tr("More actions"))
        self._more.setToolTip(tr("More: train longer, copy, report, delete"))
        self._more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._more.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._more.setMenu(self.menu)
        row.addWidget(self._more)

    def _button(self, action: QAction, text: str, tip: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName(f"{action.objectName()}_button")
        button.setAccessibleName(text)
        button.setToolTip(tip)
        button.clicked.connect(action.trigger)
        self._buttons.append((button, action, tip))
        return button

    def _dress(self) -> None:
        self._more.setIcon(theme.icon("ph.dots-three-bold"))

    # -- acts -------------------------------------------------------------------------------------------------

    @property
    def _run(self) -> RunDir:
        return self._runs[0].run

    def _on_open(self) -> None:
        self.open_requested.emit(self._run.path)

    def _on_compare(self) -> None:
        self.compare_requested.emit(tuple(run.run.path for run in self._runs))

    def _on_export(self) -> None:
        self.export_requested.emit(self._run.path)

    def _on_chat(self) -> None:
        self.chat_requested.emit(self._run.path)

    def _on_serve(self) -> None:
        self.serve_requested.emit(self._run.path)

    def _on_merge(self) -> None:
        self.merge_requested.emit(tuple(run.run.path for run in self._runs))

    def _on_resume(self) -> None:
        self.resume_requested.emit(self._run.path)

    def _on_duplicate(self) -> None:
        self.duplicate_requested.emit(self._run.path)

    def _on_reveal(self) -> None:
        self._reveal_folder(self._run.path)

    def _on_extend(self) -> None:
        run = self._runs[0]
        if iterations := ask_more_iterations(self, run.name, run.iteration):
            self.extend_requested.emit(run.run.path, iterations)

    def _on_command(self) -> None:
        self._copy(train_command(self._run), tr("The command"))

    def _on_stock(self) -> None:
        self._copy(stock_command(self._run), tr("The command for stock mlx-lm"))

    def _on_yaml(self) -> None:
        try:
            text = self._run.setup_or_config.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            self.warned.emit(
                tr(
                    "The config cannot be read: {reason_of} ({filename}).",
                    reason_of=reason_of(error),
                    filename=error.filename,
                )
            )
            return
        self._copy(text, tr("The config"))

    def _copy(self, text: str, what: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.told.emit(tr("{what} was copied.", what=what))

    # -- report -----------------------------------------------------------------------------------------------

    def _on_report(self) -> None:
        name = f"{self._runs[0].name}.html".replace("/", "-")
        chosen, kind = ask_new_file(self, tr("Export a report"), name, REPORTS)
        if not chosen:
            return
        path = Path(chosen)
        if path.suffix.lower() not in (".html", ".md"):
            path = path.with_name(path.name + (".md" if "*.md" in kind else ".html"))
        self.export_report(path)

    def export_report(self, path: Path) -> None:
        """Reads the selected run, a slice at a time, and writes its report."""
        reader = RunReader(self._run)
        self._report = (reader, path)
        self._work.start(self._read_all(reader))
        self.show_runs(self._runs)

    def _read_all(self, reader: RunReader) -> Iterator[None]:
        try:
            while not reader.read(SLICE_S):
                yield
        except OSError as error:
            self._report = None
            self.warned.emit(tr("The run's events cannot be read: {reason_of}.", reason_of=reason_of(error)))

    def _write_report(self) -> None:
        self.show_runs(self._runs)
        if self._report is None:
            return
        reader, path = self._report
        try:
            save_report(reader, path)
        except (OSError, UnusableError) as error:
            self.warned.emit(tr("The report was not written: {error}", error=error))
        else:
            self.told.emit(tr("The report was saved as {path}.", path=path))

    # -- trackers -----------------------------------------------------------------------------------------------

    def _on_track(self) -> None:
        problems = tracker_problems(TrainConfig(report_to="tensorboard"))
        if problems:
            self.warned.emit(" ".join(problem.sentence() for problem in problems))
            return
        if chosen := ask_folder(self, tr("Folder for TensorBoard"), str(self._run.path)):
            self.export_figures(Path(chosen))

    def export_figures(self, folder: Path) -> None:
        """Writes the selected run's figures as TensorBoard's event files, in a worker."""
        self._tracks.start(TrackJob(run=self._run.path, out=folder))
        self.show_runs(self._runs)

    def _on_tracked(self, said: event.Event) -> None:
        if isinstance(said, event.Result):
            self.told.emit(
                tr(
                    "{figures:,} figures are in {out}: tensorboard --logdir shows them.",
                    figures=said.data["figures"],
                    out=said.data["out"],
                )
            )

    def _on_tracks_ended(self, outcome: WorkerOutcome) -> None:
        self.show_runs(self._runs)
        if not outcome.ok:
            self.warned.emit(outcome.sentence())

    def shutdown(self) -> None:
        """Ends what is being written before the window closes."""
        self._tracks.shutdown()

    # -- delete -----------------------------------------------------------------------------------------------

    def _on_delete(self) -> None:
        runs = list(self._runs)
        if runs and self._may_delete(runs):
            self.trash.delete([run.run for run in runs])

    def _may_delete(self, runs: Sequence[RunSummary]) -> bool:
        """Asks, with the names and the size. The size is measured now: what a list says may be of yesterday."""
        size = sum(folder_bytes(run.run.path) for run in runs[:LISTED]) + sum(r.size_bytes for r in runs[LISTED:])
        names = "\n".join(f"• {run.name}  ({run.run.name})" for run in runs[:LISTED])
        rest = tr("\n… and {runs:,} more", runs=len(runs) - LISTED) if len(runs) > LISTED else ""
        what = tr("“{name}”", name=runs[0].name) if len(runs) == 1 else plural(len(runs), "run")
        box = message_box(self)
        box.setText(tr("Move {what} to the Trash? {size} in all.", what=what, size=bytes_text(size)))
        box.setInformativeText(
            tr("{names}{rest}\n\nConfig, curves, adapters and notes go with it.", names=names, rest=rest)
        )
        yes = box.addButton(tr("Move to the Trash"), QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(box.addButton(tr("Cancel"), QMessageBox.ButtonRole.RejectRole))
        box.exec()
        return box.clickedButton() is yes


def _why_not_compared(runs: Sequence[RunSummary]) -> str:
    """Why these runs cannot stand beside their base and each other; empty where they can."""
    if not runs:
        return SELECT_FIRST
    if not _has_adapter(runs):
        return tr("It has saved no adapter") if len(runs) == 1 else tr("One of them has saved no adapter")
    if len(runs) >= MOST_COLUMNS:
        return tr("Select at most {runs} runs: the base stands beside them", runs=MOST_COLUMNS - 1)
    return "" if len({run.base for run in runs}) == 1 else tr("Their base models differ")


def _has_adapter(runs: Sequence[RunSummary]) -> bool:
    return all((run.run.adapters / ADAPTER_FILE).is_file() for run in runs)
