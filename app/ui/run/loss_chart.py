"""The loss chart: train loss, validations, the best of them and what was forgotten, or a method's own figure."""

from __future__ import annotations

import math
import time
from html import escape
from pathlib import Path

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QHideEvent, QImage, QPainter, QResizeEvent, QShowEvent
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.core.language import inside, tr
from app.core.quantity import count_text, loss_text
from app.core.run.curve_table import Floats
from app.core.run.history import RunHistory
from app.core.run.smoothing import Smoothed
from app.ui.platform.file_panel import ask_new_file
from app.ui.platform.key_text import with_keys
from app.ui.platform.scrolling import CalmBox
from app.ui.run.chart_series import LOSS, REPORTED_WORDS, Series, leading, meaning_of, series_label
from app.ui.run.curve_view import AXES, CurveView
from app.ui.run.long_curve import LongCurve
from app.ui.widget import theme
from app.ui.widget.plot import Plot, early_end, whole_tip

FRAME_MS = 33  # at most 30 repaints a second
# What the curves are called beside their signs where there is little room, and where there is least.
SHORTER: tuple[dict[str, str], ...] = (
    {},
    {tr("Validation"): tr("Valid.")},
    {tr("Train"): "", tr("Validation"): tr("Valid."), tr("Best"): ""},  # a line and a star are known
    {tr("Train"): "", tr("Validation"): "", tr("Forgot"): "", tr("Best"): ""},
)  # fmt: skip
FILLING_MS = 500  # between repaints while a run is read: what is wanted is its end
BUSY_SHARE = 4  # a repaint that takes long is followed by a rest of so many times its length
EXPORT_SCALE = 2
FILL_TIP = tr("Fill the window with the chart")
VIEW_FROM = 190  # px; a lower chart has no room for its view's controls


class LossChart(QWidget):
    """Draws a history that others feed; `refresh` says that it grew. Nothing is drawn while it is hidden."""

    told = Signal(str)
    view_changed = Signal()  # x, smoothing or range, by the user
    fill_requested = Signal(bool)  # the window, or no longer

    def __init__(self, history: RunHistory, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._series = Series(history)
        self._is_chosen = False  # by the user; else the figure that leads is drawn
        self._is_whole = True  # everything is shown, until the user zooms or moves
        self._smoothed = Smoothed(0.0)
        self._smoothed_of: tuple[object, ...] = ()
        self._dirty = True
        self._is_filling = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self._redraw)
        self._build_plot()
        self._build_controls()
        theme.theme().changed.connect(self._dress)
        self._view.scaled.connect(self._dress)
        self._dress()

    # -- model ------------------------------------------------------------------------------------------------

    def set_history(self, history: RunHistory) -> None:
        """Shows another run, from its whole."""
        self._series = Series(history)
        self._is_chosen = False
        self._use_figure(leading(history))

    def refresh(self) -> None:
        """The history grew: it is drawn with the next frame."""
        self._dirty = True
        if self.isVisible() and not self._timer.isActive():
            self._timer.start()

    def set_filling(self, on: bool) -> None:
        """While a run is read from its file it is drawn now and then; at the end, at once."""
        if on != self._is_filling:
            self._is_filling = on
            self._timer.setInterval(FILLING_MS if on else FRAME_MS)
            self.refresh()

    @property
    def figure(self) -> str:
        """What is drawn: "" for the loss, or the name of a figure."""
        return self._series.name

    def set_figure(self, name: str) -> None:
        """Draws the loss or a figure of the method's own, from now on."""
        self._is_chosen = True
        self._use_figure(name)

    def _use_figure(self, name: str) -> None:
        self._series = Series(self._series.history, name)
        self._show_figures()
        self.reset_view()

    @property
    def is_log(self) -> bool:
        """True if the loss axis is logarithmic."""
        return self._log.isChecked()

    def set_log(self, on: bool) -> None:
        """Makes the vertical axis logarithmic or linear."""
        self._log.setChecked(on)

    @property
    def is_without_spike(self) -> bool:
        """True if the range leaves out how the curve spikes at its beginning."""
        return self._spike.isChecked()

    def set_without_spike(self, on: bool) -> None:
        """Leaves a spike at the beginning out of the range, or shows it."""
        self._spike.setChecked(on)

    def reset_view(self) -> None:
        """Shows everything, and keeps doing so while points come in."""
        self._is_whole = True
        self.refresh()

    def show_filled(self, filled: bool) -> None:
        """Says that the chart fills the window, or no longer does; its button leads back."""
        self._fill_button.blockSignals(True)
        self._fill_button.setChecked(filled)
        self._fill_button.blockSignals(False)
        tip = with_keys(tr("Back to the panel"), "Esc") if filled else FILL_TIP
        self._fill_button.setToolTip(tip)
        self._fill_button.setAccessibleName(tip)
        self._show_icons()
        self._fill_button.setFocus()

    # -- export -----------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Writes the chart as it is shown: PNG or SVG, or all points as CSV, by the name's suffix.

        Raises `ValueError` for another suffix and `OSError` if the file cannot be written.
        """
        self._redraw()
        with self._view.legend_shown():
            self._save(path)

    def _save(self, path: Path) -> None:
        suffix = path.suffix.lower()
        if suffix == ".csv":
            self._series.history.save_csv(path)
        elif suffix == ".png":
            self._save_png(path)
        elif suffix == ".svg":
            self._save_svg(path)
        else:
            raise ValueError(tr("{name}: the ending says the format; use .png, .svg or .csv.", name=path.name))

    def _save_png(self, path: Path) -> None:
        image = QImage(self._view.size() * EXPORT_SCALE, QImage.Format.Format_ARGB32)
        image.fill(QColor(theme.colors().card))
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._view.render(painter)
        painter.end()
        if not image.save(str(path)):
            raise OSError(tr("{path} cannot be written.", path=path))

    def _save_svg(self, path: Path) -> None:
        generator = QSvgGenerator()
        generator.setFileName(str(path))
        generator.setSize(self._view.size())
        generator.setViewBox(self._view.rect())
        generator.setTitle(tr("Training and validation loss"))
        painter = QPainter()
        if not painter.begin(generator):
            raise OSError(tr("{path} cannot be written.", path=path))
        self._view.render(painter)
        painter.end()

    def _ask_and_save(self, suffix: str) -> None:
        chosen, _ = ask_new_file(self, tr("Save the chart"), f"loss.{suffix}", f"*.{suffix}")
        if not chosen:
            return
        path = Path(chosen).with_suffix(f".{suffix}")
        try:
            self.save(path)
        except OSError as error:
            self.told.emit(tr("The chart was not saved: {error}", error=error))
        else:
            self.told.emit(tr("The chart was saved as {path}.", path=path))

    def _save_as_png(self) -> None:
        self._ask_and_save("png")

    def _save_as_svg(self) -> None:
        self._ask_and_save("svg")

    def _save_as_csv(self) -> None:
        self._ask_and_save("csv")

    # -- building ---------------------------------------------------------------------------------------------

    def _build_plot(self) -> None:
        self._view = Plot("loss_plot", tr("Training and validation loss"), self)
        self._view.whole_asked.connect(self.reset_view)
        self._plot = self._view.item
        self._plot.getViewBox().sigRangeChangedManually.connect(self._on_zoomed)
        self._legend = self._view.add_legend(4)
        self._raw = self._curve()
        self._line = self._curve(smooth=True)
        self._valid = self._curve(smooth=True)
        self._forgot = self._curve(smooth=True)
        self._best = pg.ScatterPlotItem(symbol="star", size=15)
        self._plot.addItem(self._best)
        self._best.setZValue(20)
        self._cross = pg.InfiniteLine(angle=90, movable=False)
        self._cross_point = pg.ScatterPlotItem(size=8)
        for item in (self._cross, self._cross_point):
            item.setVisible(False)
            self._plot.addItem(item, ignoreBounds=True)
        self._plot.getViewBox().sigXRangeChanged.connect(self._on_range)
        self._view.scene().sigMouseMoved.connect(self._on_mouse)
        self._view.pointer_left.connect(self._hide_cross)

    @property
    def _curves(self) -> tuple[LongCurve, ...]:
        """Those that say how far the plot reaches."""
        return self._raw, self._valid, self._forgot

    def _curve(self, *, smooth: bool = False) -> LongCurve:
        """One curve that stays fast at a million points and leaves gaps where the loss is not a number."""
        curve = LongCurve(antialias=smooth)
        self._plot.addItem(curve)
        return curve

    def _build_controls(self) -> None:
        self._readout = QLabel()
        self._readout.setObjectName("chart_readout")
        self._readout.setAccessibleName(tr("Values under the pointer"))
        self._readout.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._figure_box = CalmBox()
        self._figure_box.setObjectName("chart_figure")
        self._figure_box.setAccessibleName(tr("Figure"))
        self._figure_box.setToolTip(tr("What is drawn: the loss, or what the run tells besides"))
        self._figure_box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self._figure_box.activated.connect(self._on_figure)
        self.view = CurveView("chart", parent=self)
        self.view.changed.connect(self._on_view)
        self._options = self._button("chart_options", tr("How the vertical axis is drawn"))
        self._options.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._options.setMenu(self._option_menu())
        self._reset_button = self._button("chart_reset", whole_tip())
        self._reset_button.clicked.connect(self.reset_view)
        self._export_button = self._button("chart_export", tr("Save the chart as PNG, SVG or CSV"))
        self._export_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._export_button.setMenu(self._export_menu())
        self._fill_button = self._button("chart_fill", FILL_TIP, checkable=True)
        self._fill_button.toggled.connect(self.fill_requested)
        self._lay_out()

    def _option_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self._log = menu.addAction(tr("Logarithmic axis"))
        self._log.setObjectName("chart_log")
        self._spike = menu.addAction(tr("Leave out the first spike"))
        self._spike.setObjectName("chart_spike")
        self._spike.setToolTip(tr("Fit the range to the curve behind its first tenth, where that is much lower"))
        for action in (self._log, self._spike):
            action.setCheckable(True)
            action.toggled.connect(self._on_view)
        return menu

    def _export_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.addAction(tr("Save as PNG…"), self._save_as_png)
        menu.addAction(tr("Save as SVG…"), self._save_as_svg)
        menu.addAction(tr("Save the points as CSV…"), self._save_as_csv)
        return menu

    def _button(self, name: str, tip: str, *, checkable: bool = False) -> QToolButton:
        button = QToolButton()
        button.setObjectName(name)
        button.setAccessibleName(tip)
        button.setToolTip(tip)
        button.setCheckable(checkable)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        self.view.put_first(self._figure_box)
        layout.addWidget(self.view)
        head = QHBoxLayout()
        head.setSpacing(0)  # buttons have room of their own; the names of the curves need what there is
        head.addWidget(self._readout, 1)
        for button in (self._options, self._reset_button, self._export_button, self._fill_button):
            head.addWidget(button)
        layout.addLayout(head)
        layout.addWidget(self._view, 1)
        self._show_figures()

    def resizeEvent(self, resized: QResizeEvent) -> None:
        """Where there is little room the curves have it, and how they are looked at stays as it was chosen."""
        super().resizeEvent(resized)
        self.view.setVisible(self.height() >= theme.line_px(VIEW_FROM))
        self.refresh()  # a wider picture shows more points
        self._hide_cross()  # what it says was made to fit the width that was

    # -- drawing ----------------------------------------------------------------------------------------------

    def _dress(self) -> None:
        """Everything that a style sheet cannot reach takes the scheme's colours."""
        c = theme.colors()
        raw = QColor(c.train_line)
        raw.setAlpha(70)
        self._raw.setPen(self._view.pen(raw, 1))
        self._line.setPen(self._view.pen(c.train_line, 2))
        self._valid.setPen(self._view.pen(c.valid_line, 1.5))
        self._valid.set_dots(6, c.valid_line, self._view.pen(c.card, 1))
        self._forgot.setPen(self._view.pen(c.forgot_line, 1.5))
        self._forgot.set_dots(5, c.forgot_line, self._view.pen(c.card, 1))
        self._best.setBrush(c.good)
        self._best.setPen(self._view.pen(c.card, 1))
        self._cross.setPen(self._view.pen(c.faint, 1, Qt.PenStyle.DashLine))
        self._cross_point.setBrush(c.train_line)
        self._cross_point.setPen(self._view.pen(c.card, 1))
        self._legend.setLabelTextColor(c.muted)
        theme.set_role(self._readout, role="small")
        self._show_icons()
        self.refresh()

    def _show_icons(self) -> None:
        self._options.setIcon(theme.icon("ph.sliders-horizontal"))
        self._reset_button.setIcon(
            theme.icon("ph.magnifying-glass-minus", None if self._is_whole else theme.colors().accent)
        )
        self._export_button.setIcon(theme.icon("ph.export"))
        filled = self._fill_button.isChecked()
        self._fill_button.setIcon(theme.icon("ph.arrows-in-simple" if filled else "ph.arrows-out-simple"))

    def _on_view(self) -> None:
        self.reset_view()
        self.view_changed.emit()

    def _show_figures(self) -> None:
        """The choice of figures: the loss, the method's own, and what every run tells."""
        names = [LOSS, *self._series.history.figure_names, *self._series.history.reported_names]
        if names != [self._figure_box.itemData(index) for index in range(self._figure_box.count())]:
            self._figure_box.clear()
            self._figure_box.setMinimumWidth(self._figure_width())
            for index, name in enumerate(names):
                self._figure_box.addItem(series_label(name), name)
                self._figure_box.setItemData(index, meaning_of(name), Qt.ItemDataRole.ToolTipRole)
        self._figure_box.setCurrentIndex(self._figure_box.findData(self._series.name))

    def _figure_width(self) -> int:
        """That of the longest figure which every run tells: nothing moves when a run begins to tell them."""
        box = self._figure_box
        box.addItems([series_label(name) for name in (LOSS, *REPORTED_WORDS)])
        box.setMinimumWidth(0)
        width = box.sizeHint().width()
        box.clear()
        return width

    def _on_figure(self) -> None:
        self.set_figure(self._figure_box.currentData())

    def _on_zoomed(self) -> None:
        self._is_whole = False
        self._draw_curves()
        self._show_icons()

    def _redraw(self) -> None:
        began = time.perf_counter()
        self._dirty = False
        if not self._is_chosen and leading(self._series.history) != self.figure:
            self._use_figure(leading(self._series.history))  # which draws with the next frame again
        self._show_figures()
        series, axis = self._series, self.view.axis
        if self.is_log != self._plot.getAxis("left").logMode:
            self._plot.setLogMode(x=False, y=self.is_log)
        weight = self._smoothing
        for curve, x, y, of in (
            (self._raw, series.x(axis), series.values, ()),
            (self._line, series.x(axis), self._smooth(), (weight,)),
            (self._valid, series.valid_x(axis), series.valid_values, ()),
            (self._forgot, series.forgot_x(axis), series.forgot, ()),
        ):
            curve.take(x, y, (*series.key, *of), unit=self.view.unit, is_log=self.is_log)
        self._draw_curves()
        self._draw_best(self.view.scaled(series.valid_x(axis)))
        self._name_curves()
        if self._is_whole:
            self._fit()
        else:
            self._view.hold([(np.array(curve.ends), np.zeros(2)) for curve in self._curves if not curve.is_empty])
        self._show_icons()
        self._show_resting()
        took_ms = (time.perf_counter() - began + self._view.painting_s) * 1000
        least = FILLING_MS if self._is_filling else FRAME_MS
        self._timer.setInterval(max(least, int(BUSY_SHARE * took_ms)))

    def _name_curves(self) -> None:
        """The legend of pictures names what is drawn."""
        named = [name for name, _, _ in self._drawn()]
        if named == [label.text for _, label in self._legend.items]:
            return
        items = {
            tr("Train"): self._line,
            tr("Validation"): self._valid,
            tr("Forgot"): self._forgot,
            tr("Best"): self._best,
        }
        self._legend.clear()
        for name in named:
            self._legend.addItem(items[name], name)
        self._legend.setLabelTextColor(theme.colors().muted)

    def _drawn(self) -> list[tuple[str, str, str]]:
        """What is drawn where there is more than one thing: its name, a sign like it, and its colour."""
        series, c = self._series, theme.colors()
        if not len(series.valid_values) and not len(series.forgot):
            return []
        return [
            (name, sign, color)
            for name, sign, color, there in (
                (tr("Train"), "\u2014", c.train_line, len(series.values)),
                (tr("Validation"), "\u25cf", c.valid_line, len(series.valid_values)),
                (tr("Forgot"), "\u25cf", c.forgot_line, len(series.forgot)),
                (tr("Best"), theme.sign("ph.star-fill"), c.good, series.best_index is not None),
            )
            if there
        ]

    def _fit(self) -> None:
        """Shows everything: by pyqtgraph's own range, or by ours where that would be odd, or hold a spike."""
        curves = [curve for curve in self._curves if not curve.is_empty]
        drawn = [curve.getOriginalDataset() for curve in curves]
        if self.is_without_spike:
            ends = [end for curve in curves for end in curve.ends]
            early = early_end(min(ends), max(ends)) if ends else 0.0
            drawn = [part for curve in curves for part in curve.parts_at(early)]  # none holds points of both sides
        self._view.fit(
            [(x, np.log10(y) if self.is_log else y) for x, y in drawn], without_spike=self.is_without_spike
        )

    def _draw_curves(self) -> None:
        """All of the curves, or what is zoomed to."""
        shown = None if self._is_whole else tuple(self._plot.getViewBox().viewRange()[0])
        for curve in (self._raw, self._line, self._valid, self._forgot):
            curve.draw(shown)

    def _on_range(self) -> None:
        if not self._is_whole:
            self._draw_curves()

    def _draw_best(self, valid_x: Floats) -> None:
        index = self._series.best_index
        if index is None:
            self._best.setData([], [])
            return
        value = self._drawable(self._series.valid_values[index : index + 1])
        with np.errstate(invalid="ignore"):
            self._best.setData(valid_x[index : index + 1], np.log10(value) if self.is_log else value)

    def _smooth(self) -> Floats:
        if self._smoothed.weight != self._smoothing or self._smoothed_of != self._series.key:
            self._smoothed, self._smoothed_of = Smoothed(self._smoothing), self._series.key
        return self._smoothed.update(self._series.values)

    @property
    def _smoothing(self) -> float:
        return 0.0 if self._series.is_reported else self.view.smoothing  # a learning rate is as it was

    def _drawable(self, losses: Floats) -> Floats:
        """What cannot be drawn becomes a gap: infinity, and on a logarithmic axis everything not above zero."""
        with np.errstate(invalid="ignore"):
            good = np.isfinite(losses) & (losses > 0) if self.is_log else np.isfinite(losses)
        return losses if good.all() else np.where(good, losses, np.nan)

    # -- crosshair --------------------------------------------------------------------------------------------

    def _on_mouse(self, position: QPointF) -> None:
        inside = len(self._series.values) and self._plot.sceneBoundingRect().contains(position)
        if not inside:
            self._hide_cross()
            return
        wanted = self._plot.getViewBox().mapSceneToView(position).x() * self.view.unit
        x = self._series.x(self.view.axis)
        index = int(np.clip(np.searchsorted(x, wanted), 0, len(x) - 1))
        if index and wanted - x[index - 1] < x[index] - wanted:
            index -= 1
        self._show_cross(index, float(x[index]) / self.view.unit)

    def _show_cross(self, index: int, x: float) -> None:
        smoothed = float(self._smooth()[index])
        drawn = float(self._drawable(np.array([smoothed]))[0])
        self._cross.setPos(x)
        self._cross.setVisible(True)
        self._cross_point.setVisible(math.isfinite(drawn))
        if math.isfinite(drawn):
            self._cross_point.setData([x], [np.log10(drawn) if self.is_log else drawn])
        self._readout.setToolTip(self.values_at(index))
        for text in self._texts_at(index):
            self._readout.setTextFormat(Qt.TextFormat.RichText if "<b" in text else Qt.TextFormat.PlainText)
            self._readout.setText(text)
            if self._readout.sizeHint().width() <= self._readout.width():
                break

    def _texts_at(self, index: int) -> list[str]:
        """The values in words, then by the curves' signs, then by fewer of them: no figure is ever cut."""
        if self._series.is_reported:
            return [self.values_at(index), self._series.text(self._series.values[index]), "…"]
        c, short = theme.colors(), []
        train, smoothed, valid, forgot = self._figures_at(index)
        for sign, color, value in (
            ("\u2014", c.train_line, train),
            ("\u25cf", c.valid_line, valid),
            ("\u25cf", c.forgot_line, forgot),
            ("\u2248", c.train_line, smoothed),
        ):
            if value is not None:
                short.append(f"<b style='color:{color}'>{sign}</b>&nbsp;{self._series.text(value)}")
        number = f"<b>{count_text(self._series.x('iterations')[index])}</b>"
        fewer = ["&ensp;".join(short[:count]) + "&nbsp;…" for count in range(len(short) - 1, 0, -1)]
        return [self.values_at(index), "&ensp;".join([number, *short]), "&ensp;".join(short), *fewer, "…"]

    def _figures_at(self, index: int) -> tuple[float | None, ...]:
        """Train, smoothed, the last validation and what was forgotten up to a point; None where there is none."""
        series = self._series
        iteration = int(series.x("iterations")[index])
        before = int(np.searchsorted(series.valid_x("iterations"), iteration, side="right"))
        measured = int(np.searchsorted(series.forgot_x("iterations"), iteration, side="right"))
        return (
            series.values[index],
            self._smooth()[index] if self.view.smoothing else None,
            series.valid_values[before - 1] if before else None,
            series.forgot[measured - 1] if measured else None,
        )

    def values_at(self, index: int) -> str:
        """The values of one point in words, with the last validation up to it."""
        series = self._series
        iteration = int(series.x("iterations")[index])
        if series.is_reported:
            return tr(
                "Iteration {iteration:,} · {label} {values}",
                iteration=iteration,
                label=inside(series.label),
                values=series.text(series.values[index]),
            )
        train, smoothed, valid, forgot = self._figures_at(index)
        assert train is not None
        parts = [
            tr("Iteration {iteration:,}", iteration=iteration),
            tr("train {values}", values=series.text(train)),
        ]
        if smoothed is not None:
            parts.append(tr("smoothed {smooth}", smooth=series.text(smoothed)))
        if valid is not None:
            parts.append(tr("validation {valid_values}", valid_values=series.text(valid)))
        if forgot is not None:
            parts.append(tr("forgot {forgot}", forgot=loss_text(forgot)))
        return " · ".join(parts)

    def _hide_cross(self) -> None:
        self._cross.setVisible(False)
        self._cross_point.setVisible(False)
        self._show_resting()

    def _show_resting(self) -> None:
        """Without a pointer the line above the plot says what the curves are; alone, what it is drawn over."""
        if not self._cross.isVisible():
            left_out = tr(" without the first spike") if self.is_without_spike else ""
            said = tr("{label} over {axes}", label=escape(self._series.label), axes=AXES[self.view.axis][1])
            self._readout.setTextFormat(Qt.TextFormat.RichText)
            self._readout.setToolTip("")
            for names in SHORTER:
                drawn = ((names.get(name, name), sign, color) for name, sign, color in self._drawn())
                named = "&ensp;".join(f"<b style='color:{c}'>{s}</b>&nbsp;{name}".strip() for name, s, c in drawn)
                self._readout.setText(f"{named or said}{left_out}")
                if not self.isVisible() or self._readout.sizeHint().width() <= self._readout.width():
                    break
                self._readout.setToolTip(", ".join(name for name, _, _ in self._drawn()))

    # -- Qt ---------------------------------------------------------------------------------------------------

    def showEvent(self, shown: QShowEvent) -> None:
        super().showEvent(shown)
        if self._dirty:
            self.refresh()

    def hideEvent(self, hidden: QHideEvent) -> None:
        self._timer.stop()
        super().hideEvent(hidden)

    def sizeHint(self) -> QSize:
        return QSize(400, 300)

    def plotted(self) -> QRectF:
        """The range that is shown, in data units (the loss as log10 on a logarithmic axis)."""
        return QRectF(self._plot.getViewBox().viewRect())
