"""What the window does with a tuned model: the chat, the endpoint, and the answers before and after a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QPushButton, QWidget

from app.core.compare.before_after import BeforeAfter
from app.core.compare.candidate import Candidate
from app.core.export.served import is_noted
from app.core.language import tr
from app.ui.compare.answerer import Answerer
from app.ui.run.panel import RunPanel
from app.ui.run.session import RunSession
from app.ui.widget import theme

if TYPE_CHECKING:  # imported when they are first asked for: the window should open quickly
    from app.ui.chat.dialog import ChatDialog
    from app.ui.chat.held_out_answer import HeldOutAnswer
    from app.ui.endpoint.dialog import ServeDialog

ADOPT_MS = 700  # after the window stands there
TRAINS = tr("A run is training and needs the memory. Ask when it has ended.")


class TunedActions(QObject):
    """Makes the dialogs when they are first asked for, and keeps them: a conversation and an endpoint go on.

    ``serving`` stands in the status line while something is served.
    """

    def __init__(self, answerer: Answerer, session: RunSession, run_panel: RunPanel, window: QWidget) -> None:
        super().__init__(window)
        self._answerer, self._session, self._panel, self._window = answerer, session, run_panel, window
        self.chat: ChatDialog | None = None
        self.endpoint: ServeDialog | None = None
        self._held_out: HeldOutAnswer | None = None
        self._was_live = session.is_live
        self.serving = QPushButton(window)
        self.serving.setObjectName("status.serving")
        self.serving.setCursor(Qt.CursorShape.PointingHandCursor)
        theme.set_role(self.serving, kind="link")
        self.serving.clicked.connect(self._show_endpoint)
        self.serving.hide()
        session.state_changed.connect(self._on_state)
        QTimer.singleShot(ADOPT_MS, self, self._adopt)
        run_panel.answer_requested.connect(self.ask_before_after)

    # -- chat -------------------------------------------------------------------------------------------------

    def ask_chat(self, adapter: Path, strength: float = 1.0) -> None:
        """Opens the chat with a run, an adapter's folder or a checkpoint's file."""
        from app.ui.chat.dialog import ChatDialog

        if self.chat is None:
            self.chat = ChatDialog(self._answerer, self._window)
            self.chat.set_training(self._session.is_live)
        self.chat.choose(adapter, strength)
        _bring_up(self.chat)

    def take_names(self) -> None:
        """Has the chat look anew what runs are called."""
        if self.chat is not None:
            self.chat.take_names()

    def chat_with(self, candidate: Candidate) -> None:
        """Opens the chat with a candidate of a comparison."""
        if candidate.adapter is not None:
            self.ask_chat(candidate.adapter, candidate.strength)

    # -- serve ------------------------------------------------------------------------------------------------

    def ask_serve(self, source: Path, strength: float = 1.0) -> None:
        """Opens the endpoint's dialog with a run, an adapter's folder or a checkpoint's file."""
        dialog = self._made_endpoint()
        dialog.choose(source, strength)
        _bring_up(dialog)

    def _made_endpoint(self) -> ServeDialog:
        from app.ui.endpoint.dialog import ServeDialog

        if self.endpoint is None:
            self.endpoint = ServeDialog(self._window)
            self.endpoint.changed.connect(self._show_serving)
            self.endpoint.adopt()
        return self.endpoint

    def _adopt(self) -> None:
        """What an earlier window left serving stands in the status line."""
        if is_noted():
            self._made_endpoint()

    def serve_candidate(self, candidate: Candidate) -> None:
        """Opens the endpoint's dialog with a candidate of a comparison."""
        if candidate.adapter is not None:
            self.ask_serve(candidate.adapter, candidate.strength)

    def _show_endpoint(self) -> None:
        if self.endpoint is not None:
            _bring_up(self.endpoint)

    def _show_serving(self) -> None:
        status = self.endpoint.status if self.endpoint is not None else ""
        self.serving.setText(status)
        if self.endpoint is not None and self.endpoint.endpoint is not None:
            self.serving.setToolTip(
                tr("{label} at {url}: show and stop it", label=self.endpoint.label, url=self.endpoint.endpoint.url)
            )
        self.serving.setVisible(bool(status))

    # -- before and after -------------------------------------------------------------------------------------

    def ask_before_after(self) -> None:
        """Asks base and tuned model of the shown run one held-out question."""
        run = self._session.run
        if run is None:
            return
        if self._session.is_live:
            self._say(TRAINS, can_ask=True)
            return
        if self._held_out is None:
            from app.ui.chat.held_out_answer import HeldOutAnswer

            self._held_out = HeldOutAnswer(self._answerer, self)
            self._held_out.progressed.connect(self._on_progress)
            self._held_out.answered.connect(self._on_answered)
            self._held_out.failed.connect(self._on_failed)
            self._session.run_changed.connect(self._held_out.stop)
        self._say(tr("Asking…"), can_ask=False)
        self._held_out.ask(run)

    def _say(self, text: str, *, can_ask: bool, role: str = "muted") -> None:
        self._panel.page.before_after.say(text, can_ask=can_ask, role=role)

    def _on_progress(self, text: str) -> None:
        self._say(f"{text}…", can_ask=False)

    def _on_answered(self, found: BeforeAfter) -> None:
        self._panel.page.before_after.show_found(found)

    def _on_failed(self, text: str) -> None:
        self._say(text, can_ask=True, role="warning")

    # -- the window -------------------------------------------------------------------------------------------

    def _on_state(self) -> None:
        """When a run begins to train the memory is its own; what is served already goes on, as its user decided,
        and so does what is asked beside the run."""
        live, began = self._session.is_live, self._session.is_live and not self._was_live
        self._was_live = live
        if began and self._held_out is not None:
            self._held_out.stop()
        if began and self._answerer.is_loaded:
            self._answerer.release()
        if self.chat is not None:
            self.chat.set_training(live)

    def shutdown(self) -> None:
        """Ends what is served."""
        if self.endpoint is not None:
            self.endpoint.shutdown()


def _bring_up(dialog: QWidget) -> None:
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()
