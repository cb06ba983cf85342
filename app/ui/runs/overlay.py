"""The overlay: the loss curves of several runs in one plot. Its models are the `RunHistory`s that it is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.core.language import tr
from app.core.run.curve_table import Floats
from app.core.run.history import Axis, RunHistory
from app.core.run.smoothing import smooth
from app.ui.run.chart_series import REWARD
from app.ui.run.curve_view import CurveView
from app.ui.runs.table import DOT
from app.ui.widget import theme
from app.ui.widget.icon_button import IconButton
from app.ui.widget.plot import MARKS, Plot, mark_picture, whole_tip
from app.ui.widget.sliced_work import SlicedWork

LEGEND_WIDTH = 168  # px, at least
LEGEND_PADDING = 48  # px around a name and its sign
LEGEND_SHARE = 0.4  # of the overlay's width, at most
DASHES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine)
OVERLAY_SMOOTHING = 0.9
ANTIALIASED = 6  # smooth edges cost twice the time: of more curves nobody sees them
UNLIKE = tr("Losses of different methods measure different things: compare their courses, not their heights.")
LegendEntry = tuple[pg.PlotDataItem, pg.PlotDataItem, pg.PlotDataItem]


@dataclass(frozen=True, slots=True)
class OverlayRun:
    """One curve: a key that stays the same, the name in the legend, the points, and what was optimized."""

    key: str
    name: str
    history: RunHistory
    method: str = ""


class RunOverlay(QWidget):
    """Train losses (as they are, or smoothed) and validations over iterations, epochs, tokens or time."""

    view_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("run_overlay")
        self._runs: Sequence[OverlayRun] = ()
        self._entries: list[LegendEntry] = []
        self._is_whole = True  # everything is shown, until the user zooms or moves
        self._work = SlicedWork(self)
        self._build_plot()
        self._build_controls()
        self._lay_out()
        theme.theme().changed.connect(self._dress_lines)
        self._view.scaled.connect(self._dress_lines)

    # -- model ------------------------------------------------------------------------------------------------

    def show_runs(self, runs: Sequence[OverlayRun]) -> None:
        """Shows these runs instead of those before; the view is fitted when they are others."""
        same = [run.key for run in runs] == [run.key for run in self._runs]
        self._runs = tuple(runs)
        self._show_kind()
        if not same:
            self._fill_legend()
            self._remake_entries()
            self.reset_view()
        self._redraw()

    @property
    def is_busy(self) -> bool:
        """True while curves are being computed."""
        return self._work.is_busy

    def zoom(self, left: float, right: float) -> None:
        """Shows this stretch of the horizontal axis, as when the mouse moves it."""
        self._is_whole = False
        self._plot.setXRange(left, right, padding=0)
        self._view.show_part()

    def reset_view(self) -> None:
        """Shows everything."""
        self._is_whole = True
        self._fit()

    def _fit(self) -> None:
        """One point alone spans no range: it gets one that fits it."""
        drawn = [item.getOriginalDataset() for entry in self._entries for item in entry]
        self._view.fit([(x, y) for x, y in drawn if x is not None])

    def curves(self) -> dict[str, tuple[Floats, Floats]]:
        """The points of each run's line as drawn, by its key."""
        found = {}
        for run, (line, *_) in zip(self._runs, self._entries, strict=True):
            x, y = line.getOriginalDataset()
            found[run.key] = (np.empty(0), np.empty(0)) if x is None else (x, y)
        return found

    @property
    def shows_rewards(self) -> bool:
        """True if every run was measured by a reward: then that is drawn instead of losses."""
        return bool(self._runs) and all(run.history.is_rewarded for run in self._runs)

    def _show_kind(self) -> None:
        """Says what is drawn, and that losses of different methods measure different things."""
        methods = list(dict.fromkeys(run.method for run in self._runs))
        self._note.setText(tr("{unlike} Here: {methods}.", unlike=UNLIKE, methods=", ".join(methods)))
        self._note.setVisible(len(methods) > 1)
        what = tr("Reward") if self.shows_rewards else tr("Loss")
        self._plot.getAxis("left").setLabel(what, color=theme.colors().muted)
        self._view.setAccessibleName(tr("{what} of the selected runs", what=what))
        self._validation.setToolTip(tr("Draw what the validations measured too, as points"))

    # -- building ---------------------------------------------------------------------------------------------

    def _build_plot(self) -> None:
        self._view = Plot("overlay_plot", tr("Loss of the selected runs"), self)
        self._view.whole_asked.connect(self.reset_view)
        self._plot = self._view.item
        self._plot.getViewBox().sigRangeChangedManually.connect(self._on_zoomed)

    def _on_zoomed(self) -> None:
        self._is_whole = False

    def _build_controls(self) -> None:
        self.view = CurveView("overlay", OVERLAY_SMOOTHING, self)
        self.view.changed.connect(self._on_view)
        self._validation = QCheckBox(tr("Validation"), self)
        self._validation.setObjectName("overlay_validation")
        self._validation.setToolTip(tr("Draw the validation losses too, as points"))
        self._validation.setChecked(True)
        self._validation.toggled.connect(self._on_view)
        self._forgot = QCheckBox(tr("Forgot"), self)
        self._forgot.setObjectName("overlay_forgot")
        self._forgot.setToolTip(tr("Draw what was forgotten too: the rise of the loss on neutral text, as squares"))
        self._forgot.toggled.connect(self._on_view)
        self._reset = IconButton("ph.magnifying-glass-minus", whole_tip(), self)
        self._reset.setObjectName("overlay_reset")
        self._reset.clicked.connect(self.reset_view)
        self._legend = QListWidget(self)
        self._legend.setObjectName("overlay_legend")
        self._legend.setAccessibleName(tr("Runs in the plot"))
        self._legend.setToolTip(tr("Choose a run to bring its line out"))
        self._legend.setIconSize(QSize(DOT, DOT))
        self._legend.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._legend.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._legend.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._legend.setFrameShape(QListWidget.Shape.NoFrame)
        self._legend.setStyleSheet("QListWidget { border: none; }")
        self._legend.itemSelectionChanged.connect(self._dress_lines)

    def _lay_out(self) -> None:
        controls = QHBoxLayout()
        controls.setSpacing(theme.SPACE)
        controls.addWidget(self.view, 1)
        controls.addSpacing(theme.SPACE // 2)
        controls.addWidget(self._validation)
        controls.addWidget(self._forgot)
        controls.addStretch(0)
        controls.addWidget(self._reset)
        self._note = QLabel(self)
        self._note.setObjectName("overlay_note")
        self._note.setWordWrap(True)
        theme.set_role(self._note, role="warning")
        self._note.hide()
        plot = QHBoxLayout()
        plot.setSpacing(theme.SPACE)
        plot.addWidget(self._view, 1)
        plot.addWidget(self._legend)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        layout.addLayout(controls)
        layout.addWidget(self._note)
        layout.addLayout(plot, 1)

    def _fill_legend(self) -> None:
        self._legend.clear()
        for run in self._runs:
            item = QListWidgetItem(run.name)
            item.setToolTip(run.name)
            self._legend.addItem(item)
        self._legend.setVisible(len(self._runs) > 1)
        self._fit_legend()

    def _fit_legend(self) -> None:
        """As wide as its names, as long as the curves keep most of the room."""
        least = round(theme.text_width(LEGEND_WIDTH))
        names = max((self._legend.fontMetrics().horizontalAdvance(run.name) for run in self._runs), default=0)
        most = max(least, round(self.width() * LEGEND_SHARE))
        self._legend.setFixedWidth(min(max(names + DOT + LEGEND_PADDING, least), most))

    def resizeEvent(self, resized: QResizeEvent) -> None:
        super().resizeEvent(resized)
        self._fit_legend()

    def _remake_entries(self) -> None:
        for entry in self._entries:
            for item in entry:
                self._plot.removeItem(item)
        self._entries = [
            (self._line(), self._points(_mark(place)), self._points("s")) for place in range(len(self._runs))
        ]
        self._dress_lines()

    def _line(self) -> Any:
        """At most two points for each pixel: 20 lines of 100,000 points must move with the pointer."""
        fine = len(self._runs) <= ANTIALIASED
        line = self._plot.plot([], [], connect="finite", autoDownsampleFactor=1.0, antialias=fine)
        line.setDownsampling(auto=True, method="peak")
        line.setClipToView(True)
        return line

    def _points(self, symbol: str) -> Any:
        return self._plot.plot([], [], connect="finite", symbol=symbol, symbolSize=5)

    # -- drawing ----------------------------------------------------------------------------------------------

    def _on_view(self) -> None:
        self.reset_view()
        self._redraw()
        self.view_changed.emit()

    def _redraw(self) -> None:
        self._work.start(self._draw_each())

    def _draw_each(self) -> Iterator[None]:
        """One run a turn: smoothing a hundred thousand points takes a few milliseconds."""
        axis, smoothing, scaled = self.view.axis, self.view.smoothing, self.view.scaled
        for run, (line, points, forgot) in zip(self._runs, self._entries, strict=True):
            history, rewards = run.history, self.shows_rewards
            trained = history.figures(REWARD) if rewards else history.losses
            losses = smooth(trained, smoothing) if smoothing else trained
            line.setData(scaled(history.figures_x(REWARD, axis) if rewards else history.x(axis)), _drawable(losses))
            shown = self._validation.isChecked() or not len(history)
            x, y = _validated(history, axis, rewards=rewards)
            x = scaled(x)
            points.setData(x, y) if shown else points.setData([], [])
            x, y = scaled(history.forgot_x(axis)), _drawable(history.forgot)
            forgot.setData(x, y) if self._forgot.isChecked() else forgot.setData([], [])
            yield
        if self._is_whole:
            self._fit()

    def _dress_lines(self) -> None:
        """Eight colours, then the same with dashes, and validations with a mark of each run's own.

        A run chosen in the legend stands out from the others.
        """
        series = theme.colors().series
        rows = [index.row() for index in self._legend.selectedIndexes()]
        for place, (line, *points) in enumerate(self._entries):
            color = QColor(series[place % len(series)])
            if item := self._legend.item(place):
                item.setIcon(QIcon(mark_picture(_mark(place), color, DOT)))
            color.setAlpha(255 if not rows or place in rows else 60)
            dash = DASHES[place // len(series) % len(DASHES)]
            # A wide line costs many times a thin one: only few, or the chosen one, are drawn wide.
            width = 2 if place in rows or len(self._entries) <= 3 else 1
            line.setPen(self._view.pen(color, width, dash))
            line.setZValue(10 if place in rows else 0)
            for item in points:
                item.setPen(self._view.pen(color, 1, Qt.PenStyle.DotLine))
                item.setSymbolBrush(color)
                item.setSymbolPen(None)

    def sizeHint(self) -> QSize:
        return QSize(600, 240)


def _validated(history: RunHistory, axis: Axis, *, rewards: bool) -> tuple[Floats, Floats]:
    """What the validations of a run measured; a reward is never drawn among losses."""
    if rewards:
        return history.valid_figures_x(REWARD, axis), _drawable(history.valid_figures(REWARD))
    if history.is_rewarded:
        return np.empty(0), np.empty(0)
    return history.valid_x(axis), _drawable(history.valid_losses)


def _mark(place: int) -> str:
    return MARKS[place % len(MARKS)][0]


def _drawable(losses: Floats) -> Floats:
    """Infinity becomes a gap, as NaN is."""
    good = np.isfinite(losses)
    return losses if good.all() else np.where(good, losses, np.nan)
