"""The page "Columns": which column is the prompt, the answer, the messages or the text, with what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.core.config.train_config import TrainConfig
from app.core.data.convert import convert_row
from app.core.data.format import FORMAT_LABELS, RATED, Features, Format
from app.core.data.label import label_of
from app.core.data.layout import layout_of
from app.core.data.mapping import Mapping, suggest_mapping
from app.core.data.report import DataReport
from app.core.language import tr
from app.core.problem import Severity
from app.core.quantity import plural
from app.core.source.encoding import ENCODING_CHOICES
from app.ui.data.inspector import DataInspector
from app.ui.edit.row import RowCard, turns
from app.ui.form.field import Field
from app.ui.form.plain_editor import ChoiceBox
from app.ui.form.store import ConfigStore
from app.ui.widget import theme

SAMPLE_ROWS = 3
COLUMN_CHOICE_WIDTH = 240  # px in Inter
SAMPLE_TURNS = 4
READING_PATHS = ("encoding", "sheet", "answers_by")
ENCODING_KINDS = ("encoding", "doubtful_encoding", "wrong_encoding", "bad_encoding", "mojibake")
NAMED_READINGS = 3
COLUMN_PATHS = ("chat_feature", "prompt_feature", "completion_feature", "system_feature", "text_feature")
FORMAT_PATHS = {
    "chat": ("chat_feature", "system_feature"),
    "completion": ("prompt_feature", "completion_feature", "system_feature"),
    "text": ("text_feature",),
}


class ColumnBox(ChoiceBox):
    """One of the columns of the data; a name that is none of them stays and is marked."""

    def __init__(self, parent: QWidget | None = None, *, none_text: str = "") -> None:
        super().__init__((), parent)
        self._none_text = none_text
        self._columns: tuple[str, ...] = ()
        self._texts: dict[str, str] = {}

    def set_columns(self, columns: tuple[str, ...], texts: dict[str, str] | None = None) -> None:
        """The columns that there are, and under which texts they are shown."""
        value = self.value()
        self._columns, self._texts = columns, texts or {}
        self.set_value("" if value is None else value)

    def set_value(self, value: Any) -> None:
        """Shows a column's name without telling anyone."""
        self.clear()
        if self._none_text:
            self.addItem(self._none_text, "")
        for column in self._columns:
            self.addItem(self._texts.get(column, column), column)
        if value and value not in self._columns:
            self.addItem(tr("{value} (not in the data)", value=value) if self._columns else str(value), value)
        super().set_value(value)


class DataColumnPage(QWidget):
    """Edits the format and the columns of a `ConfigStore` over the rows that a `DataInspector` has read."""

    def __init__(self, store: ConfigStore, inspector: DataInspector, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("data_column_page")
        self._store, self._inspector = store, inspector
        self.suggestion: Mapping | None = None
        self._report: DataReport | None = None
        self._build()
        inspector.reported.connect(self._on_reported)
        store.changed.connect(self._on_changed)
        self._on_reported()

    # -- parts ------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE, 0, 0)
        layout.setSpacing(theme.SPACE * 2)
        layout.addWidget(self._banner())
        none_texts = {
            "system_feature": tr("None"),
            "sheet": tr("The first"),
            "answers_by": tr("Automatic"),
            "encoding": tr("Detect"),
        }
        self.boxes = {path: ColumnBox(self, none_text=none_texts.get(path, ""))
                      for path in (*READING_PATHS, *COLUMN_PATHS)}  # fmt: skip
        self.boxes["encoding"].set_columns(tuple(ENCODING_CHOICES), ENCODING_CHOICES)
        self.fields = {path: Field(path, self._store, self) for path in ("data_format", "skip_bad_answers")}
        self.fields |= {path: Field(path, self._store, self, editor=box) for path, box in self.boxes.items()}
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE * 2)
        for field in self.fields.values():
            field.setMaximumWidth(theme.text_width(COLUMN_CHOICE_WIDTH))
            row.addWidget(field, 100)
        row.addStretch(1)
        layout.addLayout(row)
        self.encoding_label = QLabel(self)
        self.encoding_label.setObjectName("columns.encoding")
        self.encoding_label.setWordWrap(True)
        layout.addWidget(self.encoding_label)
        self.caption = QLabel(self)
        self.caption.setObjectName("columns.caption")
        self.caption.setWordWrap(True)
        layout.addWidget(self.caption)
        self._area = QScrollArea(self)
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setAccessibleName(tr("The first rows as they will be trained"))
        layout.addWidget(self._area, 1)

    def _banner(self) -> QFrame:
        self.banner = QFrame(self)
        self.banner.setProperty("role", "banner")
        row = QHBoxLayout(self.banner)
        row.setContentsMargins(theme.SPACE * 2, theme.SPACE, theme.SPACE * 2, theme.SPACE)
        self.suggestion_label = QLabel(self.banner)
        self.suggestion_label.setObjectName("columns.suggestion")
        self.suggestion_label.setWordWrap(True)
        row.addWidget(self.suggestion_label, 1)
        self.use_button = QPushButton(tr("Use this"), self.banner)
        self.use_button.setObjectName("columns.use")
        self.use_button.setToolTip(tr("Take over the suggested columns"))
        self.use_button.setAutoDefault(False)
        theme.set_role(self.use_button, kind="primary")
        self.use_button.clicked.connect(self.use_suggestion)
        row.addWidget(self.use_button)
        return self.banner

    # -- showing ----------------------------------------------------------------------------------------------

    def use_suggestion(self) -> None:
        """Puts the suggested columns into the config."""
        if self.suggestion is not None:
            self._store.set_many(self.suggestion.config_values())

    def _on_reported(self) -> None:
        report = self._inspector.last_report
        if report is None or report is not self._report:
            self._take(report)

    def _take(self, report: DataReport | None) -> None:
        self._report = report
        if report is not None:
            for path in COLUMN_PATHS:
                self.boxes[path].set_columns(report.columns)
            self.boxes["sheet"].set_columns(report.sheets)
            counts = {name: f"{name} ({plural(count, 'message')})" for name, count in report.speakers.items()}
            self.boxes["answers_by"].set_columns(tuple(counts), counts)
        self._show()

    def _on_changed(self, path: str) -> None:
        if path in ("", "data_format", "skip_bad_answers", *READING_PATHS, *COLUMN_PATHS):
            self._show()

    def _show(self) -> None:
        config = self._store.config
        wanted = FORMAT_PATHS.get(config.data_format)
        for path in COLUMN_PATHS:
            shown = path in wanted if wanted is not None else not self._store.is_default(path)
            self.fields[path].setVisible(shown)
        report = self._report
        told = self._show_encoding(report)
        is_labelled = report is not None and report.format == Format.LABELLED and config.train_mode == "sft"
        self.fields["skip_bad_answers"].setVisible(is_labelled or config.skip_bad_answers)
        there = {"sheet": report is not None and len(report.sheets) > 1, "encoding": told,
                 "answers_by": report is not None and bool(report.speakers)}  # fmt: skip
        for path in READING_PATHS:
            self.fields[path].setVisible(there[path] or not self._store.is_default(path))
        self.suggestion = suggest_mapping(report.columns, report.preview) if report is not None else None
        self._show_suggestion(config)
        self._show_rows(config, report.preview if report is not None else ())

    def _show_encoding(self, report: DataReport | None) -> bool:
        """Shows how texts are decoded where they are not plain UTF-8; True if there is anything to choose."""
        findings = (*report.errors, *report.warnings, *report.notes) if report is not None else ()
        found = [finding for finding in findings if finding.kind in ENCODING_KINDS]
        said = list(dict.fromkeys(finding.reason for finding in found if finding.kind != "mojibake"))
        self.encoding_label.setText("\n".join(said[:NAMED_READINGS]))
        self.encoding_label.setVisible(bool(said))
        is_doubtful = any(finding.severity is not Severity.NOTE for finding in found)
        theme.set_role(self.encoding_label, role="warning" if is_doubtful else "muted")
        return bool(found)

    def _show_suggestion(self, config: TrainConfig) -> None:
        """The suggestion stands there only while it would change something that does not work yet."""
        found = self.suggestion
        rows = self._report.preview if self._report is not None else ()
        recognised = any(layout_of(row, Features.of(config)) for row in rows)
        self.banner.setVisible(found is not None and not recognised)
        if found is not None:
            self.suggestion_label.setText(tr("Suggested: {mapping_text}", mapping_text=mapping_text(found)))

    def _show_rows(self, config: TrainConfig, rows: Sequence[dict[str, Any]]) -> None:
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, theme.SPACE, 0)
        layout.setSpacing(theme.SPACE)
        features = Features.of(config)
        formats = []
        kept = [row for row in rows if not _is_left_out(row, features)]
        for row in kept[:SAMPLE_ROWS]:
            found, pairs = trained_turns(row, features)
            formats.append(found)
            layout.addWidget(RowCard(pairs[:SAMPLE_TURNS], page))
        layout.addStretch(1)
        self._area.setWidget(page)
        self._show_caption(formats)

    def _show_caption(self, formats: list[Format | None]) -> None:
        known = [found for found in formats if found is not None]
        if not formats:
            self.caption.setText(
                tr("There are no rows to show yet.") if self._inspector.has_data else tr("No data are chosen.")
            )
            theme.set_role(self.caption, role="muted")
        elif not known and self._report is not None and self._report.format in RATED:
            kind = FORMAT_LABELS[Format(self._report.format)]
            self.caption.setText(
                tr("These rows are {kind}. What can be done with them stands under Problems.", kind=kind)
            )
            theme.set_role(self.caption, role="warning")
        elif not known:
            self.caption.setText(tr("These columns are not recognised. Choose a format and its columns above."))
            theme.set_role(self.caption, role="warning")
        else:
            self.caption.setText(
                tr(
                    "Read as {format_labels}. The first rows as they will be trained:",
                    format_labels=FORMAT_LABELS[known[0]],
                )
            )
            theme.set_role(self.caption, role="muted")


def trained_turns(row: dict[str, Any], features: Features) -> tuple[Format | None, list[tuple[str, str]]]:
    """The format of a row under the columns chosen, and who says what in it when it trains (or stands there)."""
    layout = layout_of(row, features)
    if layout is None or not layout.target:
        return None, turns(row)
    try:
        tree = convert_row(row, layout, layout.target, features)
    except (TypeError, KeyError, ValueError, AttributeError):
        return None, turns(row)  # a row that the check tells of
    if layout.target == "completion":
        return layout.format, turns({"user": tree[features.prompt], "assistant": tree[features.completion]})
    if layout.target == "chat":
        return layout.format, turns({"messages": tree[features.chat]})
    return layout.format, [("text", str(tree[features.text]))]


def _is_left_out(row: dict[str, Any], features: Features) -> bool:
    """True for an answer labelled bad where the good ones alone are learned."""
    layout = layout_of(row, features) if features.good_only else None
    return layout is not None and bool(layout.label) and label_of(row.get(layout.label)) is False


def mapping_text(mapping: Mapping) -> str:
    """A choice of columns in words."""
    names = {
        tr("messages"): mapping.chat, tr("prompt"): mapping.prompt, tr("answer"): mapping.completion,
        tr("text"): mapping.text, tr("system"): mapping.system,
    }  # fmt: skip
    pairs = [tr("“{column}” as the {name}", column=column, name=name) for name, column in names.items() if column]
    return ", ".join(pairs) + "."
