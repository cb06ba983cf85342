"""The foot of the Setup tab: what Start will do in one sentence, or what holds it back, and the button."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.core.config.spec import field_specs
from app.core.language import tr
from app.core.problem import Problem, Severity
from app.core.quantity import plural
from app.core.setup.recommendation import SCALE_PATH
from app.core.system.setting import load_settings
from app.ui.message.foot import Foot
from app.ui.platform.key_text import MAIN_KEYS, with_keys
from app.ui.platform.link_label import LinkLabel
from app.ui.target.alpha import scale_name
from app.ui.widget import theme
from app.ui.widget.flow import Flow

NAMED_ERRORS = 4
BESIDE_FROM = 330  # px in Inter; in less a sentence takes more than three lines
SHORT_LINES = 2  # which stand beside the buttons in any width
_START, _CHECKING = tr("Start training"), tr("Checking…")
_READING = tr("The model and the data are being read…")
RUNNING = tr("A run is going on: stop it, or queue this one.")
MEMORY = "memory"  # the path of problems that are about the run's memory
OTHER_NAMES = {"lora_parameters.keys": tr("Targets"), MEMORY: tr("Memory")}
_LOW = Qt.AlignmentFlag.AlignBottom  # the bar grows upwards with its sentence, and Start stays where it is


class StartBar(Foot):
    """Shows problems or the plan it is given; ``shown_requested(path)`` asks to see the field behind an error."""

    start_requested = Signal()
    queue_requested = Signal()
    remote_requested = Signal()
    shown_requested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("start_bar")
        self._sentence = ""
        self._running = self._checking = False
        self._is_laid_out = False  # until then its width says nothing
        self._problems: Sequence[Problem] = ()
        self._build()
        theme.theme().changed.connect(self._dress)
        self._dress()

    def set_plan(self, sentence: str) -> None:
        """What will happen, shown while nothing holds it back."""
        self._sentence = sentence
        self._show()

    def set_problems(self, problems: Sequence[Problem]) -> None:
        """All problems; the errors hold back Start and are named."""
        self._problems = problems
        self._show()

    def set_running(self, running: bool) -> None:
        """While a run is on, a second one cannot be started; it can be queued."""
        self._running = running
        self._show()

    def set_checking(self, checking: bool) -> None:
        """While model and data are read, Start is off and says so."""
        self._checking = checking
        self._show()

    @property
    def text(self) -> str:
        """What the bar says, for tests and screen readers."""
        return self._label.text()

    def _build(self) -> None:
        layout = self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        layout.setContentsMargins(theme.SPACE * 3, theme.SPACE * 3 // 2, theme.SPACE * 3, theme.SPACE * 3 // 2)
        layout.setSpacing(theme.SPACE)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        self._label, self._warnings = LinkLabel(self), LinkLabel(self)
        self._label.setObjectName("start_bar.text")
        self._warnings.setProperty("role", "warning")
        for label in (self._label, self._warnings):
            label.setWordWrap(True)
            label.linkActivated.connect(self.shown_requested)
            texts.addWidget(label)
        layout.addLayout(texts, 1)
        self.queue_button = QPushButton(tr("Add to queue"), self)
        self.queue_button.setObjectName("enqueue")
        self.queue_button.setAccessibleName(tr("Add to queue"))
        self.queue_button.clicked.connect(self.queue_requested)
        self.remote_button = QPushButton(tr("Run on…"), self)
        self.remote_button.setObjectName("run_on")
        self.remote_button.setAccessibleName(tr("Run on another machine"))
        theme.set_role(self.remote_button, kind="link")
        self.remote_button.setCursor(Qt.CursorShape.PointingHandCursor)
        self.remote_button.clicked.connect(self.remote_requested)
        self.button = QPushButton(_START, self)
        self.button.setObjectName("start")
        self.button.setAccessibleName(tr("Start training"))
        theme.set_role(self.button, kind="primary")
        self.button.setMinimumWidth(self.button.sizeHint().width())  # nothing moves when its word changes
        self.button.clicked.connect(self.start_requested)
        buttons = self._buttons = Flow(align=Qt.AlignmentFlag.AlignRight)
        for button in (self.remote_button, self.queue_button, self.button):
            buttons.addWidget(button)
        layout.addLayout(buttons)
        layout.setAlignment(buttons, _LOW)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._is_laid_out = True
        self._arrange()

    def _arrange(self) -> None:
        """Beside the buttons a long sentence needs its width; where they leave it less, it stands above them.

        Start stays at the right of the lower edge either way.
        """
        margins, spacing = self._row.contentsMargins(), self._row.spacing()
        room = self.width() - margins.left() - margins.right() - self._buttons.sizeHint().width() - spacing
        beside = room >= theme.text_width(BESIDE_FROM) or self._is_short_for(room)
        way = QBoxLayout.Direction.LeftToRight if beside else QBoxLayout.Direction.TopToBottom
        if way is not self._row.direction():
            self._row.setDirection(way)
            self._row.setAlignment(self._buttons, _LOW if beside else Qt.AlignmentFlag(0))

    def _is_short_for(self, room: int) -> bool:
        """Whether all that is said stands in so many pixels and the lines that the buttons are high."""
        shown = [label for label in (self._label, self._warnings) if not label.isHidden()]
        if room < max((label.minimumSizeHint().width() for label in shown), default=0):
            return False
        lines = sum(label.heightForWidth(room) for label in shown)
        return lines <= SHORT_LINES * self._label.fontMetrics().lineSpacing() + theme.SPACE

    def _dress(self) -> None:
        c = theme.colors()
        self.setStyleSheet(f"QFrame#start_bar {{ background: {c.card}; border-top: 1px solid {c.border}; }}")
        self.button.setIcon(theme.icon("ph.play-fill", color=c.on_accent))
        self._show()

    def _show(self) -> None:
        c = theme.colors()
        found = {s: [p for p in self._problems if p.severity is s] for s in Severity}
        errors, warnings = found[Severity.ERROR], found[Severity.WARNING]
        if self._running:
            self.button.clearFocus()  # else it would go on to whatever comes next, which the keys then change
        self.button.setEnabled(not errors and not self._running and not self._checking)
        self.button.setText(_CHECKING if self._checking else _START)
        if errors:
            self._label.setText(
                tr(
                    "<span style='color:{muted}'>Before the start: </span>{links}",
                    muted=c.muted,
                    links=_links(errors, c.error),
                )
            )
        else:
            known = _READING if self._checking else self._sentence
            self._label.setText(RUNNING if self._running else known)
        self._warnings.setVisible(bool(warnings) and not errors)
        self._warnings.setText(f"{plural(len(warnings), 'warning')}: {_links(warnings, c.warning)}")
        self.queue_button.setEnabled(not errors and not self._checking)
        self.remote_button.setEnabled(not errors and not self._checking)
        why_not = "\n".join(p.sentence() for p in errors)
        if self._checking:
            why_not = tr("The model and the data are still being read")
        self.button.setToolTip(why_not or with_keys(tr("Start the run in a worker of its own"), MAIN_KEYS))
        self.remote_button.setToolTip(
            why_not or tr("Choose where: a machine by ssh, or a service with GPUs; what it costs is said first")
        )
        self.queue_button.setToolTip(why_not or tr("Train this setup as it is now, after the runs that wait"))
        if self._is_laid_out:
            self._arrange()


def _links(problems: Sequence[Problem], color: str) -> str:
    """Each field once, by its label, as a link to it."""
    names = {p.path: problem_name(p) for p in problems}
    links = [f"<a href='{escape(path)}' style='color:{color}'>{escape(name)}</a>" for path, name in names.items()]
    rest = len(links) - NAMED_ERRORS
    return ", ".join(links[:NAMED_ERRORS]) + (tr(" and {rest} more", rest=rest) if rest > 0 else "")


def problem_name(problem: Problem) -> str:
    """The label of the field that a problem is about, or what it says if it is about none."""
    spec = field_specs().get(problem.path)
    if problem.path == SCALE_PATH:
        return scale_name(load_settings().alpha_convention)
    return OTHER_NAMES.get(problem.path, spec.label if spec else problem.message)
