"""The Compare tab: one question, asked of the base model and of an adapter on it, answered side by side."""

from __future__ import annotations

import json
import re
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.core import event
from app.core.config import FieldSpec
from app.core.config_file import load_config
from app.core.held_out import HeldOut, held_out_questions
from app.core.model_folder import locate_model
from app.core.problem import UnusableError
from app.core.run import ADAPTER_FILE, RunDir, find_runs
from app.ui import theme
from app.ui.answer_column import AnswerColumn
from app.ui.answerer import Answerer, Question
from app.ui.editor import NumberBox, PathEditor
from app.ui.form import Card, Disclosure, FieldGrid
from app.ui.icon_button import IconButton

ADAPTER_CONFIG = "adapter_config.json"
RUN_NAME = re.compile(r"^(\d{4}-\d\d-\d\d)_(\d\d)-(\d\d)-\d\d_(.+)$")
COLUMN_MIN_HEIGHT = 180  # px
CHOICE_WIDTH, NUMBER_WIDTH = 240, 110  # px
BASE = FieldSpec("compare.base", "Base model", "path", "", what="The model that the adapter was trained on")
NUMBERS = (
    FieldSpec(
        "compare.max_tokens", "Maximum tokens", "int", 256, what="Longest answer", minimum=1, maximum=100_000
    ),
    FieldSpec(
        "compare.temp",
        "Temperature",
        "float",
        0.0,
        what="0 always takes the likeliest token; higher is more varied",
        minimum=0,
        maximum=10,
    ),
    FieldSpec(
        "compare.top_p",
        "Top-p",
        "float",
        1.0,
        what="Draw only from the likeliest tokens that together have this share; 1 is all",
        minimum=0,
        maximum=1,
    ),
    FieldSpec(
        "compare.seed",
        "Seed",
        "int",
        0,
        what="Start of the random choices, the same for every column",
        minimum=0,
        maximum=2**32 - 1,
    ),
)


class CompareTab(QWidget):
    """Asks an `Answerer`. Nothing is loaded before the first question, and one base serves all columns."""

    warned = Signal(str)

    def __init__(self, answerer: Answerer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("compare_tab")
        self._answerer = answerer
        self._held_out: list[HeldOut] = []
        self._next_held_out = 0
        self._training = False
        self.columns: list[AnswerColumn] = []
        self._build()
        self._connect()
        self._set_columns(2)
        self.refresh_runs()

    # -- choosing ---------------------------------------------------------------------------------------------

    def choose_adapter(self, adapter: Path) -> None:
        """Prefills the tab with an adapter: its base, and a question that it was not trained on."""
        self._put_adapter(adapter)
        self._on_adapter()

    def choose_run(self, run: RunDir) -> None:
        """Prefills the tab with the adapter of a run."""
        self.choose_adapter(run.adapters)

    @property
    def adapter(self) -> Path | None:
        """The adapter's folder; None while none is chosen."""
        chosen = self._adapter_box.currentData()
        return Path(chosen) if chosen else None

    @property
    def base(self) -> str:
        """The base model's folder or name."""
        return str(self._base.value() or "")

    def set_training(self, training: bool) -> None:
        """While a run trains, the memory is its own."""
        self._training = training
        if training:
            self._answerer.release()
        self._show_state()

    def refresh_runs(self) -> None:
        """Reads the list of runs that have an adapter; what was chosen stays chosen."""
        chosen = self.adapter
        self._adapter_box.blockSignals(True)
        self._adapter_box.clear()
        for run in find_runs():
            if (run.adapters / ADAPTER_FILE).is_file():
                self._adapter_box.addItem(run_title(run.name), str(run.adapters))
        self._adapter_box.setCurrentIndex(-1)
        self._adapter_box.blockSignals(False)
        if chosen is not None:
            self._put_adapter(chosen)
        self._show_state()

    def _put_adapter(self, adapter: Path) -> None:
        self._adapter_box.blockSignals(True)
        index = self._adapter_box.findData(str(adapter))
        if index < 0:
            title = adapter.parent.name if adapter.name == "adapters" else adapter.name
            self._adapter_box.insertItem(0, run_title(title), str(adapter))
            index = 0
        self._adapter_box.setCurrentIndex(index)
        self._adapter_box.setToolTip(str(adapter))
        self._adapter_box.blockSignals(False)

    def _on_adapter(self) -> None:
        """An adapter knows its base; a run knows questions that it was not trained on."""
        adapter = self.adapter
        if adapter is None:
            return
        if base := base_of(adapter):
            self._base.set_value(base)
        self._held_out, self._next_held_out = [], 0
        run = RunDir(adapter.parent)
        try:
            if run.config.is_file():
                self._held_out = held_out_questions(run.path, load_config(run.config).config)
        except (UnusableError, OSError):
            self._held_out = []  # a convenience: without it the user asks a question of his own
        if self._held_out and not self.prompt.toPlainText().strip():
            self._ask_held_out()
        self._show_state()

    def _browse_adapter(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Adapter folder", str(self.adapter or ""))
        if not chosen:
            return
        folder = Path(chosen)
        inner = folder / "adapters"
        self.choose_adapter(inner if (inner / ADAPTER_CONFIG).is_file() else folder)

    def _ask_held_out(self) -> None:
        """Fills in the next question that the run was not trained on."""
        found = self._held_out[self._next_held_out % len(self._held_out)]
        self._next_held_out += 1
        self.prompt.setPlainText(found.prompt)
        self.system.setText(found.system)

    # -- asking -----------------------------------------------------------------------------------------------

    def compare(self) -> None:
        """Asks all columns; what cannot be asked yet is said beside the button."""
        adapter = self.adapter
        if self._hindrance() or adapter is None:
            return
        try:
            model = str(locate_model(self.base))
        except UnusableError as error:
            self._show_note(error.problems[0].sentence(), role="error")
            return
        self._set_columns(2)
        self.columns[0].set_model(Path(self.base).name or self.base, tuned=False)
        self.columns[1].set_model(self._adapter_box.currentText(), tuned=True)
        for column in self.columns:
            column.begin("Waiting…")
        self._show_note("")
        self._answerer.ask(model, [None, str(adapter)], self._question())

    def _question(self) -> Question:
        messages = [{"role": "user", "content": self.prompt.toPlainText()}]
        if system := self.system.text().strip():
            messages.insert(0, {"role": "system", "content": system})
        number = {spec.path: box.text_value() for spec, box in self._numbers.items()}
        return Question(
            tuple(messages),
            max_tokens=int(number["compare.max_tokens"] or 1),
            temp=float(number["compare.temp"] or 0.0),
            top_p=float(number["compare.top_p"] or 0.0),
            seed=int(number["compare.seed"] or 0),
        )

    def _hindrance(self) -> str:
        """Why it cannot be asked now; empty if it can."""
        if self._training:
            return "A run is training and needs the memory. Compare when it has ended."
        if self.adapter is None:
            return "Choose an adapter: a run of yours, or a folder."
        if not self.base:
            return "Choose the base model that the adapter was trained on."
        if not self.prompt.toPlainText().strip():
            return "Write a prompt."
        wrong = [spec.label for spec, box in self._numbers.items() if not _within(spec, box.text_value())]
        return f"{wrong[0]} is out of its range." if wrong else ""

    def _on_answered(self, piece: event.Answered) -> None:
        if piece.column < len(self.columns):
            self.columns[piece.column].take(piece)

    def _on_progress(self, text: str) -> None:
        for column in self.columns:
            if not column.answer:
                column.set_status(f"{text}…")
                break

    def _on_failed(self, text: str) -> None:
        self._show_note(text, role="error")

    def _on_state(self) -> None:
        if not self._answerer.is_busy:
            self._sum_up()
        self._show_state()

    def _sum_up(self) -> None:
        """What a look at the columns would not tell at once."""
        for column in self.columns:
            if column.status.endswith("…"):
                column.set_status("Stopped" if column.answer else "")
        answers = [column.answer for column in self.columns]
        if all(answers) and len(set(answers)) == 1:
            self._show_note("Both answers are the same, word for word.")

    # -- showing ----------------------------------------------------------------------------------------------

    def _show_state(self) -> None:
        busy, hindrance = self._answerer.is_busy, self._hindrance()
        self._compare_button.setVisible(not busy)
        self._stop_button.setVisible(busy)
        self._compare_button.setEnabled(not hindrance)
        self._compare_button.setToolTip(hindrance or "Ask both (Ctrl+Return)")
        self._held_out_button.setVisible(bool(self._held_out))
        if not busy and (hindrance or self._note.property("hint")):
            self._show_note(hindrance, hint=True)

    def _show_note(self, text: str, *, role: str = "small", hint: bool = False) -> None:
        self._note.setText(text)
        self._note.setProperty("hint", hint)
        theme.set_role(self._note, role=role)

    def _set_columns(self, count: int) -> None:
        while len(self.columns) > count:
            self.columns.pop().deleteLater()
        while len(self.columns) < count:
            column = AnswerColumn(len(self.columns), self)
            column.set_model("Base model" if not self.columns else "Tuned model", tuned=bool(self.columns))
            column.setMinimumHeight(COLUMN_MIN_HEIGHT)
            self.columns.append(column)
            self._answers.addWidget(column, 1)

    def showEvent(self, shown: QShowEvent) -> None:
        super().showEvent(shown)
        self.refresh_runs()

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        page = QWidget()
        page.setObjectName("page")
        layout = QVBoxLayout(page)
        layout.setContentsMargins(theme.SPACE * 3, theme.SPACE * 2, theme.SPACE * 3, theme.SPACE * 3)
        layout.setSpacing(theme.SPACE * 2)
        title, line = QLabel("Compare"), QLabel("The same question for the base model and for your tuned one.")
        theme.set_role(title, role="title")
        theme.set_role(line, role="muted")
        line.setWordWrap(True)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(title)
        texts.addWidget(line)
        layout.addLayout(texts)
        layout.addWidget(self._choice_card())
        layout.addWidget(self._prompt_card())
        self._answers = QHBoxLayout()
        self._answers.setSpacing(theme.SPACE * 2)
        layout.addLayout(self._answers, 1)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(page)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)

    def _choice_card(self) -> Card:
        card = Card("Models")
        self._adapter_box = QComboBox(card)
        self._adapter_box.setObjectName("compare.adapter")
        self._adapter_box.setAccessibleName("Adapter")
        self._adapter_box.setPlaceholderText("No adapter chosen")
        self._adapter_box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._adapter_box.setMinimumContentsLength(12)
        browse = IconButton("ph.folder-open", "Browse for an adapter folder", card)
        browse.setObjectName("compare.adapter.browse")
        browse.clicked.connect(self._browse_adapter)
        choices = QWidget(card)
        chooser = QHBoxLayout(choices)
        chooser.setContentsMargins(0, 0, 0, 0)
        chooser.setSpacing(theme.SPACE // 2)
        chooser.addWidget(self._adapter_box, 1)
        chooser.addWidget(browse)
        self._base = PathEditor(BASE, card, folder=True, placeholder="Filled in from the adapter")
        self._base.line.setObjectName("compare.base")
        self._base.line.setAccessibleName(BASE.label)
        self._base.line.setToolTip(BASE.what)
        grid = FieldGrid(card, max_columns=2, column_width=CHOICE_WIDTH)
        grid.add(_labelled("Adapter", self._adapter_box, choices))
        grid.add(_labelled("Base model", self._base.line, self._base))
        card.body.addWidget(grid)
        return card

    def _prompt_card(self) -> Card:
        card = Card("Question")
        self._held_out_button = QPushButton("Use a held-out question", card)
        self._held_out_button.setObjectName("compare.held_out")
        self._held_out_button.setToolTip("Fill in the next question that the run was not trained on")
        theme.set_role(self._held_out_button, kind="link")
        self._held_out_button.clicked.connect(self._ask_held_out)
        card.tools.addWidget(self._held_out_button)
        self.prompt = QPlainTextEdit(card)
        self.prompt.setObjectName("compare.prompt")
        self.prompt.setAccessibleName("Prompt")
        self.prompt.setPlaceholderText("What do you want to ask?")
        self.prompt.setTabChangesFocus(True)
        self.prompt.setAcceptDrops(False)
        self.prompt.setFixedHeight(theme.SPACE * 8)
        self.system = QLineEdit(card)
        self.system.setObjectName("compare.system")
        self.system.setAccessibleName("System prompt")
        self.system.setPlaceholderText("System prompt (optional)")
        self.system.setAcceptDrops(False)
        card.body.setSpacing(theme.SPACE)
        more = QWidget(card)
        inner = QVBoxLayout(more)
        inner.setContentsMargins(0, 0, 0, theme.SPACE)
        inner.setSpacing(theme.SPACE * 3 // 2)
        inner.addWidget(_labelled("System prompt", self.system, self.system))
        inner.addWidget(self._sampling())
        card.body.addWidget(self.prompt)
        card.body.addLayout(self._ask_row())
        card.body.addWidget(Disclosure("System prompt and sampling", more, card))
        return card

    def _sampling(self) -> FieldGrid:
        grid = FieldGrid(self, max_columns=4, column_width=NUMBER_WIDTH)
        self._numbers: dict[FieldSpec, NumberBox] = {}
        for spec in NUMBERS:
            box = NumberBox(spec, self)
            box.setObjectName(spec.path)
            box.setAccessibleName(spec.label)
            box.setToolTip(f"{spec.what} ({spec.range_text})")
            box.set_value(spec.default)
            box.edited.connect(self._show_state)
            self._numbers[spec] = box
            grid.add(_labelled(spec.label, box, box))
        return grid

    def _ask_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(0, theme.SPACE // 2, 0, 0)
        self._note = QLabel(self)
        self._note.setObjectName("compare.note")
        self._note.setWordWrap(True)
        self._compare_button = QPushButton("Compare", self)
        self._compare_button.setObjectName("compare.ask")
        theme.set_role(self._compare_button, kind="primary")
        self._stop_button = QPushButton("Stop", self)
        self._stop_button.setObjectName("compare.stop")
        self._stop_button.setToolTip("End the answers where they are")
        row.addWidget(self._note, 1)
        row.addWidget(self._compare_button)
        row.addWidget(self._stop_button)
        return row

    def _connect(self) -> None:
        self._adapter_box.currentIndexChanged.connect(self._on_adapter)
        self._base.edited.connect(self._show_state)
        self.prompt.textChanged.connect(self._show_state)
        self._compare_button.clicked.connect(self.compare)
        self._stop_button.clicked.connect(self._answerer.stop)
        self._answerer.answered.connect(self._on_answered)
        self._answerer.progressed.connect(self._on_progress)
        self._answerer.failed.connect(self._on_failed)
        self._answerer.warned.connect(self.warned)
        self._answerer.state_changed.connect(self._on_state)
        ask = QShortcut(QKeySequence("Ctrl+Return"), self)
        ask.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        ask.activated.connect(self.compare)


def base_of(adapter: Path) -> str:
    """The base model that an adapter's own config names; empty if it names none."""
    try:
        tree = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    model = tree.get("model") if isinstance(tree, dict) else None
    return model if isinstance(model, str) else ""


def run_title(name: str) -> str:
    """``friendly · 2026-11-21 14:05`` for a run's folder name; other names as they are."""
    found = RUN_NAME.match(name)
    return f"{found[4]} · {found[1]} {found[2]}:{found[3]}" if found else name


def _labelled(text: str, buddy: QWidget, content: QWidget) -> QWidget:
    """A label above what it names."""
    part = QWidget()
    layout = QVBoxLayout(part)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(theme.SPACE // 2)
    label = QLabel(text, part)
    label.setBuddy(buddy)
    theme.set_role(label, role="label")
    layout.addWidget(label)
    layout.addWidget(content)
    return part


def _within(spec: FieldSpec, value: float | int | None) -> bool:
    low, high = spec.minimum, spec.maximum
    return value is not None and (low is None or value >= low) and (high is None or value <= high)
