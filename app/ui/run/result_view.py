"""The result of a run that has ended: what it came to in figures, and what can be done with it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QInputDialog, QLabel, QPushButton, QVBoxLayout, QWidget

from app.core.language import tr
from app.core.problem import UnusableError
from app.core.quantity import (
    duration_text,
    loss_text,
    memory_text,
    plural,
    token_rate_text,
)
from app.core.run.gain import Gain, run_gains
from app.core.setup.chosen_method import method_of
from app.ui.run.session import RunSession, RunState
from app.ui.widget import theme
from app.ui.widget.figure import CaptionedFigure, FigureGrid
from app.ui.widget.flow import Flow

MOST_MORE = 1_000_000
RESULT_FIGURES = 4  # the journey of the loss and its change, the method's own figure, what was forgotten
_FIGURES_ACROSS = 3
# States of a run that has come to its end, one way or the other.
OVER = (
    RunState.COMPLETED,
    RunState.EARLY_STOPPED,
    RunState.STOPPED,
    RunState.FAILED,
    RunState.CRASHED,
)
WHOLE = (RunState.COMPLETED, RunState.EARLY_STOPPED)
ACTIONS = (
    ("chat", tr("Chat"), "ph.chat-circle-dots", tr("Talk with the tuned model")),
    ("compare", tr("Compare"), "ph.columns", tr("Ask the base model and the tuned one side by side")),
    ("serve", tr("Use it now"), "ph.broadcast", tr("Serve the tuned model to other programs on this machine")),
    ("export", tr("Export"), "ph.export", tr("Take the tuned model to other programs")),
    ("extend", tr("Train longer"), "ph.fast-forward", tr("Go on from here with more iterations")),
    ("reveal", tr("Reveal"), "ph.folder-open", tr("Show the run's folder in the file manager")),
)


def ask_more_iterations(parent: QWidget, name: str, done: int) -> int:
    """Asks how many more iterations to train; returns the new number of all of them, 0 if it was cancelled."""
    said = tr(
        "“{name}” has trained {iterations}. Train how many more?", name=name, iterations=plural(done, "iteration")
    )
    more, chosen = QInputDialog.getInt(parent, tr("Train longer"), said, max(done // 2, 1), 1, MOST_MORE)
    return done + more if chosen else 0


class ResultView(QWidget):
    """Shows the result of a `RunSession`'s run; without weights there is only what can be done without."""

    requested = Signal(str)  # one of the names of ACTIONS
    extend_requested = Signal(int)  # the new number of iterations in all

    def __init__(self, session: RunSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._figures = [CaptionedFigure(f"result.{place}", "") for place in range(RESULT_FIGURES)]
        self._totals = QLabel()
        self._totals.setWordWrap(True)
        self._totals.setObjectName("result.totals")
        theme.set_role(self._totals, role="small")
        self._grid = FigureGrid(self._figures, _FIGURES_ACROSS)
        self.buttons: dict[str, QPushButton] = {}
        self._row = row = QWidget(self)
        flow = Flow(gap=theme.SPACE)
        for name, text, _, tip in ACTIONS:
            button = QPushButton(text, row)
            button.setObjectName(f"run_{name}")
            button.setAccessibleName(text)
            button.setToolTip(tip)
            button.setIconSize(QSize(16, 16))
            button.clicked.connect(lambda _on=False, asked=name: self._on_clicked(asked))
            self.buttons[name] = button
            flow.addWidget(button)
        row.setLayout(flow)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE // 2, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self._grid)
        layout.addWidget(self._totals)
        layout.addWidget(row)
        theme.theme().changed.connect(self._dress)
        self._dress()

    def take_button(self, button: QPushButton) -> None:
        """One more action, behind the others."""
        layout = self._row.layout()
        if layout is not None and layout.indexOf(button) < 0:
            layout.addWidget(button)

    def show_result(self) -> None:
        """Shows what the session's run has come to by now; hidden unless it is over."""
        session = self._session
        self.setVisible(session.state in OVER)
        if session.state not in OVER:
            return
        for name in ("chat", "compare", "serve", "export"):
            self.buttons[name].setVisible(session.has_adapter)
        self.buttons["extend"].setVisible(session.state in WHOLE and session.has_state)
        self._show_figures()
        self._totals.setText(self._totals_text())

    def _show_figures(self) -> None:
        history, config = self._session.history, self._session.config
        try:
            figure = method_of(config).figure if config is not None else ""
        except (KeyError, UnusableError):
            figure = ""
        shown = [shown for gain in run_gains(history, figure)[:1] for shown in _of_gain(gain)]
        shown += [
            (gain.label, gain.journey(), moment_text(gain.kept_iteration))
            for gain in run_gains(history, figure)[1:]
        ]
        if (traded := history.traded) is not None:
            shown.append((tr("Forgot"), loss_text(traded.forgot), ""))
        for place, widget in enumerate(self._figures):
            widget.setVisible(place < len(shown))
            if place < len(shown):
                label, value, note = shown[place]
                widget.set_label(label)
                widget.show_value(value, note)
        self._grid.arrange()

    def _totals_text(self) -> str:
        """``600 iterations in 5 min · 1,823 tokens/s · peak 1.23 GB``."""
        history, report = self._session.history, self._session.history.last_report
        if not history.iterations:
            return ""
        whole = history.iteration >= history.iterations
        planned = plural(history.iterations, "iteration")
        done = planned if whole else tr("{iteration:,} of {planned}", iteration=history.iteration, planned=planned)
        parts = [tr("{done} in {elapsed_s}", done=done, elapsed_s=duration_text(history.elapsed_s))]
        if report is not None:
            parts.append(token_rate_text(report.tokens_per_second))
            parts.append(tr("peak {peak_memory_gb}", peak_memory_gb=memory_text(report.peak_memory_gb)))
        return " · ".join(parts)

    def _on_clicked(self, name: str) -> None:
        if name != "extend":
            self.requested.emit(name)
            return
        if iterations := ask_more_iterations(self, self._session.name, self._session.history.iteration):
            self.extend_requested.emit(iterations)

    def _dress(self) -> None:
        for name, _, icon, _ in ACTIONS:
            self.buttons[name].setIcon(theme.icon(icon))


def moment_text(iteration: int) -> str:
    """Where a figure was measured: ``at 1,500``."""
    return tr("at {iteration:,}", iteration=iteration) if iteration else tr("before training")


def _of_gain(gain: Gain) -> list[tuple[str, str, str]]:
    """Caption, value and note: the journey, and by how much."""
    if not gain.is_measured_twice:
        return [(gain.label, gain.journey(), moment_text(gain.kept_iteration))]
    change = (
        tr("Change, at {kept_iteration:,}", kept_iteration=gain.kept_iteration),
        gain.change_text(),
        gain.share_text(),
    )
    return [(gain.label, gain.journey(), ""), change]
