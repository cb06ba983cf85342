"""The selected runs: the details of one, the curves and differences of several, read beside the window's work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.refusal import reason_of
from app.core.run.difference import config_differences, run_config
from app.core.run.reader import RunReader
from app.core.run.summary import RunSummary
from app.ui.platform.scrolling import CalmTabBar
from app.ui.runs.column import loss_kind
from app.ui.runs.detail import RunDetail
from app.ui.runs.difference_table import DifferenceTable, DifferenceView
from app.ui.runs.overlay import OverlayRun, RunOverlay
from app.ui.widget import theme
from app.ui.widget.sliced_work import SLICE_S, SlicedWork

OVERLAID = 20  # runs in one plot, and in one table of differences
DETAILS, CURVES, DIFFERENCES = range(3)


class SelectedRuns(QFrame):
    """A card with three parts; its model is the list of `RunSummary` that `show_runs` was given last."""

    warned = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        theme.set_role(self, role="card")
        self._runs: list[RunSummary] = []
        self._readers: dict[Path, RunReader] = {}
        self._configs: dict[Path, TrainConfig | None] = {}
        self._wanted = {False: DETAILS, True: CURVES}  # by whether several runs are selected
        self._reading = SlicedWork(self)
        self._reading.finished.connect(self._show_read)
        self.detail, self.overlay = RunDetail(self), RunOverlay(self)
        self._build()
        self._parts.currentChanged.connect(self._on_part)

    # -- what others ask --------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """True while runs are being read."""
        return self._reading.is_busy or self.overlay.is_busy

    def is_outdated_by(self, runs: Sequence[RunSummary]) -> bool:
        """True if one of the same runs grew since it was read, so that its details and curve are old, or if
        somebody wrote about it elsewhere."""
        written = [(run.name, run.tags, run.note) for run in runs]
        if written != [(run.name, run.tags, run.note) for run in self._runs]:
            return True
        return any(run.is_live or run.run.path not in self._readers for run in runs[:OVERLAID])

    def show_runs(self, runs: list[RunSummary]) -> None:
        """Shows other runs, or the same ones as they are now."""
        self._runs = runs
        self.detail.show_run(runs[0] if len(runs) == 1 else None)
        self._arrange_parts(many=len(runs) > 1)
        self._show_part()

    # -- parts ------------------------------------------------------------------------------------------------

    def _arrange_parts(self, *, many: bool) -> None:
        """One run has details, several have differences; each goes back to the part that was looked at last."""
        self._parts.blockSignals(True)
        self._parts.setTabEnabled(DETAILS, True)
        self._parts.setTabEnabled(DIFFERENCES, True)
        self._parts.setCurrentIndex(self._wanted[many])
        self._parts.setTabEnabled(DIFFERENCES if not many else DETAILS, False)
        self._parts.setTabToolTip(DETAILS, tr("Select one run: several are selected") if many else "")
        self._parts.setTabToolTip(DIFFERENCES, "" if many else tr("Select several runs to see how they differ"))
        self._parts.blockSignals(False)

    def _on_part(self, part: int) -> None:
        self._wanted[len(self._runs) > 1] = part
        self._show_part()

    def _show_part(self) -> None:
        """Reads what the shown part needs of the runs."""
        runs, part = self._runs, self._parts.currentIndex()
        self._stack.setCurrentIndex(part if runs else DIFFERENCES + 1)
        self._limit.setVisible(part != DETAILS and len(runs) > OVERLAID)
        self._limit.setText(tr("The first {overlaid} of {runs:,} selected runs", overlaid=OVERLAID, runs=len(runs)))
        shown = runs[:OVERLAID]
        kept = {run.run.path for run in shown}
        self._readers = {path: reader for path, reader in self._readers.items() if path in kept}
        self._configs = {path: config for path, config in self._configs.items() if path in kept}
        if part == CURVES:
            self._reading.start(self._read_histories(shown))
        elif part == DIFFERENCES:
            self._reading.start(self._read_configs(shown))

    def _read_histories(self, runs: Sequence[RunSummary]) -> Iterator[None]:
        for run in runs:
            reader = self._readers.setdefault(run.run.path, RunReader(run.run))
            try:
                while not reader.read(SLICE_S):
                    yield
            except OSError as error:
                self.warned.emit(
                    tr(
                        "The events of {name} cannot be read: {reason_of}.",
                        name=run.name,
                        reason_of=reason_of(error),
                    )
                )
            yield

    def _read_configs(self, runs: Sequence[RunSummary]) -> Iterator[None]:
        for run in runs:
            if run.run.path not in self._configs:
                try:
                    self._configs[run.run.path] = run_config(run.run)
                except UnusableError:
                    self._configs[run.run.path] = None
            yield

    def _show_read(self) -> None:
        runs = self._runs[:OVERLAID]
        if self._parts.currentIndex() == CURVES:
            found = [(run, self._readers.get(run.run.path)) for run in runs]
            self.overlay.show_runs(
                [
                    OverlayRun(str(run.run.path), run.name, reader.history, loss_kind(run.method))
                    for run, reader in found
                    if reader
                ]
            )
            return
        configs = [(run.name, self._configs.get(run.run.path)) for run in runs]
        readable = [(name, config) for name, config in configs if config is not None]
        found_differences = config_differences([config for _, config in readable]) if len(readable) > 1 else []
        self.differences.show([name for name, _ in readable], found_differences)
        unread = [name for name, config in configs if config is None]
        self._unread.setText(tr("Left out, as their config cannot be read: {names}.", names=", ".join(unread)))
        self._unread.setVisible(bool(unread))
        self._same.setVisible(len(readable) > 1 and not found_differences)
        self._difference_view.setVisible(bool(found_differences))

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._parts = CalmTabBar(self)
        self._parts.setObjectName("runs.parts")
        self._parts.setAccessibleName(tr("Parts of the selection"))
        self._parts.setDrawBase(False)
        self._parts.setExpanding(False)
        self._parts.setStyleSheet("QTabBar { background: transparent; } QTabBar::tab { margin-top: 0; }")
        for name in (tr("Details"), tr("Curves"), tr("Differences")):
            self._parts.addTab(name)
        self._limit = QLabel(self)
        theme.set_role(self._limit, role="small")
        self._limit.hide()
        head = QHBoxLayout()
        head.addWidget(self._parts)
        head.addStretch(1)
        head.addWidget(self._limit)
        self._stack = QStackedWidget(self)
        for part in (self.detail, self.overlay, self._difference_page(), self._no_choice()):
            self._stack.addWidget(part)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 3 // 2] * 4)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(head)
        layout.addWidget(self._stack, 1)
        self.setMinimumHeight(180)

    def _difference_page(self) -> QWidget:
        page = QWidget(self)
        self.differences = DifferenceTable(self)
        self._difference_view = DifferenceView(self.differences, page)
        self._same = QLabel(tr("The configs of these runs are the same."), page)
        theme.set_role(self._same, role="muted")
        self._same.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._same.hide()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        self._unread = QLabel(page)
        self._unread.setObjectName("runs.unread")
        theme.set_role(self._unread, role="warning")
        self._unread.setWordWrap(True)
        self._unread.hide()
        layout.addWidget(self._unread)
        layout.addWidget(self._difference_view)
        layout.addWidget(self._same)
        layout.addStretch(0)
        return page

    def _no_choice(self) -> QLabel:
        text = QLabel(
            tr("Select a run to see its details; select several to lay their curves over each other."), self
        )
        theme.set_role(text, role="muted")
        text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        text.setWordWrap(True)
        return text
