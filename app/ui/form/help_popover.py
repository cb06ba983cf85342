"""The small card that explains one config field: what it is, higher, lower, recommended, range and key."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from app.core.config.train_config import FieldSpec
from app.core.language import tr
from app.ui.widget import theme
from app.ui.widget.icon_button import IconButton

POPOVER_WIDTH = 300  # px in Inter; some 45 characters a line


class HelpButton(IconButton):
    """The "?" beside a field: a tool tip when hovered, a popover when clicked."""

    def __init__(self, spec: FieldSpec, parent: QWidget | None = None) -> None:
        super().__init__("ph.question", tr("What is “{label}”?", label=spec.label), parent, size=14)
        self._spec = spec
        self.setObjectName(f"{spec.path}.help")
        self.setToolTip(f"<p>{escape(spec.help)}</p>")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # F1 opens it from the field
        theme.set_role(self, kind="mini")
        self.clicked.connect(self.show_popover)

    def show_popover(self) -> None:
        """Opens the explanation under the button; any click or Escape closes it."""
        popover = HelpPopover(self._spec, self)
        popover.show_below(self)


class HelpPopover(QFrame):
    """The explanation itself."""

    def __init__(self, spec: FieldSpec, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setObjectName("help_popover")
        theme.set_role(self, role="card")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(_label(spec.label, "section"))
        lines = [f"{escape(spec.what)}."]
        for name, text in (
            (tr("Higher"), spec.higher),
            (tr("Lower"), spec.lower),
            (tr("Recommended"), spec.recommended),
        ):
            if text:
                lines.append(f"<b>{name}:</b> {escape(text)}")
        # One label for all lines: several wrapped ones in a column each claim more height than they fill.
        layout.addWidget(_label("".join(f"<p style='margin: 0 0 6px 0'>{line}</p>" for line in lines), ""))
        last = [part for part in (spec.range_text and f"{spec.range_text} {spec.unit}".strip(), spec.path) if part]
        layout.addWidget(_label(" · ".join(last), "small"))
        width = theme.text_width(POPOVER_WIDTH)
        for label in self.findChildren(QLabel):
            label.setFixedWidth(width - 4 * theme.SPACE)  # else the card is measured for other line breaks
        self.setFixedWidth(width)

    def show_below(self, anchor: QWidget) -> None:
        """Shows the card under ``anchor``, inside its screen."""
        self.adjustSize()
        at = anchor.mapToGlobal(QPoint(0, anchor.height() + 4))
        area = anchor.screen().availableGeometry()
        x = max(area.left(), min(at.x(), area.right() - self.width()))
        y = at.y() if at.y() + self.height() < area.bottom() else at.y() - anchor.height() - self.height() - 8
        self.move(x, y)
        self.show()


def _label(text: str, role: str) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    if role:
        label.setProperty("role", role)
    return label
