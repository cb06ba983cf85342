"""The page "Examples": what the model will see, one example at a time, with search, and what of it is trained."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QIntValidator, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QStackedLayout, QVBoxLayout, QWidget

from app.core.language import tr
from app.core.quantity import plural, share_text
from app.core.setup.chosen_method import method_of
from app.core.source.collection import shown_path
from app.ui.data.example_view import ExampleView, Legend
from app.ui.data.inspector import DataInspector
from app.ui.data.previewer import Previewer
from app.ui.data.split_bar import SPLIT_NAMES
from app.ui.data.token_text import TokenList, plain_tokens
from app.ui.edit.row import turns
from app.ui.form.field import Field
from app.ui.form.plain_editor import ChoiceBox
from app.ui.form.store import ConfigStore
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.icon_button import IconButton


class DataExamplePage(QWidget):
    """Shows the examples of a `DataInspector`'s data by way of a `Previewer`; without a model, rows as they are.

    ``edit_requested(file, line)`` asks to change the row that is shown.
    """

    edit_requested = Signal(str, int)

    def __init__(self, store: ConfigStore, inspector: DataInspector, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("data_example_page")
        self._store, self._inspector = store, inspector
        self.previewer = Previewer(self)
        self.example: dict[str, Any] = {}
        self.index = 0
        self._matches: list[int] = []
        self._more_matches = False
        self._build()
        inspector.reported.connect(self._on_reported)
        self.previewer.opened.connect(self._on_opened)
        self.previewer.shown.connect(self._on_shown)
        self.previewer.found.connect(self._on_found)
        self.previewer.said.connect(self._say)
        self.previewer.failed.connect(self._on_failed)
        self.previewer.progressed.connect(self._on_progress)
        store.changed.connect(self._on_changed)
        theme.theme().changed.connect(self._on_theme)

    def shutdown(self) -> None:
        """Ends the worker before the window closes."""
        self.previewer.stop()

    # -- parts ------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE, 0, 0)
        layout.setSpacing(theme.SPACE * 3 // 2)
        layout.addLayout(self._tools())
        self.view = ExampleView(self)
        self._state = QLabel(self)
        self._state.setObjectName("examples.state")
        self._state.setProperty("role", "muted")
        self._state.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._state.setWordWrap(True)
        middle = QWidget(self)
        self._stack = QStackedLayout(middle)
        self._stack.addWidget(self._state)
        self._stack.addWidget(self.view)
        layout.addLayout(self._line_above())
        layout.addWidget(middle, 1)
        layout.addLayout(self._line_below())
        layout.addLayout(self._mask())

    def _tools(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        self.split_box = ChoiceBox((), self)
        self.split_box.setObjectName("examples.split")
        self.split_box.setAccessibleName(tr("Part of the data"))
        self.split_box.setToolTip(tr("Which part of the data to look at"))
        self.split_box.setMinimumContentsLength(16)
        self.split_box.edited.connect(self._on_split)
        row.addWidget(self.split_box)
        row.addSpacing(theme.SPACE)
        self.back_button = self._step(
            "ph.caret-left", tr("Example before"), "examples.previous", self.show_previous
        )
        self.next_button = self._step("ph.caret-right", tr("Next example"), "examples.next", self.show_next)
        self.number_edit = QLineEdit(self)
        self.number_edit.setObjectName("examples.number")
        self.number_edit.setAccessibleName(tr("Number of the example"))
        self.number_edit.setToolTip(tr("Number of the example"))
        self.number_edit.setFixedWidth(theme.text_width(72))
        self.number_edit.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.number_edit.setValidator(QIntValidator(1, 2**31 - 1, self))
        self.number_edit.editingFinished.connect(self._on_number)
        self._of = QLabel(self)
        self._of.setProperty("role", "muted")
        for widget in (self.back_button, self.number_edit, self._of, self.next_button):
            row.addWidget(widget)
        row.addStretch(1)
        self._hits = QLabel(self)
        self._hits.setObjectName("examples.hits")
        self._hits.setProperty("role", "small")
        row.addWidget(self._hits)
        row.addWidget(self._search_edit())
        return row

    def _step(self, icon: str, tip: str, name: str, slot: Any) -> IconButton:
        button = IconButton(icon, tip, self)
        button.setObjectName(name)
        button.clicked.connect(slot)
        return button

    def _search_edit(self) -> QLineEdit:
        self.search_edit = QLineEdit(self)
        self.search_edit.setObjectName("examples.search")
        self.search_edit.setAccessibleName(tr("Search in the examples"))
        self.search_edit.setPlaceholderText(tr("Search all examples"))
        self.search_edit.setToolTip(tr("Enter searches this part of the data, and again goes to the next match"))
        self.search_edit.setClearButtonEnabled(True)
        self.search_edit.setFixedWidth(theme.text_width(232))
        self.search_edit.returnPressed.connect(self._on_search)
        self.search_edit.textChanged.connect(self._on_search_text)
        return self.search_edit

    def _line_above(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.legend = Legend(self)
        row.addWidget(self.legend)
        row.addStretch(1)
        self.edges_button = QPushButton(tr("Token edges"), self)
        self.edges_button.setObjectName("examples.edges")
        self.edges_button.setToolTip(tr("Show where one token ends and the next begins"))
        self.edges_button.setCheckable(True)
        self.edges_button.setAutoDefault(False)
        theme.set_role(self.edges_button, kind="quiet")
        self.edges_button.toggled.connect(self._on_edges)
        row.addWidget(self.edges_button)
        return row

    def _line_below(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        self.counts_label = QLabel(self)
        self.counts_label.setObjectName("examples.counts")
        row.addWidget(self.counts_label)
        self._origin = ElidedLabel("", self)
        self._origin.setObjectName("examples.origin")
        self._origin.setProperty("role", "small")
        self._origin.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self._origin, 1)
        self.edit_button = QPushButton(tr("Edit this row"), self)
        self.edit_button.setObjectName("examples.edit")
        self.edit_button.setToolTip(tr("Change or drop the row, and save the data as a new file"))
        self.edit_button.setAutoDefault(False)
        theme.set_role(self.edit_button, kind="link")
        self.edit_button.clicked.connect(self._on_edit)
        row.addWidget(self.edit_button)
        return row

    def _mask(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE * 3)
        turn_box = ChoiceBox((), self)
        turn_box.setFixedWidth(theme.text_width(160))
        self.fields = {
            "mask_prompt": Field("mask_prompt", self._store, self),
            "mask_turns": Field("mask_turns", self._store, self, editor=turn_box, labelled=False),
        }
        self.fields["mask_turns"].set_choices(self.fields["mask_turns"].spec.choices)
        row.addWidget(self.fields["mask_prompt"], 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.fields["mask_turns"], 0, Qt.AlignmentFlag.AlignVCenter)
        self.share_label = QLabel(self)
        self.share_label.setObjectName("examples.share")
        self.share_label.setProperty("role", "label")
        self.share_label.setWordWrap(True)
        self.share_label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.share_label, 1)
        return row

    # -- asking -----------------------------------------------------------------------------------------------

    @property
    def split(self) -> str:
        """The part of the data that is looked at."""
        return str(self.split_box.value() or "train")

    @property
    def count(self) -> int:
        """How many examples that part has."""
        return self.previewer.splits.get(self.split, self._plain_count())

    def _plain_count(self) -> int:
        report = self._inspector.last_report
        return len(report.preview) if report is not None and not self._inspector.model else 0

    def refresh(self) -> None:
        """Opens the preview for the present config, or says why there is none."""
        report = self._inspector.last_report
        target = report.target if report is not None else ""
        masked, turns = self._store.config.mask_prompt, self.fields["mask_turns"]
        why_not = "" if masked else tr("Everything is trained: there are no answers to choose among")
        if masked and target != "chat":
            why_not = tr("Each example has one answer: there is none to choose")
        turns.setEnabled(not why_not)
        turns.setToolTip(why_not)
        for field in self.fields.values():
            field.setVisible(method_of(self._store.config).data == "examples")
        self._show_share()
        if not self.isVisible():
            return
        if self._inspector.model and report is not None and target and report.examples:
            config = self._store.config.with_value("model", self._inspector.model)
            self.previewer.open(config, is_text=target == "text")
            if not self.previewer.is_open:
                self._say(tr("Reading the data …"))
            return
        self.previewer.close()
        if report is None:
            self._say(self._inspector.phase or tr("There are no data to look at yet."))
        else:
            self._show_plain()

    def show_index(self, index: int) -> None:
        """Shows an example of the present part by its number from 0."""
        self.index = max(0, min(index, self.count - 1))
        if self.previewer.is_open:
            self.previewer.ask(self.split, self.index)
        elif not self._inspector.model:
            self._show_plain()

    def show_next(self) -> None:
        """One on."""
        self.show_index(self.index + 1)

    def show_previous(self) -> None:
        """One back."""
        self.show_index(self.index - 1)

    # -- showing ----------------------------------------------------------------------------------------------

    def _on_opened(self, splits: dict[str, int]) -> None:
        chosen = self.split
        self.split_box.clear()
        for name, count in splits.items():
            self.split_box.addItem(
                tr("{split_names} · {count:,}", split_names=SPLIT_NAMES[name], count=count), name
            )
        self.split_box.set_value(chosen if chosen in splits else "train")
        self.show_index(self.index)

    def _on_shown(self, example: dict[str, Any]) -> None:
        self.example = example
        self._show_legend(True)
        limit = self._store.config.max_seq_length
        self.view.show_tokens(
            TokenList(example["tokens"]), tr("Cut here: maximum length {limit:,} tokens", limit=limit)
        )
        self._stack.setCurrentWidget(self.view)
        self._show_counts(example)
        self._show_place(example["file"], example["line"])
        self._show_steps()
        if example["refused"]:
            self._say(example["refused"])

    def _show_legend(self, shown: bool) -> None:
        """Rows that no tokenizer has seen need none."""
        self.legend.setVisible(shown)
        self.edges_button.setVisible(shown)

    def _show_counts(self, example: dict[str, Any]) -> None:
        counts = example["counts"]
        if not counts:
            self.counts_label.setText("")
            return
        kept = counts["tokens"] - counts["truncated"]
        parts = [f"<b>{plural(counts['tokens'], 'token')}</b>"]
        share = share_text(counts["trained"] / max(kept, 1))
        if counts["trained"] or not self._is_sampled:
            parts.append(tr("{trained:,} trained ({share})", trained=counts["trained"], share=share))
        if counts["truncated"]:
            parts.append(
                tr(
                    "<span style='color: {error}'>{truncated:,} cut off</span>",
                    error=theme.colors().error,
                    truncated=counts["truncated"],
                )
            )
        if example["shown"] < counts["tokens"]:
            parts.append(tr("the first {shown:,} are shown", shown=example["shown"]))
        parts += example["problems"]
        self.counts_label.setText(" · ".join(parts))

    @property
    def _is_sampled(self) -> bool:
        """True if rows are prompts: what is trained of them is sampled in the run."""
        return method_of(self._store.config).is_sampled

    def _show_place(self, file: str, line: int) -> None:
        path = shown_path(file)
        self._origin.setText(tr("{name}, line {line:,}", name=path.name, line=line))
        self._origin.setToolTip(f"{path}:{line}")
        self.edit_button.show()

    def _show_steps(self) -> None:
        self.number_edit.setText(str(self.index + 1))
        self._of.setText(tr("of {count:,}", count=self.count))
        self.back_button.setEnabled(self.index > 0)
        self.next_button.setEnabled(self.index + 1 < self.count)

    def _show_plain(self) -> None:
        """Rows as they stand in the file, while there is no tokenizer (or no known format)."""
        report = self._inspector.last_report
        if report is None or not report.preview:
            self._say(tr("There is no row to show."))
            return
        self.example = {}
        self._show_legend(False)
        self.index = min(self.index, len(report.preview) - 1)
        self.split_box.clear()
        self.split_box.addItem(tr("First rows"), "train")
        self.split_box.set_value("train")
        self.view.show_tokens(plain_tokens(turns(report.preview[self.index])))
        self._stack.setCurrentWidget(self.view)
        why = (
            tr("Choose a model to see tokens") if not self._inspector.model else tr("Choose columns to see tokens")
        )
        self.counts_label.setText(tr("{why}; these are the rows as they stand in the file.", why=why))
        self._show_place(report.splits["train"].files[0], report.preview_lines[self.index])
        self._show_steps()

    def _show_share(self) -> None:
        """The share of trained tokens of the whole training part."""
        figures = self._inspector.figures.get("train")
        report = self._inspector.last_report
        if figures is None or report is None or figures.kind == "prompts":
            self.share_label.setText("")
            return
        share = share_text(figures.trained_share)
        text = tr(
            "{share} of {training_tokens} are trained",
            share=share,
            training_tokens=plural(figures.kept_tokens, "training token"),
        )
        self.share_label.setText(tr("Counting …") if self._inspector.is_stale else text)

    def _say(self, text: str) -> None:
        self._state.setText(text)
        self._stack.setCurrentWidget(self._state)

    # -- what happens -----------------------------------------------------------------------------------------

    def _on_reported(self) -> None:
        self.refresh()

    def _on_changed(self, path: str) -> None:
        if path in ("", "mask_prompt", "mask_turns", "max_seq_length", "max_completion_length"):
            self.refresh()

    def _on_theme(self) -> None:
        if self.example:
            self._show_counts(self.example)

    def _on_failed(self, text: str) -> None:
        self.counts_label.setText("")
        self._say(text)

    def _on_progress(self, phase: str, share: float) -> None:
        self._say(f"{phase} · {share:.0%}" if share >= 0 else f"{phase} …")

    def _on_split(self, _split: str) -> None:
        self._matches = []
        self._hits.setText("")
        self.show_index(0)

    def _on_number(self) -> None:
        if self.number_edit.text():
            self.show_index(int(self.number_edit.text()) - 1)

    def _on_edges(self, shown: bool) -> None:
        self.view.set_edges(shown)

    def _on_search_text(self, text: str) -> None:
        self._matches = []
        self._hits.setText("")
        self.view.set_marked(text.strip() if len(text.strip()) > 1 else "")

    def _on_search(self) -> None:
        text = self.search_edit.text().strip()
        if not text or not self.previewer.is_open:
            return
        if self._matches:
            later = [match for match in self._matches if match > self.index]
            self._go_to(later[0] if later else self._matches[0])
        else:
            self._hits.setText(tr("Searching …"))
            self.previewer.search(self.split, text)

    def _on_found(self, found: dict[str, Any]) -> None:
        self._matches, self._more_matches = found["indices"], found["more"]
        if not self._matches:
            self._hits.setText(tr("No match"))
            return
        later = [match for match in self._matches if match >= self.index]
        self._go_to(later[0] if later else self._matches[0])

    def _go_to(self, index: int) -> None:
        more = "+" if self._more_matches else ""
        self._hits.setText(
            tr(
                "{index} of {matches:,}{more}",
                index=self._matches.index(index) + 1,
                matches=len(self._matches),
                more=more,
            )
        )
        self.show_index(index)

    def _on_edit(self) -> None:
        report = self._inspector.last_report
        if self.example:
            self.edit_requested.emit(self.example["file"], int(self.example["line"]))
        elif report is not None and report.preview_lines:
            self.edit_requested.emit(report.splits["train"].files[0], report.preview_lines[self.index])

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()
