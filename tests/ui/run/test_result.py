"""The result of a run in its panel: figures, the answers before and after, and only the actions that work."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QFrame, QInputDialog, QLabel, QPushButton, QScrollArea, QTabBar
from pytestqt.qtbot import QtBot

from app.core.compare.before_after import BeforeAfter, save_before_after, weights_stamp
from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.ui.run.panel import RunPanel
from app.ui.run.result_view import ACTIONS
from app.ui.run.session import RunSession, RunState
from app.ui.widget import theme
from tests.ui import synthetic_run
from tests.ui.child import child
from tests.ui.comparing import adapter_folder
from tests.ui.fake_worker import FakeWorker
from tests.ui.fitting import unfit

WITHOUT_WEIGHTS = ["reveal"]


@pytest.fixture
def session() -> RunSession:
    return RunSession()


@pytest.fixture
def panel(qtbot: QtBot, session: RunSession) -> RunPanel:
    found = RunPanel(session)
    qtbot.addWidget(found)
    found.resize(424, 592)  # as in a window of 1100 × 700
    found.show()
    return found


def ended(
    session: RunSession,
    workers: list[FakeWorker],
    last: event.Event | None,
    *,
    until: int = 600,
    weights: bool = True,
    **values: object,
) -> None:
    """A run from its start to its last event."""
    session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d").with_values(values))
    run = session.run
    assert run is not None
    if weights:
        adapter_folder(run.adapters, "/m")
        (run.state / "0000300").mkdir(parents=True)
    workers[-1].say(*synthetic_run.events(until=until, ending=""))
    workers[-1].end(last, 0 if isinstance(last, event.Finished) else 1)


def offered(panel: RunPanel) -> list[str]:
    """The actions that can be seen, in their order."""
    return [name for name, *_ in ACTIONS if child(panel, QPushButton, f"run_{name}").isVisible()]


def shown(panel: RunPanel) -> list[str]:
    """All words that can be seen."""
    return [label.text() for label in panel.findChildren(QLabel) if label.isVisible()]


def tabs(panel: RunPanel) -> list[str]:
    bar = child(panel, QTabBar, "log_tabs")
    return [bar.tabText(index) for index in range(bar.count()) if bar.isTabVisible(index)]


def test_a_finished_run_shows_what_it_came_to(
    panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    ended(session, workers, event.Finished(reason="completed", iteration=600, message="The adapter holds them."))
    losses = session.history.valid_losses
    first, best = losses[0], losses.min()
    words = shown(panel)
    assert f"{first:.3f} → {best:.3f}" in words
    assert "Change, at 400" in words
    assert f"−{first - best:.3f}" in words
    assert f"−{100 * (first - best) / first:.0f}\u00a0%" in words
    assert "The adapter holds them." in words
    assert (
        child(panel, QLabel, "result.totals").text()
        == "600 iterations in 1\u00a0min 7\u00a0s · 1,823\u00a0tokens/s · peak 1.23\u00a0GB"
    )
    assert offered(panel) == [name for name, *_ in ACTIONS]
    assert not child(panel, QLabel, "figure.speed").isVisible()


def test_rewards_and_margins_are_told_by_their_names(
    panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d", train_mode="dpo"))
    workers[-1].say(
        event.Started(iterations=20, iterations_per_epoch=20.0, train_examples=1, valid_examples=1),
        event.Validated(iteration=0, val_loss=0.7, figures={"margin": 0.0}),
        event.Validated(iteration=20, val_loss=0.2, best=True, figures={"margin": 1.25}),
    )
    workers[-1].end(event.Finished(reason="completed", iteration=20))
    words = shown(panel)
    assert [one for one in ("0.700 → 0.200", "Margin", "0.000 → 1.250") if one not in words] == []


@pytest.mark.parametrize("width", [360, 424, 700])
@pytest.mark.parametrize("start, margin", [(1.32e-6, 3.044), (-123456.789, 98765.432)])
def test_the_panel_keeps_its_width_whatever_the_figures_are(
    qtbot: QtBot,
    panel: RunPanel,
    session: RunSession,
    workers: list[FakeWorker],
    width: int,
    start: float,
    margin: float,
) -> None:
    panel.resize(width, 900)
    run = session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d", train_mode="dpo"))
    adapter_folder(run.adapters, "/m")
    (run.state / "0000060").mkdir(parents=True)
    workers[-1].say(
        event.Started(iterations=60, iterations_per_epoch=20.0, train_examples=1, valid_examples=1),
        event.Validated(iteration=0, val_loss=0.693, figures={"margin": start}),
        event.Validated(iteration=60, val_loss=0.08, best=True, figures={"margin": margin}),
        event.NeutralMeasured(iteration=60, neutral_loss=3.879, base_loss=2.0, forgot=1.879),
    )
    workers[-1].end(event.Finished(reason="completed", iteration=60))
    qtbot.waitUntil(lambda: unfit(panel) == [])
    assert panel.page.width() <= width
    figures = [child(panel, QLabel, f"figure.result.{place}") for place in range(4)]
    assert [one.isVisible() for one in figures] == [True] * 4
    assert [one.text() for one in figures][::3] == ["0.693 → 0.080", "1.879"]
    assert all(one.mapTo(panel, one.rect().topRight()).x() < width for one in figures)


def test_a_line_that_is_too_wide_is_cut_and_the_panel_is_not(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    ended(session, workers, event.Failed(message="No " + 300 * "x"))
    view = child(panel, QScrollArea, "run_scroll").viewport()
    qtbot.waitUntil(lambda: panel.page.width() == view.width())
    right = [card.geometry().right() for card in panel.page.findChildren(QFrame) if card.property("role") == "card"]
    assert right
    assert max(right) < view.width()


@pytest.mark.parametrize(
    "last, state, said",
    [
        (event.Finished(reason="stopped", iteration=300), RunState.STOPPED, ""),
        (
            event.Failed(message="The loss is not a number."),
            RunState.FAILED,
            "What was saved before that can be used.",
        ),
        (None, RunState.CRASHED, "What was saved before that can be used."),
    ],
)
def test_a_run_that_did_not_finish_says_so_and_offers_to_go_on(
    panel: RunPanel,
    session: RunSession,
    workers: list[FakeWorker],
    last: event.Event | None,
    state: RunState,
    said: str,
) -> None:
    ended(session, workers, last, until=300)
    assert session.state is state
    assert child(panel, QLabel, "run_sentence").text().endswith(said)
    assert offered(panel) == ["chat", "compare", "serve", "export", "reveal"]
    assert child(panel, QPushButton, "run_resume").isVisible()
    assert child(panel, QLabel, "result.totals").text().startswith("300 of 600 iterations in")


def test_without_weights_there_is_nothing_to_talk_with(
    panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    ended(session, workers, event.Finished(reason="stopped"), until=0, weights=False)
    assert offered(panel) == WITHOUT_WEIGHTS
    assert child(panel, QLabel, "run_sentence").text() == "It was stopped before there was anything to save."
    assert tabs(panel) == ["Log"]


def test_every_button_asks_for_what_it_says(
    qtbot: QtBot,
    panel: RunPanel,
    session: RunSession,
    workers: list[FakeWorker],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended(session, workers, event.Finished(reason="completed", iteration=600))
    for name in ("chat", "compare", "serve", "export", "reveal"):
        with qtbot.waitSignal(panel.requested) as asked:
            child(panel, QPushButton, f"run_{name}").click()
        assert asked.args == [name]
    monkeypatch.setattr(QInputDialog, "getInt", lambda *_args: (150, True))
    with qtbot.waitSignal(panel.extend_requested) as asked:
        child(panel, QPushButton, "run_extend").click()
    assert asked.args == [750]
    monkeypatch.setattr(QInputDialog, "getInt", lambda *_args: (150, False))
    with qtbot.assertNotEmitted(panel.extend_requested):
        child(panel, QPushButton, "run_extend").click()


def test_before_and_after_is_offered_shown_and_goes_with_the_run(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    ended(session, workers, event.Finished(reason="completed", iteration=600))
    assert tabs(panel) == ["Log", "Before and after"]
    view = panel.page.before_after
    assert view.ask.isVisible()
    with qtbot.waitSignal(panel.answer_requested):
        view.ask.click()
    view.say("Asking…", can_ask=False)
    assert not view.ask.isVisible()
    view.show_found(BeforeAfter("Who <i>?", "", "Nobody.", "Ada.", "adapters", 1, 1))
    text = view.browser.toPlainText()
    assert "Who <i>?" in text
    assert text.index("Nobody.") < text.index("Ada.")
    assert "after 1 that both answered alike" in text
    ended(session, workers, event.Finished(reason="stopped"), until=0, weights=False)
    assert tabs(panel) == ["Log"]
    assert panel.page.log.isVisible()


def test_what_was_kept_is_shown_when_the_run_is_opened_again(
    qtbot: QtBot, panel: RunPanel, session: RunSession, tmp_path: Path
) -> None:
    run = synthetic_run.run_folder(tmp_path)
    adapter_folder(run.adapters, "/m")
    save_before_after(run, BeforeAfter("Who?", "", "Nobody.", "Ada.", "adapters", weights_stamp(run.adapters)))
    with qtbot.waitSignal(session.loaded):
        session.open(run.path)
    assert "Ada." in panel.page.before_after.browser.toPlainText()
    assert panel.page.before_after.browser.isVisible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_lies_whole_in_a_small_window_with_room_for_the_curves(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker], scheme: theme.Scheme
) -> None:
    theme.apply_theme(scheme)
    ended(
        session,
        workers,
        event.Finished(reason="completed", iteration=600, message="The adapter holds the weights."),
    )
    qtbot.waitUntil(lambda: unfit(panel) == [] and panel.page.chart._view.height() >= 90)
    name = child(panel, QLabel, "run_name")
    assert name.width() >= name.fontMetrics().horizontalAdvance(name.text())


def test_the_name_is_whole_whatever_stands_beside_it(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    name = "qwen2.5-0.5b-support-faq-r32"
    panel.resize(430, 640)
    session.start(TrainConfig(adapter_name=name, model="/m", data="/d"))
    run = session.run
    assert run is not None
    adapter_folder(run.adapters, "/m")
    (run.state / "0000300").mkdir(parents=True)
    workers[-1].say(*synthetic_run.events(until=300, ending=""))
    assert whole(panel, session)
    chart = panel.page.chart
    qtbot.waitUntil(lambda: chart.view.isVisible())
    workers[-1].end(event.Finished(reason="stopped", iteration=300))
    assert child(panel, QPushButton, "run_resume").isVisible()
    assert whole(panel, session)
    session.start(TrainConfig(adapter_name=name, model="/m", data="/d"))
    qtbot.waitUntil(lambda: chart.view.isVisible())  # the curves have their room again
    workers[-1].end(event.Finished(reason="paused", iteration=300))
    assert session.state is RunState.PARKED
    assert whole(panel, session)


def whole(panel: RunPanel, session: RunSession) -> bool:
    """Whether a label shows all of the run's name."""
    assert session.config is not None
    name = session.config.adapter_name
    panel.layout().activate()  # type: ignore[union-attr]
    panel.page.layout().activate()  # type: ignore[union-attr]
    panel.page.summary.layout().activate()  # type: ignore[union-attr]
    (label,) = [one for one in panel.findChildren(QLabel) if one.text() == name and one.isVisible()]
    return label.width() >= label.fontMetrics().horizontalAdvance(name)
