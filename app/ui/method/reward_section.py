"""The card "Rewards": which functions score the sampled answers, how much each counts, and what they would give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QWidget

from app.core.language import tr
from app.core.problem import Problem
from app.ui.form.field import Field
from app.ui.form.grid import FieldGrid
from app.ui.form.store import ConfigStore
from app.ui.method.reward_editor import RewardEditor, Weighted
from app.ui.method.reward_file import RewardFile
from app.ui.method.reward_tester import RewardTester
from app.ui.widget.card import Card, Disclosure

FUNCTIONS, WEIGHTS = "reward_functions", "reward_weights"


class RewardSection(Card):
    """Edits the reward functions of a `ConfigStore`, their weights and the file with the user's own."""

    def __init__(
        self,
        store: ConfigStore,
        find_example: Callable[[], tuple[str, str] | None],
        parent: QWidget | None = None,
    ) -> None:
        what = tr("Each sampled answer is scored by these functions; the weighted sum is its reward.")
        super().__init__(tr("Rewards"), what, parent)
        self.setObjectName("reward_section")
        self._store = store
        self.editor = RewardEditor(self)
        self.file = RewardFile(store, self)
        functions = Field(
            FUNCTIONS, store, self, editor=self.editor, commit=self._commit, shown=self._shown, labelled=False
        )
        timeout = Field("reward_timeout_s", store, self)
        self.fields = {FUNCTIONS: functions, "reward_functions_file": self.file.field, "reward_timeout_s": timeout}
        self.body.addWidget(functions)
        self.body.addWidget(self.file)
        self._timeout = FieldGrid(self)
        self._timeout.add(timeout)
        self.body.addWidget(self._timeout)
        self.tester = RewardTester(store, self.file, self.editor.value, find_example, self)
        self.disclosure = Disclosure(tr("Try the rewards"), self.tester, self)
        self.disclosure.button.setObjectName("reward_test.more")
        self.disclosure.button.setToolTip(tr("Type an answer and see what each function gives for it"))
        self.body.addWidget(self.disclosure)
        self.file.read.connect(self._on_read)
        store.changed.connect(self._on_changed)
        self._on_read()

    @property
    def problem(self) -> Problem | None:
        """What holds a run back that the config alone does not tell."""
        return self.file.problem if self._uses_own() else None

    def shutdown(self) -> None:
        """Ends the tester's process before the window closes."""
        self.tester.shutdown()

    def _uses_own(self) -> bool:
        own = {function.name for function in self.file.declared}
        return bool(own & set(self._store.value(FUNCTIONS)))

    def _shown(self, names: tuple[str, ...]) -> Weighted:
        weights = self._store.value(WEIGHTS) or (1.0,) * len(names)
        padded = (*weights, *(1.0,) * (len(names) - len(weights)))  # what is wrong with their number, a check says
        return tuple(zip(names, padded, strict=False))

    def _commit(self, value: Any) -> Problem | None:
        """All weights 1 are written as none, as a config has it that says nothing of them."""
        names, weights = tuple(name for name, _ in value), tuple(weight for _, weight in value)
        plain = all(weight == 1.0 for weight in weights)
        return self._store.set_many({FUNCTIONS: names, WEIGHTS: () if plain else weights})

    def _on_changed(self, path: str) -> None:
        if path == WEIGHTS:
            self.fields[FUNCTIONS].refresh()

    def _on_read(self) -> None:
        self.editor.set_own(self.file.declared)
        self._timeout.setVisible(self.file.path is not None)
