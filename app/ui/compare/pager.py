"""The pager: turns the pages of a comparison, each of them one prompt and its answers."""

from __future__ import annotations

import sys
from collections.abc import Callable

from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QAbstractButton, QApplication, QHBoxLayout, QLabel, QWidget

from app.core.language import tr
from app.ui.compare.answer_view import AnswerView
from app.ui.compare.session import CompareSession
from app.ui.platform.key_text import with_keys
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.icon_button import IconButton

ARROW_KEYS = "Left", "Right"
PAGE_KEYS = ("Ctrl+[", "Ctrl+]") if sys.platform == "darwin" else ("Alt+Left", "Alt+Right")  # as in a browser
PROMPT_SHOWN = 300  # characters of a prompt beside its page's number


class Pager(QWidget):
    """Turns a `CompareSession`; hidden while it has one page. ``prompt`` is laid out beside: what the answers that
    are shown were asked, whatever stands in the question's box by now.

    Keys of the window turn the pages, too: the arrows alone where whatever is in focus has no use for them.
    """

    def __init__(self, session: CompareSession, page: QWidget) -> None:
        super().__init__(page)
        self._session, self._page = session, page
        self._number = QLabel(self)
        self._number.setObjectName("compare.page")
        self.prompt = ElidedLabel("", page)
        self.prompt.setObjectName("compare.page.prompt")
        theme.set_role(self.prompt, role="label")
        self._back = IconButton("ph.caret-left", tr("The question before"), self)
        self._on = IconButton("ph.caret-right", tr("The next question"), self)
        for button, key in zip((self._back, self._on), PAGE_KEYS, strict=True):
            button.setToolTip(with_keys(button.toolTip(), key))
        self._back.setObjectName("compare.page.back")
        self._on.setObjectName("compare.page.on")
        self._back.clicked.connect(self._turn_back)
        self._on.clicked.connect(self._turn_on)
        turns = self._turn_back, self._turn_on
        self._keys = [self._key_for(key, turn) for key, turn in zip(PAGE_KEYS, turns, strict=True)]
        self._arrows = [self._key_for(key, turn) for key, turn in zip(ARROW_KEYS, turns, strict=True)]
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._on_focus)
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
        self.prompt.setVisible(shown is not None)
        self.prompt.setText(" ".join(shown.last.prompt[:PROMPT_SHOWN].split()) if shown is not None else "")

        self._on_focus(None, QApplication.focusWidget())

    def _turn_back(self) -> None:
        self._session.turn_to(self._session.place - 1)

    def _turn_on(self) -> None:
        self._session.turn_to(self._session.place + 1)

    def _on_focus(self, _before: QWidget | None, focused: QWidget | None) -> None:
        free = focused is None or (self._page.isAncestorOf(focused) and _leaves_arrows(focused))
        for button, key, arrow in zip((self._back, self._on), self._keys, self._arrows, strict=True):
            can_turn = button.isEnabled() and len(self._session.pages) > 1
            key.setEnabled(can_turn)
            arrow.setEnabled(can_turn and free)

    def _key_for(self, key: str, turn: Callable[[], None]) -> QShortcut:
        found = QShortcut(QKeySequence(key), self._page)
        found.activated.connect(turn)
        return found


def _leaves_arrows(focused: QWidget) -> bool:
    """Whether a widget does without arrow keys: a button that is no choice among others, and a read-only answer."""
    if isinstance(focused, QAbstractButton):
        return not focused.autoExclusive() and focused.group() is None
    return isinstance(focused, AnswerView)
