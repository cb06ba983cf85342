"""The summary of the data on the card: how much of what, in which parts, what is wrong, and how far a check is."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.core.data.format import FORMAT_LABELS, Format
from app.core.data.report import DataReport
from app.core.language import tr
from app.core.problem import Severity
from app.core.quantity import count_text, plural, share_text, short_count
from app.core.setup.plan import Parts
from app.core.source.finding import KINDS
from app.ui.data.inspector import DataInspector
from app.ui.data.split_bar import SPLIT_NAMES, SplitBar, split_color
from app.ui.data.split_text import PART_NAMES, data_text, split_origin, split_parts
from app.ui.edit.row import RowCard, turns
from app.ui.form.store import ConfigStore
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.flow import Flow
from app.ui.widget.icon_button import IconButton
from app.ui.widget.layout import clear_layout
from app.ui.widget.pill import ProblemPill

BAR_STEPS = 1000
SHOWN_TURNS = 3
NOUNS = {"preference": "pair", "labelled": "labelled answer", "prompt": "prompt"}  # by target
# Formats that need no name beside what the rows are called.
TOLD_BY_NOUN = {
    "preference": (Format.PREFERENCE,), "labelled": (Format.LABELLED,), "prompt": (Format.GRPO,)
}  # fmt: skip
ASKED = ("no_sheet", "no_speaker", "wrong_encoding")
DELIBERATE = ("unknown_format", "not_supervised", *ASKED)  # what another choice of columns mends


class DataSummary(QWidget):
    """Shows a `DataInspector`'s data; pressing a pill asks for the problems, its banner's button the columns."""

    problems_requested = Signal(object)  # Severity
    columns_requested = Signal()

    def __init__(self, store: ConfigStore, inspector: DataInspector, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store, self._inspector = store, inspector
        self._row_of: DataReport | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        self.headline = QLabel(self)
        self.headline.setObjectName("data.summary")
        self.headline.setWordWrap(True)
        layout.addWidget(self.headline)
        self.contents_label = QLabel(self)
        self.contents_label.setObjectName("data.contents")
        self.contents_label.setProperty("role", "small")
        self.contents_label.setWordWrap(True)
        layout.addWidget(self.contents_label)
        self.parts_label = QLabel(self)
        self.parts_label.setObjectName("data.lengths")
        self.parts_label.setProperty("role", "small")
        self.parts_label.setToolTip(
            tr("Half of the training rows are shorter than the median; ≤ is the longest of all")
        )
        self.parts_label.setWordWrap(True)
        layout.addWidget(self.parts_label)
        layout.addWidget(self._progress())
        layout.addWidget(self._banner())
        layout.addWidget(self._parts())
        layout.addLayout(self._pills())
        self._example = QVBoxLayout()
        layout.addLayout(self._example)
        inspector.reported.connect(self.refresh)
        inspector.progressed.connect(self._show_progress)
        store.changed.connect(self._on_changed)
        theme.theme().changed.connect(self.refresh)
        self.refresh()

    # -- parts ------------------------------------------------------------------------------------------------

    def _progress(self) -> QWidget:
        self.progress = QWidget(self)
        layout = QHBoxLayout(self.progress)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        self.bar = QProgressBar(self.progress)
        self.bar.setObjectName("data.progress")
        self.bar.setAccessibleName(tr("Progress of the check"))
        self.bar.setTextVisible(False)
        self.phase_label = ElidedLabel("", self.progress)
        self.phase_label.setObjectName("data.phase")
        self.phase_label.setProperty("role", "small")
        self.cancel_button = IconButton("ph.x", tr("Stop checking the data"), self.progress, size=14)
        self.cancel_button.setObjectName("data.cancel")
        self.cancel_button.clicked.connect(self._inspector.cancel)
        layout.addWidget(self.phase_label, 3)
        layout.addWidget(self.bar, 2)
        layout.addWidget(self.cancel_button)
        return self.progress

    def _banner(self) -> QFrame:
        self.banner = QFrame(self)
        self.banner.setProperty("role", "banner-warning")
        layout = QHBoxLayout(self.banner)
        layout.setContentsMargins(theme.SPACE * 3 // 2, theme.SPACE, theme.SPACE * 3 // 2, theme.SPACE)
        self.banner_label = QLabel(self.banner)
        self.banner_label.setObjectName("data.banner")
        self.banner_label.setWordWrap(True)
        layout.addWidget(self.banner_label, 1)
        self.columns_button = QPushButton(tr("Choose columns…"), self.banner)
        self.columns_button.setObjectName("data.columns")
        self.columns_button.setToolTip(
            tr("Choose which column is the prompt, the answer, the messages or the text")
        )
        self.columns_button.clicked.connect(self.columns_requested)
        layout.addWidget(self.columns_button, 0, Qt.AlignmentFlag.AlignVCenter)
        return self.banner

    def _parts(self) -> QWidget:
        self.parts = QWidget(self)
        grid = QGridLayout(self.parts)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(theme.SPACE * 3 // 2)
        grid.setVerticalSpacing(2)
        self.split_bar = SplitBar(self.parts)
        grid.addWidget(self.split_bar, 0, 0, 1, 3)
        grid.setRowMinimumHeight(1, theme.SPACE // 2)
        self._split_labels: dict[str, tuple[QLabel, QLabel, ElidedLabel]] = {}
        for row, (split, name) in enumerate(SPLIT_NAMES.items(), 2):
            labels = (QLabel(name, self.parts), QLabel(self.parts), ElidedLabel("", self.parts))
            labels[0].setObjectName(f"data.split.{split}")
            labels[1].setAlignment(Qt.AlignmentFlag.AlignRight)
            labels[2].setProperty("role", "small")
            for column, label in enumerate(labels):
                grid.addWidget(label, row, column)
            self._split_labels[split] = labels
        grid.setColumnStretch(2, 1)
        return self.parts

    def _pills(self) -> Flow:
        row = Flow()
        self.pills = {severity: ProblemPill(severity, self) for severity in (Severity.ERROR, Severity.WARNING)}
        for severity, pill in self.pills.items():
            pill.setObjectName(f"data.{severity.value}s")
            pill.clicked.connect(self._on_pill)
            row.addWidget(pill)
            if severity is Severity.ERROR:
                row.addWidget(self._left_out_label())
        self.clean_label = QLabel(tr("No problems found"), self)
        self.clean_label.setProperty("role", "pill-good")
        row.addWidget(self.clean_label)
        self.again_button = QPushButton(tr("Check again"), self)
        self.again_button.setObjectName("data.again")
        self.again_button.setToolTip(tr("Read the files anew"))
        theme.set_role(self.again_button, kind="link")
        self.again_button.clicked.connect(self._inspector.read)
        row.addWidget(self.again_button)
        return row

    @property
    def tells_fault(self) -> bool:
        """Whether its banner says why the data cannot be used."""
        return not self.columns_button.isHidden()

    def _left_out_label(self) -> QLabel:
        self.left_out_label = QLabel(tr("in rows that are left out"), self)
        self.left_out_label.setObjectName("data.left_out")
        self.left_out_label.setProperty("role", "small")
        self.left_out_label.setMinimumHeight(theme.line_px() + 4)  # as the pill that it speaks of
        return self.left_out_label

    # -- showing ----------------------------------------------------------------------------------------------

    def say(self, text: str, role: str = "") -> None:
        """Shows words in the place of the headline."""
        theme.set_role(self.headline, role=role)
        self.headline.setText(text)
        self.headline.setVisible(bool(text))

    def refresh(self) -> None:
        """Shows everything anew."""
        inspector = self._inspector
        report = inspector.last_report
        self._show_progress()
        self.again_button.setVisible(inspector.was_cancelled)
        self._show_banner(report)
        self._show_parts(report)
        self._show_pills(report)
        self._show_example(report)
        self._show_contents(report)
        self._show_lengths()
        if report is not None:
            self.say(self._sentence(report), "label")
        elif inspector.was_cancelled:
            self.say(tr("The data were not checked."), "muted")
        else:
            self.say("")

    def _sentence(self, report: DataReport) -> str:
        name = FORMAT_LABELS[Format(report.format)]
        if not report.examples:
            return tr("{rows}, none of which can be used yet", rows=plural(report.rows, "row"))
        words = [plural(report.examples, _noun(report))]
        if report.format not in TOLD_BY_NOUN.get(report.target, (Format.UNKNOWN,)):
            words.append(name)
        figures = self._inspector.figures.values()
        if figures:
            tokens = sum(part.kept_tokens for part in figures)
            words.append(
                tr("{tokens} tokens", tokens=short_count(tokens)) if tokens >= 1e5 else plural(tokens, "token")
            )
        train = self._inspector.figures.get("train")
        if train is not None and train.kind != "prompts" and train.trained_share < 0.9995:
            words.append(tr("{trained_share} trained", trained_share=share_text(train.trained_share)))
        return " · ".join(words)

    def _show_contents(self, report: DataReport | None) -> None:
        """What was read of documents and exported chats: of the first, and of how many more."""
        said = [note.reason for note in report.notes if note.kind == "contents"] if report is not None else []
        more = tr(" And {more_files}.", more_files=plural(len(said) - 1, "more file")) if len(said) > 1 else ""
        self.contents_label.setText(f"{said[0]}{more}" if said else "")
        self.contents_label.setVisible(bool(said))

    def _show_lengths(self) -> None:
        """The lengths of what pairs and prompts are made of, in the training part."""
        train = self._inspector.figures.get("train")
        parts = train.parts if train is not None and self._inspector.last_report is not None else {}
        said = [
            tr(
                "{name} {median:,.0f} (≤ {longest:,})",
                name=PART_NAMES[name],
                median=part["median"],
                longest=part["longest"],
            )
            for name, part in parts.items()
        ]
        self.parts_label.setText(tr("Median tokens: {said}", said=" · ".join(said)))
        self.parts_label.setVisible(bool(parts))

    def _show_progress(self) -> None:
        inspector = self._inspector
        self.progress.setVisible(bool(inspector.phase))
        share = f" · {inspector.share:.0%}" if inspector.share >= 0 else " …"
        self.phase_label.setText(f"{inspector.phase}{share}" if inspector.phase else "")
        self.bar.setRange(0, BAR_STEPS if inspector.share >= 0 else 0)
        if inspector.share >= 0:
            self.bar.setValue(round(BAR_STEPS * inspector.share))

    def _show_banner(self, report: DataReport | None) -> None:
        found = next((f for f in report.errors if f.kind in DELIBERATE), None) if report is not None else None
        self.columns_button.setVisible(found is not None)
        if found is not None:
            is_asked = found.kind in ASKED  # the reason says what there is to choose from
            self.banner_label.setText(found.reason if is_asked else found.hint or found.reason)
            self.columns_button.setText(tr("Choose…") if is_asked else tr("Choose columns…"))
        elif self._inspector.token_problem:
            self.banner_label.setText(
                tr("Tokens are not counted. {token_problem}", token_problem=self._inspector.token_problem)
            )
        self.banner.setVisible(found is not None or bool(self._inspector.token_problem))

    def _show_parts(self, report: DataReport | None) -> None:
        parts = split_parts(self._inspector, self._store)
        self.parts.setVisible(report is not None and parts is not None)
        if report is None or parts is None:
            return
        self.split_bar.set_parts(parts)
        for split, count in _counts(parts).items():
            name, number, origin = self._split_labels[split]
            name.setStyleSheet(f"color: {split_color(split)}; font-weight: 600; font-size: {theme.text_px(12)}px;")
            number.setText(count_text(count))
            origin.setText(split_origin(report, self._store, split) if count else tr("none"))
        if len(report.splits["train"].files) > 1:
            self._split_labels["train"][2].setText(data_text(self._store.config.data))

    def _show_pills(self, report: DataReport | None) -> None:
        counts = dict.fromkeys(Severity, 0)
        for kind, count in (report.counts if report is not None else {}).items():
            counts[KINDS[kind].severity] += count
        for severity, pill in self.pills.items():
            pill.set_count(counts[severity])
        self.left_out_label.setVisible(counts[Severity.ERROR] > 0 and self._store.config.skip_bad_rows)
        clean = report is not None and not any(counts[severity] for severity in self.pills)
        self.clean_label.setVisible(clean and not self._inspector.phase)

    def _show_example(self, report: DataReport | None) -> None:
        """The first row, so that one sees at a glance which data these are."""
        if report is self._row_of:
            return
        self._row_of = report
        clear_layout(self._example)
        if report is not None and report.preview:
            card = RowCard(turns(report.preview[0])[:SHOWN_TURNS], self)
            card.setAccessibleName(tr("The first example"))
            self._example.addWidget(card)

    def _on_pill(self) -> None:
        pill = self.sender()
        assert isinstance(pill, ProblemPill)
        self.problems_requested.emit(pill.severity)

    def _on_changed(self, path: str) -> None:
        if path in ("valid_fraction", "test_fraction", "seed", "batch_size"):
            self._show_parts(self._inspector.last_report)


def _noun(report: DataReport) -> str:
    """What one row is to the method."""
    return NOUNS.get(report.target, "example")


def _counts(parts: Parts) -> dict[str, int]:
    return {"train": parts.train, "valid": parts.valid, "test": parts.test}
