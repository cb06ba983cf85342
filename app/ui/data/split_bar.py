"""A bar of three parts: how the examples are divided into training, validation and test."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.core.language import tr
from app.core.setup.plan import Parts
from app.ui.widget import theme

SPLIT_BAR_HEIGHT = 6  # px
LEAST_PART_WIDTH = 5  # px, of a part that is not empty
SPLIT_NAMES = {"train": tr("Training"), "valid": tr("Validation"), "test": tr("Test")}


def split_color(split: str) -> str:
    """The colour that stands for a split in the present scheme."""
    c = theme.colors()
    return {"train": c.train_line, "valid": c.valid_line, "test": c.series[2]}[split]


class SplitBar(QWidget):
    """Draws `Parts` to scale; the smallest part stays visible."""

    def __init__(self, parent: QWidget | None = None, *, height: int = SPLIT_BAR_HEIGHT) -> None:
        super().__init__(parent)
        self._parts = Parts(0, 0, 0)
        self._height = height
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(height)
        theme.theme().changed.connect(self.update)

    def set_parts(self, parts: Parts) -> None:
        """Shows another division."""
        self._parts = parts
        said = ", ".join(
            tr("{split_names} {count:,}", split_names=SPLIT_NAMES[name], count=count)
            for name, count in self._counts()
        )
        self.setAccessibleName(tr("Examples: {said}", said=said))
        self.setToolTip(said)
        self.update()

    def _counts(self) -> list[tuple[str, int]]:
        parts = self._parts
        return [("train", parts.train), ("valid", parts.valid), ("test", parts.test)]

    def widths(self) -> list[float]:
        """The width of each part in pixels."""
        counts = [count for _, count in self._counts()]
        total = sum(counts)
        if not total:
            return [0.0, 0.0, 0.0]
        small = [max(LEAST_PART_WIDTH, self.width() * count / total) if count else 0.0 for count in counts]
        return [width * self.width() / sum(small) for width in small]

    def sizeHint(self) -> QSize:
        return QSize(200, self._height)

    def paintEvent(self, _painted: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        outline = QPainterPath()
        outline.addRoundedRect(QRectF(self.rect()), self._height / 2, self._height / 2)
        painter.setClipPath(outline)
        painter.fillRect(self.rect(), QColor(theme.colors().border))
        x = 0.0
        for (name, _), width in zip(self._counts(), self.widths(), strict=True):
            gap = 1.5 if x else 0.0
            painter.fillRect(QRectF(x + gap, 0, max(width - gap, 0), self._height), QColor(split_color(name)))
            x += width
