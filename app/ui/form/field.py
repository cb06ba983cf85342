"""One config value on a form: label, help, reset, editor, hint and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QSizePolicy, QVBoxLayout, QWidget

from app.core.config.spec import field_specs
from app.core.config.train_config import FieldSpec
from app.core.language import tr
from app.core.problem import Problem, Severity
from app.core.quantity import no_number_text
from app.ui.form.editor import Editor, make_editor, name_editor
from app.ui.form.help_popover import HelpButton, HelpPopover
from app.ui.form.number_box import NumberBox
from app.ui.form.path_editor import ComposedEditor
from app.ui.form.plain_editor import CheckEditor, ChoiceBox
from app.ui.form.store import ConfigStore
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.icon_button import IconButton

Commit = Callable[[Any], Problem | None]
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


class Field(QWidget):
    """Shows and edits one value of a `ConfigStore`; ``editor`` is one to use instead of the kind's own.

    ``shown`` turns the stored value into the one the editor shows, and ``commit`` stores what was edited.

    A text that is no usable value stays as typed, marked, and `own_problem` says why, so that Start can be held
    back: the config still has the value before. ``own_problem_changed`` fires when that appears or goes.
    """

    own_problem_changed = Signal()
    is_of_form = True  # what is undone in it are the steps of the store: a second order of them would tear both

    def __init__(
        self,
        path: str,
        store: ConfigStore,
        parent: QWidget | None = None,
        *,
        commit: Commit | None = None,
        shown: Callable[[Any], Any] | None = None,
        resettable: bool = True,
        hint: str = "",
        editor: Editor | None = None,
        labelled: bool = True,
    ) -> None:
        super().__init__(parent)
        self.spec: FieldSpec = field_specs()[path]
        self._store = store
        self._commit = commit or self._set_in_store
        self._shown = shown
        self._resettable = resettable
        self._problems: Sequence[Problem] = ()
        self.own_problem: Problem | None = None
        self.setObjectName(f"{path}.field")
        self.editor = editor if editor is not None else make_editor(self.spec, self)
        if editor is not None:
            name_editor(editor, self.spec)
        self._build(hint, labelled)
        self.editor.edited.connect(self._on_edited)
        number = self.editor if isinstance(self.editor, NumberBox) else self.editor.findChild(NumberBox)
        self._number = number if isinstance(number, NumberBox) else None  # where a number is typed
        if self._number is not None:
            self._number.unreadable.connect(self._on_unreadable)
        line = self.editor.line if isinstance(self.editor, ComposedEditor) else self.editor
        self._is_typed = isinstance(line, NumberBox | QLineEdit)
        if isinstance(line, NumberBox | QLineEdit):
            line.editingFinished.connect(store.settle)
        store.changed.connect(self._on_changed)
        self.refresh()

    @property
    def path(self) -> str:
        return self.spec.path

    @property
    def is_switch(self) -> bool:
        """True for a check box, which carries its label itself."""
        return isinstance(self.editor, CheckEditor)

    def refresh(self) -> None:
        """Shows the store's value."""
        value = self._store.value(self.path)
        self.editor.set_value(value if self._shown is None else self._shown(value))
        self._show_reset()
        self._set_own(None)

    @property
    def can_undo(self) -> bool:
        """Whether a text stands there that the store did not take: undo takes that back first."""
        return self._is_typed and (self._is_unread or self.own_problem is not None)

    def undo(self) -> None:
        """Shows what the store has."""
        self.refresh()

    def judge(self) -> None:
        """Judges a number that may still be typed on: by now it counts as it stands."""
        if self._number is not None and self._is_unread:
            self._on_unreadable(self._number.text())

    @property
    def _is_unread(self) -> bool:
        number = self._number
        return number is not None and not number.isHidden() and not number.is_read

    def set_label(self, text: str) -> None:
        """Names the field anew, where what its number means is a choice."""
        self._caption.setText(text)

    def default_value(self) -> Any:
        """What the reset puts back, as it stands in the store."""
        return self._store.default(self.path)

    def takes_text(self) -> str:
        """The range of the values that it takes, as a sentence; empty where any will do."""
        return (
            tr("{label} takes {range_text}.", label=self.spec.label, range_text=self.spec.range_text)
            if self.spec.range_text
            else ""
        )

    def set_hint(self, text: str) -> None:
        """A quiet line under the editor; "" takes it away."""
        self._hint.setText(text)
        self._hint.setVisible(bool(text))

    def set_problems(self, problems: Sequence[Problem]) -> None:
        """Shows what checks found about this field, the gravest first."""
        if self.editor.value() in ("", None) and self.spec.kind == "path":
            # An empty place invites, Start says that it is needed; but what a file said of it stands there.
            problems = [problem for problem in problems if problem.file]
        self._problems = sorted(problems, key=lambda p: _ORDER[p.severity])
        self._show_problems()

    def set_choices(self, choices: Sequence[tuple[Any, str]]) -> None:
        """Replaces the choices of a choice field."""
        assert isinstance(self.editor, ChoiceBox)
        self.editor.clear()
        for value, text in choices:
            self.editor.addItem(text, value)
        self.refresh()

    def focus(self) -> None:
        """Gives the editor the keyboard."""
        self.editor.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def show_help(self) -> None:
        """Opens the explanation of the field, as its "?" does."""
        HelpPopover(self.spec, self).show_below(self._help if self._help.isVisible() else self)

    # -- parts ------------------------------------------------------------------------------------------------

    def _build(self, hint: str, labelled: bool) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        head = QWidget(self)
        row = QHBoxLayout(head)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        row.addWidget(self.editor if self.is_switch else self._label())
        self._help = HelpButton(self.spec, self)
        row.addWidget(self._help)
        row.addStretch(1)
        row.addWidget(self._reset())
        head.setFixedHeight(theme.line_px())
        if not labelled:
            head.hide()  # to show it here would lay it out before it has a place
        layout.addWidget(head)
        if not self.is_switch:
            layout.addWidget(self.editor)
        self._hint, self._problem = _line("small"), _line("error")
        self._problem.setObjectName(f"{self.path}.problem")
        layout.addWidget(self._problem)
        layout.addWidget(self._hint)
        layout.addStretch(1)
        self.set_hint(hint)
        self._problem.hide()

    def _label(self) -> ElidedLabel:
        self._caption = label = ElidedLabel(self.spec.label, self)
        # As wide as its text, but it gives way to the buttons beside it where a column is narrow.
        label.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        label.setProperty("role", "label")
        label.setBuddy(self.editor)
        return label

    def _reset(self) -> IconButton:
        self.reset_button = IconButton("ph.arrow-counter-clockwise", tr("Back to the default"), self, size=14)
        self.reset_button.setObjectName(f"{self.path}.reset")
        theme.set_role(self.reset_button, kind="mini")
        self.reset_button.clicked.connect(self.reset)
        return self.reset_button

    def _default_text(self) -> str:
        value = self.default_value()
        value = value if self._shown is None or not isinstance(value, float) else self._shown(value)
        if self.spec.choices:
            return next((text for choice, text in self.spec.choices if choice == value), str(value))
        if isinstance(value, bool):
            return tr("on") if value else tr("off")
        if isinstance(value, float):
            return f"{value:g}"
        return tr("nothing") if value in ("", None) else str(value)

    def _is_default(self) -> bool:
        value = self._store.value(self.path)
        return self._store.is_default(self.path) or bool(value == self.default_value())

    def _show_reset(self) -> None:
        text = tr("Back to {default_text}", default_text=self._default_text())
        self.reset_button.setVisible(self._resettable and not self._is_default())
        self.reset_button.setAccessibleName(text)
        self.reset_button.setToolTip(text)

    # -- what happens -----------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Puts the default back."""
        self._store.set(self.path, self.default_value())
        self._store.follow_again(self.path)
        self.refresh()

    def _set_in_store(self, value: Any) -> Problem | None:
        return self._store.set(self.path, value)

    def _on_edited(self, value: Any) -> None:
        if isinstance(self.editor, NumberBox) and value is None and not self.spec.optional:
            return
        with self._store.typing(self.path if self._is_typed else ""):
            problem = self._commit(value)
        self._set_own(problem)
        self._show_reset()

    def _on_unreadable(self, text: str) -> None:
        is_whole = self.spec.kind == "int"
        said = no_number_text(text, whole=is_whole) if text.strip() else tr("A number is needed here.")
        point = tr("A comma stands between thousands; decimals have a point.") if "," in text else ""
        self._set_own(Problem(self.path, said, hint=" ".join(filter(None, (point, self.takes_text())))))

    def _on_changed(self, path: str) -> None:
        if path in ("", self.path):
            self.refresh()

    def _set_own(self, problem: Problem | None) -> None:
        if problem == self.own_problem:
            return
        self.own_problem = problem
        self._show_problems()
        self.own_problem_changed.emit()

    def _show_problems(self) -> None:
        shown = [self.own_problem] if self.own_problem else list(self._problems)
        gravest = shown[0].severity.value if shown else ""
        if (self.editor.property("problem") or "") != gravest:
            self.editor.setProperty("problem", gravest)
            line = self.editor.line if isinstance(self.editor, ComposedEditor) else self.editor
            theme.set_role(line, problem=gravest)
            theme.set_role(self._problem, role=gravest or "note")
        self._problem.setText("\n".join(p.text for p in shown))
        self._problem.setVisible(bool(shown))


def _line(role: str) -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setProperty("role", role)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
