"""The message bar: the one door for what the user is told, as banners that hold nothing up.

They lie over the page and shift nothing, and are there as long as they are of use: one that is true no longer goes,
as does an answer to what a person did, once it could be read and they go on. What is under a banner that is closed
with the mouse gets no click for as long as a double-click lasts: it would be one that was meant for the banner.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, Qt, QTimer, Signal
from PySide6.QtGui import QEnterEvent, QKeyEvent, QMouseEvent, QWindow
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.core.language import tr
from app.ui.widget import theme
from app.ui.widget.icon_button import IconButton

NoticeKind = Literal["info", "good", "warning", "error"]

SHOWN_AT_ONCE = 3
LIFETIME_MS: dict[NoticeKind, int] = {"info": 8_000, "good": 15_000, "warning": 0, "error": 0}  # 0: until closed
READ_S: dict[NoticeKind, float] = {"info": 1.5, "good": 5.0, "warning": 1.5, "error": 1.5}  # before one goes on
LINES_SHOWN = 6
CHARACTERS_SHOWN = 700  # of a long line: three such banners still fit into the smallest window
WIDEST = 860  # px in Inter; longer lines are hard to read
NOTICE_ICONS: dict[NoticeKind, str] = {
    "info": "ph.info",
    "good": "ph.check-circle",
    "warning": "ph.warning",
    "error": "ph.warning-circle",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """What to tell, how much it matters, and at most one thing that can be done about it.

    ``holds`` says whether it is still true. ``about`` is what a person asked for: of what is told of the same, only
    the newest stands there. A warning that ``passes`` goes as news do, when they go on with something else.
    """

    text: str
    kind: NoticeKind = "info"
    action: str = ""
    act: Callable[[], object] | None = None
    holds: Callable[[], bool] | None = None
    about: str = ""
    passes: bool = False

    @property
    def is_lasting(self) -> bool:
        """Whether it stays until it was closed, or is true no longer."""
        return self.kind in ("warning", "error") and not self.passes


class MessageBar(QWidget):
    """A stack of banners, the newest at the top; empty it is not there. The same text never stands there twice.

    Banners that find no room wait: an error or a warning is not lost before it was closed.
    """

    emptied = Signal()
    placed = Signal()  # other banners are shown, or elsewhere

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("message_bar")
        self.setAccessibleName(tr("Messages"))
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(theme.SPACE * 2, 0, theme.SPACE * 2, theme.SPACE)
        self._layout.setSpacing(theme.SPACE // 2)
        self._banners: list[Banner] = []
        self._heard: QWindow | None = None  # whose clicks are listened to
        self._host: QWidget | None = None
        self._kept_free: Callable[[], int] = lambda: 0
        self.hide()

    def lie_over(self, host: QWidget, kept_free: Callable[[], int] = lambda: 0) -> None:
        """Stays in the lower right corner of a widget, over what it shows, but not over its lowest pixels.

        ``kept_free`` says how many of them hold what is needed next. This bar must be a child of an ancestor of the
        widget.
        """
        self._host, self._kept_free = host, kept_free
        host.installEventFilter(self)
        self.place()

    def eventFilter(self, watched: QObject, happened: QEvent) -> bool:
        if watched is self._host and happened.type() in (QEvent.Type.Resize, QEvent.Type.Move, QEvent.Type.Show):
            self.place()
        elif happened.type() == QEvent.Type.MouseButtonPress and watched is self._heard:
            assert isinstance(happened, QMouseEvent)
            if not self.rect().contains(self.mapFromGlobal(happened.globalPosition().toPoint())):
                self.go_on()
        return super().eventFilter(watched, happened)

    def _listen(self) -> None:
        """A click beside it says that a person goes on. The window tells of it: an application tells far more."""
        found = self.window().windowHandle()
        if found is not None and found is not self._heard:
            self._heard = found
            found.installEventFilter(self)

    def place(self) -> None:
        """As wide as the host allows, at its right, as high as the banners need; titles and tabs stay in sight."""
        parent = self.parentWidget()
        if self._host is None or parent is None:
            return
        width = min(self._host.width(), round(theme.text_width(WIDEST)))
        margins = self._layout.contentsMargins()
        shown = [one for one in self._banners if not one.isHidden()]
        inner = width - margins.left() - margins.right()
        height = sum(one.heightForWidth(inner) for one in shown)
        height += margins.top() + margins.bottom() + self._layout.spacing() * max(len(shown) - 1, 0)
        above = max(self._host.height() - self._kept_free() - height, 0)
        corner = self._host.mapTo(parent, QPoint(self._host.width() - width, above))
        self.setGeometry(QRect(corner.x(), corner.y(), width, height))
        self.raise_()
        self.placed.emit()

    def tell(self, message: Notice) -> None:
        """Shows a message; the oldest goes when there are too many, and one about the same at once."""
        self.look()
        self._listen()
        for banner in list(self._banners):
            if banner.message.text == message.text or (message.about and banner.message.about == message.about):
                self._remove(banner)
        banner = Banner(message, self)
        banner.closed.connect(self._on_closed)
        self._banners.insert(0, banner)
        self._layout.insertWidget(0, banner)
        for old in [one for one in self._banners if not one.message.is_lasting][SHOWN_AT_ONCE:]:
            self._remove(old)
        self.show()
        self._settle()

    def withdraw(self, text: str) -> None:
        """Takes away what begins with this text: it stands in a better place by now."""
        for banner in list(self._banners):
            if banner.message.text.startswith(text):
                self._remove(banner)

    def look(self) -> None:
        """Takes away what is true no longer."""
        for banner in list(self._banners):
            if banner.message.holds is not None and not banner.message.holds():
                self._remove(banner)

    def go_on(self) -> None:
        """A person goes on with something else. What stays until closed stays, and what nobody can have read."""
        self.look()
        for banner in list(self._banners):
            if not banner.message.is_lasting and banner.is_read:
                self._remove(banner)

    @property
    def is_lasting(self) -> bool:
        """Whether something is there that stays until it is closed."""
        return any(banner.message.is_lasting for banner in self._banners)

    def messages(self) -> list[Notice]:
        """What stands there now, newest first."""
        return [banner.message for banner in self._banners[:SHOWN_AT_ONCE]]

    def _settle(self) -> None:
        """Shows the newest, and says on the last of them how many more wait."""
        for number, banner in enumerate(self._banners):
            banner.setVisible(number < SHOWN_AT_ONCE)
            banner.show_waiting(max(len(self._banners) - SHOWN_AT_ONCE, 0) if number == SHOWN_AT_ONCE - 1 else 0)
        self.place()

    def clear(self) -> None:
        """Takes everything away."""
        for banner in list(self._banners):
            self._remove(banner)

    def keyPressEvent(self, pressed: QKeyEvent) -> None:
        if pressed.key() == Qt.Key.Key_Escape and self._banners:
            self._remove(self._banners[0])
        else:
            super().keyPressEvent(pressed)

    def _on_closed(self) -> None:
        banner = self.sender()
        if isinstance(banner, Banner):
            if banner.underMouse():
                self._shield(banner)
            self._remove(banner)

    def _shield(self, banner: Banner) -> None:
        parent = self.parentWidget()
        if parent is None:
            return
        shield = QWidget(parent)
        shield.setObjectName("message.shield")
        shield.setAttribute(Qt.WidgetAttribute.WA_NoMousePropagation)
        shield.setGeometry(QRect(banner.mapTo(parent, QPoint(0, 0)), banner.size()))
        shield.show()
        QTimer.singleShot(QApplication.doubleClickInterval(), shield, shield.deleteLater)

    def _remove(self, banner: Banner) -> None:
        if banner not in self._banners:
            return
        self._banners.remove(banner)
        self._layout.removeWidget(banner)
        banner.hide()
        banner.deleteLater()
        self._settle()
        if not self._banners:
            self.hide()
            self.emptied.emit()


def _shortened(text: str) -> str:
    """What a banner has room for of a long message."""
    lines = text.splitlines()
    kept = "\n".join([*lines[:LINES_SHOWN], *(["…"] if len(lines) > LINES_SHOWN else [])])
    if len(kept) <= CHARACTERS_SHOWN:
        return kept
    return f"{kept[:CHARACTERS_SHOWN].rsplit(maxsplit=1)[0]} …"


class Banner(QFrame):
    """One message; ``closed`` asks to be taken away, by its button, its action or its time."""

    closed = Signal()

    def __init__(self, message: Notice, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.message = message
        self.setObjectName(f"message.{message.kind}")
        self.setAccessibleName(message.text)
        theme.set_role(self, role="banner" if message.kind == "info" else f"banner-{message.kind}")
        self._icon = QLabel(self)
        self._build()
        theme.theme().changed.connect(self._dress)
        self._dress()
        self._told_at = time.monotonic()
        self._life = QTimer(self)
        self._life.setSingleShot(True)
        self._life.timeout.connect(self.closed)
        self._live()

    @property
    def is_read(self) -> bool:
        """Whether there was time to read it."""
        return time.monotonic() - self._told_at >= READ_S[self.message.kind]

    def _live(self) -> None:
        """It goes by itself, unless it stays until it was closed."""
        if lifetime := LIFETIME_MS["good" if self.message.passes else self.message.kind]:
            self._life.start(lifetime)

    def _build(self) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(theme.SPACE * 3 // 2, theme.SPACE // 2, theme.SPACE // 2, theme.SPACE // 2)
        layout.setSpacing(theme.SPACE)
        shown = _shortened(self.message.text)
        text = QLabel(shown, self)
        self._waiting = QLabel(self)
        self._waiting.setObjectName("message.waiting")
        theme.set_role(self._waiting, role="small")
        self._waiting.hide()
        text.setObjectName("message.text")
        text.setTextFormat(Qt.TextFormat.PlainText)
        text.setToolTip(self.message.text if shown != self.message.text else "")
        text.setWordWrap(True)
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)  # a policy of one's own takes away what setWordWrap had set
        text.setSizePolicy(policy)
        layout.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignVCenter)
        layout.addWidget(text, 1)
        layout.addWidget(self._waiting)
        if self.message.act is not None:
            button = QPushButton(self.message.action, self)
            button.setObjectName("message.action")
            theme.set_role(button, kind="link")
            button.setCursor(Qt.CursorShape.PointingHandCursor)
            button.clicked.connect(self._act)
            layout.addWidget(button)
            layout.addSpacing(theme.SPACE)
        close = IconButton("ph.x", tr("Close this message"), self, size=14)
        close.setObjectName("message.close")
        close.clicked.connect(self.closed)
        layout.addWidget(close)

    def show_waiting(self, count: int) -> None:
        """Says that so many older messages wait for their turn."""
        self._waiting.setText(tr("+ {count} more", count=count))
        self._waiting.setVisible(count > 0)

    def _act(self) -> None:
        act = self.message.act
        self.closed.emit()
        if act is not None:
            act()

    def _dress(self) -> None:
        c = theme.colors()
        color = {"info": c.accent, "good": c.good, "warning": c.warning, "error": c.error}[self.message.kind]
        self._icon.setPixmap(theme.icon(NOTICE_ICONS[self.message.kind], color).pixmap(18, 18))

    def enterEvent(self, entered: QEnterEvent) -> None:
        """What is being read does not vanish."""
        self._life.stop()
        super().enterEvent(entered)

    def leaveEvent(self, left: QEvent) -> None:
        self._live()
        super().leaveEvent(left)
