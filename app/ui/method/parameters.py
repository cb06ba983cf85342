"""The card with the parameters of the chosen method, and of no other."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from app.core.config.spec import field_specs
from app.core.language import tr
from app.core.method.method import Method
from app.core.method.table import values_of_their_own
from app.core.setup.chosen_method import clip_range, has_judge
from app.ui.form.field import Field
from app.ui.form.grid import FieldGrid
from app.ui.form.number_box import NumberBox, number_text
from app.ui.form.path_editor import PathEditor
from app.ui.form.store import ConfigStore
from app.ui.widget.card import Card

REWARDS = "reward_"  # parameters that begin so have a card of their own
SECOND_MODELS = {"reference_model_path": tr("The base itself"), "judge": tr("The reward functions")}
JUDGE_PROMPT, NO_JUDGE = "judge_config.system_prompt", tr("Only a model can be told: choose one as judge first.")


class MethodParameters(Card):
    """Edits the parameters of a method in a `ConfigStore`; ``rebuilt`` fires when ``fields`` are others."""

    rebuilt = Signal()

    def __init__(self, store: ConfigStore, parent: QWidget | None = None) -> None:
        super().__init__(tr("Parameters"), parent=parent)
        self.setObjectName("method_parameters")
        self._store = store
        self.fields: dict[str, Field] = {}
        self._part: QWidget | None = None
        store.changed.connect(self._on_changed)

    def show_method(self, method: Method) -> None:
        """Shows the fields of a method; those of the one before are gone."""
        if self._part is not None:
            self._part.hide()
            self._part.setParent(None)
            self._part.deleteLater()
        self.title.setText(tr("Parameters of {label}", label=method.label))
        paths = [path for path in method.parameters if not path.startswith(REWARDS)]
        part = self._part = FieldGrid(self)
        self.fields = {path: self._field(path, part) for path in paths}
        for path in sorted(paths, key=lambda path: path == JUDGE_PROMPT or field_specs()[path].kind == "path"):
            part.add(self.fields[path])
        self.body.addWidget(self._part)
        self.setVisible(bool(paths))
        self._show_clip()
        self._show_word()
        self.rebuilt.emit()

    def _field(self, path: str, parent: QWidget) -> Field:
        if path in SECOND_MODELS:
            editor = PathEditor(field_specs()[path], parent, folder=True, placeholder=SECOND_MODELS[path])
            return Field(path, self._store, parent, editor=editor)
        field = Field(path, self._store, parent)
        if taken := values_of_their_own(path):  # such as SimPO, which has a card here
            field.set_choices([choice for choice in field.spec.choices if choice[0] not in taken])
        return field

    def _show_clip(self) -> None:
        """What holds where a clip range is left empty."""
        low, high = clip_range(self._store.config)
        for path, value in (("epsilon", low), ("epsilon_high", high)):
            if path in self.fields:
                editor = self.fields[path].editor
                assert isinstance(editor, NumberBox)
                editor.set_placeholder(number_text(value))

    def _show_word(self) -> None:
        """A word to the judge needs one who listens."""
        if JUDGE_PROMPT in self.fields:
            listens = has_judge(self._store.config)
            self.fields[JUDGE_PROMPT].setEnabled(listens)
            self.fields[JUDGE_PROMPT].set_hint("" if listens else NO_JUDGE)

    def _on_changed(self, path: str) -> None:
        if path in ("", "judge"):
            self._show_word()
        if path in ("", "epsilon", "epsilon_high"):
            self._show_clip()
