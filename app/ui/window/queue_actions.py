"""What the user can ask of the queue: its pages, the sweep dialog and what happens at its end, made when needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from app.core.language import tr
from app.core.quantity import plural
from app.core.queue.queue import QueueEntry
from app.ui.message.bar import Notice
from app.ui.queue.ending import QueueEnding
from app.ui.setup.config_tab import ConfigTab
from app.ui.window.actions import UserActions

if TYPE_CHECKING:  # imported when they are first asked for: the window should open quickly
    from app.ui.queue.sweep_dialog import SweepDialog
    from app.ui.queue.switch import QueueSwitch


class QueueActions(QObject):
    """Connects the queue of a `UserActions` with the window. ``find_form`` gives the form in use."""

    def __init__(self, actions: UserActions, find_form: Callable[[], ConfigTab], window: QWidget) -> None:
        super().__init__(window)
        self._actions, self._find_form, self._window = actions, find_form, window
        self.ending = QueueEnding(actions.queue, window)
        self.ending.told.connect(actions.told)
        self.switch: QueueSwitch | None = None
        self.dialog: SweepDialog | None = None

    def make_switch(self, runs: QWidget) -> QueueSwitch:
        """The pages of the Runs tab, around the list of runs."""
        from app.ui.queue.switch import QueueSwitch

        self.switch = QueueSwitch(runs, self._actions.queue, self.ending.sleeper)
        self.switch.open_requested.connect(self._actions.open_run)
        self.switch.config_requested.connect(self._actions.forms.take_config)
        self.switch.warned.connect(self._warn)
        return self.switch

    def show_queue(self) -> None:
        """Brings the queue to the front of the Runs tab."""
        from app.ui.queue.switch import QUEUE_PAGE

        if self.switch is not None:
            self.switch.show_page(QUEUE_PAGE)

    def ask_sweep(self) -> None:
        """Asks what to vary of the form in use, unless that shows what no run of the sweep would have."""
        from app.ui.queue.sweep_dialog import SweepDialog

        form = self._find_form()
        if found := form.judge():
            self._actions.hold_back(found, tr("The setup cannot be varied yet."))
            return
        self.dialog = SweepDialog(
            form.store.config,
            form.selection.inspection,
            form.data_panel.report,
            self._window,
            run_s=form.estimate.run_s,
        )
        self.dialog.queued.connect(self._on_queued)
        self.dialog.finished.connect(self.dialog.deleteLater)
        self.dialog.open()

    def _on_queued(self, entries: Sequence[QueueEntry]) -> None:
        queue = self._actions.queue
        if queue.add(entries):
            said = tr("{runs} of the sweep are in the queue now.", runs=plural(len(entries), "run"))
            self._actions.told.emit(Notice(said, "info", tr("Show the queue"), queue.shown_requested.emit))

    def _warn(self, text: str) -> None:
        self._actions.told.emit(Notice(text, "warning"))
