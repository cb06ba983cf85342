"""Exports, merges, bundles and hosts, and the window: who asks for one, and the dialog that does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

if TYPE_CHECKING:
    from app.core.compare.candidate import Candidate
    from app.core.config.train_config import TrainConfig
    from app.core.replica.hostfile import Hostfile
    from app.ui.bundle.dialog import BundleDialog
    from app.ui.export.dialog import ExportDialog
    from app.ui.export.merge_dialog import MergeDialog
    from app.ui.replica.dialog import HostsDialog


class ExportActions(QObject):
    """Opens the dialogs over the window, one at a time."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self.dialog: ExportDialog | BundleDialog | MergeDialog | HostsDialog | None = None

    def ask_export(self, source: Path, strength: float = 1.0) -> None:
        """Asks how to export a run, an adapter's folder or a checkpoint's file; ``strength`` is proposed for it."""
        from app.ui.export.dialog import ExportDialog

        self._open(ExportDialog(source, self._window, strength=strength))

    def export_candidate(self, candidate: Candidate) -> None:
        """Asks how to export a candidate of a comparison, as strong as it answers there."""
        if candidate.adapter is not None:
            self.ask_export(candidate.adapter, candidate.strength)

    def ask_bundle(self, config: TrainConfig) -> None:
        """Asks how to seal a setup for another machine."""
        from app.ui.bundle.dialog import BundleDialog

        self._open(BundleDialog(config, self._window))

    def ask_hosts(self, config: TrainConfig, start: Callable[[Hostfile], None]) -> None:
        """Asks on which machines to train a setup; ``start`` is told which."""
        from app.ui.replica.dialog import HostsDialog

        dialog = HostsDialog(config, self._window)
        dialog.start_requested.connect(start)
        self._open(dialog)

    def ask_merge(self, sources: tuple[Path, ...]) -> None:
        """Asks how to merge the adapters of several runs."""
        from app.ui.export.merge_dialog import MergeDialog

        self._open(MergeDialog(sources, self._window))

    @property
    def is_busy(self) -> bool:
        """True while one of them is at work."""
        return self.dialog is not None and self.dialog.is_working

    def _open(self, dialog: ExportDialog | BundleDialog | MergeDialog | HostsDialog) -> None:
        self.dialog = dialog
        dialog.finished.connect(self._on_finished)
        dialog.open()

    def shutdown(self) -> None:
        """Stops what runs; nothing of it stays."""
        if self.dialog is not None:
            self.dialog.shutdown()

    def _on_finished(self) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.deleteLater()
