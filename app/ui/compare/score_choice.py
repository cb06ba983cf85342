"""The choice of scores: which reward functions say how good answers are, of how many prompts, and how long."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QMenu, QPushButton, QVBoxLayout, QWidget

from app.core.config.train_config import FieldSpec
from app.core.language import tr
from app.core.method.reward import BUILT_IN, explanation
from app.core.protocol.job import AskedScores
from app.ui.form.number_box import NumberBox
from app.ui.widget import theme

FIRST_CHOICE = "exact_match"
LIMIT_FIELD = FieldSpec(
    "figures.limit", tr("Prompts"), "int", 50, what=tr("How many prompts are answered, from the first"), minimum=1,
    maximum=10_000,
)  # fmt: skip
TOKENS = FieldSpec(
    "figures.max_tokens", tr("Maximum tokens"), "int", 128, what=tr("Longest answer"), minimum=1, maximum=100_000
)
LIMIT_WIDTH = theme.SPACE * 11


class ScoreChoice(QWidget):
    """Off unless asked for: every score costs an answer to every prompt, by every candidate."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.switch = QCheckBox(tr("Also score answers"), self)
        self.switch.setObjectName("figures.scores")
        self.switch.setToolTip(tr("Have every candidate answer the prompts, and score the answers; takes longer"))
        self.switch.toggled.connect(self._on_switched)
        self._button = QPushButton(self)
        self._button.setObjectName("figures.functions")
        self._menu = QMenu(self._button)
        self._menu.setToolTipsVisible(True)
        self._menu.triggered.connect(self._show_names)
        self._button.setMenu(self._menu)
        self._numbers = {spec: self._number(spec) for spec in (LIMIT_FIELD, TOKENS)}
        self._lay_out()
        self.set_functions(())
        self._on_switched()

    def set_functions(self, own: Sequence[str]) -> None:
        """The functions of a run's own reward file come before the built-in ones; what was chosen stays."""
        chosen = self.functions if self._menu.actions() else [FIRST_CHOICE]
        self._menu.clear()
        for name in dict.fromkeys([*own, *BUILT_IN]):
            action = self._menu.addAction(name)
            action.setCheckable(True)
            action.setChecked(name in chosen)
            action.setToolTip(tr("From the run's reward file") if name in own else explanation(name))
        self._show_names()

    @property
    def functions(self) -> list[str]:
        """The chosen names, in the order of the menu."""
        return [action.text() for action in self._menu.actions() if action.isChecked()]

    def choose(self, *names: str) -> None:
        """Turns scoring on with these functions."""
        for action in self._menu.actions():
            action.setChecked(action.text() in names)
        self.switch.setChecked(True)
        self._show_names()

    def set_number(self, path: str, value: int) -> None:
        """Sets ``figures.limit`` or ``figures.max_tokens``."""
        next(box for spec, box in self._numbers.items() if spec.path == path).set_value(value)

    def asked(self) -> AskedScores:
        """What the job gets as ``scores``; empty if off."""
        if not self.switch.isChecked() or not self.functions:
            return AskedScores()
        limit, tokens = (int(self._numbers[spec].text_value() or spec.default) for spec in (LIMIT_FIELD, TOKENS))
        return AskedScores(functions=tuple(self.functions), limit=limit, max_tokens=tokens)

    def hindrance(self) -> str:
        """Why nothing can be scored as it is chosen; empty if it can."""
        if not self.switch.isChecked():
            return ""
        if not self.functions:
            return tr("Choose the functions that score the answers.")
        return next((box.fault for box in self._numbers.values() if box.fault), "")

    def _on_switched(self) -> None:
        for part in (self._button, self._more):
            part.setVisible(self.switch.isChecked())
        self.changed.emit()

    def _show_names(self, _action: QAction | None = None) -> None:
        names = self.functions
        rest = tr(" and {names} more", names=len(names) - 1) if len(names) > 1 else ""
        self._button.setText(f"{names[0]}{rest}" if names else tr("Choose functions"))
        self._button.setAccessibleName(tr("Scores: {names}", names=", ".join(names) or tr("none")))
        self._button.setToolTip("\n".join(names) or tr("Which reward functions score the answers"))
        self.changed.emit()

    def _number(self, spec: FieldSpec) -> NumberBox:
        box = NumberBox(spec, self)
        box.setObjectName(spec.path)
        box.setAccessibleName(spec.label)
        box.setToolTip(f"{spec.what} ({spec.range_text})")
        box.set_value(spec.default)
        box.edited.connect(self.changed)
        box.unreadable.connect(self.changed)
        box.setFixedWidth(theme.text_width(LIMIT_WIDTH))
        return box

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE * 2)
        head.addWidget(self.switch)
        head.addWidget(self._button)
        head.addStretch(1)
        self._more = QWidget(self)
        row = QHBoxLayout(self._more)
        row.setContentsMargins(theme.SPACE * 3, 0, 0, 0)
        row.setSpacing(theme.SPACE)
        for spec, box in self._numbers.items():
            label = QLabel(spec.label, self._more)
            label.setBuddy(box)
            theme.set_role(label, role="muted")
            row.addWidget(label)
            row.addWidget(box)
            row.addSpacing(theme.SPACE)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(head)
        layout.addWidget(self._more)
