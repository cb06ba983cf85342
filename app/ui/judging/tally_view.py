"""The tally of a comparison: a line a candidate with its share of the votes, and what that says."""

from __future__ import annotations

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from app.core.compare.judgement import Standing, Tally
from app.core.language import tr
from app.core.quantity import plural, rough_share_text
from app.ui.judging.rate_bar import RateBar
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel

TALLY_LABEL_SHARE = 0.4  # of the view
TALLY_LABEL_WIDTH = theme.SPACE * 26


class TallyView(QWidget):
    """Shows a `Tally`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("judging.tally")
        self._lines: list[tuple[ElidedLabel, RateBar, QLabel]] = []
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(theme.SPACE * 2)
        self._grid.setVerticalSpacing(theme.SPACE // 2)
        self._grid.setColumnStretch(1, 1)
        self.verdict = QLabel(self)
        self.verdict.setObjectName("judging.verdict")
        self.verdict.setWordWrap(True)
        self.counts = QLabel(self)
        self.counts.setObjectName("judging.counts")
        self.counts.setWordWrap(True)
        theme.set_role(self.counts, role="small")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(self._grid)
        layout.addWidget(self.verdict)
        layout.addWidget(self.counts)

    def show_tally(self, found: Tally) -> None:
        """Takes over a new count."""
        self._set_lines(len(found.standings) if found.votes else 0)
        if found.votes:
            for line, standing in zip(self._lines, found.standings, strict=True):
                _fill(line, standing, found.votes)
        self._fit_labels()
        self.verdict.setText(found.verdict())
        self.verdict.setVisible(bool(found.votes))
        self.counts.setText(_counts(found))

    def _fit_labels(self) -> None:
        """As wide as the names are, as long as the bars keep most of the room."""
        widest = max((label.sizeHint().width() for label, _, _ in self._lines), default=0)
        least = round(theme.text_width(TALLY_LABEL_WIDTH))
        self._grid.setColumnMinimumWidth(0, max(least, min(widest, round(self.width() * TALLY_LABEL_SHARE))))

    def resizeEvent(self, resized: QResizeEvent) -> None:
        super().resizeEvent(resized)
        self._fit_labels()

    def _set_lines(self, count: int) -> None:
        while len(self._lines) > count:
            for widget in self._lines.pop():
                self._grid.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
        while len(self._lines) < count:
            line = ElidedLabel("", self), RateBar(self), QLabel(self)
            for column, part in enumerate(line):
                self._grid.addWidget(part, len(self._lines), column)
            self._lines.append(line)


def _fill(line: tuple[ElidedLabel, RateBar, QLabel], standing: Standing, votes: int) -> None:
    label, bar, figures = line
    rate = standing.rate
    label.setText(standing.candidate.label)
    bar.set_rate(rate)
    figures.setText(
        tr(
            "{wins:,} of {votes:,} · {value} ({low} to {high})",
            wins=standing.wins,
            votes=votes,
            value=rough_share_text(rate.value),
            low=rough_share_text(rate.low),
            high=rough_share_text(rate.high),
        )
    )


def _counts(found: Tally) -> str:
    if not found.votes:
        return tr("No votes yet on these candidates.")
    parts = [plural(found.votes, "vote"), tr("{blind:,} blind", blind=found.blind)]
    parts += [plural(found.ties, "tie")] if found.ties else []
    parts += [tr("{all_bad:,} all bad", all_bad=found.all_bad)] if found.all_bad else []
    return " · ".join(parts) + tr(". A share counts all votes; its range is the 95 % interval.")
