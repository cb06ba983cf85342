"""The view of an endpoint that answers: address, name and key, how to ask it, its log, and how much it is asked."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.core.export.endpoint import Endpoint
from app.core.language import tr
from app.core.protocol import event
from app.core.quantity import plural
from app.ui.platform.scrolling import CalmTabBar
from app.ui.run.log_view import LogView
from app.ui.widget import theme
from app.ui.widget.icon_button import IconButton

MINUTE_S = 60.0
COUNT_MS = 1000  # requests leave the last minute without anybody saying so
HIDDEN_KEY = "•" * 12
CURL, PYTHON, LOG = range(3)
ENDPOINT_PARTS = ("url", "model", "key")
PLACE_LABELS = {"url": tr("Address"), "model": tr("Model"), "key": tr("API key")}


class RequestCount:
    """Counts requests: all of them, and those of the last minute by a clock in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: deque[float] = deque()
        self.total = 0

    def add(self) -> None:
        """One more, now."""
        self.total += 1
        self._times.append(self._clock())

    @property
    def last_minute(self) -> int:
        """How many came within the last minute."""
        while self._times and self._times[0] <= self._clock() - MINUTE_S:
            self._times.popleft()
        return len(self._times)

    def sentence(self) -> str:
        """``12 requests · 3 in the last minute``."""
        if not self.total:
            return tr("No requests yet")
        return tr(
            "{requests} · {last_minute:,} in the last minute",
            requests=plural(self.total, "request"),
            last_minute=self.last_minute,
        )


class EndpointView(QWidget):
    """Shows an `Endpoint`. The key is hidden, also in the examples, until somebody asks; what is copied has it."""

    counted = Signal()  # what `count` says is another

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._endpoint: Endpoint | None = None
        self.count = RequestCount()
        self._build()
        self._counting = QTimer(self)
        self._counting.setInterval(COUNT_MS)
        self._counting.timeout.connect(self._show_count)

    def show_endpoint(self, endpoint: Endpoint) -> None:
        """It answers from now on."""
        self._endpoint = endpoint
        self.count = RequestCount()
        self.reveal.setChecked(False)
        self._show_texts()
        self._counting.start()
        self._show_count()

    def show_uncounted(self, log: str) -> None:
        """It answers by itself: of its requests only its log knows."""
        self._counting.stop()
        self.log.clear()
        self.log.append(log)
        self._count.setText(tr("Its requests are not counted: it runs without a window. The log names them."))

    def end(self) -> None:
        """It answers no more."""
        self._counting.stop()

    def add_request(self, found: event.Served) -> None:
        """One that was answered or refused."""
        self.count.add()
        clock = datetime.fromtimestamp(found.time).strftime("%H:%M:%S")
        self.log.append(f"{clock}  {found.path}  {found.status}  {found.seconds:.1f}\u00a0s\n")
        self._show_count()

    # -- showing ----------------------------------------------------------------------------------------------

    def _show_texts(self) -> None:
        endpoint = self._endpoint
        if endpoint is None:
            return
        is_hidden = not self.reveal.isChecked()
        shown = replace(endpoint, key=HIDDEN_KEY) if is_hidden else endpoint
        for name in ENDPOINT_PARTS:
            self.lines[name].setText(getattr(shown, name))
            self.lines[name].setCursorPosition(0)
        self.curl.setPlainText(shown.curl())
        self.python.setPlainText(shown.python())
        self.reveal.set_icon("ph.eye" if is_hidden else "ph.eye-slash")
        told = tr("Show the key") if is_hidden else tr("Hide the key")
        self.reveal.setToolTip(told)
        self.reveal.setAccessibleName(told)

    def _show_count(self) -> None:
        self._count.setText(self.count.sentence())
        self.counted.emit()

    def _on_part(self, index: int) -> None:
        self._parts.setCurrentIndex(index)
        self.copy_example.setVisible(index != LOG)

    def _copy(self, name: str) -> None:
        assert self._endpoint is not None
        QGuiApplication.clipboard().setText(getattr(self._endpoint, name))

    def _on_copy_example(self) -> None:
        assert self._endpoint is not None
        text = self._endpoint.curl() if self.parts.currentIndex() == CURL else self._endpoint.python()
        QGuiApplication.clipboard().setText(text)

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(self._built_places())
        layout.addSpacing(theme.SPACE)
        self.parts = CalmTabBar(self)
        self.parts.setObjectName("serve.parts")
        self.parts.setAccessibleName(tr("How to ask, and the log"))
        self.parts.setDrawBase(False)
        self.parts.setExpanding(False)
        for text in ("curl", "Python", tr("Log")):
            self.parts.addTab(text)
        self.copy_example = IconButton("ph.copy", tr("Copy this example, with the key"), self)
        self.copy_example.setObjectName("serve.copy_example")
        self.copy_example.clicked.connect(self._on_copy_example)
        head = QHBoxLayout()
        head.addWidget(self.parts)
        head.addStretch(1)
        head.addWidget(self.copy_example)
        self._parts = QStackedWidget(self)
        self.curl, self.python, self.log = (
            _example("serve.curl", "curl"),
            _example("serve.python", "Python"),
            LogView(),
        )
        self.log.setObjectName("serve.log")
        for part in (self.curl, self.python, self.log):
            self._parts.addWidget(part)
        self.parts.currentChanged.connect(self._on_part)
        self._count = QLabel(self)
        self._count.setObjectName("serve.count")
        theme.set_role(self._count, role="small")
        layout.addLayout(head)
        layout.addWidget(self._parts, 1)
        layout.addWidget(self._count)

    def _built_places(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(theme.SPACE)
        grid.setVerticalSpacing(theme.SPACE)
        grid.setColumnStretch(1, 1)
        self.lines: dict[str, QLineEdit] = {}
        self.copies: dict[str, IconButton] = {}
        self.reveal = IconButton("ph.eye", tr("Show the key"), self)
        self.reveal.setObjectName("serve.reveal")
        self.reveal.setCheckable(True)
        self.reveal.toggled.connect(self._show_texts)
        for row, name in enumerate(ENDPOINT_PARTS):
            label, line = QLabel(PLACE_LABELS[name], self), QLineEdit(self)
            line.setObjectName(f"serve.{name}")
            line.setAccessibleName(PLACE_LABELS[name])
            line.setReadOnly(True)
            label.setBuddy(line)
            copy = IconButton(
                "ph.copy",
                tr(
                    "Copy: {what}",
                    what=PLACE_LABELS[name],
                ),
                self,
            )
            copy.setObjectName(f"serve.copy.{name}")
            copy.clicked.connect(lambda _on=False, named=name: self._copy(named))
            self.lines[name], self.copies[name] = line, copy
            grid.addWidget(label, row, 0)
            grid.addWidget(line, row, 1, 1, 1 if name == "key" else 2)
            if name == "key":
                grid.addWidget(self.reveal, row, 2)
            grid.addWidget(copy, row, 3)
        for button in (self.reveal, *self.copies.values()):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return grid


def _example(name: str, title: str) -> QPlainTextEdit:
    box = QPlainTextEdit()
    box.setObjectName(name)
    box.setAccessibleName(tr("How to ask with {title}", title=title))
    box.setReadOnly(True)
    box.setTabChangesFocus(True)
    box.setFont(theme.mono_font())
    return box
