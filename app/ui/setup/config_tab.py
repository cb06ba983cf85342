"""A tab with the form of a run on one page: problems stand beside their fields, Start at the foot."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import ClassVar, Protocol

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QApplication, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.core.language import tr, trn
from app.core.problem import Problem, Severity
from app.core.quantity import bytes_text, epochs_text, percent_text, plural
from app.core.run.folder import runs_dir
from app.core.run.name import run_name
from app.core.setup import plan
from app.core.setup.check import check_config
from app.core.setup.default import following_values
from app.core.setup.disk import disk_problem, disk_text, run_bytes
from app.core.setup.step_plan import StepPlan
from app.ui.data.inspector import SplitFigures
from app.ui.data.panel import DataPanel
from app.ui.form.field import Field
from app.ui.form.grid import FieldGrid
from app.ui.form.selection_model import SelectionModel
from app.ui.form.store import ConfigStore
from app.ui.model.panel import ModelPanel
from app.ui.setup.estimate_panel import EstimatePanel
from app.ui.setup.form_columns import COLUMN_GAP, FORM_WIDTH, FormColumns
from app.ui.setup.start_bar import MEMORY, StartBar
from app.ui.setup.training_section import MORE, TrainingSection
from app.ui.target.section import TargetSection
from app.ui.widget import theme
from app.ui.widget.card import Disclosure
from app.ui.widget.flow import Flow
from app.ui.worker.inspector import Inspector

OPEN_TIP = tr("Open a config file: Luthier's, mlx-lm's, axolotl's, LLaMA-Factory's or Unsloth's")
WIDE_FROM = 1_800  # px of the tab; below, two columns would be too narrow for the rows of fields
CARD_MIN_WIDTH = 340  # px; narrower, Model and Data stand one under the other
SEEN_PX = 40  # of a part of the form, from which it can be made out


class Focusable(Protocol):
    """A part of the page that takes the keyboard to its right place by itself."""

    def focus(self) -> None: ...


def nothing_to_train(tokens: SplitFigures) -> Problem:
    """Why a run on these data would end before it began."""
    limit = tr("{max_seq_length:,} tokens", max_seq_length=tokens.max_seq_length)
    if tokens.kind == "prompts":
        said = tr("No prompt leaves room for an answer within {limit}.", limit=limit)
        return Problem("max_seq_length", said, hint=tr("Raise the maximum length, or allow only shorter answers."))
    said = tr("No example has anything to train within {limit}.", limit=limit)
    return Problem("max_seq_length", said, hint=tr("Raise the maximum length, or train more of each example."))


class ConfigTab(QWidget):
    """The form over a `ConfigStore` and an `Inspector`; the asks go to the main window as signals.

    A tab of this kind says what it is called, what is on its page (`_sections`) and what it checks (`_found`).
    """

    name: ClassVar[str]
    title: ClassVar[str]
    line: ClassVar[str]
    told_at: ClassVar[dict[str, str]] = {  # problems of values without a field
        "lora_parameters.keys": "targets", "data_format": "data", "prompt_feature": "data",
        "completion_feature": "data", "chat_feature": "data", "text_feature": "data", "system_feature": "data",
        "optimizer_config": "optimizer", "early_stopping": "early_stopping.patience",
    }  # fmt: skip

    start_requested = Signal()
    queue_requested = Signal()
    remote_requested = Signal()
    sweep_requested = Signal()
    open_requested = Signal()
    save_requested = Signal()
    reset_requested = Signal()

    def __init__(self, store: ConfigStore, inspector: Inspector, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(self.name)
        self.store, self.inspector = store, inspector
        self.selection = SelectionModel(store, inspector, self)
        self.problems: list[Problem] = []
        self._turn = QTimer(self)  # one check for all changes of one turn of the event loop
        self._turn.setSingleShot(True)
        self._turn.setInterval(0)
        self._turn.timeout.connect(self.check)
        self._build()
        store.changed.connect(self._on_changed)
        store.stepped.connect(self._show_stepped)
        for signal in (inspector.started, inspector.inspected, inspector.failed, inspector.cleared):
            signal.connect(self._on_inspector)
        for field in self._made_fields.values():
            field.own_problem_changed.connect(self._turn.start)
        self.training.completed.connect(self._on_completed)
        self.check()

    def shutdown(self) -> None:
        """Ends the tab's workers before the window closes."""
        self.inspector.stop()
        self.model_panel.shutdown()
        self.data_panel.shutdown()
        self.estimate.shutdown()

    # -- parts ------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        self.scroll_area = QScrollArea(self)
        self.scroll_area.setWidgetResizable(True)
        self.scroll_area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroll_area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        page = QWidget()
        self.scroll_area.setWidget(page)  # empty: what it holds is made where it stays
        self._fill(page)
        outer.addWidget(self.scroll_area, 1)
        self.start_bar = StartBar(self)
        self.start_bar.start_requested.connect(self.start_requested)
        self.start_bar.queue_requested.connect(self.queue_requested)
        self.start_bar.remote_requested.connect(self.remote_requested)
        self.start_bar.shown_requested.connect(self.show_field)
        outer.addWidget(self.start_bar)

    def _fill(self, page: QWidget) -> None:
        page.setObjectName("page")
        middle = QHBoxLayout(page)
        margin = theme.SPACE * 3
        middle.setContentsMargins(margin, theme.SPACE * 2, margin, margin)
        self._whole = QWidget(page)
        whole = QVBoxLayout(self._whole)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(theme.SPACE * 2)
        middle.addStretch(1)
        middle.addWidget(self._whole, 1000)
        middle.addStretch(1)
        whole.addLayout(self._head())
        self.columns = FormColumns(self._whole)
        self.inputs = self._inputs(self.columns)
        self.training = TrainingSection(self.store, self.columns)
        self.targets = TargetSection(self.store, self.selection, self.columns)
        self.estimate = EstimatePanel(self.store, self.selection, self.inspector, self.columns)
        self.estimate.estimated.connect(self._turn.start)
        self.targets.chooser.memory_of = self.estimate.memory_of
        self.columns.fill(self._sections(self.columns), (self.targets, self.estimate))
        whole.addWidget(self.columns)
        self._unknown = QLabel(page)
        self._unknown.setObjectName("unknown_keys")
        self._unknown.setProperty("role", "small")
        self._unknown.setWordWrap(True)
        self._unknown.setToolTip(tr("Luthier does not use these keys; saving writes them back as they were"))
        whole.addWidget(self._unknown)
        whole.addStretch(1)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """One column of a readable width, two where there is room for both."""
        wide = self.width() >= WIDE_FROM
        self._whole.setMaximumWidth(2 * FORM_WIDTH + COLUMN_GAP if wide else FORM_WIDTH)
        self.columns.set_double(wide)

    def _sections(self, page: QWidget) -> list[QWidget]:  # noqa: ARG002  # for the parts that a tab adds
        """The cards of the page from top to bottom."""
        return [self.inputs, self.training, self.targets, self.estimate]

    def _head_buttons(self) -> list[QPushButton]:
        """Further buttons of the head, left of those that every tab has."""
        return []

    def _inputs(self, page: QWidget) -> QWidget:
        inputs = FieldGrid(page, max_columns=2, column_width=CARD_MIN_WIDTH)
        self.model_panel = ModelPanel(self.store, self.inspector, inputs)
        self.data_panel = DataPanel(self.store, inputs)
        self.data_panel.reported.connect(self._on_reported)
        inputs.add(self.model_panel)
        inputs.add(self.data_panel)
        return inputs

    def _head(self) -> QHBoxLayout:
        head = QHBoxLayout()
        texts = QVBoxLayout()
        texts.setSpacing(2)
        title, line = QLabel(self.title), QLabel(self.line)
        title.setProperty("role", "title")
        line.setProperty("role", "muted")
        line.setWordWrap(True)
        texts.addWidget(title)
        texts.addWidget(line)
        head.addLayout(texts, 1)
        buttons = Flow(align=Qt.AlignmentFlag.AlignRight)
        head.addLayout(buttons)
        for button in self._head_buttons():
            buttons.addWidget(button)
        for name, text, tip, signal in (
            ("config.sweep", tr("Sweep…"), tr("Queue this setup in several variants"), self.sweep_requested),
            (
                "config.open",
                tr("Open…"),
                OPEN_TIP,
                self.open_requested,
            ),
            ("config.save", tr("Save…"), tr("Save these values as a config file"), self.save_requested),
            ("config.reset", tr("Reset"), tr("Back to the defaults; model and data stay"), self.reset_requested),
        ):
            button = QPushButton(text, self)
            button.setObjectName(name)
            button.setToolTip(tip)
            theme.set_role(button, kind="quiet")
            button.clicked.connect(signal)
            buttons.addWidget(button)
        return head

    # -- problems ---------------------------------------------------------------------------------------------

    @property
    def fields(self) -> dict[str, Field]:
        """Every field on the page by its path."""
        self.training.complete()
        return self._made_fields

    @property
    def _made_fields(self) -> dict[str, Field]:
        """Those that are there by now: what is folded away is made when it is opened."""
        return {
            "model": self.model_panel.field,
            **self.data_panel.fields,
            **self.training.made_fields,
            **self.targets.fields,
        }

    def check(self) -> None:
        """Runs all checks now and shows their results."""
        config, report = self.store.config, self.data_panel.report
        self.store.follow(following_values(config, report) | {"adapter_name": run_name(config)})
        examples = plan.train_examples(self.store.config, self.data_panel.report)
        self.training.set_train_examples(examples)
        tokens = self._tokens
        if tokens is None:
            self.estimate.set_data(examples)
        else:
            trained = None if tokens.kind == "prompts" else tokens.trained_tokens  # answers are yet to be sampled
            steps = StepPlan.counted(
                self.store.config, tokens.steps, tokens.step_batches, tokens.longest_used,
                labelled=tokens.kind == "answers",
            )  # fmt: skip
            self.estimate.set_data(examples, trained, steps, valid=self._valid_examples)
        fields = self._made_fields
        self.problems = [*self._own_problems, *self._found(), *(note for note in self.store.notes if note.path)]
        by_path: dict[str, list[Problem]] = {}
        for problem in self.problems:
            by_path.setdefault(self.told_at.get(problem.path, problem.path), []).append(problem)
        for path, field in fields.items():
            found = by_path.get(path, [])
            if path == "data" and self.data_panel.summary.tells_fault:
                found = [replace(problem, hint="") for problem in found]
            field.set_problems(found)
        self.targets.chooser.set_problems(by_path.get("targets", []))
        known = self.estimate.estimate
        self.targets.chooser.show_memory(known.total if known is not None else None)
        self.start_bar.set_problems(self.problems)
        self.start_bar.set_plan(self._plan())
        self.start_bar.set_checking(self.is_checking)
        self._show_unknown()

    def judge(self) -> list[Problem]:
        """Checks the form as it stands, with what may still be typed on; gives what is in no config: texts that are
        no values."""
        for field in self._made_fields.values():
            field.judge()
        self.check()
        return self._own_problems

    @property
    def _own_problems(self) -> list[Problem]:
        return [field.own_problem for field in self._made_fields.values() if field.own_problem]

    @property
    def is_checking(self) -> bool:
        """True until the model and the rows of the data have been read: only then is it known what Start does."""
        model, data = self.inspector, self.data_panel.inspector
        is_read = model.last is not None or model.problem is not None
        are_read = data.report is not None or data.problem is not None
        return (model.is_busy and not is_read) or (data.is_reading and not are_read)

    @property
    def _written_bytes(self) -> int | None:
        """About what the run writes; None while the model is not known."""
        selection, inspection = self.selection.selection, self.selection.inspection
        if selection is None or inspection is None:
            return None
        config, report = self.store.config, self.data_panel.report
        count = plan.iterations(config, plan.train_examples(config, report))
        return run_bytes(config, selection, inspection, count, report.bytes if report is not None else 0)

    @property
    def _valid_examples(self) -> int:
        found = plan.parts(self.store.config, self.data_panel.report)
        return found.valid if found else 0

    @property
    def _tokens(self) -> SplitFigures | None:
        """The figures of the training data's tokens; None while they are not known."""
        inspector = self.data_panel.inspector
        return None if inspector.is_stale else inspector.figures.get("train")

    def _found(self) -> list[Problem]:
        """Every problem but those of texts that are no values."""
        told = [p for p in (self.inspector.problem, self.data_panel.problem) if p is not None]
        if (tokens := self._tokens) is not None and 0 < tokens.examples == tokens.untrained_examples:
            told.append(nothing_to_train(tokens))
        if (written := self._written_bytes) is not None:
            count = plan.iterations(
                self.store.config, plan.train_examples(self.store.config, self.data_panel.report)
            )
            if (lacking := disk_problem(self.store.config, written, count, runs_dir())) is not None:
                told.append(lacking)
        known, found = self.selection, self.estimate.estimate
        if found is not None and found.is_too_large:
            said = tr(
                "The run needs about {total}; MLX should stay within {limit}.",
                total=bytes_text(found.total),
                limit=bytes_text(found.limit),
            )
            told.append(Problem(MEMORY, said, Severity.WARNING, tr("See what would make it fit.")))
        return [*told, *check_config(self.store.config, known.inspection, self.data_panel.report, known.selection)]

    def _plan(self) -> str:
        """What Start will do, in one sentence."""
        config, selection = self.store.config, self.selection.selection
        found = plan.parts(config, self.data_panel.report)
        train = found.train if found else None
        count = plan.iterations(config, train)
        passes = plan.epochs(config, train)
        long = f"{plural(count, 'iteration')}"
        if passes is not None and found:
            long += tr(
                " ({passes} {value} of {examples})",
                passes=epochs_text(passes),
                value=trn(1 if passes == 1 else 2, "epoch", "epochs"),
                examples=plural(found.train, "example"),
            )
        if selection is None:
            return tr("Trains for {long}.", long=long)
        what = tr(
            "{trainable_parameters:,} parameters ({trainable_percent})",
            trainable_parameters=selection.trainable_parameters,
            trainable_percent=percent_text(selection.trainable_percent),
        )
        peak = self.estimate.estimate
        # Until the tokens are counted each row could be as long as is allowed: that bounds the memory, and no time.
        is_counted = self._tokens is not None
        bound = tr("about") if is_counted else tr("up to")
        memory = (
            tr(" It takes {bound} {total} of memory", bound=bound, total=bytes_text(peak.total))
            if peak is not None
            else ""
        )
        time = self.estimate.run_time(config, count)
        if time is not None and not (is_counted or time.is_probed):
            time = None
        memory += (tr(" and {text}.", text=time.text) if time is not None else ".") if memory else ""
        written = self._written_bytes
        disk = f" {disk_text(written, runs_dir())}" if written is not None else ""
        return tr(
            "Trains {what} in {modules} for {long}.{memory}{disk}",
            what=what,
            modules=plural(selection.adapted_modules, "module"),
            long=long,
            memory=memory,
            disk=disk,
        )

    def _show_unknown(self) -> None:
        unknown, fields = self.store.config.unknown_keys, {*self._made_fields, *MORE}
        pairs = ", ".join(f"{escape(key)}: {escape(str(value))}" for key, value in unknown.items())
        kept = tr("<b>Kept from the file:</b> {pairs}", pairs=pairs) if unknown else ""
        notes = (note for note in self.store.notes if self.told_at.get(note.path, note.path) not in fields)
        lost = "<br>".join(escape(note.message) for note in notes if note.path != "targets")
        self._unknown.setText("<br>".join(filter(None, (lost, kept))))
        self._unknown.setVisible(bool(lost or kept))

    def show_field(self, path: str) -> None:
        """Scrolls to what a problem is about and gives it the keyboard."""
        path = self.told_at.get(path, path)
        if path == MEMORY:
            self.scroll_area.ensureWidgetVisible(self.estimate.memory, 0, theme.SPACE * 8)
            return
        target = self._target(path)
        if target is None:
            return
        assert isinstance(target, QWidget)
        self._scroll_to(target)
        target.focus()

    def _scroll_to(self, widget: QWidget) -> None:
        self._unfold(widget)
        QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)  # what was folded has no place yet
        self.scroll_area.ensureWidgetVisible(widget, 0, theme.SPACE * 8)

    def _show_stepped(self, paths: list[str]) -> None:
        """Scrolls to what undo or redo changed, unless some of it is in view; the keyboard stays where it is."""
        changed: list[QWidget] = []
        for path in paths:
            if (target := self._target(self.told_at.get(path, path))) is not None:
                assert isinstance(target, QWidget)
                changed.append(target)
        if self.isVisible() and changed and not any(_is_in_view(one) for one in changed):
            self._scroll_to(changed[0])

    def _target(self, path: str) -> Focusable | None:
        """What a problem at this path is told at."""
        return self.targets.chooser if path == "targets" else self.fields.get(path)

    def _unfold(self, widget: QWidget) -> None:
        for disclosure in self.findChildren(Disclosure):
            if disclosure.isAncestorOf(widget):
                disclosure.open()

    def _on_changed(self, _path: str) -> None:
        self._turn.start()

    def _on_completed(self) -> None:
        for path in MORE:
            self.training.made_fields[path].own_problem_changed.connect(self._turn.start)
        self.check()  # what is wrong with them stands beside them at once

    def _on_reported(self) -> None:
        self._turn.start()

    def _on_inspector(self, _what: object = None) -> None:
        known = self.inspector.last
        self.data_panel.set_model(known.path if known is not None and known.has_tokenizer else "")
        self._turn.start()


def _is_in_view(widget: QWidget) -> bool:
    """True if it can be seen where it is, or of a tall one as much as a field is high."""
    return widget.visibleRegion().boundingRect().height() >= min(widget.height(), SEEN_PX)
