"""The details of one run: what the list has no room for, its tags and its notes."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.core.language import tr
from app.core.quantity import bytes_text, loss_text
from app.core.run.history import Traded
from app.core.run.note import parse_tags
from app.core.run.summary import RunSummary
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel

NOTE_DELAY_MS = 800
FACTS = ("folder", "base", "data", "targets", "iterations", "best", "traded", "size")
DETAIL_LABELS = {
    "folder": tr("Folder"),
    "base": tr("Base model"),
    "data": tr("Data"),
    "targets": tr("Targets"),
    "iterations": tr("Iterations"),
    "best": tr("Best loss"),
    "traded": tr("Trade"),
    "size": tr("On disk"),
}


class RunDetail(QWidget):
    """Facts at the left, what a person wrote at the right. Edits are given out after a pause, or when left."""

    edited = Signal(object, tuple, str)  # RunSummary, tags, notes

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("run_detail")
        self._run: RunSummary | None = None
        self._given: tuple[tuple[str, ...], str] = ((), "")  # tags and notes before anybody wrote here
        self._saving = QTimer(self)
        self._saving.setSingleShot(True)
        self._saving.setInterval(NOTE_DELAY_MS)
        self._saving.timeout.connect(self.flush)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE * 2)
        layout.addWidget(self._facts(), 1)
        layout.addLayout(self._writing(), 1)

    def show_run(self, run: RunSummary | None) -> None:
        """Shows another run, or the same with newer figures; what is being written stays."""
        same = run is not None and self._run is not None and run.run.path == self._run.run.path
        if not same:
            self.flush()
        self._run = run
        if run is None:
            return
        for name, text in self._texts(run).items():
            self._values[name].setText(text)
        self._best_label.setText(tr("Best reward") if run.rewarded else DETAIL_LABELS["best"])
        self._message.setText(run.message)
        self._message.setVisible(bool(run.message))
        if not (same and any(self._edited())):
            self._show_written(run)

    def flush(self) -> None:
        """Gives out what was written, if it is not what the run has."""
        self._saving.stop()
        if self._run is None:
            return
        (tags, note), (has_tags, has_note) = self._written(), self._edited()
        if has_tags or has_note:
            self.edited.emit(self._run, tags if has_tags else self._run.tags, note if has_note else self._run.note)

    def _edited(self) -> tuple[bool, bool]:
        """Whether tags, and notes, were written here that the run does not have: others write them, too."""
        assert self._run is not None
        tags, note = self._written()
        return tags not in (self._given[0], self._run.tags), note not in (self._given[1], self._run.note)

    def _written(self) -> tuple[tuple[str, ...], str]:
        return parse_tags(self._tags.text()), self._notes.toPlainText().strip()

    def _show_written(self, run: RunSummary) -> None:
        """Shows tags and notes as the run has them; a comma or a blank that was just typed stays."""
        self._given = run.tags, run.note
        tags, note = self._written()
        if tags != run.tags or not self._tags.hasFocus():
            self._tags.setText(", ".join(run.tags))
        stays = note == run.note and self._notes.hasFocus()
        if not stays and self._notes.toPlainText() != run.note:
            self._notes.setPlainText(run.note)
        self._saving.stop()

    def _texts(self, run: RunSummary) -> dict[str, str]:
        best = loss_text(run.best_figure) if run.best_figure is not None else "–"
        if run.best_iteration is not None:
            best += tr(" at iteration {best_iteration:,}", best_iteration=run.best_iteration)
        return {
            "folder": str(run.run.path),
            "base": run.base or "–",
            "data": run.data or "–",
            "targets": run.targets,
            "iterations": tr("{iteration:,} of {iterations:,}", iteration=run.iteration, iterations=run.iterations),
            "best": best,
            "traded": tr("{text} (nats a token)", text=Traded(run.learned, run.forgot).text())
            if run.forgot is not None
            else "–",
            "size": bytes_text(run.size_bytes),
        }

    # -- building ---------------------------------------------------------------------------------------------

    def _facts(self) -> QScrollArea:
        page = QWidget(self)
        page.setObjectName("run_facts")
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, theme.SPACE, 0)
        layout.setSpacing(theme.SPACE)
        self._message = QLabel(page)
        self._message.setObjectName("run_detail.message")
        self._message.setWordWrap(True)
        self._message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        theme.set_role(self._message, role="error")
        grid = QGridLayout()
        grid.setHorizontalSpacing(theme.SPACE * 3 // 2)
        grid.setVerticalSpacing(theme.SPACE * 3 // 4)
        grid.setColumnStretch(1, 1)
        self._values: dict[str, ElidedLabel] = {}
        for row, name in enumerate(FACTS):
            label = QLabel(DETAIL_LABELS[name], page)
            theme.set_role(label, role="muted")
            value = ElidedLabel("", page, mode=Qt.TextElideMode.ElideMiddle)  # paths differ at their ends
            value.setObjectName(f"run_detail.{name}")
            self._values[name] = value
            grid.addWidget(label, row, 0)
            grid.addWidget(value, row, 1)
            if name == "best":
                self._best_label = label
        layout.addWidget(self._message)
        layout.addLayout(grid)
        layout.addStretch(1)
        area = QScrollArea(self)
        area.setAccessibleName(tr("What is known of the run"))
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setStyleSheet("QScrollArea, QWidget#run_facts { background: transparent; }")
        area.setWidget(page)
        return area

    def _writing(self) -> QVBoxLayout:
        self._tags = QLineEdit(self)
        self._tags.setObjectName("run_detail.tags")
        self._tags.setAccessibleName(tr("Tags"))
        self._tags.setPlaceholderText(tr("Tags, separated by commas"))
        self._tags.setToolTip(tr("Words to find this run by; the search finds them"))
        self._tags.textEdited.connect(self._saving.start)
        self._tags.editingFinished.connect(self.flush)
        self._notes = QPlainTextEdit(self)
        self._notes.setObjectName("run_detail.notes")
        self._notes.setAccessibleName(tr("Notes"))
        self._notes.setPlaceholderText(tr("Notes: why you ran it, what you learned. Kept in the run's notes.md."))
        self._notes.setTabChangesFocus(True)
        self._notes.textChanged.connect(self._on_typed)
        self._notes.installEventFilter(self)
        column = QVBoxLayout()
        column.setSpacing(theme.SPACE)
        column.addWidget(self._tags)
        column.addWidget(self._notes, 1)
        return column

    def _on_typed(self) -> None:
        if self._notes.hasFocus():
            self._saving.start()

    def eventFilter(self, watched: QObject, found: QEvent) -> bool:
        if watched is self._notes and found.type() == QEvent.Type.FocusOut:
            self.flush()
        return super().eventFilter(watched, found)
