"""The pager: turns the pages of a comparison, each of them one prompt and its answers."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from app.core.language import tr
from app.ui.compare.session import CompareSession
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.icon_button import IconButton

PROMPT_SHOWN = 300  # characters of a prompt beside its page's number


class Pager(QWidget):
    """Turns a `CompareSession`; hidden while it has one page. ``prompt`` is the page's, and laid out beside."""

    def __init__(self, session: CompareSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._number = QLabel(self)
        self._number.setObjectName("compare.page")
        self.prompt = ElidedLabel("", parent)
        self.prompt.setObjectName("compare.page.prompt")
        theme.set_role(self.prompt, role="muted")
        self._back = IconButton("ph.caret-left", tr("The question before"), self)
        self._on = IconButton("ph.caret-right", tr("The next question"), self)
        self._back.setObjectName("compare.page.back")
        self._on.setObjectName("compare.page.on")
        self._back.clicked.connect(self._turn_back)
        self._on.clicked.connect(self._turn_on)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        for widget in (self._back, self._number, self._on):
            layout.addWidget(widget)

    def show_place(self, *, closed: bool) -> None:
        """Shows which page of how many is looked at; ``closed`` if it must not be left now."""
        count, place = len(self._session.pages), self._session.place
        self.setVisible(count > 1)
        self._number.setText(tr("Question {place:,} of {count:,}", place=place + 1, count=count))
        self._back.setEnabled(place > 0 and not closed)
        self._on.setEnabled(place < count - 1 and not closed)
        shown = self._session.shown
        self.prompt.setVisible(shown is not None and count > 1)
        self.prompt.setText(" ".join(shown.last.prompt[:PROMPT_SHOWN].split()) if shown is not None else "")

    def _turn_back(self) -> None:
        self._session.turn_to(self._session.place - 1)

    def _turn_on(self) -> None:
        self._session.turn_to(self._session.place + 1)
