"""The summary of a run: its state, what can be asked of it, and how far and how fast it is."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.quantity import duration_text, epochs_text, loss_text, memory_text, rate_text
from app.core.remote.record import read_remote
from app.core.setup.chosen_method import method_of
from app.ui.run.chart_series import figure_text, leading
from app.ui.run.question import stop_run
from app.ui.run.result_view import OVER, ResultView
from app.ui.run.session import RunSession, RunState
from app.ui.run.word import PILLS, SENTENCES
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.figure import UNKNOWN, CaptionedFigure, FigureGrid
from app.ui.widget.flow import Flow

_FIGURES_ACROSS = 3
TRADE = ("learned", "forgot")
TRADE_TIP = tr(
    "Learned: how far the validation loss has fallen below the base model's. Forgot: how far the "
    "loss on neutral text has risen above it. Both in nats a token"
)
FIGURES_MS = 120  # figures change at most so often: faster than this nobody reads
READING_MS = 500  # while a run is read: what is wanted are its last ones
CLOCK_MS = 1000
SAVED_BEFORE = tr("What was saved before that can be used.")
NOTHING_SAVED = tr("It was stopped before there was anything to save.")
STOP_PATIENCE_MS = 20_000  # after this long a worker that should stop can be ended at once
PAUSE_TIP = tr("Halt in place; continue when you like")
WAYS_TIP = tr("Pause in place, or pause and free the memory")
PARK_TIP = tr("Save and let go of the model; a click on Resume goes on exactly where it paused")


class SummaryCard(QFrame):
    """State, buttons and figures of a `RunSession`'s run. ``refreshed`` says that the figures are of now."""

    requested = Signal(str)  # one of `app.ui.run.result_view.ACTIONS`
    extend_requested = Signal(int)  # the new number of iterations in all
    resume_requested = Signal()
    refreshed = Signal()

    def __init__(self, session: RunSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        theme.set_role(self, role="card")
        self._session = session
        self._dirty = self._timer(FIGURES_MS, self._show_figures)
        self._dirty.setSingleShot(True)
        self._clock = self._timer(CLOCK_MS, self._show_figures)
        self._patience = self._timer(STOP_PATIENCE_MS, self._offer_kill)
        self._patience.setSingleShot(True)
        self._build()
        session.run_changed.connect(self._on_run)
        session.renamed.connect(self._show_name)
        session.state_changed.connect(self._on_state)
        session.emitted.connect(self._on_event)
        theme.theme().changed.connect(self._dress)
        self._dress()
        self._on_run()
        self._on_state()

    def _timer(self, milliseconds: int, act: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setInterval(milliseconds)
        timer.timeout.connect(act)
        return timer

    # -- session ----------------------------------------------------------------------------------------------

    def _on_run(self) -> None:
        self._show_name()
        self._choose_figures()
        self._show_figures()

    def _show_name(self) -> None:
        if self._session.run is not None:
            self._name.setText(self._session.name)
            self._name.setToolTip(str(self._session.run.path))

    def _on_event(self) -> None:
        if not self._dirty.isActive():
            self._dirty.start(READING_MS if self._session.state is RunState.LOADING else FIGURES_MS)

    def _on_state(self) -> None:
        state = self._session.state
        text, role = PILLS[state]
        self._pill.setText(text)
        theme.set_role(self._pill, role=role)
        if self._session.is_live:
            self._clock.start()
        else:
            self._clock.stop()
        if state is not RunState.STOPPING:
            self._patience.stop()
        elif not self._patience.isActive():
            self._patience.start()
        self._show_buttons()
        self._show_sentence()
        self._show_figures()

    # -- showing ----------------------------------------------------------------------------------------------

    def _show_buttons(self) -> None:
        session, state = self._session, self._session.state
        waits = state in (RunState.PAUSED, RunState.PAUSING, RunState.PARKING)
        self._pause.setVisible(session.is_live)
        # Never off between Pause and Continue: a button that is off loses the focus, and Stop would have it.
        can_pause = state in (RunState.RUNNING, RunState.PAUSING, RunState.PAUSED)
        if not can_pause:
            self._pause.clearFocus()
        self._pause.setEnabled(can_pause)
        self._pause.setText(tr("Continue") if waits else tr("Pause"))
        self._pause.setIcon(theme.icon("ph.play-fill" if waits else "ph.pause-fill"))
        self._pause_choice.setVisible(session.is_live)
        trains = state is RunState.RUNNING
        self._pause_choice.setEnabled(trains)
        self._pause_choice.setToolTip(WAYS_TIP if trains else tr("There are two ways to pause a run that trains"))
        self._park.setVisible(state is RunState.PAUSED)
        self._line.setVisible(session.is_live)
        self._stop.setVisible(session.is_live or session.is_remote)
        self._stop.setEnabled(state is not RunState.STOPPING)
        self._stop.setText(tr("Stop"))
        theme.set_role(self._stop, kind="")
        elsewhere = tr("Asks the other machine to save and end") if session.is_remote else ""
        self._stop.setToolTip(elsewhere or tr("Stop after this iteration and save the adapter"))
        self._resume.setVisible(session.can_resume)
        parked = state is RunState.PARKED
        is_next = parked or state is RunState.CRASHED  # nobody had asked the run to end
        theme.set_role(self._resume, kind="primary" if is_next else "")
        self._resume.setIcon(theme.icon("ph.play-fill", theme.colors().on_accent if is_next else None))
        over = state in OVER
        self._live.setVisible(not over)
        if over:
            self.result.take_button(self._resume)
        elif self._asks.indexOf(self._resume) < 0:
            self._asks.addWidget(self._resume)
        self.result.show_result()

    def _show_sentence(self) -> None:
        session = self._session
        text = SENTENCES.get(session.state, "")
        if session.state is RunState.PREPARING:
            text = f"{session.phase}…" if session.phase else tr("Starting…")
        if session.state is RunState.ELSEWHERE and session.is_remote and session.run is not None:
            record = read_remote(session.run.path)
            text = tr("On {where}.", where=record.where if record is not None else tr("another machine"))
            if session.phase:
                text += f" {session.phase} …"
        failed = session.state in (RunState.FAILED, RunState.CRASHED)
        if failed:
            text = f"{session.problem} {SAVED_BEFORE if session.has_adapter else ''}".strip()
        elif session.state is RunState.EARLY_STOPPED:
            what = tr("reward") if session.history.is_rewarded else tr("validation loss")
            text = (
                tr("The {what} never improved, so the run ended early.", what=what)
                if session.history.never_improved
                else tr("The {what} no longer improved, so the run ended early.", what=what)
            )
        elif session.state is RunState.RUNNING and session.phase:
            text = f"{session.phase}…"
        elif session.history.finished is not None and not text:
            text = session.history.finished.message
        if session.state is RunState.STOPPED and not session.has_adapter:
            text = NOTHING_SAVED
        self._sentence.setText(text)
        self._sentence.setVisible(bool(text))
        theme.set_role(self._sentence, role="error" if failed else "small")

    def _show_figures(self) -> None:
        history, report = self._session.history, self._session.history.last_report
        planned, best = history.iterations, history.best
        self._bar.setRange(0, max(planned, 1))
        self._bar.setValue(min(history.iteration, max(planned, 1)))
        self._bar.setVisible(planned > 0)
        self._iteration.setText(self._iteration_text())
        self._epoch.setText(self._epoch_text())
        figure = leading(history)
        self._figures["train_loss"].set_label(tr("Train reward") if figure else tr("Train loss"))
        now = report.figures.get(figure, report.train_loss) if report else None
        self._figures["train_loss"].show_value(figure_text(figure, now) if now is not None else UNKNOWN)
        self._figures["val_loss"].set_label(self._best_label())
        self._figures["val_loss"].show_value(
            loss_text(-best.val_loss if history.is_rewarded else best.val_loss) if best else UNKNOWN,
            tr("at {iteration:,}", iteration=best.iteration) if best else "",
        )
        self._show_trade()
        self._show_warnings()
        self._figures["speed"].show_value(rate_text(report.tokens_per_second) if report else UNKNOWN)
        self._figures["elapsed"].show_value(duration_text(self._session.elapsed_s) if planned else UNKNOWN)
        self._figures["left"].show_value(self._left_text())
        self._figures["memory"].show_value(memory_text(report.peak_memory_gb) if report else UNKNOWN)
        self._grid.arrange()
        self._show_sentence()
        self.result.show_result()
        self.refreshed.emit()

    def _best_label(self) -> str:
        """What the best validation is called; the first one is not yet the best of any."""
        history = self._session.history
        if len(history.valid_losses) == 1:
            return tr("Validation")
        return tr("Best reward") if history.is_rewarded else tr("Best validation")

    def _show_trade(self) -> None:
        traded = self._session.history.traded
        learned = traded.learned if traded is not None else None
        self._figures["learned"].show_value(loss_text(learned) if learned is not None else UNKNOWN)
        self._figures["forgot"].show_value(loss_text(traded.forgot) if traded is not None else UNKNOWN)
        if traded is not None:  # also of a run whose config does not say so
            self._figures["forgot"].show()

    def _show_warnings(self) -> None:
        """The newest warning; all of them in the tool tip."""
        history = self._session.history
        shown = history.finished.message if history.finished is not None else ""  # said already, as the outcome
        said = [f"{m} {hint}".strip() for m, hint in history.warnings.items() if m != shown]
        more = tr("{said} warnings: ", said=len(said)) if len(said) > 1 else ""
        self._warning.setVisible(bool(said))
        self._warning.setText(f"{more}{said[-1]}" if said else "")
        self._warning.setToolTip("\n".join(reversed(said)))

    def _iteration_text(self) -> str:
        history = self._session.history
        if not history.iterations:
            return ""
        return tr(
            "Iteration {iteration:,} of {iterations:,}", iteration=history.iteration, iterations=history.iterations
        )

    def _epoch_text(self) -> str:
        history = self._session.history
        if history.started is None or not history.started.iterations_per_epoch:
            return ""
        per_epoch = history.started.iterations_per_epoch
        return tr(
            "epoch {iteration:,.1f} of {iterations}",
            iteration=history.iteration / per_epoch,
            iterations=epochs_text(history.iterations / per_epoch),
        )

    def _left_text(self) -> str:
        remaining = self._session.remaining_s
        return UNKNOWN if remaining is None else duration_text(remaining)

    # -- asks -------------------------------------------------------------------------------------------------

    def _on_pause(self) -> None:
        if self._session.state is RunState.RUNNING:
            self._session.pause()
        else:
            self._session.go_on()

    def _on_stop(self) -> None:
        if self._session.state is RunState.STOPPING:
            self._session.kill()
        else:
            stop_run(self._session, self)

    def _offer_kill(self) -> None:
        """The worker does not answer: it can be ended at once, which loses what came after the last checkpoint."""
        if self._session.state is RunState.STOPPING:
            self._stop.setEnabled(True)
            self._stop.setText(tr("End now"))
            self._stop.setToolTip(tr("End the worker at once. What was trained since the last checkpoint is lost."))
            theme.set_role(self._stop, kind="danger")

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE * 2, theme.SPACE * 3 // 2, theme.SPACE * 2, theme.SPACE * 2)
        layout.setSpacing(theme.SPACE)
        self._name = ElidedLabel()
        self._name.setObjectName("run_name")
        theme.set_role(self._name, role="section")
        self._sentence = QLabel()
        self._sentence.setObjectName("run_sentence")
        self._sentence.setWordWrap(True)
        self._sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._warning = ElidedLabel()  # one line: the window tells it in whole when it comes
        self._warning.setObjectName("run_warning")
        theme.set_role(self._warning, role="warning")
        self._bar = QProgressBar()
        self._bar.setObjectName("run_progress")
        self._bar.setAccessibleName(tr("Progress of the run"))
        self._bar.setTextVisible(False)
        keeps = self._bar.sizePolicy()
        keeps.setRetainSizeWhenHidden(True)  # it comes when the training begins
        self._bar.setSizePolicy(keeps)
        self._park = self._button(tr("Free the memory"), "run_park", PARK_TIP)
        theme.set_role(self._park, kind="link")
        self._park.setCursor(Qt.CursorShape.PointingHandCursor)
        self._park.clicked.connect(self._session.park)
        layout.addLayout(self._header())
        layout.addLayout(self._buttons())
        self._live = QWidget()
        live = QVBoxLayout(self._live)
        live.setContentsMargins(0, 0, 0, 0)
        live.setSpacing(theme.SPACE)
        live.addWidget(self._bar)
        live.addLayout(self._progress_line())
        live.addWidget(self._figure_grid())
        self.result = ResultView(self._session)
        self.result.requested.connect(self.requested)
        self.result.extend_requested.connect(self.extend_requested)
        layout.addWidget(self._live)
        layout.addLayout(self._said())
        layout.addWidget(self.result)

    def _said(self) -> QHBoxLayout:
        """The line of what is going on. It keeps its place while a run lives: a pause moves nothing."""
        row = QHBoxLayout()
        row.setSpacing(0)
        self._line = QWidget()
        self._line.setFixedSize(0, self._park.sizeHint().height())
        row.addWidget(self._line)
        words = QVBoxLayout()
        words.setSpacing(theme.SPACE // 2)
        words.addWidget(self._sentence)
        words.addWidget(self._warning)
        row.addLayout(words, 1)
        row.addWidget(self._park, 0, Qt.AlignmentFlag.AlignTop)
        return row

    def _header(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        self._pill = QLabel()
        self._pill.setObjectName("run_state")
        self._pill.setAccessibleName(tr("State of the run"))
        row.addWidget(self._pill, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self._name, 1)
        return row

    def _buttons(self) -> QHBoxLayout:
        """What can be asked of the run, in a line of its own: words differ in length by state and language."""
        row = self._asks = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        self._pause = self._button(tr("Pause"), "run_pause", PAUSE_TIP)
        self._pause_choice = self._pause_button()
        self._stop = self._button(tr("Stop"), "run_stop", tr("Stop after this iteration and save the adapter"))
        self._resume = self._button(tr("Resume"), "run_resume", tr("Go on exactly where the run ended"))
        self._pause.setIcon(theme.icon("ph.play-fill"))
        paused = self._pause.sizeHint().width()
        self._pause.setText(tr("Continue"))
        self._pause.setMinimumWidth(max(paused, self._pause.sizeHint().width()))  # nothing moves with its word
        self._pause.clicked.connect(self._on_pause)
        self._stop.clicked.connect(self._on_stop)
        self._resume.clicked.connect(self.resume_requested)
        pausing = QHBoxLayout()
        pausing.setSpacing(0)  # two parts of one control
        pausing.addWidget(self._pause)
        pausing.addWidget(self._pause_choice)
        row.addLayout(pausing)
        for button in (self._stop, self._resume):
            row.addWidget(button)
        row.addStretch(1)
        return row

    def _pause_button(self) -> QToolButton:
        """The two ways to pause."""
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        for text, name, tip, act in (
            (tr("Pause in place"), "pause.in_place", PAUSE_TIP, self._session.pause),
            (tr("Pause and free the memory"), "pause.park", PARK_TIP, self._session.park),
        ):
            action = menu.addAction(text, act)
            action.setObjectName(name)
            action.setToolTip(tip)
        button = QToolButton()
        button.setObjectName("run_pause_choice")
        button.setStyleSheet("QToolButton { padding: 4px 2px; }")
        button.setAccessibleName(tr("Ways to pause"))
        button.setToolTip(WAYS_TIP)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setMenu(menu)
        return button

    def _button(self, text: str, name: str, tip: str) -> QPushButton:
        button = QPushButton(text)
        button.setObjectName(name)
        button.setAccessibleName(text)
        button.setToolTip(tip)
        return button

    def _progress_line(self) -> Flow:
        row = Flow()
        self._iteration, self._epoch = QLabel(), QLabel()
        self._iteration.setObjectName("run_iteration")
        self._iteration.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        theme.set_role(self._epoch, role="muted")
        row.addWidget(self._iteration)
        row.addWidget(self._epoch)
        return row

    def _figure_grid(self) -> FigureGrid:
        names = {
            "train_loss": tr("Train loss"),
            "val_loss": tr("Best validation"),
            "speed": "Tokens/s",
            "left": tr("Time left"),
            "elapsed": tr("Elapsed"),
            "memory": tr("Peak memory"),
            "learned": tr("Learned"),
            "forgot": tr("Forgot"),
        }
        self._figures = {name: CaptionedFigure(name, label) for name, label in names.items()}
        for name in TRADE:
            self._figures[name].setToolTip(TRADE_TIP)
        self._grid = FigureGrid(list(self._figures.values()), _FIGURES_ACROSS)
        return self._grid

    def _choose_figures(self) -> None:
        """What a run will tell is known before it begins: its figures keep their places until it ends."""
        config, planned = self._session.config, self._session.history.iterations
        for name, expected in _expected(planned or (config.iters if config is not None else 0)).items():
            self._figures[name].expect(*expected)
        measured = config is not None and config.neutral_tokens > 0
        self._figures["forgot"].setVisible(measured)
        self._figures["learned"].setVisible(measured and config is not None and _learns_in_nats(config))
        self._grid.start_anew()

    def _dress(self) -> None:
        self._stop.setIcon(theme.icon("ph.stop-fill"))
        self._pause_choice.setIcon(theme.icon("ph.caret-down"))
        self._show_buttons()


def _learns_in_nats(config: TrainConfig) -> bool:
    """Whether what is learned can be held against what is forgotten, as `worker.train.trade` has it."""
    try:
        return method_of(config).data == "examples"
    except (KeyError, UnusableError):
        return False


def _expected(iterations: int) -> dict[str, list[tuple[str, str, str]]]:
    """The widest that usual figures become while a run of so many iterations goes on: caption, value and note."""
    loss, late = "00.000", tr("at {iteration:,}", iteration=iterations)
    duration = duration_text(23 * 3600 + 59 * 60)
    return {
        "train_loss": [(tr("Train loss"), loss, ""), (tr("Train reward"), loss, "")],
        "val_loss": [(name, loss, late) for name in (tr("Validation"), tr("Best validation"), tr("Best reward"))],
        "speed": [("", rate_text(99_999), "")],
        "left": [("", duration, "")],
        "elapsed": [("", duration, "")],
        "memory": [("", memory_text(999.9), ""), ("", memory_text(9.99), "")],
        "learned": [("", loss, "")],
        "forgot": [("", loss, "")],
    }
