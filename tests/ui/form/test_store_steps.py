"""The store of a form over any steps: values, what can be taken back, and what is on disk, held against a model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.setup.default import FOLLOWING
from app.ui.form.store import ConfigStore

STAYS = ("model", "data", "valid_data", "test_data")  # through a reset
CHANGES: list[dict[str, Any]] = [
    {"seed": 1}, {"seed": 3, "lora_parameters.rank": 4}, {"model": "/m", "data": "/a.jsonl"},
    {"model": "/n", "valid_data": "/v.jsonl"}, {"test_data": "/t.jsonl"}, {"steps_per_eval": 40},
]  # fmt: skip
WORKED_OUT: list[dict[str, Any]] = [
    {"steps_per_eval": 30, "save_every": 30}, {"steps_per_eval": 40}, {"mask_prompt": True}, {"mask_prompt": False}
]  # fmt: skip
OPENED = [TrainConfig(), TrainConfig(seed=9, model="/of/the/file"), TrainConfig(steps_per_eval=7, data="/b.jsonl")]

Step = tuple[TrainConfig, frozenset[str]]


class StoreSteps(RuleBasedStateMachine):
    """What a person does with a form, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._file = Path(self._folder.name) / "form.yaml"
        self.store = ConfigStore(autosave=self._file)
        self.now: Step = (TrainConfig(), FOLLOWING)
        self.past: list[Step] = []
        self.future: list[Step] = []
        self.worked_out: dict[str, Any] = {}
        self.typed = ""  # the field whose step is still open

    def teardown(self) -> None:
        self.store.deleteLater()
        self._folder.cleanup()

    def _becomes(self, config: TrainConfig, following: frozenset[str]) -> None:
        if config != self.now[0]:
            self.past.append(self.now)
            self.future = []
            self.typed = ""
        self.now = (config, following)

    def _followed(self, values: dict[str, Any]) -> None:
        config, following = self.now
        self.now = config.with_values({path: values[path] for path in values.keys() & following}), following

    @rule(values=st.sampled_from(CHANGES))
    def set(self, values: dict[str, Any]) -> None:
        assert self.store.set_many(values) is None
        self._becomes(self.now[0].with_values(values), self.now[1] - values.keys())

    @rule(path=st.sampled_from(["seed", "batch_size"]), numbers=st.lists(st.integers(1, 3), max_size=3))
    def type(self, path: str, numbers: list[int]) -> None:
        """More of it is the same step, until it means what stood there before."""
        for number in numbers:
            with self.store.typing(path):
                assert self.store.set(path, number) is None
            config, following = self.now[0].with_values({path: number}), self.now[1] - {path}
            if config == self.now[0]:
                self.now = config, following
            elif path != self.typed:
                self._becomes(config, following)
                self.typed = path
            else:
                self.now, self.future = (config, following), []
                if self.past[-1][0] == config:
                    self.past.pop()
                    self.typed = ""

    @rule()
    def leave_the_field(self) -> None:
        self.store.settle()
        self.typed = ""

    @rule()
    def set_what_is_refused(self) -> None:
        assert self.store.set_many({"seed": 5, "batch_size": -1}) is not None

    @rule(values=st.sampled_from(WORKED_OUT))
    def follow(self, values: dict[str, Any]) -> None:
        self.store.follow(values)
        self.worked_out |= values
        self._followed(values)

    @rule(config=st.sampled_from(OPENED))
    def open(self, config: TrainConfig) -> None:
        self.store.replace(config)
        self._becomes(config, frozenset())

    @rule()
    def reset(self) -> None:
        self.store.reset()
        kept = {path: self.now[0].value(path) for path in STAYS}
        followed = {path: value for path, value in self.worked_out.items() if path in FOLLOWING}
        self._becomes(TrainConfig().with_values(kept | followed), FOLLOWING)

    @precondition(lambda self: self.past)
    @rule()
    def undo(self) -> None:
        self.store.undo()
        self.future.append(self.now)
        self.now = self.past.pop()
        self.typed = ""

    @precondition(lambda self: self.future)
    @rule()
    def redo(self) -> None:
        self.store.redo()
        self.past.append(self.now)
        self.now = self.future.pop()
        self.typed = ""

    @rule()
    def start_again(self) -> None:
        """The window was killed: nothing is saved but what was saved by itself."""
        self.store.deleteLater()
        self.store = ConfigStore(autosave=self._file)
        assert self.store.restore_form() == []
        config, following = self.now
        self.now = config.with_values({path: TrainConfig().value(path) for path in following}), following
        self.past, self.future, self.worked_out, self.typed = [], [], {}, ""

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        assert (self.store.config, self.store.following) == self.now
        assert (self.store.can_undo, self.store.can_redo) == (bool(self.past), bool(self.future))

    @invariant()
    def what_changed_is_on_disk_when_its_moment_has_come(self) -> None:
        """Where nothing is waiting to be saved, all of it has been."""
        if self.store._timer.isActive():
            self.store._timer.timeout.emit()
        again = ConfigStore(autosave=self._file)
        assert again.restore_form() == []
        following = self.now[1]
        for path in TrainConfig.model_fields:
            if path not in following:
                assert again.value(path) == self.now[0].value(path), path
        assert again.following == following or not self._file.exists()
        again.deleteLater()


def test_any_steps(qtbot: QtBot) -> None:  # noqa: ARG001  # timers want an application
    run_state_machine_as_test(StoreSteps, settings=settings(max_examples=15, stateful_step_count=20, deadline=None))
