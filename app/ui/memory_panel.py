"""The memory estimate on the form: a bar against the machine's limit, the verdict, and what would make it fit."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app.core.memory import MemoryEstimate, Remedy, Verdict
from app.core.quantity import bytes_text
from app.ui import theme

VERDICTS = {
    Verdict.FITS: ("Fits", "pill-good"),
    Verdict.TIGHT: ("Tight", "pill-warning"),
    Verdict.WONT_FIT: ("Will not fit", "pill-error"),
    Verdict.UNKNOWN: ("", "pill"),
}


def memory_parts(found: MemoryEstimate) -> list[tuple[str, int]]:
    """The parts of an estimate by name, in the order in which the bar shows them."""
    return [
        ("Weights", found.weights),
        ("Adapter", found.adapter),
        ("Optimizer", found.optimizer),
        ("Gradients", found.gradients),
        ("Activations", found.activations),
        ("Logits and loss", found.logits),
    ]


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
        limit = [f"Limit: {bytes_text(found.limit)}"] if found.limit else []
        self.setToolTip("\n".join([*lines, f"Peak: {bytes_text(found.total)}", *limit]))
        self.setAccessibleName(f"Memory: {bytes_text(found.total)}")
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
        for index, (_, size) in enumerate(self._parts):
            width = size * self.scale
            painter.fillRect(QRectF(x, area.y(), width, area.height()), QColor(c.series[index]))
            x += width
        painter.setClipping(False)
        at = self._limit * self.scale
        if self._limit and at < self.width() - 1:
            painter.setPen(QPen(QColor(c.error), 2))
            painter.drawLine(int(at), 0, int(at), self.height())
        painter.end()


class MemoryPanel(QWidget):
    """Shows a `MemoryEstimate`; ``remedy_chosen(values)`` asks to set these config values."""

    remedy_chosen = Signal(dict)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("memory_panel")
        self._remedies: Sequence[Remedy] = ()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        head = QHBoxLayout()
        title = QLabel("Memory at the peak", self)
        title.setProperty("role", "label")
        self._verdict, self._text = QLabel(self), QLabel(self)
        self._verdict.setObjectName("memory.verdict")
        self._text.setObjectName("memory.text")
        self._text.setProperty("role", "small")
        for widget in (title, self._verdict):
            head.addWidget(widget)
        head.addStretch(1)
        layout.addLayout(head)
        self.bar = MemoryBar(self)
        layout.addWidget(self.bar)
        self._text.setWordWrap(True)
        layout.addWidget(self._text)
        self._buttons = QVBoxLayout()
        self._buttons.setSpacing(theme.SPACE // 2)
        layout.addLayout(self._buttons)

    def show_estimate(self, found: MemoryEstimate | None) -> None:
        """Shows another estimate; None hides the panel."""
        self.setVisible(found is not None)
        if found is None:
            return
        self.bar.show_estimate(found)
        text, role = VERDICTS[found.verdict]
        self._verdict.setText(text)
        self._verdict.setVisible(bool(text))
        if self._verdict.property("role") != role:
            theme.set_role(self._verdict, role=role)
        self._text.setText(_sentence(found))
        self._show_remedies(found)

    def _show_remedies(self, found: MemoryEstimate) -> None:
        if found.remedies == self._remedies:
            return
        self._remedies = found.remedies
        while self._buttons.count():
            item = self._buttons.takeAt(0)
            if item is not None and (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for number, remedy in enumerate(found.remedies):
            button = QPushButton(f"{remedy.text} → {bytes_text(remedy.total_bytes)}", self)
            button.setObjectName(f"memory.remedy.{number}")
            button.setToolTip("Sets " + ", ".join(f"{path} to {value}" for path, value in remedy.values.items()))
            button.setProperty("number", number)
            button.clicked.connect(self._on_remedy)
            self._buttons.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)

    def _on_remedy(self) -> None:
        sender = self.sender()
        assert isinstance(sender, QPushButton)
        self.remedy_chosen.emit(self._remedies[sender.property("number")].values)


def _sentence(found: MemoryEstimate) -> str:
    said = f"{'By a probe' if found.calibrated else 'Estimated'}: {bytes_text(found.total)}"
    if found.limit:
        said += f" of {bytes_text(found.limit)} that MLX should stay within"
    parts = ", ".join(f"{name.lower()} {bytes_text(size)}" for name, size in memory_parts(found) if size)
    said += f" ({parts})."
    if found.verdict is Verdict.WONT_FIT:
        said += " What would make it fit:" if found.remedies else " No change of this form would make it fit."
    return said
