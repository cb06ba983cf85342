"""The Enhanced Setup tab: training from preferences and rewards, and the attention-only baseline."""

from __future__ import annotations

from typing import Any, ClassVar

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from app.core.data.format import Features
from app.core.data.layout import layout_of
from app.core.data.rated import goal_of, prompt_of
from app.core.data.row_check import full_check, is_good
from app.core.language import tr
from app.core.problem import Problem
from app.core.setup import plan
from app.core.setup.chosen_method import method_of, uses_rewards
from app.core.setup.method_check import check_method
from app.ui.form.field import Field
from app.ui.form.store import ConfigStore
from app.ui.method.choice import NEEDS, SUPERVISED_FIELDS, defaults_of
from app.ui.method.parameters import MethodParameters
from app.ui.method.reward_section import RewardSection
from app.ui.method.section import MethodSection
from app.ui.setup.config_tab import ConfigTab, Focusable
from app.ui.widget import theme
from app.ui.worker.inspector import Inspector

MODEL_FIELDS, DATA_FIELDS = ("model",), ("model", "data", "valid_data", "test_data")


class EnhancedTab(ConfigTab):
    """The form of a run with a method; model and data can be taken over from the ``setup`` form."""

    name = "enhanced_tab"
    title = tr("Enhanced Setup")
    trial_requested = Signal(object)  # Method
    line = tr("Preferences, rewards, and the attention-only baseline.")
    told_at: ClassVar[dict[str, str]] = ConfigTab.told_at | {"reward_weights": "reward_functions"}

    def __init__(
        self, store: ConfigStore, inspector: Inspector, setup: ConfigStore, parent: QWidget | None = None
    ) -> None:
        self._setup = setup
        self._example = 0
        super().__init__(store, inspector, parent)
        self._show_method()

    def shutdown(self) -> None:
        super().shutdown()
        self.rewards.shutdown()

    # -- parts ------------------------------------------------------------------------------------------------

    def _sections(self, page: QWidget) -> list[QWidget]:
        self.methods = MethodSection(self.store, page)
        self.methods.chosen.connect(self._show_method)
        self.methods.starter_requested.connect(self.data_panel.use_starter)
        self.methods.trial_requested.connect(lambda: self.trial_requested.emit(self.methods.method))
        self.parameters = MethodParameters(self.store, page)
        self.parameters.rebuilt.connect(self._on_rebuilt)
        self.rewards = RewardSection(self.store, self._next_example, page)
        self.rewards.file.read.connect(self._turn.start)
        first, *rest = super()._sections(page)
        return [self.methods, first, self.parameters, self.rewards, *rest]

    def _head_buttons(self) -> list[QPushButton]:
        button = QPushButton(tr("From Setup"), self)
        button.setObjectName("take_over")
        button.setToolTip(tr("Use the model, or model and data, of the Setup tab"))
        theme.set_role(button, kind="quiet")
        menu = QMenu(button)
        menu.addAction(tr("The model"), self.take_model)
        menu.addAction(tr("Model and data"), self.take_model_and_data)
        button.setMenu(menu)
        return [button]

    @property
    def _made_fields(self) -> dict[str, Field]:
        shown = super()._made_fields | self.parameters.fields
        return shown | self.rewards.fields if self._has_rewards else shown

    # -- method -----------------------------------------------------------------------------------------------

    @property
    def _has_rewards(self) -> bool:
        return uses_rewards(self.store.config)

    @property
    def _samples(self) -> bool:
        return method_of(self.store.config).is_sampled

    def _show_method(self) -> None:
        """Shows what the chosen method reads, and nothing else."""
        method = method_of(self.store.config)
        need = NEEDS[method.data]
        self.store.set_defaults(defaults_of(method))
        self.data_panel.set_starter(need.starter_dir, need.starter_tip, method.rows or need.rows)
        self.training.leave_out(frozenset() if method.data == "examples" else SUPERVISED_FIELDS)
        self.rewards.setVisible(self._has_rewards)
        self.parameters.show_method(method)

    def _on_rebuilt(self) -> None:
        for field in self.parameters.fields.values():
            field.own_problem_changed.connect(self._turn.start)
        self._turn.start()

    # -- checks -----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Runs all checks now and shows their results."""
        self.rewards.setVisible(self._has_rewards)  # a model that judges needs none
        self.rewards.file.refresh()
        super().check()
        self.rewards.tester.set_has_examples(bool(self._rows()))

    def _found(self) -> list[Problem]:
        told = [self.rewards.problem] if self._has_rewards and self.rewards.problem is not None else []
        return list(dict.fromkeys([*told, *super()._found(), *check_method(self.store.config)]))

    def _plan(self) -> str:
        config, method = self.store.config, method_of(self.store.config)
        said = super()._plan()
        if not self._samples:
            return f"{method.title}. {said}"
        answers = plan.sampled_answers(config, plan.train_examples(config, self.data_panel.report))
        return tr("{title}. {said} It samples {answers:,} answers.", title=method.title, said=said, answers=answers)

    def _target(self, path: str) -> Focusable | None:
        return self.methods if path == "train_mode" else super()._target(path)

    # -- examples ---------------------------------------------------------------------------------------------

    def _rows(self) -> tuple[dict[str, Any], ...]:
        report = self.data_panel.report
        return report.preview if report is not None and report.usable else ()

    def _next_example(self) -> tuple[str, str] | None:
        """Prompt and reference answer of the next example that can be seen."""
        rows, config = self._rows(), self.store.config
        if not rows:
            return None
        row = rows[self._example % len(rows)]
        self._example += 1
        layout = layout_of(row, Features.of(config))
        if layout is None or goal_of(config.train_mode, layout.format) != "prompt":
            return None
        if not is_good(full_check(row, layout)):
            return None
        prompt, answer = prompt_of(row, layout)
        return str(prompt[-1].get("content", "")) if prompt else "", answer

    # -- from the Setup tab -----------------------------------------------------------------------------------

    def take_model(self) -> None:
        """Takes over the Setup tab's model."""
        self._take(MODEL_FIELDS)

    def take_model_and_data(self) -> None:
        """Takes over the Setup tab's model and data."""
        self._take(DATA_FIELDS)

    def _take(self, paths: tuple[str, ...]) -> None:
        self.store.set_many({path: self._setup.value(path) for path in paths})
