"""The dialog "Which method?": three questions that lead to one of the methods, and a button that chooses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QDialogButtonBox,
    QFrame,
    QLabel,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from app.core.language import tr
from app.core.method.advice import AIMS, MATERIALS, MEMORIES, Advice, Aim, HeldExamples, MemoryAtHand, advise
from app.core.method.method import Method
from app.core.method.table import METHODS
from app.ui.widget import theme
from app.ui.widget.keyed_dialog import KeyedDialog

ADVICE_WIDTH = 460  # px in Inter
WHY_LINES = 2  # what the longest reason takes, kept free so that nothing moves


class AdviceDialog(KeyedDialog):
    """``chosen`` has the name of the advised method when its button is pressed; begins with ``method``'s kind."""

    chosen = Signal(str)

    def __init__(self, method: Method, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("advice_dialog")
        self.setWindowTitle(tr("Which method?"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 3] * 4)
        layout.setSpacing(theme.SPACE // 2)
        self._groups: dict[str, QButtonGroup] = {}
        questions: tuple[tuple[str, str, Mapping[str, str]], ...] = (
            ("material", tr("What examples do you have?"), cast("Mapping[str, str]", MATERIALS)),
            ("memory", tr("How is memory?"), cast("Mapping[str, str]", MEMORIES)),
            ("aim", tr("What matters most?"), cast("Mapping[str, str]", AIMS)),
        )
        for name, question, answers in questions:
            self._ask(layout, name, question, answers)
        layout.addWidget(self._result())
        layout.addSpacing(theme.SPACE)
        layout.addWidget(self._buttons())
        held = self._button("material", _material_of(method))
        held.setChecked(True)
        held.setFocus()  # else Tab would begin at the first, and pass the one that is chosen
        self._button("memory", "room").setChecked(True)
        self._button("aim", "proven").setChecked(True)
        for group in self._groups.values():
            group.buttonToggled.connect(self._show)
        self._show()
        self.setFixedWidth(theme.text_width(ADVICE_WIDTH))

    @property
    def advice(self) -> Advice:
        """What the present answers lead to."""
        return advise(
            cast("HeldExamples", self._answer("material")),
            cast("MemoryAtHand", self._answer("memory")),
            cast("Aim", self._answer("aim")),
        )

    # -- parts ------------------------------------------------------------------------------------------------

    def _ask(self, layout: QVBoxLayout, name: str, question: str, answers: Mapping[str, str]) -> None:
        label = QLabel(question, self)
        label.setProperty("role", "label")
        layout.addWidget(label)
        group = self._groups[name] = QButtonGroup(self)
        for answer, text in answers.items():
            button = QRadioButton(text, self)
            button.setObjectName(f"advice.{name}.{answer}")
            button.setAccessibleDescription(question)
            button.setProperty("answer", answer)
            group.addButton(button)
            layout.addWidget(button)
        layout.addSpacing(theme.SPACE * 3 // 2)

    def _result(self) -> QFrame:
        well = QFrame(self)
        well.setProperty("role", "well")
        inner = QVBoxLayout(well)
        inner.setContentsMargins(*[theme.SPACE * 3 // 2] * 4)
        inner.setSpacing(theme.SPACE // 2)
        self._title, self._why = QLabel(well), QLabel(well)
        self._title.setObjectName("advice.title")
        self._title.setProperty("role", "section")
        self._why.setObjectName("advice.why")
        self._why.setWordWrap(True)
        self._why.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._why.setMinimumHeight(WHY_LINES * theme.line_px())
        inner.addWidget(self._title)
        inner.addWidget(self._why)
        return well

    def _buttons(self) -> QDialogButtonBox:
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel, self)
        self.choose = QPushButton(self)
        self.choose.setObjectName("advice.choose")
        self.choose.setDefault(True)
        theme.set_role(self.choose, kind="primary")
        box.addButton(self.choose, QDialogButtonBox.ButtonRole.AcceptRole)
        box.accepted.connect(self.accept)
        box.rejected.connect(self.reject)
        return box

    def _button(self, name: str, answer: str) -> QRadioButton:
        found = self.findChild(QRadioButton, f"advice.{name}.{answer}")
        assert isinstance(found, QRadioButton)
        return found

    # -- what happens -----------------------------------------------------------------------------------------

    def _answer(self, name: str) -> str:
        button = self._groups[name].checkedButton()
        return "" if button is None else str(button.property("answer"))

    def _show(self) -> None:
        if any(group.checkedButton() is None for group in self._groups.values()):
            return  # between two answers of a group
        found = self.advice
        self._title.setText(METHODS[found.method].title)
        self._why.setText(found.why)
        self.choose.setText(tr("Choose {label}", label=METHODS[found.method].label))

    def accept(self) -> None:
        self.chosen.emit(self.advice.method)
        super().accept()


def _material_of(method: Method) -> HeldExamples:
    """The examples that a method is usually given."""
    if method.takes_labels:
        return "labels"
    if method.is_sampled:
        return "prompts" if method.is_judged else "checked"
    return "pairs" if method.data == "pairs" else "answers"
