"""The page of a run: its summary, its curves and its log. Its model is a `RunSession`."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QScrollArea,
    QSizePolicy,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.core.compare.before_after import load_before_after, spoken_before_after
from app.core.language import tr
from app.core.protocol import event
from app.core.system.setting import Settings
from app.ui.platform.scrolling import CalmTabBar
from app.ui.run.before_after_view import BeforeAfterView
from app.ui.run.log_view import LogView
from app.ui.run.loss_chart import LossChart
from app.ui.run.result_view import OVER
from app.ui.run.sample_view import SampleView
from app.ui.run.session import RunSession, RunState
from app.ui.run.summary_card import SummaryCard
from app.ui.widget import theme

LOG_TAB, ANSWERS_TAB, BEFORE_AFTER_TAB = range(3)
LOG_SIZES, ANSWER_SIZES = (500, 200), (350, 350)  # shares of the chart and of what is below it
CHART_MINIMUM, LOG_MINIMUM = 220, 60  # px
# Small tabs on a card, not those of the window.
LOG_TABS = "QTabBar { background: transparent; } QTabBar::tab { padding: 3px 10px; margin: 0 4px 0 0; }"


class RunPage(QWidget):
    """State, figures, chart and log of the session's run."""

    requested = Signal(str)  # one of `app.ui.run.result_view.ACTIONS`
    extend_requested = Signal(int)  # the new number of iterations in all
    resume_requested = Signal()
    answer_requested = Signal()  # before and after
    told = Signal(str)

    def __init__(self, session: RunSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("run_page")
        self._session = session
        # What one figure or sentence needs is a matter of its own line: the page is never wider than the panel.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._is_divided = False  # by a person, who then decides how much room chart and log have
        self._build()
        session.run_changed.connect(self._on_run)
        session.emitted.connect(self._on_event)
        session.logged.connect(self.log.append)
        session.state_changed.connect(self._show_before_after)
        session.state_changed.connect(self._on_state)
        self._on_run()
        self._show_samples()
        self._show_before_after()

    # -- view -------------------------------------------------------------------------------------------------

    def heightForWidth(self, width: int) -> int:
        """The least that the page can do with: what holds it scrolls only where not even that has room."""
        layout = self.layout()
        assert layout is not None
        return layout.minimumHeightForWidth(width)

    def restore_view(self, settings: Settings) -> None:
        """Gives the chart the view that the settings keep."""
        self.chart.blockSignals(True)
        self.chart.view.set_smoothing(min(max(settings.chart_smoothing, 0.0), 0.99))
        self.chart.view.set_axis(settings.chart_x)
        self.chart.set_log(settings.chart_log)
        self.chart.set_without_spike(settings.chart_without_spike)
        self.chart.blockSignals(False)

    def with_view(self, settings: Settings) -> Settings:
        """The settings with the chart's view as it is now."""
        view = self.chart.view
        values = {"chart_smoothing": view.smoothing, "chart_x": view.axis, "chart_log": self.chart.is_log}
        return settings.model_copy(update={**values, "chart_without_spike": self.chart.is_without_spike})

    def take_chart_back(self) -> None:
        """Puts the chart, which was shown elsewhere, into its card again."""
        place = self._chart_card.layout()
        assert place is not None
        place.addWidget(self.chart)

    # -- session ----------------------------------------------------------------------------------------------

    def _on_run(self) -> None:
        run = self._session.run
        self.chart.set_history(self._session.history)
        self.log.clear()
        self.log.set_source(run.log if run is not None else None)

    def _on_state(self) -> None:
        self.chart.set_filling(self._session.state is RunState.LOADING)

    def _on_event(self, found: event.Event) -> None:
        if isinstance(found, (event.TrainReported, event.Validated, event.NeutralMeasured, event.Started)):
            self.chart.refresh()

    def _show_samples(self) -> None:
        """Sampled answers get a tab beside the log as soon as there are any."""
        sampled = self._session.history.sampled
        self.samples.show_sampled(sampled)
        self._show_tab(ANSWERS_TAB, sampled is not None)

    def _show_before_after(self) -> None:
        """A run that has ended with weights gets a tab that says what they changed, and shows it once."""
        run, state = self._session.run, self._session.state
        is_there = run is not None and state in OVER and self._session.has_adapter
        first = is_there and not self._log_tabs.isTabVisible(BEFORE_AFTER_TAB)
        self._show_tab(BEFORE_AFTER_TAB, is_there)
        if run is not None and first:
            self.before_after.show_found(load_before_after(run) or spoken_before_after(self._session.history))
            self._log_tabs.setCurrentIndex(BEFORE_AFTER_TAB)

    def _show_tab(self, tab: int, shown: bool) -> None:
        self._log_tabs.setTabVisible(tab, shown)
        self._log_tabs.setVisible(any(self._log_tabs.isTabVisible(tab) for tab in (ANSWERS_TAB, BEFORE_AFTER_TAB)))
        if not shown and self._log_tabs.currentIndex() == tab:
            self._log_tabs.setCurrentIndex(LOG_TAB)

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.chart = LossChart(self._session.history)
        self.chart.told.connect(self.told)
        self.log = LogView()
        self.log.told.connect(self.told)
        self.samples = SampleView()
        self.before_after = BeforeAfterView()
        self.before_after.asked.connect(self.answer_requested)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE, 0, theme.SPACE * 2, theme.SPACE * 2)
        layout.setSpacing(theme.SPACE * 3 // 2)
        self.summary = SummaryCard(self._session)
        self.summary.requested.connect(self.requested)
        self.summary.extend_requested.connect(self.extend_requested)
        self.summary.resume_requested.connect(self.resume_requested)
        self.summary.refreshed.connect(self._show_samples)
        layout.addWidget(self.summary)
        self._split = _Halves(Qt.Orientation.Vertical)
        self._split.setObjectName("run_splitter")
        self._split.setChildrenCollapsible(False)
        self._split.setHandleWidth(theme.SPACE * 3 // 2)
        self.chart.setMinimumHeight(CHART_MINIMUM)
        self.log.setMinimumHeight(LOG_MINIMUM)
        self._chart_card = _card(self.chart)
        self._split.addWidget(self._chart_card)
        self._split.addWidget(_card(self._log_part()))
        self._split.setStretchFactor(0, 5)
        self._split.setStretchFactor(1, 2)
        self._split.setSizes(list(LOG_SIZES))
        self._split.splitterMoved.connect(self._on_divided)
        layout.addWidget(self._split, 1)

    def _log_part(self) -> QWidget:
        part = QWidget()
        layout = QVBoxLayout(part)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        self._log_tabs = CalmTabBar()
        self._log_tabs.setObjectName("log_tabs")
        self._log_tabs.setAccessibleName(tr("Log or sampled answers"))
        self._log_tabs.setDrawBase(False)
        self._log_tabs.setStyleSheet(LOG_TABS)
        self._log_tabs.setExpanding(False)
        self._log_stack = QStackedWidget()
        parts = ((tr("Log"), self.log), (tr("Answers"), self.samples), (tr("Before and after"), self.before_after))
        for name, page in parts:
            self._log_tabs.addTab(name)
            self._log_stack.addWidget(page)
        self._log_tabs.setTabToolTip(ANSWERS_TAB, tr("The newest sampled answers"))
        self._log_tabs.setTabToolTip(
            BEFORE_AFTER_TAB, tr("One held-out question, answered by base and tuned model")
        )
        for tab in (ANSWERS_TAB, BEFORE_AFTER_TAB):
            self._log_tabs.setTabVisible(tab, False)
        self._log_tabs.currentChanged.connect(self._on_log_tab)
        self._log_tabs.hide()
        layout.addWidget(self._log_tabs)
        layout.addWidget(self._log_stack, 1)
        return part

    def _on_log_tab(self, index: int) -> None:
        """Answers are read: they get half of the room, and the log less, unless a person has divided it."""
        self._log_stack.setCurrentIndex(index)
        if not self._is_divided:
            self._split.setSizes(list(LOG_SIZES if index == LOG_TAB else ANSWER_SIZES))

    def _on_divided(self) -> None:
        self._is_divided = True


class _Halves(QSplitter):
    """Wants no more than it needs: the page scrolls only where not even that has room."""

    def sizeHint(self) -> QSize:
        return self.minimumSizeHint()


class ScrolledPage(QScrollArea):
    """A `RunPage`, which scrolls where larger text needs more height than the window has."""

    def __init__(self, page: RunPage, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("run_scroll")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._page = page
        self.setWidget(page)

    def minimumSizeHint(self) -> QSize:
        bar = self.verticalScrollBar()
        width = self._page.minimumSizeHint().width() + (bar.sizeHint().width() if bar.maximum() else 0)
        return QSize(width, super().minimumSizeHint().height())


def _card(content: QWidget) -> QFrame:
    card = QFrame()
    theme.set_role(card, role="card")
    layout = QVBoxLayout(card)
    layout.setContentsMargins(*[theme.SPACE * 3 // 2] * 4)
    layout.addWidget(content)
    return card
