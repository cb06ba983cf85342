"""Runs elsewhere and the window: who starts one, sees it, finds it again, and hears that it is here."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from app.core.language import tr
from app.core.model.adapter_file import has_adapter_file
from app.core.remote.record import read_remote, remote_runs
from app.core.run.folder import RunDir
from app.core.run.note import known_name
from app.ui.message.bar import Notice
from app.ui.run.session import RunSession

if TYPE_CHECKING:
    from app.core.config.train_config import TrainConfig
    from app.ui.bundle.followers import RemoteFollowers
    from app.ui.bundle.remote_dialog import RemoteDialog


class RemoteActions(QObject):
    """Opens the dialog, and follows what trains elsewhere as long as the window is there."""

    told = Signal(object)  # Notice
    here_requested = Signal()  # start on this computer after all
    compare_requested = Signal(object)
    changed = Signal()  # of a run elsewhere: the list is not of now any more

    def __init__(self, session: RunSession, window: QWidget) -> None:
        super().__init__(window)
        self._session, self._window = session, window
        self._followers: RemoteFollowers | None = None
        self.dialog: RemoteDialog | None = None
        session.run_changed.connect(self._on_run)
        session.stop_elsewhere.connect(self._on_stop)

    @property
    def followers(self) -> RemoteFollowers:
        """Made when the first run elsewhere is there."""
        if self._followers is None:
            from app.ui.bundle.followers import RemoteFollowers

            found = self._followers = RemoteFollowers(self)
            found.said.connect(self._on_said)
            found.came.connect(self._on_came)
            found.failed.connect(self._on_failed)
            found.stopped.connect(self._on_stopped)
        return self._followers

    def ask_run(self, config: TrainConfig) -> None:
        """Asks where to run a setup."""
        from app.ui.bundle.remote_dialog import RemoteDialog

        dialog = self.dialog = RemoteDialog(config, self._window)
        dialog.here_requested.connect(self.here_requested)
        dialog.started.connect(self._on_started)
        dialog.finished.connect(self._on_finished)
        dialog.open()

    def find_again(self) -> None:
        """Tells of runs that an earlier window left elsewhere."""
        for run in remote_runs():
            if not run.is_closed and not self._is_shown(run.path):
                said = tr("{name} was left on {where}.", name=known_name(RunDir(run.path)), where=run.where)
                self.told.emit(Notice(said, "info", tr("Show it"), partial(self.show_run, run.path)))

    def show_run(self, path: Path) -> None:
        """Shows a run elsewhere, and follows it."""
        if self._session.is_live:
            said = tr("A run is training here. What trains elsewhere is followed, and stands in the list of runs.")
            self.told.emit(Notice(said, holds=lambda: self._session.is_live))
            self.followers.attend(path)
        else:
            self._session.open(path)

    def shutdown(self) -> None:
        """Lets go of all: what trains elsewhere goes on."""
        if self.dialog is not None:
            self.dialog.shutdown()
        if self._followers is not None:
            self._followers.detach()

    def _is_shown(self, path: Path) -> bool:
        return self._session.run is not None and self._session.run.path == path

    def _on_finished(self) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.deleteLater()

    def _on_started(self, path: Path, where: str) -> None:
        self.told.emit(
            Notice(
                tr(
                    "{name} runs on {where}. It goes on when this window is closed.",
                    name=known_name(RunDir(path)),
                    where=where,
                ),
                "good",
            )
        )
        self.changed.emit()
        self.show_run(path)

    def _on_run(self) -> None:
        """A run that is shown is followed."""
        if self._session.is_remote and self._session.run is not None:
            self.followers.attend(self._session.run.path)

    def _on_stop(self, path: Path) -> None:
        self.followers.attend(path)  # brings it here at its end
        self.followers.stop(path)

    def _on_said(self, path: Path, said: str) -> None:
        if self._is_shown(path):
            self._session.tell_elsewhere(said)

    def _on_came(self, path: Path) -> None:
        self.changed.emit()
        adapters = RunDir(path).adapters
        act = partial(self.compare_requested.emit, adapters) if has_adapter_file(adapters) else None
        word = tr("Compare base and tuned") if act is not None else ""
        self.told.emit(Notice(tr("{name} is here.", name=known_name(RunDir(path))), "good", word, act))

    def _on_failed(self, path: Path, said: str) -> None:
        self.changed.emit()
        run = read_remote(path)
        if run is not None and run.is_closed:  # it is over, and nothing of it is elsewhere
            self.told.emit(Notice(said, "error"))
        else:
            again = partial(self.followers.attend, path)
            self.told.emit(
                Notice(
                    tr("{name} is not followed any more: {said}", name=known_name(RunDir(path)), said=said),
                    "error",
                    tr("Try again"),
                    again,
                )
            )

    def _on_stopped(self, path: Path, said: str) -> None:
        self.told.emit(Notice(f"{known_name(RunDir(path))}: {said}"))
