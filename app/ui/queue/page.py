"""The Queue page: what waits, trains and has ended, in order. Its model is a `QueueSession`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QPoint, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QHideEvent, QKeySequence, QShortcut, QShowEvent, QStandardItemModel
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.core.language import capital, tr
from app.core.power.sleep import Sleeper
from app.core.problem import UnusableError
from app.core.quantity import plural
from app.core.queue.queue import QueueEntry, queue_tally
from app.ui.form.plain_editor import ChoiceBox
from app.ui.message.foot import Foot
from app.ui.platform.key_text import MAIN_KEYS, with_keys
from app.ui.queue.session import QueueSession
from app.ui.queue.table import QueueTable, QueueView
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.empty_card import EmptyCard
from app.ui.widget.icon_button import IconButton

PROGRESS_MS = 1000
WHEN_DONE = (("nothing", tr("Do nothing")), ("notify", tr("Notify me")), ("sleep", tr("Sleep")))
EMPTY_QUEUE = tr(
    "Fill in the form and press “Add to queue” instead of Start: setups are trained one after "
    "the other, also overnight, and one that fails does not hold up the next. “Sweep…” queues a "
    "setup in several variants."
)


class QueuePage(QWidget):
    """The list, what can be done with its entries, and what happens at its end."""

    open_requested = Signal(object)  # Path of a run
    config_requested = Signal(object)  # TrainConfig to be put into the form
    warned = Signal(str)

    def __init__(self, queue: QueueSession, sleeper: Sleeper, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("queue_page")
        self._queue, self._sleeper = queue, sleeper
        self._progress = QTimer(self)
        self._progress.setInterval(PROGRESS_MS)
        self._build_actions()
        self._build()
        self._connect()
        theme.theme().changed.connect(self._dress)
        self._dress()
        self.refresh()

    # -- what is shown ----------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Shows the queue as it is now."""
        self.table.take_over()
        self._pages.setCurrentIndex(0 if self.table.entries else 1)
        self._status.setText(self._status_text())
        self._note.setText(self._note_text())
        self._note.setVisible(bool(self._note.text()))
        self._show_button()
        self._when_done.set_value(self._queue.state.when_done)
        self._show_chosen()

    def _status_text(self) -> str:
        queue, state = self._queue, self._queue.state
        waiting = plural(len(state.waiting), "run")
        if queue.is_working and queue.current is not None:
            rest = tr(" · {waiting} to go", waiting=waiting) if state.waiting else tr(" · the last run")
            return tr(
                "{value} {name}{rest}",
                value=tr("Pauses after") if state.mode == "paused" else tr("Training"),
                name=queue.name_of(queue.current),
                rest=rest,
            )
        if queue.is_working:
            if len(state.waiting) == 1:
                return tr("1 run waits for the run in progress")
            return tr("{count:,} runs wait for the run in progress", count=len(state.waiting))
        if queue.is_elsewhere:
            return tr("Another Luthier works through the queue")
        if queue.is_interrupted:
            return tr("Interrupted")
        if not state.waiting:
            return tr("All done")
        return (
            tr("Paused · {waiting} to go", waiting=waiting)
            if state.mode == "paused"
            else tr("1 run waiting")
            if len(state.waiting) == 1
            else tr("{count:,} runs waiting", count=len(state.waiting))
        )

    def _note_text(self) -> str:
        state = self._queue.state
        if self._queue.is_interrupted:
            return tr(
                "The window or the program that worked through it ended. Nothing is lost: go on when you like."
            )
        if state.mode == "paused" and not self._queue.is_working and state.waiting:
            return state.note
        return capital(queue_tally(state.shown).sentence())

    def _show_button(self) -> None:
        queue, state = self._queue, self._queue.state
        busy = state.mode == "running" and (queue.is_working or queue.is_elsewhere)
        paused = state.mode == "paused" or queue.is_interrupted
        text = tr("Pause queue") if busy else tr("Go on") if paused else tr("Start queue")
        tip = tr("Trains what waits, one run after the other")
        if busy:
            tip = tr("The run in progress ends as it should; the next does not start")
        elif not state.waiting and not queue.is_interrupted:
            tip = tr("Nothing waits: add a setup first")
        self.button.setText(text)
        self.button.setAccessibleName(text)
        self.button.setToolTip(tip if busy else with_keys(tip, MAIN_KEYS))
        self.button.setEnabled(busy or bool(state.waiting) or queue.is_interrupted)
        kind = "" if busy else "primary"
        if (self.button.property("kind") or "") != kind:
            theme.set_role(self.button, kind=kind)
        self._dress()

    def _show_chosen(self) -> None:
        """Offers what can be done with the selected entries, and says why the rest cannot."""
        chosen, state = self.view.chosen(), self._queue.state
        one = chosen[0] if len(chosen) == 1 else None
        waits = [e for e in chosen if e.state == "waiting"]
        order = [e.id for e in state.waiting]
        need = "" if chosen else tr("Choose an entry first")
        self._allow(
            self.show_run, one is not None and bool(one.run), need or tr("It has no run yet"), tr("Open its run")
        )
        can = one is not None and one.state != "running"
        self._allow(
            self.run_now, can, need or tr("It is being trained"), tr("Make it the next, and start the queue")
        )
        first, last = bool(waits) and waits[0].id == order[0], bool(waits) and waits[-1].id == order[-1]
        need_waits = need or tr("Only what waits can be moved")
        self._allow(
            self.up, bool(waits) and not first, need_waits if not waits else tr("It is the first"), tr("Earlier")
        )
        self._allow(
            self.down, bool(waits) and not last, need_waits if not waits else tr("It is the last"), tr("Later")
        )
        running = any(e.state == "running" for e in chosen)
        self._allow(self.remove, bool(chosen) and not running, need or tr("It is being trained: stop it first"),
                    tr("Take it off the list; its run stays"))  # fmt: skip
        self._allow(
            self.skip,
            bool(waits),
            need or tr("Only what waits can be skipped"),
            tr("Leave it in the list, untrained"),
        )
        again = bool(chosen) and all(e.is_ended for e in chosen)
        self._allow(
            self.again, again, need or tr("It has not ended yet"), tr("Put it at the end of the queue again")
        )
        self._allow(self.take, one is not None, need or tr("Choose one entry"), tr("Fill the form with its setup"))
        ended = any(e.is_ended for e in state.shown)
        self._allow(
            self.clear, ended, tr("Nothing has ended yet"), tr("Take what has ended off the list; the runs stay")
        )
        for button, action in self._buttons:
            button.setEnabled(action.isEnabled())
            button.setToolTip(action.toolTip())
        movable = len(order) > 1
        hint = tr("Drag to reorder") if movable else ""
        count = len(chosen)
        told = (tr("{chosen:,} selected", chosen=count), f"{count:,}") if chosen else (hint, "")
        self._chosen.setText(*told)

    def _allow(self, action: QAction, allowed: bool, why_not: str, tip: str) -> None:
        action.setEnabled(allowed)
        action.setToolTip(tip if allowed else why_not)

    def _show_progress(self) -> None:
        if self._queue.current is not None:
            self.table.refresh()

    # -- building ---------------------------------------------------------------------------------------------

    def _build_actions(self) -> None:
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        self.show_run = self._action("show", tr("Show the Run"), self._on_show)
        self.run_now = self._action("now", tr("Run Now"), self._on_now)
        self.up = self._action("up", tr("Move Up"), self._on_up)
        self.down = self._action("down", tr("Move Down"), self._on_down)
        self.skip = self._action("skip", tr("Skip"), self._on_skip)
        self.again = self._action("again", tr("Queue Again"), self._on_again)
        self.take = self._action("take", tr("Take into the Form"), self._on_take)
        self.menu.addSeparator()
        self.remove = self._action("remove", tr("Remove"), self._on_remove)
        self.remove.setShortcut(QKeySequence(QKeySequence.StandardKey.Delete))
        self.remove.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        self.clear = self._action("clear", tr("Clear What Has Ended"), self._queue.clear)

    def _action(self, name: str, text: str, act: Callable[[], object]) -> QAction:
        action = QAction(text, self)
        action.setObjectName(f"queue.{name}")
        action.setMenuRole(QAction.MenuRole.NoRole)
        action.triggered.connect(act)
        self.menu.addAction(action)
        return action

    def _build(self) -> None:
        self.table = QueueTable(self._queue, self)
        self.view = QueueView(self.table, self)
        self.view.addAction(self.remove)
        self._pages = QStackedWidget(self)
        page = QWidget(self)
        rows = QVBoxLayout(page)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(theme.SPACE)
        rows.addLayout(self._head())
        rows.addWidget(self.view, 1)
        foot = Foot(page)
        below = QVBoxLayout(foot)
        below.setContentsMargins(0, 0, 0, 0)
        below.setSpacing(theme.SPACE)
        below.addLayout(self._bar())
        below.addLayout(self._foot())
        rows.addWidget(foot)
        self._pages.addWidget(page)
        self._pages.addWidget(EmptyCard("queue.empty", "ph.queue", tr("The queue is empty"), EMPTY_QUEUE, self))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE * 2, 0, theme.SPACE, theme.SPACE * 2)
        layout.addWidget(self._pages)

    def _head(self) -> QHBoxLayout:
        self._status, self._note = ElidedLabel("", self), ElidedLabel("", self)
        self._status.setObjectName("queue.status")
        self._note.setObjectName("queue.note")
        theme.set_role(self._status, role="section")
        theme.set_role(self._note, role="small")
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(self._status)
        texts.addWidget(self._note)
        self.button = QPushButton(self)
        self.button.setObjectName("queue.start")
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE * 2)
        row.setContentsMargins(0, 0, 0, theme.SPACE // 2)
        row.addLayout(texts, 1)
        row.addWidget(self.button, 0, Qt.AlignmentFlag.AlignVCenter)
        return row

    def _bar(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        self._chosen = ElidedLabel("", self)
        self._chosen.setObjectName("queue.chosen")
        theme.set_role(self._chosen, role="small")
        row.addWidget(self._chosen, 1)
        self._buttons: list[tuple[QPushButton | QToolButton, QAction]] = []
        for action, icon in ((self.up, "ph.arrow-up"), (self.down, "ph.arrow-down")):
            row.addWidget(self._tied(IconButton(icon, action.text(), self, size=18), action))
        for action, text in (
            (self.show_run, tr("Show run")),
            (self.run_now, tr("Run now")),
            (self.remove, tr("Remove")),
        ):
            row.addWidget(self._tied(QPushButton(text, self), action))
        self._more = QToolButton(self)
        self._more.setObjectName("queue.more")
        self._more.setIconSize(QSize(20, 20))
        self._more.setAccessibleName(tr("More actions"))
        self._more.setToolTip(tr("More: skip, queue again, take into the form, clear what has ended"))
        self._more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._more.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._more.setMenu(self.menu)
        row.addWidget(self._more)
        return row

    def _tied(self, button: QPushButton | QToolButton, action: QAction) -> QPushButton | QToolButton:
        """A button that does what an action of the menu does."""
        button.setObjectName(f"{action.objectName()}_button")
        button.setAccessibleName(action.text())
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.clicked.connect(action.trigger)
        self._buttons.append((button, action))
        return button

    def _foot(self) -> QHBoxLayout:
        label = QLabel(tr("When done"), self)
        self._when_done = ChoiceBox(WHEN_DONE, self)
        self._when_done.setObjectName("queue.when_done")
        self._when_done.setAccessibleName(tr("When the queue is done"))
        self._when_done.setToolTip(tr("What happens when nothing waits any more"))
        label.setBuddy(self._when_done)
        theme.set_role(label, role="label")
        why = ElidedLabel("", self)
        why.setObjectName("queue.no_sleep")
        theme.set_role(why, role="small")
        if self._sleeper.obstacle:
            items = self._when_done.model()
            assert isinstance(items, QStandardItemModel)
            items.item(2).setEnabled(False)
            items.item(2).setToolTip(self._sleeper.obstacle)
            why.setText(tr("No sleep here: {obstacle}", obstacle=self._sleeper.obstacle), tr("No sleep here"))
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addWidget(label)
        row.addWidget(self._when_done)
        row.addWidget(why, 1)
        return row

    def _connect(self) -> None:
        self._queue.changed.connect(self.refresh)
        self._progress.timeout.connect(self._show_progress)
        self.table.moved.connect(self._queue.move)
        self.view.chosen_changed.connect(self._show_chosen)
        self.view.activated.connect(self.show_run.trigger)
        self.view.customContextMenuRequested.connect(self._on_menu)
        self.button.clicked.connect(self._on_button)
        QShortcut(QKeySequence(MAIN_KEYS), self).activated.connect(self._on_key)
        self._when_done.edited.connect(self._queue.set_when_done)

    def _dress(self) -> None:
        c = theme.colors()
        self._more.setIcon(theme.icon("ph.dots-three-bold"))
        primary = self.button.property("kind") == "primary"
        color = c.on_accent if primary else c.muted
        self.button.setIcon(theme.icon("ph.play-fill" if primary else "ph.pause-fill", color))

    # -- acts -------------------------------------------------------------------------------------------------

    def _keys(self) -> list[str]:
        return [one.id for one in self.view.chosen()]

    def _one(self) -> QueueEntry:
        return self.view.chosen()[0]

    def _on_button(self) -> None:
        queue = self._queue
        if queue.state.mode == "running" and (queue.is_working or queue.is_elsewhere):
            queue.pause()
        else:
            queue.start()

    def _on_key(self) -> None:
        """It starts what waits; pausing is no main thing of a page."""
        if self.button.property("kind") == "primary":
            self.button.click()

    def _on_menu(self, place: QPoint) -> None:
        if self.view.chosen():
            self.menu.popup(self.view.viewport().mapToGlobal(place))

    def _on_show(self) -> None:
        self.open_requested.emit(Path(self._one().run))

    def _on_now(self) -> None:
        self._queue.run_now(self._one().id)

    def _on_up(self) -> None:
        self._shift(-1)

    def _on_down(self) -> None:
        self._shift(1)

    def _shift(self, by: int) -> None:
        keys, order = self._keys(), [one.id for one in self._queue.state.waiting]
        moved = [key for key in order if key in keys]
        rest_before = order.index(moved[0]) if by < 0 else order.index(moved[-1]) + 1 - len(moved)
        self._queue.move(moved, max(rest_before + by, 0))

    def _on_skip(self) -> None:
        self._queue.skip(self._keys())

    def _on_again(self) -> None:
        self._queue.again(self._keys())

    def _on_remove(self) -> None:
        self._queue.remove(self._keys())

    def _on_take(self) -> None:
        try:
            self.config_requested.emit(self._one().load())
        except UnusableError as error:
            self.warned.emit(tr("The setup cannot be read: {error}", error=error))

    def showEvent(self, shown: QShowEvent) -> None:
        super().showEvent(shown)
        self._progress.start()

    def hideEvent(self, hidden: QHideEvent) -> None:
        self._progress.stop()
        super().hideEvent(hidden)
