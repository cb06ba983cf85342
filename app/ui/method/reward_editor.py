"""The editor of the reward functions: all that there are, which of them count, and how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.core.language import tr
from app.core.method.reward import BUILT_IN, Declared, explanation
from app.ui.form.path_editor import ComposedEditor
from app.ui.method.reward_row import RewardRow
from app.ui.widget import theme

OWN = tr("Your own")
MISSING = tr("There is no such function")

Weighted = tuple[tuple[str, float], ...]


class RewardEditor(ComposedEditor):
    """Its value is a tuple of (name, weight) in the order of the rows."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: dict[str, RewardRow] = {}
        self._own: tuple[Declared, ...] = ()
        self._value: Weighted = ()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, theme.SPACE // 2, 0, 0)
        self._layout.setSpacing(theme.SPACE * 3 // 2)
        for name in built_in_names():
            self._add(RewardRow(name, explanation(name), self))
        self.line = self
        self.setFocusProxy(next(iter(self.rows.values())).check)

    def value(self) -> Weighted:
        """What counts, and with what weight."""
        return tuple((row.name, row.weight) for row in self.rows.values() if row.is_on)

    def set_value(self, value: Any) -> None:
        """Shows a value without telling anyone; a name that is nowhere declared gets a row too, to be taken out."""
        self._value = tuple(value)
        weights = {_first_name(name, self._own): weight for name, weight in self._value}
        own = {function.name: function.what for function in self._own}
        built_in = built_in_names()
        others = [name for name in dict.fromkeys([*own, *weights]) if name not in built_in]
        if others != [name for name in self.rows if name not in built_in]:
            self._remake({name: (OWN, own[name]) if name in own else (MISSING, "") for name in others})
        for name, row in self.rows.items():
            row.set_value(name in weights, weights.get(name, 1.0))
        self._show_shares()

    def set_own(self, declared: Sequence[Declared]) -> None:
        """Tells which functions the user's own file has; they come before built-in ones of the same name."""
        if tuple(declared) != self._own:
            self._own = tuple(declared)
            self.set_value(self._value)

    def _remake(self, others: dict[str, tuple[str, str]]) -> None:
        """Makes the rows below the built-in ones anew."""
        for name in self.rows.keys() - set(built_in_names()):
            row = self.rows.pop(name)
            row.hide()
            row.setParent(None)
            row.deleteLater()
        for name, (origin, what) in others.items():
            self._add(RewardRow(name, what, self, origin=origin))

    def _add(self, row: RewardRow) -> None:
        row.edited.connect(self._on_row)
        self.rows[row.name] = row
        self._layout.addWidget(row)

    def _on_row(self) -> None:
        self._value = self.value()
        self._show_shares()
        self.edited.emit(self._value)

    def _show_shares(self) -> None:
        total = sum(abs(weight) for _, weight in self.value())
        for row in self.rows.values():
            row.show_share(abs(row.weight) / total if total else None)


def built_in_names() -> list[str]:
    """The built-in functions, each by its first name; the others are mlx-lm-lora's names for the same."""
    names: dict[Any, str] = {}
    for name, function in BUILT_IN.items():
        names.setdefault(function, name)
    return list(names.values())


def _first_name(name: str, own: Sequence[Declared]) -> str:
    if name not in BUILT_IN or any(function.name == name for function in own):
        return name
    return next(first for first, function in BUILT_IN.items() if function is BUILT_IN[name])
