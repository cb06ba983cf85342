"""What a run changed, read: the answers of base and tuned model to one held-out question, or how to get them."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QPushButton, QScrollArea, QStackedLayout, QTextBrowser, QVBoxLayout, QWidget

from app.core.compare.before_after import BeforeAfter
from app.core.language import tr
from app.ui.widget import theme

PART_CHARACTERS = 4000  # of a prompt or an answer
OFFER = tr("Ask the base and the tuned model one question that the run was not trained on.")
EMPTY_ANSWER = tr("(an empty answer)")


class BeforeAfterView(QWidget):
    """Shows a `BeforeAfter`. ``asked`` says that a person wants one."""

    asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found: BeforeAfter | None = None
        self.browser = QTextBrowser(self)
        self.browser.setObjectName("before_after")
        self.browser.setAccessibleName(tr("Answers before and after"))
        self.browser.setOpenLinks(False)
        self.browser.setStyleSheet(
            "QTextBrowser { border: none; padding: 0; background: transparent; }"
        )  # it lies in a card already
        self.note = QLabel(self)
        self.note.setObjectName("before_after.note")
        self.note.setWordWrap(True)
        self.ask = QPushButton(tr("Show before and after"), self)
        self.ask.setObjectName("before_after.ask")
        self.ask.clicked.connect(self.asked)
        offer = QWidget(self)
        column = QVBoxLayout(offer)
        column.setContentsMargins(0, theme.SPACE // 2, 0, 0)
        column.setSpacing(theme.SPACE)
        column.addWidget(self.note)
        column.addWidget(self.ask, 0, Qt.AlignmentFlag.AlignLeft)
        column.addStretch(1)
        self._stack = QStackedLayout(self)
        room = QScrollArea(self)  # what stands in the way can be long, and the text large
        room.setWidgetResizable(True)
        room.setFrameShape(QScrollArea.Shape.NoFrame)
        room.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        room.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        room.setWidget(offer)
        offer.setObjectName("before_after_offer")
        room.setStyleSheet("QScrollArea, QWidget#before_after_offer { background: transparent; }")
        self._stack.addWidget(room)
        self._stack.addWidget(self.browser)
        theme.theme().changed.connect(self._redraw)
        self.show_found(None)

    @property
    def found(self) -> BeforeAfter | None:
        """What is shown."""
        return self._found

    def show_found(self, found: BeforeAfter | None) -> None:
        """Shows the answers, or offers to ask for them."""
        self._found = found
        self.say(OFFER)
        self._stack.setCurrentIndex(0 if found is None else 1)
        self._redraw()

    def say(self, text: str, *, can_ask: bool = True, role: str = "muted") -> None:
        """Says how far it is, or why there is no answer."""
        self.note.setText(text)
        theme.set_role(self.note, role=role)
        self.ask.setVisible(can_ask)

    def _redraw(self) -> None:
        self.browser.setHtml(before_after_html(self._found) if self._found is not None else "")


def before_after_html(found: BeforeAfter) -> str:
    """Question, base's answer and tuned model's, one below the other."""
    passed = tr(", after {passed} that both answered alike", passed=found.passed) if found.passed else ""
    parts = [_part(tr("Held-out question{passed}", passed=passed), found.prompt)]
    if found.before.strip() == found.after.strip():
        parts.append(_part(tr("Before and after alike"), found.after))
    else:
        parts += [_part(tr("Before, the base"), found.before), _part(tr("After this run"), found.after, bold=True)]
    return "".join(parts)


def _part(title: str, text: str, *, bold: bool = False) -> str:
    c, said = theme.colors(), text.strip()
    cut = said[:PART_CHARACTERS] + (" …" if len(said) > PART_CHARACTERS else "")
    shown = escape(cut or EMPTY_ANSWER).replace("\n", "<br>")
    color = c.accent if bold else c.muted
    return (
        f"<p style='margin:0 0 2px 0; color:{color}'>{escape(title)}</p>"
        f"<p style='margin:0 0 {theme.SPACE}px 0'>{shown}</p>"
    )
