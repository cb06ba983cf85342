"""The card "Training": how long, how fast, how often measured and saved."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.core.config.train_config import WITH_CORRECTION
from app.core.language import tr, trn
from app.core.problem import Problem
from app.core.quantity import plural
from app.core.setup import plan
from app.core.tracker.tracker import installed_text
from app.ui.form.field import Field
from app.ui.form.grid import FieldGrid
from app.ui.form.number_box import NumberBox, number_text
from app.ui.form.store import ConfigStore
from app.ui.widget.card import Card, Disclosure

MAIN = (
    "learning_rate", "batch_size", "grad_accumulation_steps", "max_seq_length",
    "epochs", "iters", "optimizer", "adapter_name",
    "steps_per_report", "steps_per_eval", "save_every", "seed",
)  # fmt: skip
# A switch and, under it, what matters only while it is on.
SWITCHES = (
    ("early_stopping.enabled", "early_stopping.patience"),
    ("mask_prompt", "mask_turns"),
    ("grad_checkpoint", "checkpoint_layers"),
)
MORE = (
    "schedule", "warmup", "bias_correction", "weight_decay", "max_grad_norm",
    "val_batches", "neutral_tokens", "sampled_prompts", "batching", "final_adapter", "early_stopping.min_delta",
    "valid_fraction", "test_fraction", "adapter_dtype", "resume_adapter_file",
    "report_to", "project_name",
)  # fmt: skip
# Why the adapter's precision is no choice.
WITHOUT_DTYPE = {"dora": tr("DoRA always computes in float32"), "full": tr("There is no adapter")}
# What other fields, or their hints, follow.
DEPENDED_ON = ("", "iters", "epochs", "batch_size", "early_stopping.enabled", "mask_prompt", "fine_tune_type",
               "grad_checkpoint", "optimizer", "schedule", "batching", "updates_per_generation",
               "train_mode")  # fmt: skip
SWITCH_WIDTH = 210  # px; a check box does not shorten its text


class TrainingSection(Card):
    """Fields of a `ConfigStore`; iterations and epochs each show the other once the data are known.

    Those of *More* are made when they are looked at, or asked for by ``fields``, which ``completed`` tells.
    """

    completed = Signal()

    def __init__(self, store: ConfigStore, parent: QWidget | None = None) -> None:
        super().__init__(tr("Training"), parent=parent)
        self.setObjectName("training_section")
        self._store = store
        self._examples: int | None = None
        self._examples_of = ""  # the data whose examples these are
        self.made_fields: dict[str, Field] = {}
        self._left_out: frozenset[str] = frozenset()
        self._grids: dict[str, tuple[FieldGrid, QWidget]] = {}  # where a field stands: alone or in a block
        self.body.addWidget(self._grid(MAIN))
        self.body.addWidget(self._switches())
        self._more = FieldGrid(self)
        self.disclosure = Disclosure(tr("More"), self._more, self)
        self.disclosure.toggled.connect(self.complete)
        self.disclosure.button.setObjectName("training.more")
        self.disclosure.button.setToolTip(tr("Schedule, decay, clipping, batches, what is kept"))
        self.body.addWidget(self.disclosure)
        store.changed.connect(self._on_changed)
        self._update()

    @property
    def fields(self) -> dict[str, Field]:
        """Every field of the card by its path."""
        self.complete()
        return self.made_fields

    def complete(self) -> None:
        """Makes what is still to be made."""
        if MORE[0] in self.made_fields:
            return
        for path in MORE:
            field = self._field(path, self._more)
            self._more.add(field)
            self._grids[path] = self._more, field
        self.made_fields["report_to"].set_hint(installed_text())
        self.leave_out(self._left_out)
        self._update()
        self.completed.emit()

    def set_train_examples(self, examples: int | None) -> None:
        """Tells how many examples there are to train on; None while that is not known."""
        known = examples, self._store.config.data
        if known != (self._examples, self._examples_of):
            self._examples, self._examples_of = known
            self._update()

    def leave_out(self, paths: frozenset[str]) -> None:
        """Shows all fields but those that a method does not use; a block goes when all of it goes."""
        self._left_out = paths
        blocks = {id(block): (grid, block) for grid, block in self._grids.values()}
        for key, (grid, block) in blocks.items():
            inside = {path for path, (_, other) in self._grids.items() if id(other) == key}
            grid.set_present(block, not inside <= paths)

    def _grid(self, paths: tuple[str, ...]) -> FieldGrid:
        grid = FieldGrid(self)
        for path in paths:
            field = self._field(path, grid)
            grid.add(field)
            self._grids[path] = grid, field
        return grid

    def _switches(self) -> FieldGrid:
        grid = FieldGrid(self, max_columns=len(SWITCHES), column_width=SWITCH_WIDTH)
        for paths in SWITCHES:
            block = QWidget(grid)
            layout = QVBoxLayout(block)
            layout.setContentsMargins(0, 0, 0, 0)
            for path in paths:
                layout.addWidget(self._field(path, block))
                self._grids[path] = grid, block
            grid.add(block)
        return grid

    def _field(self, path: str, parent: QWidget) -> Field:
        if path == "iters":
            field = Field(path, self._store, parent, commit=self._set_iterations, resettable=False)
        else:
            field = Field(path, self._store, parent)
        self.made_fields[path] = field
        return field

    def _set_iterations(self, value: Any) -> Problem | None:
        """Whoever types iterations means them: the epochs then follow."""
        return self._store.set_many({"iters": value, "epochs": None})

    def _on_changed(self, path: str) -> None:
        if path in DEPENDED_ON:
            self._update()

    def _update(self) -> None:
        config = self._store.config
        # Undo comes to other data before their examples are counted: it brings its own iterations.
        if config.epochs is not None and self._examples and config.data == self._examples_of:
            self._store.derive("iters", plan.iterations(config, self._examples))
        fields = self.made_fields
        fields["early_stopping.patience"].setEnabled(config.early_stopping.enabled)
        fields["mask_turns"].setEnabled(config.mask_prompt)
        fields["checkpoint_layers"].setEnabled(config.grad_checkpoint)
        self._show_rates()
        if "adapter_dtype" in fields:
            kind = config.fine_tune_type
            fields["adapter_dtype"].setEnabled(kind == "lora")
            fields["adapter_dtype"].set_hint(WITHOUT_DTYPE.get(kind, ""))
            fields["bias_correction"].setEnabled(config.optimizer in WITH_CORRECTION)
        self._show_each_other()

    def _show_rates(self) -> None:
        """Rate and warm-up count for nothing where the file brings a schedule of its own."""
        config, fields = self._store.config, self.made_fields
        own = config.has_own_rates
        said = tr("As lr_schedule says: {rate} at most", rate=number_text(config.highest_rate)) if own else ""
        fields["learning_rate"].setEnabled(not own)
        fields["learning_rate"].set_hint(said)
        if "warmup" in fields:
            fields["warmup"].setEnabled(not own)
            fields["warmup"].set_hint(tr("As lr_schedule says") if own else "")

    def _show_each_other(self) -> None:
        config = self._store.config
        epochs, iterations = self.made_fields["epochs"], self.made_fields["iters"]
        passes = plan.epochs(config, self._examples)
        assert isinstance(epochs.editor, NumberBox)
        shown = "" if passes is None else number_text(float(f"{passes:.3g}"))
        epochs.editor.set_placeholder(shown if config.epochs is None else "")
        if not self._examples:
            epochs.set_hint(tr("Counted in iterations once the data are read") if config.epochs is not None else "")
            iterations.set_hint("")
            return
        batches = plan.iterations_per_epoch(config, self._examples)
        epochs.set_hint(tr("{iterations} an epoch", iterations=plural(batches, "iteration")))
        word = trn(1 if passes == 1 else 2, "epoch", "epochs")
        follows = tr("From the epochs") if config.epochs is not None else f"= {shown} {word}"
        iterations.set_hint(f"{follows}, {plural(self._examples, 'example')}")
