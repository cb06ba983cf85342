"""The page "Split": how the examples are divided into training, validation and test, and what they share."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QVBoxLayout, QWidget

from app.core.data.report import DataReport
from app.core.language import tr
from app.core.quantity import count_text, plural
from app.core.setup.plan import Parts
from app.ui.data.column_page import ColumnBox
from app.ui.data.inspector import DataInspector
from app.ui.data.split_bar import SPLIT_NAMES, SplitBar, split_color
from app.ui.data.split_text import split_origin, split_parts
from app.ui.form.field import Field
from app.ui.form.grid import FieldGrid
from app.ui.form.store import ConfigStore
from app.ui.widget import theme

SPLIT_PATHS = ("valid_fraction", "test_fraction", "seed", "group_feature")


class DataSplitPage(QWidget):
    """Edits the split of a `ConfigStore` and shows what comes of it for a `DataInspector`'s data."""

    def __init__(self, store: ConfigStore, inspector: DataInspector, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("data_split_page")
        self._store, self._inspector = store, inspector
        self._build()
        inspector.reported.connect(self.refresh)
        store.changed.connect(self._on_changed)
        theme.theme().changed.connect(self.refresh)
        self.refresh()

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE, 0, 0)
        layout.setSpacing(theme.SPACE * 3)
        self.group_box = ColumnBox(self, none_text=tr("None"))
        self.fields = {path: Field(path, self._store, self) for path in SPLIT_PATHS if path != "group_feature"}
        self.fields["group_feature"] = Field("group_feature", self._store, self, editor=self.group_box)
        grid = FieldGrid(self, max_columns=4)
        for field in self.fields.values():
            grid.add(field)
        layout.addWidget(grid)
        layout.addWidget(self._card())
        self.note_label = QLabel(self)
        self.note_label.setObjectName("split.note")
        self.note_label.setWordWrap(True)
        layout.addWidget(self.note_label)
        how = tr(
            "Every part gets short and long examples alike. Equal rows are put together before "
            "the split, so that none is on both sides; rows with the same value in the column "
            "“Group by” stay on one side, too. The same seed gives the same split."
        )
        text = QLabel(how, self)
        text.setProperty("role", "small")
        text.setWordWrap(True)
        layout.addWidget(text)
        layout.addStretch(1)

    def _card(self) -> QFrame:
        card = QFrame(self)
        card.setProperty("role", "card")
        grid = QGridLayout(card)
        grid.setContentsMargins(*[theme.SPACE * 2] * 4)
        grid.setHorizontalSpacing(theme.SPACE * 3)
        grid.setVerticalSpacing(theme.SPACE)
        self.bar = SplitBar(card, height=10)
        grid.addWidget(self.bar, 0, 0, 1, 3)
        self.count_labels: dict[str, QLabel] = {}
        self._name_labels: dict[str, QLabel] = {}
        self._origin_labels: dict[str, QLabel] = {}
        for column, (split, name) in enumerate(SPLIT_NAMES.items()):
            count, title, origin = QLabel("–", card), QLabel(name, card), QLabel(card)
            count.setObjectName(f"split.{split}")
            count.setProperty("role", "figure")
            title.setObjectName(f"split.{split}.name")
            origin.setProperty("role", "small")
            origin.setWordWrap(True)
            origin.setAlignment(Qt.AlignmentFlag.AlignTop)
            for row, label in enumerate((title, count, origin), 1):
                grid.addWidget(label, row, column)
            grid.setColumnStretch(column, 1)
            self.count_labels[split], self._name_labels[split], self._origin_labels[split] = count, title, origin
        return card

    # -- showing ----------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Shows everything anew."""
        report = self._inspector.last_report
        if report is not None:
            self.group_box.set_columns(report.columns)
        self.group_box.set_value(self._store.config.group_feature)
        for split in SPLIT_NAMES:
            self._name_labels[split].setStyleSheet(f"color: {split_color(split)}; font-weight: 600;")
        self._show_hints(report)
        parts = split_parts(self._inspector, self._store)
        if parts is None or report is None:
            for label in (*self.count_labels.values(), *self._origin_labels.values()):
                label.setText("–" if label in self.count_labels.values() else "")
            self.bar.set_parts(Parts(0, 0, 0))
            self.note_label.setText("")
            return
        self.bar.set_parts(parts)
        for split, count in zip(SPLIT_NAMES, (parts.train, parts.valid, parts.test), strict=True):
            self.count_labels[split].setText(count_text(count))
            self._origin_labels[split].setText(split_origin(report, self._store, split) if count else tr("none"))
        self._show_note(report, parts)

    def _show_hints(self, report: DataReport | None) -> None:
        given = report.splits if report is not None else {}
        valid = "valid" in given and bool(given["valid"].examples)
        test = "test" in given and bool(given["test"].examples)
        why = tr("Not used: validation data are given.")
        self.fields["valid_fraction"].set_hint(why if valid else "")
        self.fields["test_fraction"].set_hint(
            tr("Not used: test data are given.") if test else why if valid else ""
        )
        self.fields["valid_fraction"].setEnabled(not valid)
        self.fields["test_fraction"].setEnabled(not (valid or test))

    def _show_note(self, report: DataReport, parts: Parts) -> None:
        said, role = [], "good"
        if report.leaked:
            said.append(
                tr(
                    "Also in the training data: {held_out_rows}. The score would show memory, not skill; "
                    "Problems lists them.",
                    held_out_rows=plural(report.leaked, "held-out row"),
                )
            )
            role = "warning"
        if report.duplicates:
            said.append(tr("Repetitions of an earlier row: {count:,}.", count=report.duplicates))
            role = "warning"
        if not parts.valid:
            said.append(tr("There is no validation data: overfitting cannot be seen, nor training stopped early."))
            role = "warning"
        theme.set_role(self.note_label, role=role)
        self.note_label.setText(" ".join(said) or tr("No row is in two parts, and none is repeated."))

    def _on_changed(self, path: str) -> None:
        if path in ("", "batch_size", *SPLIT_PATHS):
            self.refresh()
