"""The dialog that gives a model without a chat template one: offered, shown with an example, and editable."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QDialogButtonBox, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from app.core.language import tr
from app.core.model.template import (
    TEMPLATE_FILE,
    base_folder,
    check_template,
    is_templated,
    template_offers,
    template_text,
    with_template,
)
from app.core.refusal import reason_of
from app.ui.form.plain_editor import ChoiceBox
from app.ui.widget import theme
from app.ui.widget.keyed_dialog import KeyedDialog

TEMPLATE_DIALOG_SIZE = (680, 620)  # px in Inter, at least
MINE = tr("As edited")
EXPLAINED = tr(
    "A base model has not learned where a turn of a conversation begins and ends. The template "
    "writes that, for training and for every answer afterwards. It is kept with a folder of "
    "links to the model's files and beside the adapter; the model itself stays as it is."
)


class TemplateDialog(KeyedDialog):
    """``chosen`` has the folder of the model with its template, to be used in its place."""

    chosen = Signal(str)

    def __init__(self, model: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("template_dialog")
        self.setWindowTitle(tr("Chat template"))
        self.resize(*(round(theme.text_width(side)) for side in TEMPLATE_DIALOG_SIZE))
        self._base = base_folder(model)
        self._offers = template_offers(self._base)
        self._build()
        if is_templated(model):
            self._text.setPlainText((model / TEMPLATE_FILE).read_text(encoding="utf-8"))
        else:
            self._take_offer(0)
        self._text.textChanged.connect(self._check)
        self._check()

    def _build(self) -> None:
        explained = QLabel(EXPLAINED, self)
        explained.setWordWrap(True)
        theme.set_role(explained, role="muted")
        choices = [(number, offer.label) for number, offer in enumerate(self._offers)]
        self._choice = ChoiceBox((*choices, (-1, MINE)), self)
        self._choice.setObjectName("template.choice")
        self._choice.setAccessibleName(tr("Template"))
        self._choice.setToolTip(tr("Templates whose tokens the model knows, and ChatML"))
        self._choice.edited.connect(self._take_offer)
        fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        self._text, self._example = QPlainTextEdit(self), QPlainTextEdit(self)
        for view, name, title in (
            (self._text, "template.text", tr("Template")),
            (self._example, "template.example", tr("Example")),
        ):
            view.setObjectName(name)
            view.setAccessibleName(title)
            view.setFont(fixed)
            view.setTabChangesFocus(True)
        self._example.setReadOnly(True)
        self._problem = QLabel(self)
        self._problem.setObjectName("template.problem")
        self._problem.setWordWrap(True)
        theme.set_role(self._problem, role="error")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel, self)
        self._use = QPushButton(tr("Use this template"), self)
        self._use.setObjectName("template.use")
        self._use.setDefault(True)
        theme.set_role(self._use, kind="primary")
        buttons.addButton(self._use, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(explained)
        layout.addWidget(self._choice)
        layout.addWidget(self._text, 1)
        layout.addWidget(QLabel(tr("As the model will read it:"), self))
        layout.addWidget(self._example, 1)
        layout.addWidget(self._problem)
        layout.addWidget(buttons)

    def _take_offer(self, number: int) -> None:
        if number >= 0:
            self._text.setPlainText(self._offers[number].text)

    def _check(self) -> None:
        """Shows the example, or what is wrong; and which of the offers it is."""
        text = self._text.toPlainText()
        self._choice.set_value(next((n for n, offer in enumerate(self._offers) if offer.text == text), -1))
        try:
            check_template(text)
            self._example.setPlainText(template_text(text))
            problem = ""
        except ValueError as error:
            self._example.setPlainText("")
            problem = str(error)
        self._problem.setText(problem)
        self._use.setEnabled(not problem)

    def _accept(self) -> None:
        text = self._text.toPlainText()
        try:
            folder = with_template(self._base, text)
        except OSError as error:
            self._problem.setText(
                tr(
                    "The folder cannot be made: {reason_of} ({filename}).",
                    reason_of=reason_of(error),
                    filename=error.filename,
                )
            )
            return
        self.chosen.emit(str(folder))
        self.accept()
