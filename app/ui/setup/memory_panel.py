"""The memory estimate on the form: a bar against the machine's limit, the verdict, and what would make it fit."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app.core.language import tr
from app.core.quantity import bytes_text
from app.ui.widget import theme
from app.ui.widget.layout import clear_layout

if TYPE_CHECKING:
    from app.core.setup.memory import MemoryEstimate, Remedy

PILL_HEIGHT = 20  # px; less, and its round ends are not drawn
VERDICTS = {  # by the value of `MemoryFit`
    "fits": (tr("Fits"), "pill-good"),
    "tight": (tr("Tight"), "pill-warning"),
    "wont_fit": (tr("Will not fit"), "pill-error"),
    "unknown": ("", "pill"),
}


# The parts of an estimate in the order in which the bar shows them: name, attribute of `MemoryEstimate`, and place
# of the colour in the theme. What training and what sampling holds are never there together.
MEMORY_PARTS = (
    (tr("Weights"), "weights", 0),
    (tr("Judge"), "judge", 6),
    (tr("Reference model"), "reference", 7),
    (tr("Adapter"), "adapter", 1),
    (tr("Optimizer"), "optimizer", 2),
    (tr("Gradients"), "gradients", 3),
    (tr("Activations"), "activations", 4),
    (tr("Logits and loss"), "logits", 5),
    (tr("Kept log-probabilities"), "log_probabilities", 3),
    (tr("Cache of sampled answers"), "cache", 4),
    (tr("Sampling"), "sampling", 5),
)
COLORS = {name: color for name, _, color in MEMORY_PARTS}


def memory_parts(found: MemoryEstimate) -> list[tuple[str, int]]:
    """The parts of an estimate by name, in the order in which the bar shows them."""
    return [(name, getattr(found, attribute)) for name, attribute, _ in MEMORY_PARTS]


class MemoryBar(QWidget):
    """The parts of a `MemoryEstimate` one after the other, with a mark where the limit is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._parts: list[tuple[str, int]] = []
        self._limit = 0
        self.setObjectName("memory_bar")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.theme().changed.connect(self.update)

    def show_estimate(self, found: MemoryEstimate) -> None:
        """Shows another estimate."""
        self._parts, self._limit = memory_parts(found), found.limit
        lines = [f"{name}: {bytes_text(size)}" for name, size in self._parts if size]
        limit = [tr("Limit: {limit}", limit=bytes_text(found.limit))] if found.limit else []
        self.setToolTip("\n".join([*lines, tr("Peak: {total}", total=bytes_text(found.total)), *limit]))
        self.setAccessibleName(tr("Memory: {total}", total=bytes_text(found.total)))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(300, 14)

    @property
    def scale(self) -> float:
        """Pixels of one byte: the longer of peak and limit fills the width."""
        total = sum(size for _, size in self._parts)
        return self.width() / max(total, self._limit, 1)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(0, 2, self.width(), self.height() - 4)
        c = theme.colors()
        shape = QPainterPath()
        shape.addRoundedRect(area, 4, 4)
        painter.setClipPath(shape)
        painter.fillRect(area, QColor(c.border))
        x = 0.0
        for name, size in self._parts:
            width = size * self.scale
            painter.fillRect(QRectF(x, area.y(), width, area.height()), QColor(c.series[COLORS[name]]))
            x += width
        painter.setClipping(False)
        at = self._limit * self.scale
        if self._limit and at < self.width() - 1:
            painter.setPen(QPen(QColor(c.error), 2))
            painter.drawLine(int(at), 0, int(at), self.height())
        painter.end()


class MemoryPanel(QWidget):
    """Shows a `MemoryEstimate`, if there is one; ``remedy_chosen(values)`` asks to set these config values."""

    remedy_chosen = Signal(dict)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("memory_panel")
        self._remedies: Sequence[Remedy] = ()
        self._found: MemoryEstimate | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        head = QHBoxLayout()
        title = QLabel(tr("Memory at the peak"), self)
        title.setProperty("role", "label")
        self._verdict, self._text = QLabel(self), QLabel(self)
        self._verdict.setObjectName("memory.verdict")
        self._verdict.setMinimumHeight(PILL_HEIGHT)
        self._text.setObjectName("memory.text")
        for widget in (title, self._verdict):
            head.addWidget(widget)
        head.addStretch(1)
        layout.addLayout(head)
        self.bar = MemoryBar(self)
        layout.addWidget(self.bar)
        self._legend = QLabel(self)
        for label in (self._legend, self._text):
            label.setProperty("role", "small")
            label.setTextFormat(Qt.TextFormat.RichText)
            label.setWordWrap(True)
            layout.addWidget(label)
        theme.theme().changed.connect(self._show_legend)
        self._buttons = QVBoxLayout()
        self._buttons.setSpacing(theme.SPACE // 2)
        layout.addLayout(self._buttons)
        self.hide()  # at once: what stands below it would move up in the open window

    def show_estimate(self, found: MemoryEstimate | None, *, searching: bool = False) -> None:
        """Shows another estimate; None hides the panel. ``searching``: remedies are still being looked for."""
        self.setVisible(found is not None)
        if found is None:
            return
        self.bar.show_estimate(found)
        text, role = VERDICTS[found.verdict.value]
        self._verdict.setText(text)
        self._verdict.setVisible(bool(text))
        if self._verdict.property("role") != role:
            theme.set_role(self._verdict, role=role)
        self._verdict.updateGeometry()
        self._text.setText(_sentence(found, searching))
        self._found = found
        self._show_legend()
        self._show_remedies(found)

    def _show_remedies(self, found: MemoryEstimate) -> None:
        if found.remedies == self._remedies:
            return
        self._remedies = found.remedies
        clear_layout(self._buttons)
        for number, remedy in enumerate(found.remedies):
            self._buttons.addWidget(self._line(number, remedy))

    def _line(self, number: int, remedy: Remedy) -> QFrame:
        line = QFrame(self)
        line.setProperty("role", "banner")
        layout = QHBoxLayout(line)
        layout.setContentsMargins(theme.SPACE * 3 // 2, theme.SPACE, theme.SPACE, theme.SPACE)
        text = QLabel(f"{escape(remedy.text)} → <b>{bytes_text(remedy.total_bytes)}</b>", line)
        text.setWordWrap(True)
        button = QPushButton(tr("Apply"), line)
        button.setObjectName(f"memory.remedy.{number}")
        button.setAccessibleName(tr("Apply: {text}", text=remedy.text))
        button.setToolTip(
            tr("Sets ")
            + ", ".join(tr("{path} to {value}", path=path, value=value) for path, value in remedy.values.items())
        )
        button.setProperty("number", number)
        button.clicked.connect(self._on_remedy)
        layout.addWidget(text, 1)
        layout.addWidget(button)
        return line

    def _show_legend(self) -> None:
        self._legend.setText(_legend(self._found) if self._found is not None else "")

    def _on_remedy(self) -> None:
        sender = self.sender()
        assert isinstance(sender, QPushButton)
        self.remedy_chosen.emit(self._remedies[sender.property("number")].values)


def _sentence(found: MemoryEstimate, searching: bool) -> str:
    how = tr("By a probe") if found.calibrated else tr("Estimated")
    said = f"{how}: <b>{bytes_text(found.total)}</b>"
    if found.limit:
        said += tr(" of {limit} that MLX should stay within.", limit=bytes_text(found.limit))
    if found.apart:
        said += tr(
            " Sampling and judging, in turn with training, take {apart} beside what stays.",
            apart=bytes_text(found.apart),
        )
    if found.is_too_large:
        nothing = (
            tr(" Looking for what would make it fit …")
            if searching
            else tr(" Nothing on this form would make it fit.")
        )
        said += tr(" What would make it fit:") if found.remedies else nothing
    return said


def _legend(found: MemoryEstimate) -> str:
    """The parts with the colours that they have in the bar."""
    series = theme.colors().series
    return "&nbsp;&nbsp; ".join(
        f"<span style='color:{series[COLORS[name]]}'>■</span>&nbsp;{name.replace(' ', '&nbsp;')}&nbsp;"
        f"{bytes_text(size).replace(' ', '&nbsp;')}"
        for name, size in memory_parts(found)
        if size
    )
